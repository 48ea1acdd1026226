//! Short grace periods while programs are attached.
//!
//! The kernel waits for a grace period of RCU within each attachment by TCX (`tcx_entry_sync`), with the lock of all
//! network configuration held: 8 to 15 ms at 250 Hz. Where `rcu_expedited` is set it asks the processors instead and
//! is done in 50 µs. We set it for those moments only; `rcu_normal`, as real-time hosts have it, still takes
//! precedence.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Of the kernel, for all of the host.
const SWITCH: &str = "/sys/kernel/rcu_expedited";

/// On until dropped. Where the switch cannot be set, or is on already, nothing is done.
#[derive(Debug)]
pub struct Expedited(Option<On>);

#[derive(Debug)]
struct On {
    switch: PathBuf,
    mark: PathBuf,
}

impl Expedited {
    /// The mark is a directory that says for as long as it exists that the switch is to be set back.
    pub fn begin(mark: PathBuf) -> Self {
        Self::begin_at(Path::new(SWITCH), mark)
    }

    /// Sets back what a process left that was killed meanwhile.
    pub fn recover(mark: PathBuf) {
        Self::recover_at(Path::new(SWITCH), mark);
    }

    fn begin_at(switch: &Path, mark: PathBuf) -> Self {
        let off = fs::read_to_string(switch).is_ok_and(|value| value.trim() == "0");
        if !off || fs::create_dir_all(&mark).is_err() {
            return Self(None);
        }
        // One that refuses, such as on a read-only file system, costs time and nothing else.
        let _ = fs::write(switch, "1");
        Self(Some(On { switch: switch.to_owned(), mark }))
    }

    fn recover_at(switch: &Path, mark: PathBuf) {
        if mark.exists() {
            drop(Self(Some(On { switch: switch.to_owned(), mark })));
        }
    }
}

impl Drop for Expedited {
    fn drop(&mut self) {
        if let Some(On { switch, mark }) = &self.0 {
            // Where it could not be set it need not be set back.
            let _ = fs::write(switch, "0");
            let _ = fs::remove_dir(mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_is_as_it_was_afterwards_even_after_a_kill() {
        let folder = std::env::temp_dir().join(format!("cil-test-grace-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (switch, mark) = (folder.join("switch"), folder.join("mark"));
        let value = || fs::read_to_string(&switch).unwrap();

        fs::write(&switch, "0\n").unwrap();
        let on = Expedited::begin_at(&switch, mark.clone());
        assert_eq!((value().as_str(), mark.exists()), ("1", true));
        drop(on);
        assert_eq!((value().as_str(), mark.exists()), ("0", false));

        std::mem::forget(Expedited::begin_at(&switch, mark.clone()));
        assert_eq!((value().as_str(), mark.exists()), ("1", true));
        Expedited::recover_at(&switch, mark.clone());
        assert_eq!((value().as_str(), mark.exists()), ("0", false));

        // Somebody else's choice.
        fs::write(&switch, "1\n").unwrap();
        drop(Expedited::begin_at(&switch, mark.clone()));
        Expedited::recover_at(&switch, mark.clone());
        assert_eq!((value().as_str(), mark.exists()), ("1\n", false));
        fs::remove_dir_all(&folder).unwrap();
    }
}
