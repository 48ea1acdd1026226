//! Commands that `run` started: the folder of each, who watches over it, and their end.
//!
//! `<run-dir>/run/<namespace>/<name>` holds the namespace's mount point and a lock. Whoever watches over the
//! command holds the lock, so a lock that can be taken belongs to nobody: its watcher was killed.

use crate::progress::Waiting;
use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The folder of one command, held as long as this value lives.
#[derive(Debug)]
pub struct Held {
    folder: PathBuf,
    lock: File,
}

fn all(run_dir: &Path) -> PathBuf {
    run_dir.join("run")
}

impl Held {
    /// Fails when somebody else watches over a command of this name.
    pub fn take(run_dir: &Path, namespace: &str, name: &str) -> anyhow::Result<Self> {
        let folder = all(run_dir).join(namespace).join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join("lock");
        let mut lock = open_lock(&path).with_context(|| format!("cannot open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "{namespace}/{name} already runs{}: give another --name",
                pids(&mut lock).first().map_or(String::new(), |pid| format!(" under pid {pid}"))
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Where the network namespace is mounted.
    pub fn netns(&self) -> PathBuf {
        self.folder.join("netns")
    }

    /// Where output goes that has no other place.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Leaves a note of whom to signal.
    pub fn note(&mut self, command: u32) -> io::Result<()> {
        self.lock.set_len(0)?;
        self.lock.rewind()?;
        writeln!(self.lock, "{} {command}", std::process::id())
    }

    /// Removes the folder; the lock goes with it.
    pub fn remove(self) -> io::Result<()> {
        for file in [self.log(), self.folder.join("lock")] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        // The folders above stay while another command has its own below them.
        let above = self.folder.ancestors().take(3);
        let _empty_ones: Vec<io::Result<()>> = above.map(fs::remove_dir).collect();
        Ok(())
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).read(true).write(true).open(path)
}

/// The watcher and its command, as far as they are noted.
fn pids(lock: &mut File) -> Vec<i32> {
    let mut text = String::new();
    match lock.rewind().and_then(|()| lock.read_to_string(&mut text)) {
        Ok(_) => text.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid > 1).collect(),
        Err(_) => Vec::new(),
    }
}

/// Asks every command to end, then makes it; their watchers remove the endpoints and namespaces.
pub fn end_all(run_dir: &Path, patience: Duration) -> anyhow::Result<()> {
    let mut running = Vec::new();
    for namespace in subfolders(&all(run_dir)) {
        for folder in subfolders(&namespace) {
            let Ok(mut lock) = File::options().read(true).write(true).open(folder.join("lock")) else {
                continue;
            };
            match lock.try_lock() {
                Ok(()) => abandoned(&folder),
                Err(TryLockError::WouldBlock) => {
                    if let Some(watcher) = pids(&mut lock).first() {
                        signal(*watcher, Signal::SIGTERM);
                    }
                    running.push((folder, lock));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", folder.display()));
                }
            }
        }
    }
    let start = Instant::now();
    let waiting = Waiting::new("waiting for commands to end");
    let half = patience.checked_div(2).unwrap_or(patience);
    let mut killed = false;
    while !running.is_empty() {
        running.retain(|(_, lock)| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        if start.elapsed() > half && !killed {
            killed = true;
            for (_, lock) in &mut running {
                if let Some(command) = pids(lock).get(1) {
                    signal(*command, Signal::SIGKILL);
                }
            }
        }
        if let Some((folder, _)) = running.first().filter(|_| start.elapsed() > patience) {
            bail!("the command of {} has not ended after {} s", folder.display(), patience.as_secs());
        }
        waiting.tick(&format!("{} left", running.len()));
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// What a killed watcher left behind; its endpoint goes with the agent.
fn abandoned(folder: &Path) {
    if let Err(error) = ciliate_net::Netns::delete(&folder.join("netns")) {
        eprintln!("Warning: {error}");
    }
    // A folder that stays is found again by the next `run` of that name.
    fs::remove_dir_all(folder).ok();
    folder.ancestors().skip(1).take(2).for_each(|above| {
        fs::remove_dir(above).ok();
    });
}

fn signal(pid: i32, signal: Signal) {
    // It may have ended by itself meanwhile.
    kill(Pid::from_raw(pid), signal).ok();
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once_and_free_again() {
        let run_dir = std::env::temp_dir().join(format!("ciliate-launched-{}", std::process::id()));
        let mut held = Held::take(&run_dir, "default", "xwing").unwrap();
        held.note(77).unwrap();
        let error = Held::take(&run_dir, "default", "xwing").unwrap_err().to_string();
        assert!(error.contains(&format!("under pid {}", std::process::id())), "{error}");
        let other = Held::take(&run_dir, "default", "tiefighter").unwrap();
        held.remove().unwrap();
        assert!(!run_dir.join("run/default/xwing").exists());
        other.remove().unwrap();
        assert!(!run_dir.join("run").exists(), "empty folders go too");
        fs::remove_dir_all(&run_dir).unwrap();
    }

    #[test]
    fn ending_all_waits_for_nobody_where_nobody_is() {
        let run_dir = std::env::temp_dir().join(format!("ciliate-launched-none-{}", std::process::id()));
        end_all(&run_dir, Duration::from_secs(1)).unwrap();
        let folder = run_dir.join("run/default/gone");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("lock"), "999999999 999999999\n").unwrap();
        end_all(&run_dir, Duration::from_secs(1)).unwrap();
        assert!(!run_dir.join("run").exists());
        fs::remove_dir_all(&run_dir).unwrap();
    }
}
