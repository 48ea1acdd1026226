//! Which rule decides a packet that nobody sent.

use super::{Engine, inspect::reference};
use crate::{
    failure::{Failure, Result},
    name,
};
use ciliate_api::{
    ConsideredRule, DirectionTrace, RuleOutcome, RuleView, TracePeer, TraceReply, TraceRequest, TraceSide,
    Verdict,
};
use ciliate_policy::{
    Considered, DirectionExplanation, PeerRef, Query,
    l7::{Fit, Request},
    rule_set::Action,
};
use ciliate_types::{Identity, Label, Labels, NAMESPACE_KEY, Protocol, SERVICE_ACCOUNT_KEY, source};
use std::net::IpAddr;

/// One side as the policy engine takes it, and as the answer shows it.
struct Side {
    peer: PeerRef,
    shown: TraceSide,
}

impl Engine {
    /// One answer for each protocol that is asked about.
    pub fn trace(&self, request: &TraceRequest) -> Result<Vec<TraceReply>> {
        let (asked, shown) = (traffic(&request.traffic)?, &request.traffic);
        let source = self.side(&request.source)?;
        let destination = self.side(&request.destination)?;
        let request = request.request.as_deref().map(str::parse::<Request>).transpose();
        let request = request.map_err(|error| Failure::invalid(error.to_string()))?;
        let several = asked.len() > 1;
        let answer = |(protocol, port): (Protocol, u16)| {
            let traffic = if several { format!("{port}/{protocol}") } else { shown.clone() };
            let query = Query {
                source: source.peer.clone(),
                destination: destination.peer.clone(),
                protocol,
                port,
                request: request.clone(),
            };
            self.answer(traffic, &source, &destination, &query)
        };
        Ok(asked.into_iter().map(answer).collect())
    }

    fn answer(&self, traffic: String, from: &Side, to: &Side, query: &Query) -> TraceReply {
        let explanation = self.policy.explain(query);
        let side = |side: &Side, labels: &Labels| TraceSide { labels: labels.clone(), ..side.shown.clone() };
        TraceReply {
            source: side(from, &explanation.source),
            destination: side(to, &explanation.destination),
            traffic,
            request: explanation.request.clone(),
            directions: vec![self.direction(&explanation.egress), self.direction(&explanation.ingress)],
            verdict: verdict(explanation.verdict),
            text: explanation.to_string(),
        }
    }

    fn direction(&self, found: &DirectionExplanation) -> DirectionTrace {
        let considered = |rule: &Considered| {
            let why = match (rule.peer.matches, rule.traffic.matches, &rule.request) {
                (false, ..) => rule.peer.reason.clone(),
                (true, false, _) => rule.traffic.reason.clone(),
                (true, true, Some(Fit::Differs(why) | Fit::Unknown(why))) => why.clone(),
                (true, true, Some(Fit::Matches) | None) => {
                    format!("{}; {}", rule.peer.reason, rule.traffic.reason)
                }
            };
            ConsideredRule { rule: self.view(rule), outcome: outcome(found, rule), why, l7: rule.l7.clone() }
        };
        DirectionTrace {
            direction: found.direction,
            isolated_by: found.isolated_by.iter().map(ToString::to_string).collect(),
            considered: found.rules.iter().map(considered).collect(),
            verdict: verdict(found.verdict),
            decided_by: found.rules.iter().find(|r| found.decided_by == Some(r.rule)).map(|r| self.view(r)),
            why: found.reason.clone(),
        }
    }

    fn view(&self, rule: &Considered) -> RuleView {
        let known = self.rule(rule.rule.0);
        RuleView {
            object: rule.object.as_ref().map_or(known.object, ToString::to_string),
            section: rule.section.clone(),
            ..known
        }
    }

    fn side(&self, peer: &TracePeer) -> Result<Side> {
        match peer {
            TracePeer::Endpoint(text) => self.endpoint_side(text, None),
            TracePeer::Labels(texts) => {
                let labels = self.traced_labels(texts)?;
                Ok(plain(PeerRef::from(labels), None, None))
            }
            TracePeer::Identity(identity) => {
                let row = self.state.identities.get(identity);
                let row = row.ok_or_else(|| Failure::absent(format!("there is no identity {identity}")))?;
                let address = row.prefix.map(|net| net.addr());
                let peer = PeerRef { labels: (*row.labels).clone(), address, ..PeerRef::default() };
                Ok(plain(peer, Some(*identity), address))
            }
            TracePeer::Address(address) => self.address_side(*address),
        }
    }

    fn endpoint_side(&self, text: &str, at: Option<IpAddr>) -> Result<Side> {
        let row = self.find_endpoint(&reference(text))?;
        let stored = &row.stored;
        let address = at.or_else(|| stored.addresses().iter().next());
        let labels = (*row.labels).clone();
        Ok(Side {
            peer: PeerRef { labels: labels.clone(), address, named_ports: stored.named_ports() },
            shown: TraceSide { endpoint: Some(stored.id), identity: Some(stored.identity), labels, address },
        })
    }

    fn address_side(&self, address: IpAddr) -> Result<Side> {
        let Some((net, row)) = self.state.address(address) else {
            return Ok(plain(PeerRef::address(address), None, Some(address)));
        };
        if let Some(id) = row.endpoint {
            return self.endpoint_side(&id.to_string(), Some(address));
        }
        // The policy engine finds a prefix by itself; the host's addresses and names only the agent knows.
        let known = self.state.labels(row.identity);
        let named = known.iter().any(|label| label.source() == source::FQDN);
        let single = net.prefix_len() == net.max_prefix_len();
        let labels = match single && (named || row.identity.reserved().is_some()) {
            true => (*known).clone(),
            false => Labels::default(),
        };
        let peer = PeerRef { labels, address: Some(address), ..PeerRef::default() };
        Ok(plain(peer, Some(row.identity), Some(address)))
    }

    /// Labels as an endpoint with them would have: with a namespace, and that namespace's labels.
    fn traced_labels(&self, texts: &[String]) -> Result<Labels> {
        let parse =
            |text: &String| Label::parse(text, source::K8S).map_err(|e| Failure::invalid(e.to_string()));
        let given: Labels = texts.iter().map(parse).collect::<Result<_>>()?;
        if given.iter().any(|label| {
            matches!(label.source(), source::RESERVED | source::CIDR | source::CIDR_GROUP | source::FQDN)
        }) {
            return Ok(given);
        }
        let value = |key| given.get(source::K8S, key).unwrap_or("default").to_owned();
        let (namespace, account) = (value(NAMESPACE_KEY), value(SERVICE_ACCOUNT_KEY));
        name::namespace(&namespace, "namespace")?;
        self.security_labels(&given, &namespace, &account)
    }
}

fn plain(peer: PeerRef, identity: Option<Identity>, address: Option<IpAddr>) -> Side {
    let labels = peer.labels.clone();
    Side { peer, shown: TraceSide { endpoint: None, identity, labels, address } }
}

fn outcome(found: &DirectionExplanation, rule: &Considered) -> RuleOutcome {
    let together = found.verdict == ciliate_policy::Verdict::Redirected && rule.action == Action::Redirect;
    match (rule.matches(), &rule.request) {
        (true, _) if found.decided_by == Some(rule.rule) => RuleOutcome::Decides,
        (false, _) | (true, Some(Fit::Differs(_))) => RuleOutcome::NoMatch,
        // Several rules that redirect decide together.
        (true, Some(Fit::Matches | Fit::Unknown(_)) | None) if together => RuleOutcome::Decides,
        (true, Some(Fit::Matches | Fit::Unknown(_)) | None) => RuleOutcome::Overruled,
    }
}

fn verdict(verdict: ciliate_policy::Verdict) -> Verdict {
    match verdict {
        ciliate_policy::Verdict::Redirected => Verdict::Redirected,
        ciliate_policy::Verdict::Allowed => Verdict::Allowed,
        ciliate_policy::Verdict::Denied => Verdict::Denied,
    }
}

/// `80/TCP`, `80` (TCP), `TCP:80`, `80/ANY` (every protocol with ports), `ICMP:8`, `ICMPv6:128`, and a protocol alone
/// where it has no ports.
fn traffic(text: &str) -> Result<Vec<(Protocol, u16)>> {
    let wrong = || {
        Failure::invalid(format!(
            "traffic {text:?} is wrong: write PORT/PROTOCOL such as 80/TCP or 53/ANY, or ICMP:TYPE such as ICMP:8"
        ))
    };
    let number = |text: &str| text.parse::<u16>().map_err(|_| wrong());
    let asked = |name: &str, port: &str| {
        let port = number(port)?;
        match name.eq_ignore_ascii_case("any") {
            true => Ok([Protocol::TCP, Protocol::UDP, Protocol::SCTP].map(|with| (with, port)).to_vec()),
            false => Ok(vec![(name.parse::<Protocol>().map_err(|_| wrong())?, port)]),
        }
    };
    if let Some((port, name)) = text.split_once('/') {
        return asked(name, port);
    }
    if let Some((name, port)) = text.split_once(':') {
        return asked(name, port);
    }
    match text.parse::<u16>() {
        Ok(port) => Ok(vec![(Protocol::TCP, port)]),
        Err(_) => match text.parse::<Protocol>().map_err(|_| wrong())? {
            with_ports if with_ports.has_ports() => Err(wrong()),
            without => Ok(vec![(without, 0)]),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_read_in_its_usual_forms() {
        for (text, found) in [
            ("80/TCP", Ok(vec![(Protocol::TCP, 80)])),
            ("53/udp", Ok(vec![(Protocol::UDP, 53)])),
            ("8080", Ok(vec![(Protocol::TCP, 8080)])),
            ("80/ANY", Ok(vec![(Protocol::TCP, 80), (Protocol::UDP, 80), (Protocol::SCTP, 80)])),
            ("ICMP:8", Ok(vec![(Protocol::ICMP, 8)])),
            ("ICMPv6:128", Ok(vec![(Protocol::ICMPV6, 128)])),
            ("ICMP", Ok(vec![(Protocol::ICMP, 0)])),
            ("TCP", Err(400)),
            ("ANY", Err(400)),
            ("x/ANY", Err(400)),
            ("http/TCP", Err(400)),
            ("", Err(400)),
        ] {
            assert_eq!(traffic(text).map_err(|e| e.0.status), found, "{text:?}");
        }
    }
}
