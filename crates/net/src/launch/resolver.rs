//! Which `resolv.conf` serves a program whose loopback is not the host's.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where systemd-resolved writes the servers behind its stub on 127.0.0.53.
const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

/// The file to show instead of the host's; none where that one is fine, or where there is nothing better.
pub(super) fn reachable() -> Option<PathBuf> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    if has_server(&read(RESOLV_CONF), Reach::Anywhere) {
        return None;
    }
    if has_server(&read(UPSTREAM), Reach::Anywhere) {
        return Some(Path::new(UPSTREAM).to_owned());
    }
    if has_server(&read(RESOLV_CONF), Reach::Loopback) {
        tracing::warn!(
            "{RESOLV_CONF} names only loopback resolvers, which endpoints cannot reach: name a server that listens elsewhere"
        );
    }
    None
}

#[derive(Clone, Copy)]
enum Reach {
    Loopback,
    Anywhere,
}

fn has_server(text: &str, reach: Reach) -> bool {
    let servers = text.lines().filter_map(|line| {
        let address = line.trim_start().strip_prefix("nameserver")?;
        // A link-local server is named with its device.
        address.trim().split('%').next()?.parse::<IpAddr>().ok()
    });
    servers.map(|s| s.is_loopback()).any(|loopback| match reach {
        Reach::Loopback => loopback,
        Reach::Anywhere => !loopback,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_servers_are_told_from_others() {
        for (text, loopback, anywhere) in [
            ("", false, false),
            ("# nameserver 9.9.9.9\nsearch example.org\n", false, false),
            ("nameserver 127.0.0.53\noptions edns0\n", true, false),
            ("nameserver ::1\n", true, false),
            ("nameserver 127.0.0.1\nnameserver 192.0.2.1\n", true, true),
            ("nameserver fe80::1%eth0\n", false, true),
        ] {
            assert_eq!(has_server(text, Reach::Loopback), loopback, "{text:?}");
            assert_eq!(has_server(text, Reach::Anywhere), anywhere, "{text:?}");
        }
    }
}
