//! Single questions about a flow.

use super::{
    cel::Expression,
    http::StatusCodes,
    judge::{PartyTest, Place},
    label::Selector,
    name::{NameGlob, Namespaced, NodeGlob},
};
use crate::{Answer, Content, End, Flow, FlowId, Http, Service, TcpFlags, Transport, Verdict};
use ipnet::IpNet;
use regex::Regex;
use std::net::IpAddr;

/// Which end of a flow is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Source,
    Destination,
}

/// Holds if one of its values fits.
#[derive(Debug)]
pub enum Test {
    Verdict(Numbers),
    Direction(Numbers),
    Reply(Vec<bool>),
    Encrypted(Vec<bool>),
    IpVersion(Numbers),
    DropReason(Numbers),
    Event(Vec<EventPattern>),
    Protocol(Protocols),
    Flags(Vec<TcpFlags>),
    Port(Side, Vec<(u16, u16)>),
    Id(Vec<FlowId>),
    Address(Side, Vec<IpNet>),
    Translated(Vec<IpNet>),
    IpTrace(Vec<u64>),
    Interface(Vec<InterfacePattern>),
    Party(Side, Place, PartyTest),
    Service(Side, Vec<Namespaced>),
    Trace(Vec<String>),
    Node(Vec<NodeGlob>),
    Status(StatusCodes),
    Method(Vec<String>),
    Header(Vec<crate::Header>),
    NodeLabel(Vec<Selector>),
    Name(Side, Vec<NameGlob>),
    Path(Vec<Regex>),
    Url(Vec<Regex>),
    DnsQuery(Vec<Regex>),
    Cel(Vec<Expression>),
}

/// Small numbers of an enumeration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers([u64; 4]);

/// A kind of event; 0 = every kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPattern {
    pub kind: i32,
    pub sub: Option<i32>,
}

/// 0 and the empty name fit every interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfacePattern {
    pub index: u32,
    pub name: String,
}

/// Which protocols, of either layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protocols(pub u16);

impl Protocols {
    const TCP: u16 = 1;
    const UDP: u16 = 1 << 1;
    const SCTP: u16 = 1 << 2;
    const ICMP4: u16 = 1 << 3;
    const ICMP6: u16 = 1 << 4;
    const VRRP: u16 = 1 << 5;
    const IGMP: u16 = 1 << 6;
    const DNS: u16 = 1 << 7;
    const HTTP: u16 = 1 << 8;
    const KAFKA: u16 = 1 << 9;

    /// In lower case, with what they stand for.
    pub const NAMES: [(&str, u16); 11] = [
        ("tcp", Self::TCP),
        ("udp", Self::UDP),
        ("sctp", Self::SCTP),
        ("icmp", Self::ICMP4 | Self::ICMP6),
        ("icmpv4", Self::ICMP4),
        ("icmpv6", Self::ICMP6),
        ("vrrp", Self::VRRP),
        ("igmp", Self::IGMP),
        ("dns", Self::DNS),
        ("http", Self::HTTP),
        ("kafka", Self::KAFKA),
    ];

    fn of(flow: &Flow) -> u16 {
        let transport = match flow.transport {
            Transport::Tcp { .. } => Self::TCP,
            Transport::Udp { .. } => Self::UDP,
            Transport::Sctp { .. } => Self::SCTP,
            Transport::Icmp { .. } => Self::ICMP4,
            Transport::Icmp6 { .. } => Self::ICMP6,
            Transport::Other(protocol) => match protocol.number() {
                112 => Self::VRRP,
                2 => Self::IGMP,
                _ => 0,
            },
            Transport::None => 0,
        };
        let request = match flow.request.as_deref().map(|request| &request.content) {
            Some(Content::Dns(_)) => Self::DNS,
            Some(Content::Http(_)) => Self::HTTP,
            Some(Content::Kafka(_)) => Self::KAFKA,
            Some(Content::Tls(_) | Content::Malformed(_) | Content::Other) | None => 0,
        };
        transport | request
    }
}

impl Numbers {
    /// Of numbers below 256.
    pub fn new(numbers: impl IntoIterator<Item = u8>) -> Self {
        let mut set = Self::default();
        for number in numbers {
            if let Some(word) = set.0.get_mut(usize::from(number >> 6)) {
                *word |= 1 << (number & 63);
            }
        }
        set
    }

    fn has(self, number: i32) -> bool {
        u8::try_from(number).is_ok_and(|number| {
            self.0.get(usize::from(number >> 6)).is_some_and(|word| word >> (number & 63) & 1 == 1)
        })
    }
}

impl Side {
    pub fn end(self, flow: &Flow) -> &End {
        match self {
            Self::Source => &flow.source,
            Self::Destination => &flow.destination,
        }
    }
}

impl Test {
    /// Asked sooner if less.
    pub const fn cost(&self) -> u8 {
        match self {
            Self::Verdict(_) | Self::Direction(_) | Self::Reply(_) => 0,
            Self::Flags(_) | Self::Port(..) | Self::Id(_) | Self::Event(_) | Self::DropReason(_) => 1,
            Self::IpVersion(_) | Self::Address(..) => 2,
            Self::Status(_) | Self::Method(_) | Self::Protocol(_) => 3,
            Self::Encrypted(_) | Self::Translated(_) | Self::IpTrace(_) | Self::Interface(_) => 3,
            Self::Party(..) => 2,
            Self::Service(..) | Self::Trace(_) => 4,
            Self::Header(_) | Self::Node(_) => 5,
            Self::NodeLabel(_) | Self::Name(..) => 6,
            Self::Path(_) | Self::Url(_) | Self::DnsQuery(_) => 7,
            Self::Cel(_) => 8,
        }
    }

    /// Where its answers are remembered, if they can be.
    pub fn place(&mut self) -> Option<&mut Place> {
        match self {
            Self::Party(_, place, _) => Some(place),
            _ => None,
        }
    }

    pub fn holds(&self, flow: &Flow) -> bool {
        match self {
            Self::Verdict(verdicts) => verdicts.has(flow.verdict as i32),
            Self::Direction(directions) => directions.has(flow.direction as i32),
            // Of what was dropped it is seldom known; Hubble's clients rely on it being no answer.
            Self::Reply(wanted) => match flow.answer {
                Answer::Unknown => flow.verdict == Verdict::Dropped && wanted.contains(&false),
                answer => wanted.contains(&(answer == Answer::Yes)),
            },
            Self::Encrypted(wanted) => {
                wanted.contains(&flow.rare.as_deref().is_some_and(|rare| rare.encrypted))
            }
            Self::IpVersion(versions) => {
                versions.has(match flow.source.address.or(flow.destination.address) {
                    None => 0,
                    Some(IpAddr::V4(_)) => 1,
                    Some(IpAddr::V6(_)) => 2,
                })
            }
            Self::DropReason(reasons) => {
                flow.verdict == Verdict::Dropped && reasons.has(flow.drop_reason().unwrap_or_default() as i32)
            }
            Self::Event(patterns) => {
                let event = flow.event_type();
                patterns.iter().any(|pattern| {
                    (pattern.kind == 0 || pattern.kind == event.kind)
                        && pattern.sub.is_none_or(|sub| sub == event.sub)
                })
            }
            Self::Protocol(Protocols(wanted)) => Protocols::of(flow) & wanted != 0,
            Self::Flags(sets) => match flow.transport {
                Transport::Tcp { flags, .. } => sets.iter().any(|set| flags.contains(*set)),
                _ => false,
            },
            Self::Port(side, ranges) => flow.transport.ports().is_some_and(|(source, destination)| {
                let port = match side {
                    Side::Source => source,
                    Side::Destination => destination,
                };
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&port))
            }),
            Self::Id(ids) => ids.contains(&flow.id),
            Self::Address(side, prefixes) => within(prefixes, side.end(flow).address),
            Self::Translated(prefixes) => {
                within(prefixes, flow.rare.as_deref().and_then(|rare| rare.source_translated))
            }
            Self::IpTrace(ids) => flow.rare.as_deref().is_some_and(|rare| ids.contains(&rare.ip_trace_id)),
            Self::Interface(patterns) => flow.interface.as_deref().is_some_and(|interface| {
                patterns.iter().any(|pattern| pattern.fits(interface.index, &interface.name))
            }),
            Self::Party(side, _, asked) => asked.holds(&side.end(flow).party),
            Self::Service(side, names) => flow.rare.as_deref().is_some_and(|rare| {
                let Service { name, namespace } = match side {
                    Side::Source => &rare.source_service,
                    Side::Destination => &rare.destination_service,
                };
                names.iter().any(|wanted| wanted.fits(namespace, name))
            }),
            Self::Trace(ids) => flow.rare.as_deref().is_some_and(|rare| ids.contains(&rare.trace_id)),
            Self::Node(patterns) => patterns.iter().any(|pattern| pattern.fits(&flow.node.name)),
            Self::Status(codes) => http(flow).is_some_and(|http| codes.has(http.code)),
            Self::Method(methods) => http(flow).is_some_and(|http| {
                !http.method.is_empty()
                    && methods.iter().any(|method| method.eq_ignore_ascii_case(&http.method))
            }),
            Self::Header(patterns) => {
                http(flow).is_some_and(|http| http.headers.iter().any(|header| patterns.contains(header)))
            }
            Self::NodeLabel(selectors) => {
                selectors.iter().any(|selector| selector.selects(&flow.node.labels))
            }
            Self::Name(side, patterns) => side
                .end(flow)
                .names
                .as_deref()
                .is_some_and(|names| names.iter().any(|name| patterns.iter().any(|p| p.fits(name)))),
            Self::Path(expressions) => http(flow)
                .and_then(Http::path)
                .is_some_and(|path| expressions.iter().any(|expression| expression.is_match(&path))),
            Self::Url(expressions) => http(flow).is_some_and(|http| {
                !http.url.is_empty() && expressions.iter().any(|expression| expression.is_match(&http.url))
            }),
            Self::DnsQuery(expressions) => match flow.request.as_deref().map(|request| &request.content) {
                Some(Content::Dns(dns)) => {
                    expressions.iter().any(|expression| expression.is_match(&dns.query))
                }
                _ => false,
            },
            Self::Cel(expressions) => Expression::any(expressions, flow),
        }
    }
}

impl InterfacePattern {
    fn fits(&self, index: u32, name: &str) -> bool {
        (self.index == 0 || self.index == index) && (self.name.is_empty() || self.name == name)
    }
}

fn within(prefixes: &[IpNet], address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| prefixes.iter().any(|prefix| prefix.contains(&address)))
}

fn http(flow: &Flow) -> Option<&Http> {
    match &flow.request.as_deref()?.content {
        Content::Http(http) => Some(http),
        Content::Dns(_) | Content::Kafka(_) | Content::Tls(_) | Content::Malformed(_) | Content::Other => {
            None
        }
    }
}
