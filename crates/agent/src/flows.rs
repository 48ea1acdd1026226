//! From what the kernel's programs report to flows.

mod cast;
mod devices;
mod known;
mod names;
mod request;
mod workload;

pub use known::Known;
pub use names::Names;

use crate::state::State;
use cast::Cast;
use ciliate_abi::{Direction, Event as Seen, EventKind, Outcome, TracePoint, event_flags};
use ciliate_flow::{
    Answer, DropReason, End, Event, EventType, Flow, FlowId, Judgement, MatchType, Node, TcpFlags, Time,
    TraceObservationPoint, TraceReason, TrafficDirection, Transport, Verdict,
};
use ciliate_observer::{LossWriter, log::Writer};
use ciliate_types::Protocol;
use devices::Devices;
use std::{net::Ipv6Addr, sync::Arc};

/// Makes flows, and remembers who takes part in them.
pub struct Flows {
    node: Arc<Node>,
    cast: Cast,
    devices: Devices,
    /// What addresses were resolved from.
    pub names: Names,
}

/// Where flows are kept, and what makes them.
pub struct Observed {
    pub flows: Flows,
    pub log: Writer<Flow>,
    /// What never became a flow; none where nobody reads it.
    pub losses: Option<LossWriter>,
}

/// The rules that an event names.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    pub egress: Option<&'a Known>,
    pub ingress: Option<&'a Known>,
}

impl<'a> Rules<'a> {
    fn of(self, direction: Direction) -> Option<&'a Known> {
        match direction {
            Direction::Egress => self.egress,
            Direction::Ingress => self.ingress,
        }
    }
}

impl Flows {
    pub fn new(node: Arc<Node>, cluster: &str) -> Self {
        Self { node, cast: Cast::new(cluster), devices: Devices::default(), names: Names::default() }
    }

    /// One event of the kernel is the verdicts that policies just gave, and what became of the packet.
    pub fn of(
        &mut self,
        state: &Arc<State>,
        seen: &Seen,
        time: Time,
        rules: Rules<'_>,
        mut put: impl FnMut(Flow),
    ) {
        self.cast.renew(state);
        let opening = opening(seen);
        for direction in [Direction::Egress, Direction::Ingress] {
            if let Some(outcome) = seen.told_verdict(direction) {
                put(self.verdict(&opening, time, direction, outcome, rules.of(direction)));
            }
        }
        match seen.told() {
            None => {}
            Some(EventKind::Drop) => put(self.drop(seen, &opening, time, rules)),
            Some(EventKind::Trace) => put(self.trace(seen, time, rules)),
        }
    }

    fn verdict(
        &mut self,
        seen: &Seen,
        time: Time,
        direction: Direction,
        outcome: Outcome,
        rule: Option<&Known>,
    ) -> Flow {
        let denied = matches!(outcome, Outcome::Denied | Outcome::Unmatched);
        let (verdict, reason) = match outcome {
            Outcome::Allowed => (Verdict::Forwarded, None),
            Outcome::Redirected => (Verdict::Redirected, None),
            Outcome::Denied => (Verdict::Dropped, Some(DropReason::PolicyDeny)),
            Outcome::Unmatched => (Verdict::Dropped, Some(DropReason::PolicyDenied)),
            Outcome::Audited => (Verdict::Audit, None),
        };
        let judgement = self.judgement(seen, direction, outcome, rule);
        let mut flow = self.packet(seen, time, direction);
        flow.event = Event::PolicyVerdict(reason);
        flow.verdict = verdict;
        flow.answer = if denied { Answer::Unknown } else { Answer::No };
        flow.match_type = rule.map_or(MatchType::None, |rule| rule.match_type);
        match direction {
            Direction::Egress => flow.egress = judgement,
            Direction::Ingress => flow.ingress = judgement,
        }
        flow
    }

    fn drop(&mut self, seen: &Seen, opening: &Seen, time: Time, rules: Rules<'_>) -> Flow {
        let direction = direction(seen);
        let mut flow = self.packet(seen, time, direction);
        let reason = DropReason::try_from(i32::from(seen.detail));
        flow.event = match reason {
            Ok(reason) => Event::Drop(reason),
            Err(_) => Event::Other(EventType { kind: EventType::DROP, sub: seen.detail.into() }),
        };
        flow.verdict = Verdict::Dropped;
        flow.answer = Answer::Unknown;
        // The verdict of a direction that was not asked, the rule of its entry tells.
        let outcome = |asked: Direction, rule: Option<&Known>| {
            seen.verdict(asked).or_else(|| rule.map(|_| Outcome::Allowed))
        };
        for asked in [Direction::Egress, Direction::Ingress] {
            let rule = rules.of(asked);
            let outcome = match reason {
                Ok(DropReason::PolicyDenied) if asked == direction => Some(Outcome::Unmatched),
                Ok(DropReason::PolicyDeny) if asked == direction => Some(Outcome::Denied),
                _ => outcome(asked, rule),
            };
            let judgement = outcome.and_then(|outcome| self.judgement(opening, asked, outcome, rule));
            match asked {
                Direction::Egress => flow.egress = judgement,
                Direction::Ingress => flow.ingress = judgement,
            }
        }
        flow
    }

    fn trace(&mut self, seen: &Seen, time: Time, rules: Rules<'_>) -> Flow {
        let has = |flag: u8| seen.flags & flag != 0;
        let (reason, answer) = match seen.flags {
            _ if has(event_flags::RELATED) => (TraceReason::Related, Answer::Unknown),
            _ if has(event_flags::REPLY) => (TraceReason::Reply, Answer::Yes),
            _ if has(event_flags::ESTABLISHED) => (TraceReason::Established, Answer::No),
            _ => (TraceReason::New, Answer::No),
        };
        let mut flow = self.packet(seen, time, direction(seen));
        flow.event = match TracePoint::from_number(seen.detail) {
            Some(TracePoint::FromEndpoint) => Event::Trace(TraceObservationPoint::FromEndpoint, reason),
            Some(TracePoint::ToEndpoint) => Event::Trace(TraceObservationPoint::ToEndpoint, reason),
            Some(TracePoint::ToStack) => Event::Trace(TraceObservationPoint::ToStack, reason),
            Some(TracePoint::FromStack) => Event::Trace(TraceObservationPoint::FromStack, reason),
            Some(TracePoint::ToProxy) => Event::Trace(TraceObservationPoint::ToProxy, reason),
            None => Event::Other(EventType { kind: EventType::TRACE, sub: seen.detail.into() }),
        };
        flow.verdict = Verdict::Forwarded;
        flow.answer = answer;
        flow.egress = rules.egress.map(|rule| Arc::clone(&rule.allowed));
        flow.ingress = rules.ingress.map(|rule| Arc::clone(&rule.allowed));
        flow
    }

    /// Who said so: the rule that decided, or the policies that closed the direction.
    fn judgement(
        &mut self,
        seen: &Seen,
        direction: Direction,
        outcome: Outcome,
        rule: Option<&Known>,
    ) -> Option<Arc<Judgement>> {
        match (outcome, rule) {
            (Outcome::Allowed | Outcome::Redirected, rule) => rule.map(|rule| Arc::clone(&rule.allowed)),
            (Outcome::Denied | Outcome::Audited, Some(rule)) => Some(Arc::clone(&rule.denied)),
            (Outcome::Denied | Outcome::Unmatched | Outcome::Audited, _) => {
                let endpoint = match direction {
                    Direction::Egress => seen.source_endpoint,
                    Direction::Ingress => seen.destination_endpoint,
                };
                self.cast.closed(endpoint, direction)
            }
        }
    }

    /// Everything that says nothing of a verdict.
    fn packet(&mut self, seen: &Seen, time: Time, direction: Direction) -> Flow {
        Flow {
            id: FlowId::default(),
            time,
            node: Arc::clone(&self.node),
            source: self.end(
                seen.source,
                (seen.source_identity, seen.source_endpoint),
                seen.destination_endpoint,
            ),
            destination: self.end(
                seen.destination,
                (seen.destination_identity, seen.destination_endpoint),
                seen.source_endpoint,
            ),
            event: Event::Other(EventType::default()),
            verdict: Verdict::Unknown,
            direction: match direction {
                Direction::Ingress => TrafficDirection::Ingress,
                Direction::Egress => TrafficDirection::Egress,
            },
            answer: Answer::Unknown,
            transport: transport(seen),
            interface: self.devices.of(seen.ifindex),
            egress: None,
            ingress: None,
            match_type: MatchType::None,
            request: None,
            rare: None,
        }
    }

    /// With the names that the endpoint at the other end resolved the address from.
    fn end(&mut self, address: ciliate_abi::Address, (identity, endpoint): (u32, u16), other: u16) -> End {
        let address = Ipv6Addr::from(address.0).to_canonical();
        End { names: self.names.of(other, address), ..self.cast.end(address, identity, endpoint) }
    }
}

fn direction(seen: &Seen) -> Direction {
    match seen.direction == Direction::Ingress as u8 {
        true => Direction::Ingress,
        false => Direction::Egress,
    }
}

fn transport(seen: &Seen) -> Transport {
    let (source, destination) = (seen.source_port, seen.destination_port);
    // The kernel puts type and code where others have ports.
    let [kind, code] = [source, destination].map(|number| u8::try_from(number).unwrap_or(u8::MAX));
    match Protocol::new(seen.protocol) {
        Protocol::TCP => Transport::Tcp { source, destination, flags: TcpFlags(seen.tcp_flags.into()) },
        Protocol::UDP => Transport::Udp { source, destination },
        Protocol::SCTP => Transport::Sctp { source, destination, chunk: 0 },
        Protocol::ICMP => Transport::Icmp { kind, code },
        Protocol::ICMPV6 => Transport::Icmp6 { kind, code },
        other => Transport::Other(other),
    }
}

/// The event as policies saw the packet: an answer is judged again as what it answers.
pub fn opening(seen: &Seen) -> Seen {
    if seen.flags & event_flags::REPLY == 0 {
        return *seen;
    }
    let ports = match Protocol::new(seen.protocol) {
        Protocol::ICMP => (8, 0),
        Protocol::ICMPV6 => (128, 0),
        _ => (seen.destination_port, seen.source_port),
    };
    Seen {
        source: seen.destination,
        destination: seen.source,
        source_identity: seen.destination_identity,
        destination_identity: seen.source_identity,
        source_endpoint: seen.destination_endpoint,
        destination_endpoint: seen.source_endpoint,
        source_port: ports.0,
        destination_port: ports.1,
        ..*seen
    }
}

#[cfg(test)]
mod tests;
