//! Where a process works: its network namespace and its processor.

use anyhow::{Context, Result};
use nix::{
    sched::{CloneFlags, CpuSet, sched_setaffinity, setns},
    unistd::Pid,
};
use std::{fs::File, path::Path};

/// Moves this thread; at the start of a process, and so all of it.
pub fn enter(netns: Option<&Path>, core: Option<usize>) -> Result<()> {
    if let Some(path) = netns {
        let file =
            File::open(path).with_context(|| format!("cannot open the namespace {}", path.display()))?;
        setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {}", path.display()))?;
    }
    if let Some(core) = core {
        let mut cores = CpuSet::new();
        cores.set(core).with_context(|| format!("there is no processor {core}"))?;
        sched_setaffinity(Pid::from_raw(0), &cores)
            .with_context(|| format!("cannot work on processor {core}"))?;
    }
    Ok(())
}

/// Does something in a namespace, on a thread of its own; sockets made there stay there.
pub fn inside<T: Send>(netns: &Path, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(Some(netns), None)?;
            work()
        });
        thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the thread in {} panicked", netns.display())))
    })
}
