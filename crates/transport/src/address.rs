//! Where a server is.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};
use thiserror::Error;

/// `unix:///run/x.sock`, or `HOST:PORT` where the host is a name, an IPv4 address or an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    Socket(PathBuf),
    Tcp { host: String, port: u16 },
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
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            Some(_) => return Err(wrong()),
            None => (rest, usual_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }

    /// Whether nothing that is said there leaves this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Tcp { host, .. } => {
                host == "localhost"
                    || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
            }
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp { host: address.ip().to_string(), port: address.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
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
            (":80", "\":80\" is no address: write HOST:PORT, as in localhost:1 or [::1]:1"),
        ] {
            assert_eq!(Address::parse(text, 1).map_err(|e| e.to_string()), Err(message.to_owned()));
        }
    }
}
