//! Network namespaces keep their names when a test is killed; the next run takes them away.

use ciliate_net::Netns;
use std::{fs, path::Path};

/// `cil-test-PID-…` of processes that are no more.
pub fn remove_stale_namespaces() {
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("cil-test-").and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another test may be doing the same.
            let _ = Netns::delete(&entry.path());
        }
    }
}
