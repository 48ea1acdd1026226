//! Which packets are recorded, as Hubble's command line writes it.

use ciliate_types::Protocol;
use ipnet::IpNet;
use std::{fmt, net::IpAddr, str::FromStr};
use thiserror::Error;

/// Packets in one direction, by network, ports and protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    source: IpNet,
    destination: IpNet,
    /// 0 = any.
    source_port: u16,
    destination_port: u16,
    /// None = any.
    protocol: Option<Protocol>,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum FilterError {
    #[error(
        "filter {0:?} has {1} words: write SOURCE PORT DESTINATION PORT PROTOCOL, such as \"10.0.0.0/8 0 0.0.0.0/0 443 TCP\", with 0 for any port and ANY for any protocol"
    )]
    Words(String, usize),
    #[error(
        "{0:?} is no address with or without the length of its prefix, such as 10.0.0.0/8, fd00::1 or 0.0.0.0/0"
    )]
    Network(String),
    #[error("{0:?} is no port: write a number up to 65535, 0 for any")]
    Port(String),
    #[error("protocol {0:?} is unknown: write TCP, UDP, SCTP, ICMP, ICMPv6 or ANY")]
    Protocol(String),
    #[error("{0} and {1} are of two families: no packet is of both")]
    Families(IpNet, IpNet),
    #[error("{0} has no ports: write 0 for both")]
    NoPorts(Protocol),
    #[error("no packet from {1} is {0}: ICMP is of IPv4 and ICMPv6 of IPv6")]
    WrongIcmp(Protocol, IpNet),
}

impl Filter {
    /// Ports of 0 stand for any, as does no protocol.
    ///
    /// # Errors
    /// What no packet can match.
    pub fn new(
        (source, source_port): (IpNet, u16),
        (destination, destination_port): (IpNet, u16),
        protocol: Option<Protocol>,
    ) -> Result<Self, FilterError> {
        let v4 = match (source, destination) {
            (IpNet::V4(_), IpNet::V4(_)) => true,
            (IpNet::V6(_), IpNet::V6(_)) => false,
            _ => return Err(FilterError::Families(source, destination)),
        };
        if let Some(protocol) = protocol {
            if !protocol.has_ports() && (source_port != 0 || destination_port != 0) {
                return Err(FilterError::NoPorts(protocol));
            }
            if (protocol == Protocol::ICMP && !v4) || (protocol == Protocol::ICMPV6 && v4) {
                return Err(FilterError::WrongIcmp(protocol, source));
            }
        }
        let (source, destination) = (source.trunc(), destination.trunc());
        Ok(Self { source, destination, source_port, destination_port, protocol })
    }

    /// What answers packets of this filter.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            protocol: self.protocol,
        }
    }

    #[must_use]
    pub fn source(&self) -> (IpNet, u16) {
        (self.source, self.source_port)
    }

    #[must_use]
    pub fn destination(&self) -> (IpNet, u16) {
        (self.destination, self.destination_port)
    }

    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        self.protocol
    }
}

/// Reads a network, or an address for itself alone.
pub fn network(text: &str) -> Result<IpNet, FilterError> {
    let alone = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| alone()).map_err(|_| FilterError::Network(text.to_owned()))
}

impl FromStr for Filter {
    type Err = FilterError;

    /// Reads `192.168.1.0/24 0 10.0.0.0/16 80 TCP`.
    fn from_str(text: &str) -> Result<Self, FilterError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [source, source_port, destination, destination_port, protocol] = words.as_slice() else {
            return Err(FilterError::Words(text.to_owned(), words.len()));
        };
        let port = |text: &str| text.parse().map_err(|_| FilterError::Port(text.to_owned()));
        let protocol = match protocol {
            any if any.eq_ignore_ascii_case("any") => None,
            name => Some(protocol_of(name)?),
        };
        Self::new(
            (network(source)?, port(source_port)?),
            (network(destination)?, port(destination_port)?),
            protocol,
        )
    }
}

/// By name only: a number could as well be a port.
fn protocol_of(name: &str) -> Result<Protocol, FilterError> {
    let unknown = || FilterError::Protocol(name.to_owned());
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(unknown());
    }
    name.parse().map_err(|_| unknown())
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, source_port, destination_port, protocol } = self;
        write!(f, "{source} {source_port} {destination} {destination_port} ")?;
        match protocol {
            Some(protocol) => protocol.fmt(f),
            None => f.write_str("ANY"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_shown() {
        for (text, shown) in [
            ("192.168.1.0/24 0 10.0.0.0/16 80 TCP", "192.168.1.0/24 0 10.0.0.0/16 80 TCP"),
            ("10.1.2.3/8 53 10.0.0.1  0 udp", "10.0.0.0/8 53 10.0.0.1/32 0 UDP"),
            ("::/0 0 fd00::1 0 ICMPv6", "::/0 0 fd00::1/128 0 ICMPv6"),
            ("0.0.0.0/0 0 0.0.0.0/0 8080 any", "0.0.0.0/0 0 0.0.0.0/0 8080 ANY"),
        ] {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.to_string(), shown);
            assert_eq!(filter.reversed().reversed(), filter);
        }
        let there: Filter = "10.0.0.0/8 1 10.9.0.0/16 2 TCP".parse().unwrap();
        assert_eq!(there.reversed().to_string(), "10.9.0.0/16 2 10.0.0.0/8 1 TCP");
    }

    #[test]
    fn what_matches_nothing_is_refused_by_name() {
        for (text, part) in [
            ("10.0.0.0/8 80 TCP", "has 3 words: write SOURCE PORT"),
            ("", "has 0 words"),
            ("web 0 0.0.0.0/0 0 TCP", "\"web\" is no address"),
            ("10.0.0.0/33 0 0.0.0.0/0 0 TCP", "\"10.0.0.0/33\" is no address"),
            ("10.0.0.0/8 http 0.0.0.0/0 0 TCP", "\"http\" is no port"),
            ("10.0.0.0/8 0 0.0.0.0/0 65536 TCP", "\"65536\" is no port"),
            ("10.0.0.0/8 0 0.0.0.0/0 0 QUIC", "protocol \"QUIC\" is unknown"),
            ("10.0.0.0/8 0 0.0.0.0/0 0 6", "protocol \"6\" is unknown"),
            ("10.0.0.0/8 0 ::/0 0 TCP", "two families"),
            ("10.0.0.0/8 7 0.0.0.0/0 0 ICMP", "ICMP has no ports"),
            ("::/0 0 ::/0 0 ICMP", "no packet from ::/0 is ICMP"),
            ("0.0.0.0/0 0 0.0.0.0/0 0 ICMPv6", "no packet from 0.0.0.0/0 is ICMPv6"),
        ] {
            let error = text.parse::<Filter>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
