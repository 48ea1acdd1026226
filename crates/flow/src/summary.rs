//! One line about what a packet or a request is, as `hubble observe` puts it in parentheses.

use crate::{Content, Dns, Flow, Http, Request, Stage, Transport};
use std::fmt::{self, Write as _};

impl Flow {
    /// Empty where there is nothing to say.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = match &self.request {
            Some(request) => request.write(&mut text),
            None => self.transport.write(&mut text),
        };
        text
    }
}

impl Transport {
    fn write(self, text: &mut String) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Tcp { flags, .. } => {
                text.push_str("TCP Flags:");
                for (number, name) in flags.names().enumerate() {
                    text.push_str(if number == 0 { " " } else { ", " });
                    text.push_str(name);
                }
                Ok(())
            }
            Self::Udp { .. } => text.write_str("UDP"),
            Self::Sctp { .. } => text.write_str("SCTP"),
            Self::Icmp { kind, code } => write!(text, "ICMPv4 {}", Icmp(Family::V4, kind, code)),
            Self::Icmp6 { kind, code } => write!(text, "ICMPv6 {}", Icmp(Family::V6, kind, code)),
            Self::Other(protocol) => write!(text, "{protocol}"),
        }
    }
}

/// Type and code of an ICMP message by their usual names.
struct Icmp(Family, u8, u8);

#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

impl fmt::Display for Icmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(family, kind, code) = *self;
        use Family::{V4, V6};
        let name = match (family, kind) {
            (V4, 0) | (V6, 129) => "EchoReply",
            (V4, 8) | (V6, 128) => "EchoRequest",
            (V4, 3) | (V6, 1) => "DestinationUnreachable",
            (V4, 11) | (V6, 3) => "TimeExceeded",
            (V4, 5) => "Redirect",
            (V4, 12) | (V6, 4) => "ParameterProblem",
            (V6, 2) => "PacketTooBig",
            (V6, 133) => "RouterSolicitation",
            (V6, 134) => "RouterAdvertisement",
            (V6, 135) => "NeighborSolicitation",
            (V6, 136) => "NeighborAdvertisement",
            _ => return write!(f, "{kind}({code})"),
        };
        match name {
            "EchoReply" | "EchoRequest" => f.write_str(name),
            _ => write!(f, "{name}({code})"),
        }
    }
}

impl Request {
    fn write(&self, text: &mut String) -> fmt::Result {
        match &self.content {
            Content::Http(http) => http.write(self.stage, self.latency, text),
            Content::Dns(dns) => dns.write(self.stage, text),
            Content::Kafka(kafka) => match self.stage {
                Stage::Response => write!(
                    text,
                    "Kafka response {} topic {} error {}",
                    kafka.api_key, kafka.topic, kafka.error_code
                ),
                Stage::Request | Stage::Sample => {
                    write!(text, "Kafka request {} topic {}", kafka.api_key, kafka.topic)
                }
            },
            Content::Tls(Some(name)) => write!(text, "TLS SNI {name}"),
            Content::Tls(None) => text.write_str("TLS without SNI"),
            Content::Malformed(reason) => write!(text, "Malformed: {reason}"),
            Content::Other => Ok(()),
        }
    }
}

impl Http {
    fn write(&self, stage: Stage, latency: u64, text: &mut String) -> fmt::Result {
        let Self { code, method, url, protocol, .. } = self;
        match stage {
            Stage::Response => {
                let milliseconds = latency / 1_000_000;
                write!(text, "{protocol} {code} {milliseconds}ms ({method} {url})")
            }
            Stage::Request | Stage::Sample => write!(text, "{protocol} {method} {url}"),
        }
    }
}

impl Dns {
    fn write(&self, stage: Stage, text: &mut String) -> fmt::Result {
        let types = self.query_types.join(",");
        match stage {
            Stage::Request | Stage::Sample => write!(text, "DNS Query {} {types}", self.query),
            Stage::Response => {
                text.push_str("DNS Answer ");
                match self.rcode {
                    0 => {
                        if !self.addresses.is_empty() {
                            write!(text, "\"{}\" ", self.addresses.join(","))?;
                        }
                        if !self.cnames.is_empty() {
                            write!(text, "CNAMEs: \"{}\" ", self.cnames.join(","))?;
                        }
                        write!(text, "TTL: {}", self.ttl)?;
                    }
                    code => write!(text, "RCode: {}", rcode(code))?,
                }
                let observer = match self.observer.as_str() {
                    "proxy" => "Proxy",
                    other => other,
                };
                write!(text, " ({observer} {} {types})", self.query)
            }
        }
    }
}

/// A DNS response code by its usual name (RFC 6895).
fn rcode(code: u32) -> String {
    let name = match code {
        0 => "No Error",
        1 => "Format Error",
        2 => "Server Failure",
        3 => "Non-Existent Domain",
        4 => "Not Implemented",
        5 => "Query Refused",
        other => return other.to_string(),
    };
    name.to_owned()
}
