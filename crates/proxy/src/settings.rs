//! What the proxy is told when it starts.

use crate::redaction::Redaction;
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
    pub dns: DnsSettings,
    /// What is not told of requests.
    pub redaction: Redaction,
    /// Accesses of each kind in a second; 0 = no limit (`proxy-access-rate-limit`).
    pub accesses_per_second: u32,
}

/// How queries are dealt with.
#[derive(Clone, Debug)]
pub struct DnsSettings {
    pub cache: ciliate_dns::CacheSettings,
    pub pending: ciliate_dns::PendingSettings,
    /// What a client is told whose query is denied (`tofqdns-dns-reject-response-code`).
    pub reject: ciliate_dns::Reply,
    /// How long an answer may be held back until its addresses have their identities (`tofqdns-proxy-response-max-delay`).
    pub response_max_delay: Duration,
    /// What an administrator says that names resolve to (`tofqdns-pre-cache`).
    pub pre_cache: Option<PathBuf>,
    /// Sockets towards servers, one for each client and server (`dns-max-sockets`).
    pub max_sockets: usize,
    /// How often connections are looked through for addresses whose time is over.
    pub survey: Duration,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            cache: ciliate_dns::CacheSettings::default(),
            pending: ciliate_dns::PendingSettings::default(),
            reject: ciliate_dns::Reply::Refused,
            response_max_delay: Duration::from_millis(100),
            pre_cache: None,
            max_sockets: 8192,
            // As in Cilium; programs use answers somewhat longer than they say.
            survey: Duration::from_secs(60),
        }
    }
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
