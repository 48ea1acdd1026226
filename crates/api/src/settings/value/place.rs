//! Files, addresses and networks.

use super::SettingValue;
use ipnet::{Ipv4Net, Ipv6Net};
use std::{
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
};

/// A file; empty for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionalPath(pub Option<PathBuf>);

impl SettingValue for OptionalPath {
    const FORM: &'static str = "PATH";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self(None)),
            _ => PathBuf::read(text).map(|path| Self(Some(path))),
        }
    }

    fn show(&self) -> String {
        self.0.as_ref().map(SettingValue::show).unwrap_or_default()
    }
}

/// Where to listen; empty for nowhere, `:9965` for all addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalAddress(pub Option<SocketAddr>);

impl SettingValue for OptionalAddress {
    const FORM: &'static str = "IP:PORT";

    fn read(text: &str) -> Result<Self, String> {
        let read = match text.strip_prefix(':') {
            _ if text.is_empty() => return Ok(Self(None)),
            Some(port) => port.parse().ok().map(|port: u16| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
            None => text.parse().ok(),
        };
        let right = || "an IP address and a port such as 127.0.0.1:9965, or nothing".to_owned();
        read.filter(|address| address.port() != 0).map(|address| Self(Some(address))).ok_or_else(right)
    }

    fn show(&self) -> String {
        self.0.as_ref().map(SocketAddr::to_string).unwrap_or_default()
    }
}

/// `HOST:PORT` as others reach it; empty for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncedAddress(pub Option<String>);

impl SettingValue for AnnouncedAddress {
    const FORM: &'static str = "HOST:PORT";

    fn read(text: &str) -> Result<Self, String> {
        let right = || "a host and a port such as node-1.example:4244, or nothing".to_owned();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(right)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)),
        };
        let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
        if is_host && is_port { Ok(Self(Some(text.to_owned()))) } else { Err(right()) }
    }

    fn show(&self) -> String {
        self.0.clone().unwrap_or_default()
    }
}

/// Where flows are written to; empty for nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportPath {
    None,
    Stdout,
    File(PathBuf),
}

impl SettingValue for ExportPath {
    const FORM: &'static str = "PATH|stdout";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self::None),
            "stdout" => Ok(Self::Stdout),
            _ => PathBuf::read(text).map(Self::File).map_err(|right| format!("{right}, or stdout")),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Stdout => "stdout".to_owned(),
            Self::File(path) => path.show(),
        }
    }
}

/// A pool whose first address is the gateway; one with host bits set is a mistake.
macro_rules! pool {
    ($net:ty, $longest:literal, $example:literal) => {
        impl SettingValue for $net {
            const FORM: &'static str = "CIDR";

            fn read(text: &str) -> Result<Self, String> {
                text.parse::<$net>()
                    .ok()
                    .filter(|net| net.prefix_len() <= $longest && net.addr() == net.network())
                    .ok_or_else(|| format!("a network of at most /{} such as {}", $longest, $example))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    };
}
pool!(Ipv4Net, 29, "10.201.0.0/16");
pool!(Ipv6Net, 125, "fd10:201::/64");
