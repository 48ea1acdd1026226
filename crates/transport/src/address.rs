//! Where a server is.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};
use thiserror::Error;

/// `unix:///run/x.sock`, or `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    Socket(PathBuf),
    Tcp(HostPort),
}

/// `HOST:PORT`, where the host is a name, an IPv4 address or an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// A name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    #[error("{0:?} names no socket: write unix:///run/ciliate/hubble.sock")]
    NoSocket(String),
    #[error("{0:?} is no kind of server: write unix://, tcp:// or tls://")]
    Scheme(String),
    #[error("{text:?} is no address: write HOST:PORT, as in localhost:{port} or [::1]:{port}")]
    Tcp { text: String, port: u16 },
}

impl Address {
    /// Reads an address; one without a port has the usual one.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str, usual_port: u16) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")) {
            return match path {
                "" => Err(AddressError::NoSocket(text.to_owned())),
                path => Ok(Self::Socket(path.into())),
            };
        }
        if text.starts_with('/') {
            return Ok(Self::Socket(text.into()));
        }
        let rest = match text.split_once("://") {
            Some(("tcp" | "tls" | "dns" | "passthrough", rest)) => rest.trim_start_matches('/'),
            Some((scheme, _)) => return Err(AddressError::Scheme(scheme.to_owned())),
            None => text,
        };
        let wrong = || AddressError::Tcp { text: text.to_owned(), port: usual_port };
        HostPort::parse(rest, usual_port).map(Self::Tcp).ok_or_else(wrong)
    }

    /// Whether nothing that is said there leaves this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Tcp(HostPort { host, .. }) => {
                host == "localhost"
                    || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
            }
        }
    }
}

impl HostPort {
    /// Reads `HOST` or `HOST:PORT`; one without a port has the usual one. None if it is neither.
    #[must_use]
    pub fn parse(text: &str, usual_port: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                let (address, _zone) = host.split_once('%').unwrap_or((host, ""));
                address.parse::<Ipv6Addr>().ok()?;
                (host, port)
            }
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port {
            "" => usual_port,
            port => port.strip_prefix(':')?.parse().ok()?,
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-:%".contains(c);
        let is_host = !host.is_empty() && host.chars().all(fits);
        is_host.then(|| Self { host: host.to_owned(), port })
    }

    /// As the functions that connect want it.
    #[must_use]
    pub fn target(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address.into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, shown, local) in [
            ("unix:///run/x.sock", "unix:///run/x.sock", true),
            ("unix:/run/x.sock", "unix:///run/x.sock", true),
            ("/run/x.sock", "unix:///run/x.sock", true),
            ("localhost:4245", "localhost:4245", true),
            ("relay", "relay:4245", false),
            ("tls://[::1]:80", "[::1]:80", true),
            ("tls://[fe80::1%eth0]:80", "[fe80::1%eth0]:80", false),
            ("[::1]", "[::1]:4245", true),
            ("tcp://10.0.0.1:1", "10.0.0.1:1", false),
            ("dns:///relay.test:80", "relay.test:80", false),
        ] {
            let address = Address::parse(text, 4245);
            assert_eq!(address.as_ref().map(ToString::to_string), Ok(shown.to_owned()));
            assert_eq!(address.map(|address| address.is_local()), Ok(local), "{text}");
        }
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (text, message) in [
            ("unix://", "\"unix://\" names no socket: write unix:///run/ciliate/hubble.sock"),
            ("http://x", "\"http\" is no kind of server: write unix://, tcp:// or tls://"),
            ("a:b:c", "\"a:b:c\" is no address: write HOST:PORT, as in localhost:1 or [::1]:1"),
            ("x:99999", "\"x:99999\" is no address: write HOST:PORT, as in localhost:1 or [::1]:1"),
            ("[x]:1", "\"[x]:1\" is no address: write HOST:PORT, as in localhost:1 or [::1]:1"),
            ("[::1]1", "\"[::1]1\" is no address: write HOST:PORT, as in localhost:1 or [::1]:1"),
            ("::1", "\"::1\" is no address: write HOST:PORT, as in localhost:1 or [::1]:1"),
            ("a b", "\"a b\" is no address: write HOST:PORT, as in localhost:1 or [::1]:1"),
            ("x:", "\"x:\" is no address: write HOST:PORT, as in localhost:1 or [::1]:1"),
            (":80", "\":80\" is no address: write HOST:PORT, as in localhost:1 or [::1]:1"),
        ] {
            assert_eq!(Address::parse(text, 1).map_err(|e| e.to_string()), Err(message.to_owned()));
        }
    }
}
