//! The table itself and the typed values that come out of it.

use super::{
    AllowLocalhost, AnnouncedAddress, Change, CidrMatchTarget, Count, EnforcementMode, ExportPath, FieldPath,
    FilterList, HeaderName, LogFormat, LogLevel, MetricList, Milliseconds, MonitorAggregation, NodeLabel,
    OptionalAddress, OptionalPath, RejectCode, Resolved, Seconds, SecondsOrNone, Setting, SettingValue,
    SettingsError, Switch,
};
use ipnet::{Ipv4Net, Ipv6Net};
use std::path::PathBuf;

macro_rules! settings {
    ($($field:ident: $kind:ty = $name:literal, $default:literal, $change:ident, $help:literal;)+) => {
        /// All settings of the agent.
        pub const SETTINGS: &[Setting] = &[$(
            Setting {
                name: $name,
                form: <$kind as SettingValue>::FORM,
                default: $default,
                help: $help,
                change: Change::$change,
                check: |text| <$kind>::read(text).map(|value| value.show()),
            },
        )+];

        /// The values, checked.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            $(#[doc = $help] pub $field: $kind,)+
        }

        impl Config {
            /// Fails on values that are wrong by themselves; [`resolve`](super::resolve) also checks them together.
            pub fn new(resolved: &[Resolved]) -> Result<Self, SettingsError> {
                let text = |name: &str, default: &str| {
                    resolved.iter().find(|r| r.setting.name == name).map_or_else(|| default.to_owned(), |r| r.value.clone())
                };
                Ok(Self {
                    $($field: {
                        let value = text($name, $default);
                        <$kind>::read(&value).map_err(|expected| SettingsError::value($name, &value, resolved, expected))?
                    },)+
                })
            }
        }
    };
}

settings! {
    state_dir: PathBuf = "state-dir", "/var/lib/ciliate", AtStart, "Folder of everything that outlives a restart of the host";
    run_dir: PathBuf = "run-dir", "/run/ciliate", AtStart, "Folder of the socket and the hosts file";
    bpf_root: PathBuf = "bpf-root", "/sys/fs/bpf/ciliate", AtStart, "Folder on a bpffs where programs and maps are pinned";
    socket_group: String = "socket-group", "ciliate", AtStart, "Group that may use the socket besides root, if it exists";
    node_name: String = "node-name", "", AtStart, "Name of this node; empty for the host's name";
    node_labels: Vec<NodeLabel> = "node-labels", "", AtStart, "Labels of this node, key=value, as flows show and filters ask for them";
    cluster_name: String = "cluster-name", "default", AtStart, "Name of the cluster, as labels show it";
    enable_ipv4: Switch = "enable-ipv4", "true", AtStart, "Give endpoints IPv4 addresses";
    enable_ipv6: Switch = "enable-ipv6", "true", AtStart, "Give endpoints IPv6 addresses";
    ipv4_pool: Ipv4Net = "ipv4-pool", "10.201.0.0/16", AtStart, "Addresses of endpoints; the first is the gateway";
    ipv6_pool: Ipv6Net = "ipv6-pool", "fd10:201::/64", AtStart, "Addresses of endpoints; the first is the gateway";
    mtu: Count<1280, 65535> = "mtu", "1500", AtStart, "MTU of endpoint devices";
    masquerade: Switch = "masquerade", "true", AtStart, "Give traffic that leaves the host its address";
    allow_localhost: AllowLocalhost = "allow-localhost", "always", Anytime, "Whether the host may always enter its endpoints or needs a policy";
    policy_enforcement: EnforcementMode = "policy-enforcement", "default", Anytime, "Isolate endpoints that a policy selects, all, or none";
    policy_audit_mode: Switch = "policy-audit-mode", "false", Anytime, "Report what policies deny instead of dropping it";
    policy_cidr_match_mode: Vec<CidrMatchTarget> = "policy-cidr-match-mode", "", AtStart, "What CIDR rules match besides the world";
    identity_release_delay: Seconds = "identity-release-delay", "10m", AtStart, "How long the number of an unused identity is kept";
    monitor_aggregation: MonitorAggregation = "monitor-aggregation", "medium", Anytime, "How much the kernel leaves out of trace events";
    monitor_delay: Milliseconds = "monitor-delay", "50ms", AtStart, "How long events may wait in the kernel for others; longer costs less under load";
    monitor_capture: Count<14, 128> = "monitor-capture-length", "128", AtStart, "Bytes of each packet that events carry for who asks for them (`monitor --hex`)";
    events_rate: Count<0, 1000000000> = "bpf-events-default-rate-limit", "0", AtStart, "Events of each type that the kernel reports in a second, where the type has no limit of its own; 0 for no limit";
    events_burst: Count<0, 1000000000> = "bpf-events-default-burst-limit", "0", AtStart, "Events of each type that it reports at once; 0 for as many as in a second";
    drop_events: Switch = "bpf-events-drop-enabled", "true", AtStart, "Have the kernel report dropped packets";
    drop_events_rate: Count<0, 1000000000> = "bpf-events-drop-rate-limit", "0", AtStart, "Dropped packets that it reports in a second; 0 for the default of all types, as in the next";
    drop_events_burst: Count<0, 1000000000> = "bpf-events-drop-burst-limit", "0", AtStart, "Dropped packets that it reports at once";
    verdict_events: Switch = "bpf-events-policy-verdict-enabled", "true", AtStart, "Have the kernel report verdicts of policies";
    verdict_events_rate: Count<0, 1000000000> = "bpf-events-policy-verdict-rate-limit", "0", AtStart, "Packets in a second whose verdicts it reports; 0 for the default of all types, as in the next";
    verdict_events_burst: Count<0, 1000000000> = "bpf-events-policy-verdict-burst-limit", "0", AtStart, "Packets at once whose verdicts it reports";
    trace_events: Switch = "bpf-events-trace-enabled", "true", AtStart, "Have the kernel report where packets go";
    trace_events_rate: Count<0, 1000000000> = "bpf-events-trace-rate-limit", "0", AtStart, "Packets in a second of which it reports where they go; 0 for the default of all types, as in the next";
    trace_events_burst: Count<0, 1000000000> = "bpf-events-trace-burst-limit", "0", AtStart, "Packets at once of which it reports where they go";
    enable_hubble: Switch = "enable-hubble", "true", AtStart, "Keep flows and answer Hubble's clients";
    hubble_listen: OptionalAddress = "hubble-listen-address", "", AtStart, "Where Hubble's clients and relays find this node besides the socket, such as :4244; with TLS";
    hubble_plaintext: Switch = "hubble-disable-tls", "false", AtStart, "Serve flows there unencrypted, to anybody, also on an address that other hosts reach";
    hubble_tls_certificate: OptionalPath = "hubble-tls-cert-file", "", AtStart, "File with the server's certificate, in PEM; read again when it changes, as the next two";
    hubble_tls_key: OptionalPath = "hubble-tls-key-file", "", AtStart, "File with the key of that certificate, in PEM";
    hubble_tls_authorities: Vec<PathBuf> = "hubble-tls-client-ca-files", "", AtStart, "Files with the authorities, in PEM, that sign the certificates of clients; nobody else reads flows";
    hubble_tls_anybody: Switch = "hubble-tls-allow-any-client", "false", AtStart, "Let clients without a certificate read flows over TLS, also on an address that other hosts reach";
    hubble_max_clients: Count<1, 65536> = "hubble-max-clients", "256", AtStart, "Clients that are connected there at once";
    hubble_announced: AnnouncedAddress = "hubble-announced-address", "", AtStart, "Where relays are told to find this node, HOST:PORT; empty for the address it listens on, or its first one";
    hubble_capacity: Count<1, 16777216> = "hubble-event-buffer-capacity", "16383", AtStart, "Flows that are kept in memory";
    recorder_path: OptionalPath = "hubble-recorder-storage-path", "", AtStart, "Folder of recorded packets; empty for pcaps in the run directory";
    recorder_max_megabytes: Count<1, 1048576> = "hubble-recorder-max-megabytes", "256", AtStart, "Largest file of recorded packets, in MiB, whatever a recording asks for";
    history: Switch = "history", "true", AtStart, "Keep flows on disk, in the folder history of the state directory";
    history_max_age: Seconds = "history-max-age", "168h", AtStart, "How long flows are kept on disk";
    history_max_megabytes: Count<8, 1048576> = "history-max-megabytes", "1024", AtStart, "How much room flows may take on disk, in MiB; the oldest hour goes first";
    hubble_metrics: MetricList = "hubble-metrics", "dns drop tcp flow icmp http", Anytime, "Metrics that are made of flows, as Cilium writes them (docs/metrics.md)";
    hubble_metrics_file: OptionalPath = "hubble-dynamic-metrics-config-path", "", AtStart, "File with the metrics instead, in Cilium's format, which has filters; read again when it changes";
    hubble_metrics_server: OptionalAddress = "hubble-metrics-server", "", AtStart, "Where Prometheus finds them by HTTP, such as 127.0.0.1:9965";
    hubble_metrics_plaintext: Switch = "hubble-metrics-allow-plaintext", "false", AtStart, "Serve them, unencrypted, also on an address that other hosts reach";
    hubble_metrics_series: Count<1, 10000000> = "hubble-metrics-max-series", "10000", Anytime, "Series of one metric, unless its options say another number";
    hubble_metrics_ttl: SecondsOrNone = "hubble-metrics-ttl", "0s", Anytime, "How long a series stays in which nothing is counted, unless its options say so; 0 for ever";
    prometheus_server: OptionalAddress = "prometheus-serve-addr", "", AtStart, "Where Prometheus finds the agent's own metrics by HTTP, such as 127.0.0.1:9962";
    prometheus_plaintext: Switch = "prometheus-allow-plaintext", "false", AtStart, "Serve them, unencrypted, also on an address that other hosts reach";
    hubble_export_file: ExportPath = "hubble-export-file-path", "", AtStart, "File that flows are written to, in lines of JSON, or stdout (docs/export.md)";
    hubble_export_megabytes: Count<1, 1048576> = "hubble-export-file-max-size-mb", "10", AtStart, "MiB from which that file is put aside for a new one";
    hubble_export_backups: Count<0, 10000> = "hubble-export-file-max-backups", "5", AtStart, "Files that were put aside and are kept; 0 for all";
    hubble_export_compress: Switch = "hubble-export-file-compress", "false", AtStart, "Compress files that were put aside";
    hubble_export_allow: FilterList = "hubble-export-allowlist", "", AtStart, "Write only flows that match one of these filters, such as {\"verdict\":[\"DROPPED\"]}";
    hubble_export_deny: FilterList = "hubble-export-denylist", "", AtStart, "Write no flows that match one of these filters";
    hubble_export_mask: Vec<FieldPath> = "hubble-export-fieldmask", "", AtStart, "Fields of flows that are written, such as time,verdict,source.pod_name; all if there are none";
    hubble_flowlogs: OptionalPath = "hubble-flowlogs-config-path", "", AtStart, "File of exporters to files, syslog, Fluentd and OpenTelemetry; read again when it changes (docs/export.md)";
    redact_enabled: Switch = "hubble-redact-enabled", "false", AtStart, "Keep what the other settings of redaction name out of what the proxy tells of requests";
    redact_query: Switch = "hubble-redact-http-urlquery", "false", AtStart, "Leave out query strings of URLs";
    redact_user_info: Switch = "hubble-redact-http-userinfo", "true", AtStart, "Leave out passwords in URLs";
    redact_kafka_key: Switch = "hubble-redact-kafka-apikey", "false", AtStart, "Leave out which requests of Kafka these are";
    redact_headers_allow: Vec<HeaderName> = "hubble-redact-http-headers-allow", "", AtStart, "Tell of HTTP headers, with the values of these alone";
    redact_headers_deny: Vec<HeaderName> = "hubble-redact-http-headers-deny", "", AtStart, "Tell of HTTP headers, without the values of these";
    endpoint_log_size: Count<1, 4096> = "endpoint-log-size", "64", AtStart, "Entries kept of each endpoint's log";
    ct_tcp_timeout: Seconds = "conntrack-tcp-timeout", "8000s", Anytime, "Life of an idle established TCP connection";
    ct_syn_timeout: Seconds = "conntrack-syn-timeout", "60s", Anytime, "Life of a TCP connection that is not established";
    ct_close_timeout: Seconds = "conntrack-close-timeout", "10s", Anytime, "Life of a TCP connection after it was closed";
    ct_any_timeout: Seconds = "conntrack-any-timeout", "60s", Anytime, "Life of an idle flow of any other protocol";
    map_endpoints: Count<16, 65536> = "map-size-endpoints", "8192", AtStart, "Addresses of endpoints";
    map_ipcache: Count<1024, 16777216> = "map-size-ipcache", "512000", AtStart, "Prefixes with an identity";
    map_rule_sets: Count<64, 1048576> = "map-size-rule-sets", "16384", AtStart, "Rule sets: one for all endpoints with the same rules";
    map_prefixes: Count<1024, 16777216> = "map-size-prefixes", "262144", AtStart, "Address prefixes in rule sets";
    map_policy: Count<1024, 16777216> = "map-size-policy", "1048576", AtStart, "Entries of all rule sets together";
    map_conntrack: Count<1024, 16777216> = "map-size-conntrack", "524288", AtStart, "Connections";
    map_fragments: Count<256, 1048576> = "map-size-fragments", "8192", AtStart, "Fragmented packets under way";
    proxy_workers: Count<0, 256> = "proxy-workers", "0", AtStart, "Threads that carry connections whose contents policy looks at; 0 for one a processor";
    proxy_max_connections: Count<1, 10000000> = "proxy-max-connections", "100000", AtStart, "Connections that the proxy carries at once";
    proxy_connect_timeout: Seconds = "proxy-connect-timeout", "5s", AtStart, "How long a server may take to accept a connection of the proxy";
    proxy_idle_timeout: Seconds = "proxy-idle-timeout", "1h", AtStart, "How long a connection through the proxy may be silent";
    proxy_drain_timeout: Seconds = "proxy-drain-timeout", "60s", AtStart, "How long the connections of a proxy go on after a newer one has taken over";
    proxy_access_rate_limit: Count<0, 100000000> = "proxy-access-rate-limit", "0", AtStart, "Requests and responses of each protocol that the proxy tells of in a second; more are counted as lost; 0 for no limit";
    tofqdns_min_ttl: SecondsOrNone = "tofqdns-min-ttl", "0s", AtStart, "Least time for which an address that a name resolved to is valid";
    tofqdns_max_ips: Count<1, 1000000> = "tofqdns-endpoint-max-ip-per-hostname", "1000", AtStart, "Valid addresses kept of one name and endpoint, and as many again that only connections keep";
    tofqdns_grace: SecondsOrNone = "tofqdns-idle-connection-grace-period", "0s", AtStart, "How long an address is kept after its time is over and it was last seen in use";
    tofqdns_max_deferred: Count<1, 10000000> = "tofqdns-max-deferred-connection-deletes", "10000", AtStart, "Addresses of one endpoint whose time is over that connections keep";
    tofqdns_reject: RejectCode = "tofqdns-dns-reject-response-code", "refused", AtStart, "What a client is told whose DNS query is denied";
    tofqdns_pre_cache: OptionalPath = "tofqdns-pre-cache", "", AtStart, "File of names and their addresses to begin with, in the format of Cilium's `fqdn cache list -o json`";
    tofqdns_max_delay: Milliseconds = "tofqdns-proxy-response-max-delay", "100ms", AtStart, "How long a DNS answer may wait for the identities of its addresses";
    dns_timeout: Milliseconds = "dns-timeout", "5s", AtStart, "How long a DNS server may take to answer";
    dns_max_pending: Count<16, 4000000> = "dns-max-pending", "16384", AtStart, "DNS queries by UDP that are under way at once";
    dns_max_pending_per_client: Count<1, 4000000> = "dns-max-pending-per-client", "2048", AtStart, "Of these from one address; also of one TCP connection";
    dns_max_sockets: Count<16, 1000000> = "dns-max-sockets", "8192", AtStart, "Pairs of DNS clients and servers that are served at once";
    dns_cache_max_names: Count<16, 10000000> = "dns-cache-max-names", "100000", AtStart, "Names whose addresses are kept, each once for every endpoint that asked";
    dns_cache_max_endpoint_names: Count<16, 10000000> = "dns-cache-max-names-per-endpoint", "50000", AtStart, "Of these for one endpoint";
    dns_cache_max_addresses: Count<16, 40000000> = "dns-cache-max-addresses", "400000", AtStart, "Addresses of all names that are kept";
    map_events: Count<65536, 268435456> = "map-size-events", "1048576", AtStart, "Bytes of the ring of events; a power of two";
    map_records: Count<262144, 1073741824> = "map-size-records", "4194304", AtStart, "Bytes of the ring of recorded packets (`ciliate recorder`); a power of two";
    map_pressure_warning: Count<1, 100> = "map-pressure-warning", "90", Anytime, "Percentage of a map from which it is reported as near full";
    log_level: LogLevel = "log-level", "info", Anytime, "Least important messages to log";
    log_format: LogFormat = "log-format", "text", AtStart, "Form of the log";
}

impl Config {
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.run_dir.join(crate::SOCKET_NAME)
    }

    /// Where Hubble's clients ask for flows.
    #[must_use]
    pub fn hubble_socket(&self) -> PathBuf {
        self.run_dir.join("hubble.sock")
    }

    /// Where recorded packets are kept.
    #[must_use]
    pub fn recorder_dir(&self) -> PathBuf {
        self.recorder_path.0.clone().unwrap_or_else(|| self.run_dir.join("pcaps"))
    }

    /// Where flows are kept.
    #[must_use]
    pub fn history_dir(&self) -> PathBuf {
        self.state_dir.join("history")
    }

    /// Where the proxy talks to the agent.
    #[must_use]
    pub fn proxy_socket(&self) -> PathBuf {
        self.run_dir.join("proxy.sock")
    }
}
