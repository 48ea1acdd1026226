use std::{io, path::PathBuf};
use thiserror::Error;

/// What can go wrong between this process and the kernel.
#[derive(Debug, Error)]
pub enum Error {
    #[error(
        "{} is not on a BPF file system: mount one with `mount -t bpf bpf /sys/fs/bpf`, or name another with --bpf-root",
        .0.display()
    )]
    NoBpffs(PathBuf),
    #[error(
        "loading kernel programs is not permitted: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    NotPermitted,
    #[error(
        "kernel {0} is too old: boot one of 5.15 or later (6.6 or later attaches programs the fastest way)"
    )]
    OldKernel(String),
    #[error("cannot {what} {}: {source}", path.display())]
    Pin { what: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot load the kernel programs: {0}")]
    Load(#[from] aya::EbpfError),
    /// The verifier's refusal; its "permission denied" says nothing about rights.
    #[error("the kernel refused program {name}: {reason}")]
    Program { name: &'static str, reason: String },
    #[error("cannot attach to device {device}: {reason}")]
    Attach { device: String, reason: String },
    #[error("cannot {what} map {map}: {source}")]
    Map { what: &'static str, map: &'static str, source: aya::maps::MapError },
    #[error("cannot {what} map {map}: {source}")]
    Call { what: &'static str, map: &'static str, source: io::Error },
    #[error(
        "{map} map has room for {max} entries, {used} are used and {needed} more are needed: raise {setting}"
    )]
    Full { map: &'static str, setting: &'static str, used: u32, needed: u32, max: u32 },
    #[error("{map} map holds {entries} entries but {setting} allows {max}: raise it")]
    TooSmall { map: &'static str, setting: &'static str, entries: usize, max: u32 },
    #[error("the program object lacks {0}: the build is broken")]
    Missing(&'static str),
    #[error("rule set {0} is not in the kernel")]
    UnknownRuleSet(u32),
    #[error("there is room for {max} {what} and not for more: wait for one to end, or stop one")]
    RecordingsFull { what: &'static str, max: usize },
    #[error("events are being read already")]
    EventsTaken,
}
