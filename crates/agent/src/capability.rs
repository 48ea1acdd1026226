//! What this process may ask of the kernel, looked at before anything is done.

use std::{fs, io};

/// Numbers of linux/capability.h. `CAP_SYS_ADMIN` comprises `CAP_BPF` and `CAP_PERFMON`, and is needed besides to
/// enter the network namespaces of endpoints (setns(2)).
const NEEDED: [(&str, u32); 2] = [("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21)];

/// Checks that nothing is missing.
///
/// # Errors
/// `PermissionDenied` with the names of what is missing, and what to do.
pub fn check() -> io::Result<()> {
    // Without /proc nothing is known; the kernel will then say itself what it refuses.
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    match refusal(&status) {
        None => Ok(()),
        Some(refusal) => Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal)),
    }
}

/// What to say of a process with this `/proc/PID/status`.
fn refusal(status: &str) -> Option<String> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let effective = u64::from_str_radix(effective.trim(), 16).ok()?;
    let missing = NEEDED.iter().filter(|(_, number)| (effective >> number) & 1 == 0);
    let names: Vec<&str> = missing.map(|(name, _)| *name).collect();
    let are = match names.as_slice() {
        [] => return None,
        [_] => "is",
        _ => "are",
    };
    Some(format!(
        "{} {are} missing: run as root, or add what is missing to the capabilities of the service or container",
        names.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let refused =
            |caps: &str| refusal(&format!("Name:\tciliate\nCapPrm:\t0\nCapEff:\t{caps}\nSeccomp:\t0\n"));
        for (caps, start) in [
            ("000001ffffffffff", None),
            ("0000000000201000", None),
            ("0000000000200000", Some("CAP_NET_ADMIN is missing: run as root")),
            ("0000000000001000", Some("CAP_SYS_ADMIN is missing: run as root")),
            ("0000000000000000", Some("CAP_NET_ADMIN and CAP_SYS_ADMIN are missing: run as root")),
        ] {
            match (refused(caps), start) {
                (None, None) => {}
                (Some(text), Some(start)) => assert!(text.starts_with(start), "{text}"),
                (found, _) => panic!("{caps}: {found:?}"),
            }
        }
        assert_eq!(refusal("nothing of the kind"), None);
    }
}
