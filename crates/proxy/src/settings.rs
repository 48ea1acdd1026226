//! What the proxy is told when it starts.

use std::{path::PathBuf, time::Duration};

#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the datapath's maps are pinned.
    pub bpf_root: PathBuf,
    /// The last configuration is kept here.
    pub state_dir: PathBuf,
    /// The socket that the agent talks to.
    pub socket: PathBuf,
    /// Threads that carry connections.
    pub workers: usize,
    pub limits: Limits,
    pub http: ciliate_http::Settings,
    pub kafka: ciliate_kafka::Limits,
}

/// What connections may hold and how long they may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once (`proxy-max-connections`); more are refused and counted.
    pub connections: usize,
    /// Bytes that wait for a peer that does not read, each way; more is not read from the other.
    pub backlog: usize,
    /// Until the server has to have answered (`proxy-connect-timeout`).
    pub connect: Duration,
    /// Without a byte either way (`proxy-idle-timeout`).
    pub idle: Duration,
    /// How long connections may go on after a hand-over (`proxy-drain-timeout`).
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            backlog: 256 << 10,
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(3600),
            drain: Duration::from_secs(60),
        }
    }
}
