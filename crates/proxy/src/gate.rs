//! What policy says about one connection, and about each request in it.

use crate::{
    configuration::{Ready, ReadyFilter},
    message::{Access, Message, Parser, Side, Verdict},
};
use ciliate_bpf::{Ruling, View};
use ciliate_dns::Name;
use ciliate_http::{Edit, Request, Scratch};
use ciliate_types::{EndpointId, Identity, Protocol};
use std::{net::SocketAddr, sync::Arc, time::SystemTime};

/// Who speaks to whom, and the filters that their policies put between them.
#[derive(Debug)]
pub struct Gate {
    pub client_identity: Identity,
    pub server_identity: Identity,
    pub client_endpoint: Option<EndpointId>,
    pub server_endpoint: Option<EndpointId>,
    /// TCP or UDP.
    pub transport: Protocol,
    pub parser: Parser,
    pub guards: Vec<Guard>,
}

/// One endpoint's policy: every request has to pass one of its filters.
#[derive(Debug)]
pub struct Guard {
    pub side: Side,
    /// Whether what no filter lets through passes all the same.
    pub audit: bool,
    pub filters: Vec<Arc<ReadyFilter>>,
}

/// What was decided about a request, and who decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    pub verdict: Verdict,
    pub side: Side,
    pub rule: u32,
}

impl AsRef<Self> for Decided {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Gate {
    /// Asks the kernel's tables; none if policy does not let the connection be at all.
    pub fn find(
        view: &View,
        ready: &Ready,
        protocol: Protocol,
        client: SocketAddr,
        server: SocketAddr,
    ) -> Result<Option<Self>, ciliate_bpf::Error> {
        let judged = view.judge(protocol, client.ip(), server)?;
        let mut guards = Vec::new();
        for (side, end) in [(Side::Egress, &judged.client), (Side::Ingress, &judged.server)] {
            match &end.ruling {
                Ruling::Open | Ruling::Allowed { .. } => {}
                Ruling::Refused { .. } if end.audit => {}
                Ruling::Refused { .. } => return Ok(None),
                Ruling::Filtered { filters, .. } => guards.push(Guard {
                    side,
                    audit: end.audit,
                    filters: filters.iter().map(|digest| ready.filter(*digest)).collect(),
                }),
            }
        }
        let Some(parser) = parser(&guards) else { return Ok(None) };
        Ok(Some(Self {
            client_identity: judged.client.identity,
            server_identity: judged.server.identity,
            client_endpoint: judged.client.endpoint,
            server_endpoint: judged.server.endpoint,
            transport: protocol,
            parser,
            guards,
        }))
    }

    /// Judges an HTTP request; what rules want changed in its head is appended to `edits`.
    pub fn http(&self, request: &Request<'_>, scratch: &mut Scratch, edits: &mut Vec<Edit>) -> Decided {
        self.decide(|filter| {
            let http = filter.http.as_ref()?;
            let matched = http.rules.judge(request, scratch)?;
            edits.extend(matched.edits);
            Some(http.owner(matched.rule))
        })
    }

    /// Judges the server name of a TLS handshake.
    pub fn tls(&self, name: Option<&str>) -> Decided {
        self.decide(|filter| {
            filter.tls.as_ref().is_some_and(|names| names.allow(name)).then(|| filter.first_rule())
        })
    }

    /// Judges the name in a DNS query.
    pub fn dns(&self, name: &Name) -> Decided {
        self.decide(|filter| filter.dns.as_ref()?.allows(name))
    }

    /// What watchers are told of a request.
    #[must_use]
    pub fn access<W>(
        &self,
        (client, server): (SocketAddr, SocketAddr),
        decided: Decided,
        what: W,
    ) -> Access<W> {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Access {
            time: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            message: Message::Request,
            client,
            server,
            client_identity: self.client_identity,
            server_identity: self.server_identity,
            client_endpoint: self.client_endpoint,
            server_endpoint: self.server_endpoint,
            transport: self.transport.number(),
            verdict: decided.verdict,
            direction: decided.side,
            rule: decided.rule,
            closed_by: self.closed_by(decided),
            latency: None,
            what,
        }
    }

    /// The rules of which one would have had to match.
    fn closed_by(&self, decided: Decided) -> Vec<u32> {
        match decided.verdict {
            Verdict::Forwarded | Verdict::Refused => Vec::new(),
            Verdict::Denied | Verdict::Audited => {
                let guards = self.guards.iter().filter(|guard| guard.side == decided.side);
                guards.flat_map(|guard| &guard.filters).flat_map(|filter| filter.rule_numbers()).collect()
            }
        }
    }

    /// Asks one guard after the other: each needs a filter that answers with a rule.
    fn decide(&self, mut asked: impl FnMut(&ReadyFilter) -> Option<u32>) -> Decided {
        let mut decided = Decided { verdict: Verdict::Forwarded, side: Side::Ingress, rule: 0 };
        for guard in &self.guards {
            match guard.filters.iter().find_map(|filter| asked(filter)) {
                Some(rule) if decided.verdict == Verdict::Forwarded => {
                    (decided.side, decided.rule) = (guard.side, rule);
                }
                Some(_) => {}
                None if guard.audit => {
                    decided = Decided { verdict: Verdict::Audited, side: guard.side, rule: 0 };
                }
                None => return Decided { verdict: Verdict::Denied, side: guard.side, rule: 0 },
            }
        }
        decided
    }
}

/// How a connection has to be read for all its guards; none if there is no way to.
fn parser(guards: &[Guard]) -> Option<Parser> {
    if guards.is_empty() {
        return Some(Parser::Tcp);
    }
    let has = |wanted: fn(&ReadyFilter) -> bool| {
        guards.iter().flat_map(|guard| &guard.filters).any(|filter| wanted(filter))
    };
    if has(|filter| filter.http.is_some()) {
        Some(Parser::Http)
    } else if has(|filter| !filter.kafka.is_empty()) {
        Some(Parser::Kafka)
    } else if has(|filter| filter.tls.is_some()) {
        Some(Parser::Tls)
    } else if has(|filter| filter.dns.is_some()) {
        Some(Parser::Dns)
    } else {
        None
    }
}
