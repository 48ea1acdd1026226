//! From the kernel's events to what clients see: with names, labels and rules.

pub mod l7;
pub mod rules;

use crate::{
    api::Shutdown,
    engine::Requests,
    flows::{self, Flows, opening},
    notice::Notices,
    state::State,
};
use anyhow::Context as _;
use ciliate_abi::{DropReason, Event as Seen, EventKind, Outcome, TracePoint, event_flags};
use ciliate_api::{EventBody, PacketEvent, PeerView, RuleView, Verdict};
use ciliate_bpf::{Batch, EventReader};
use ciliate_flow::{Flow, Time};
use ciliate_observer::{Loss, LossSource, LossWriter, log::Writer};
use ciliate_proxy::message::{Access, CachedName};
use ciliate_types::{Direction, EndpointId, Identity, Protocol};
use ipnet::IpNet;
use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use rules::Rules;
use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::watch,
    time::{self, Instant},
};

/// Events that are decoded at once.
const BATCH: usize = 256;
/// Batches after which it is looked whether the agent ends, and what was lost: some times what the ring holds.
const IN_A_ROW: usize = 1024;
/// How often losses are reported, at most.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// Where events come from and what is needed to make sense of them.
pub struct Sources {
    pub reader: EventReader,
    /// What the proxy tells.
    pub accesses: l7::Outlet,
    pub state: watch::Receiver<Arc<State>>,
    pub requests: Requests,
    pub notices: Notices,
    /// How long events may wait for others, so that many cost one wake-up.
    pub delay: Duration,
    /// Where flows are kept, if they are.
    pub observed: Option<Observed>,
    pub shutdown: Shutdown,
}

/// Where flows are kept, and what makes them.
pub struct Observed {
    pub flows: Flows,
    pub log: Writer<Flow>,
    /// What never became a flow; none where nobody reads it.
    pub losses: Option<LossWriter>,
}

/// Decodes and passes on until the agent ends, and then once more what is there; sleeps while nobody wants events, for then
/// there are none.
///
/// What is not read in time stays in the ring, and what does not fit there any more the kernel counts: it is the only
/// queue on the way. What the proxy tells comes in with it, so that the log of flows has one writer.
pub async fn forward(sources: Sources) -> anyhow::Result<()> {
    let Sources { mut reader, mut accesses, state, requests, notices, delay, observed, shutdown } = sources;
    // Of an earlier agent.
    reader.discard();
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe; the reader keeps its one descriptor while it lives"
    )]
    let mut reader = AsyncFd::with_interest(reader, Interest::READABLE).context("cannot wait for events")?;
    let mut losses = Losses::new(requests.call(|engine| engine.lost_events()).await.ok());
    let mut decoder = Decoder { state, rules: Rules::new(requests.clone()), observed, lost_requests: 0 };
    let mut batch = Batch::default();
    let mut ending = shutdown.subscribe();
    let mut last = false;
    while !last {
        let wanted = notices.wanted();
        tokio::select! {
            // The sender is in our hands.
            _ = ending.wait_for(|ending| *ending) => last = true,
            () = notices.begun(), if !wanted => {
                // Nobody had asked for what is left in the ring.
                reader.get_mut().discard();
                continue;
            }
            () = accesses.come(), if !wanted => {}
            () = time::sleep(delay), if wanted => {}
            // It shows only that much is waiting; that less is, the clock has to tell.
            ready = reader.readable(), if wanted => ready.context("cannot wait for events")?.clear_ready(),
        }
        decoder.tell_of_requests(&mut accesses, &notices).await;
        if !wanted {
            continue;
        }
        for _ in 0..IN_A_ROW {
            batch.clear();
            reader.get_mut().read(&mut batch, BATCH);
            if batch.is_empty() || !notices.wanted() {
                break;
            }
            decoder.decode(&batch, &notices).await;
            decoder.tell_of_requests(&mut accesses, &notices).await;
        }
        losses.report(&requests, &notices, &mut decoder).await;
    }
    Ok(())
}

/// Nanoseconds since 1970 at which the monotonic clock was zero; another one after the clock was set.
pub fn boot_time() -> u64 {
    let read = |clock| clock_gettime(clock).map(Duration::from).unwrap_or_default();
    let since = read(ClockId::CLOCK_REALTIME).saturating_sub(read(ClockId::CLOCK_MONOTONIC));
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What was lost on the way, told once a second at most.
struct Losses {
    /// What the kernel had counted when it was asked last.
    seen: Option<u64>,
    asked: Option<Instant>,
    /// What was told last is not older than this.
    since: Time,
}

impl Losses {
    fn new(seen: Option<u64>) -> Self {
        Self { seen, asked: None, since: now() }
    }

    /// Of what the kernel could not put into the ring, and of requests that came too fast.
    async fn report(&mut self, requests: &Requests, notices: &Notices, decoder: &mut Decoder) {
        if self.asked.is_some_and(|at| at.elapsed() < LOSS_INTERVAL) {
            return;
        }
        self.asked = Some(Instant::now());
        let mut kernel = 0;
        if let Ok(lost) = requests.call(|engine| engine.lost_events()).await {
            kernel = lost.saturating_sub(self.seen.replace(lost).unwrap_or(lost));
        }
        if kernel > 0 {
            notices.send(Timestamp::now(), EventBody::Lost { count: kernel, place: "kernel".to_owned() });
        }
        let (first, last) = (self.since, now());
        self.since = last;
        let queue = std::mem::take(&mut decoder.lost_requests);
        if let Some(losses) = decoder.observed.as_mut().and_then(|observed| observed.losses.as_mut()) {
            for (source, count) in
                [(LossSource::PerfEventRingBuffer, kernel), (LossSource::ObserverEventsQueue, queue)]
            {
                losses.put(Loss { source, count, first, last });
            }
        }
    }
}

fn now() -> Time {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).map(Duration::from).unwrap_or_default();
    Time(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// Makes sense of events.
pub struct Decoder {
    pub state: watch::Receiver<Arc<State>>,
    pub rules: Rules,
    pub observed: Option<Observed>,
    /// What the proxy had to leave out and nobody was told of yet.
    pub lost_requests: u64,
}

impl Decoder {
    pub async fn decode(&mut self, batch: &Batch, notices: &Notices) {
        let state = Arc::clone(&self.state.borrow());
        let numbers = batch.iter().flat_map(|(seen, _)| [seen.egress_rule, seen.ingress_rule]);
        self.rules.learn(&state, numbers).await;
        let (watched, boot) = (notices.watched(), boot_time());
        for (seen, bytes) in batch.iter() {
            let time = boot.saturating_add(seen.time);
            let known = flows::Rules {
                egress: self.rules.get(seen.egress_rule),
                ingress: self.rules.get(seen.ingress_rule),
            };
            if let Some(Observed { flows, log, .. }) = &mut self.observed {
                flows.of(&state, seen, Time(time), known, |flow| log.append(flow));
            }
            if watched {
                let view = |known: Option<&rules::Known>| known.map(|known| known.view.clone());
                let rules = Pair { egress: view(known.egress), ingress: view(known.ingress) };
                let time = Timestamp::from_nanosecond(time.into()).unwrap_or_default();
                for body in bodies(&state, seen, bytes, &rules) {
                    notices.send(time, body);
                }
            }
        }
        if let Some(Observed { log, .. }) = &self.observed {
            log.ring();
        }
    }
}

impl Decoder {
    /// Decodes and passes on what the proxy has told.
    async fn tell_of_requests(&mut self, accesses: &mut l7::Outlet, notices: &Notices) {
        let lost = accesses.lost();
        if lost > 0 {
            self.lost_requests = self.lost_requests.saturating_add(lost);
            notices.send(Timestamp::now(), EventBody::Lost { count: lost, place: "proxy".to_owned() });
        }
        while let Some(told) = accesses.take() {
            let state = Arc::clone(&self.state.borrow());
            self.rules.learn(&state, told.rules()).await;
            match told {
                l7::Told::Names(names) => self.keep_names(names),
                l7::Told::Accesses(accesses) => {
                    for access in accesses {
                        self.tell_of_request(&state, access, notices);
                    }
                }
            }
            if let Some(Observed { log, .. }) = &self.observed {
                log.ring();
            }
        }
    }

    fn keep_names(&mut self, names: Vec<CachedName>) {
        if let Some(Observed { flows, .. }) = &mut self.observed {
            for name in names {
                let addresses = name.addresses.iter().map(|known| known.address);
                flows.names.learn(name.endpoint, &name.name, addresses);
            }
        }
    }

    fn tell_of_request(&mut self, state: &Arc<State>, access: Access, notices: &Notices) {
        if notices.watched() {
            let time = Timestamp::from_nanosecond(access.time.into()).unwrap_or_default();
            let event = l7::event(state, access.clone(), &self.rules);
            notices.send(time, EventBody::L7(Box::new(event)));
        }
        if let Some(Observed { flows, log, .. }) = &mut self.observed {
            flows.of_access(state, access, &self.rules, |flow| log.append(flow));
        }
    }
}

/// The rules of both directions of a connection.
struct Pair {
    egress: Option<RuleView>,
    ingress: Option<RuleView>,
}

impl Pair {
    fn of(&self, direction: Direction) -> Option<RuleView> {
        match direction {
            Direction::Egress => self.egress.clone(),
            Direction::Ingress => self.ingress.clone(),
        }
    }
}

/// What the kernel says in one, for people one after the other: the verdicts and then what became of the packet.
/// Without what this version does not know.
fn bodies(state: &State, seen: &Seen, bytes: &[u8], rules: &Pair) -> Vec<EventBody> {
    let verdicts = [
        (Direction::Egress, ciliate_abi::Direction::Egress),
        (Direction::Ingress, ciliate_abi::Direction::Ingress),
    ];
    let opening = opening(seen);
    let mut bodies = Vec::new();
    for (direction, kernel) in verdicts {
        let Some(outcome) = seen.verdict(kernel) else { continue };
        let verdict = match outcome {
            Outcome::Allowed => Verdict::Allowed,
            Outcome::Denied | Outcome::Unmatched => Verdict::Denied,
            Outcome::Audited => Verdict::Audit,
            Outcome::Redirected => Verdict::Redirected,
        };
        let packet = Box::new(packet(state, &opening, direction, rules.of(direction), bytes));
        bodies.push(EventBody::PolicyVerdict { verdict, packet });
    }
    let direction = match seen.direction == ciliate_abi::Direction::Ingress as u8 {
        true => Direction::Ingress,
        false => Direction::Egress,
    };
    match EventKind::from_number(seen.kind) {
        None => {}
        Some(EventKind::Drop) => {
            let reason = DropReason::from_number(seen.detail);
            let reason = reason.map_or_else(|| format!("reason {}", seen.detail), |r| r.text().to_owned());
            let rule = rules.of(direction);
            let mut packet = Box::new(packet(state, seen, direction, rule, bytes));
            if seen.verdicts != 0 {
                packet.endpoint = endpoint(&opening, direction);
            }
            bodies.push(EventBody::Drop { reason, packet });
        }
        Some(EventKind::Trace) => {
            let point = match TracePoint::from_number(seen.detail) {
                Some(TracePoint::FromEndpoint) => "from-endpoint",
                Some(TracePoint::ToEndpoint) => "to-endpoint",
                Some(TracePoint::ToStack) => "to-stack",
                Some(TracePoint::FromStack) => "from-stack",
                Some(TracePoint::ToProxy) => "to-proxy",
                None => return bodies,
            };
            let rule = rules.egress.clone().or_else(|| rules.ingress.clone());
            let packet = Box::new(packet(state, seen, direction, rule, bytes));
            bodies.push(EventBody::Trace { point: point.to_owned(), packet });
        }
    }
    bodies
}

fn endpoint(seen: &Seen, direction: Direction) -> Option<EndpointId> {
    EndpointId::new(match direction {
        Direction::Ingress => seen.destination_endpoint,
        Direction::Egress => seen.source_endpoint,
    })
}

fn packet(
    state: &State,
    seen: &Seen,
    direction: Direction,
    rule: Option<RuleView>,
    bytes: &[u8],
) -> PacketEvent {
    let protocol = Protocol::new(seen.protocol);
    let (details, ports) = match protocol {
        Protocol::TCP => (tcp_flags(seen.tcp_flags), true),
        Protocol::ICMP | Protocol::ICMPV6 => {
            (format!("type {} code {}", seen.source_port, seen.destination_port), false)
        }
        _ => (String::new(), protocol.has_ports()),
    };
    let port = |port: u16| if ports { port } else { 0 };
    let has = |flag: u8| seen.flags & flag != 0;
    let connection = match seen.flags {
        _ if has(event_flags::RELATED) => "related",
        _ if has(event_flags::REPLY) => "reply",
        _ if has(event_flags::ESTABLISHED) => "established",
        _ => "new",
    };
    PacketEvent {
        endpoint: endpoint(seen, direction),
        direction,
        source: peer(
            state,
            address(seen.source),
            port(seen.source_port),
            Identity::new(seen.source_identity),
        ),
        destination: peer(
            state,
            address(seen.destination),
            port(seen.destination_port),
            Identity::new(seen.destination_identity),
        ),
        protocol,
        details,
        connection: connection.to_owned(),
        rule,
        ifindex: seen.ifindex,
        length: seen.length,
        hex: (!bytes.is_empty()).then(|| hex(bytes)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn address(address: ciliate_abi::Address) -> IpAddr {
    Ipv6Addr::from(address.0).to_canonical()
}

fn peer(state: &State, address: IpAddr, port: u16, identity: Identity) -> PeerView {
    let endpoint = state.addresses.get(&IpNet::from(address)).and_then(|row| row.endpoint);
    let row = endpoint.and_then(|id| state.endpoints.get(&id));
    PeerView {
        address,
        port,
        identity,
        endpoint,
        name: row.map(|row| row.stored.full_name()),
        labels: (*state.labels(identity)).clone(),
    }
}

fn tcp_flags(flags: u8) -> String {
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let set = names.iter().enumerate().filter(|(bit, _)| flags & (1_u8 << bit) != 0).map(|(_, name)| *name);
    set.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ciliate_abi::verdict_bits;

    /// A packet between two endpoints that both sides allow.
    pub(crate) fn seen() -> Seen {
        Seen {
            time: 1,
            source: ciliate_abi::Address::v4([10, 0, 0, 1]),
            destination: ciliate_abi::Address::v4([10, 0, 0, 2]),
            source_identity: 1001,
            destination_identity: 1002,
            egress_rule: 5,
            ingress_rule: 7,
            ifindex: 3,
            length: 60,
            source_port: 4000,
            destination_port: 80,
            source_endpoint: 11,
            destination_endpoint: 12,
            kind: EventKind::Trace as u8,
            protocol: 6,
            direction: ciliate_abi::Direction::Egress as u8,
            detail: TracePoint::ToEndpoint as u8,
            tcp_flags: 2,
            flags: 0,
            verdicts: verdict_bits(ciliate_abi::Direction::Egress, Outcome::Allowed)
                | verdict_bits(ciliate_abi::Direction::Ingress, Outcome::Allowed),
            captured: 0,
        }
    }

    fn lines(seen: &Seen) -> Vec<String> {
        let rule = |id| RuleView { id, ..RuleView::default() };
        let rules = Pair { egress: Some(rule(seen.egress_rule)), ingress: Some(rule(seen.ingress_rule)) };
        bodies(&State::new(), seen, &[0x45, 0], &rules)
            .iter()
            .map(|body| {
                let packet = body.packet().expect("a packet");
                format!(
                    "{} at {} {} {}:{} > {}:{} rule {} {}",
                    body.kind(),
                    packet.endpoint.map_or(0, |id| id.get()),
                    packet.direction,
                    packet.source.address,
                    packet.source.port,
                    packet.destination.address,
                    packet.destination.port,
                    packet.rule.as_ref().map_or(0, |rule| rule.id),
                    packet.hex.as_deref().unwrap_or("-"),
                )
            })
            .collect()
    }

    #[test]
    fn one_event_of_the_kernel_is_its_verdicts_and_its_fate() {
        assert_eq!(
            lines(&seen()),
            [
                "policy-verdict at 11 egress 10.0.0.1:4000 > 10.0.0.2:80 rule 5 4500",
                "policy-verdict at 12 ingress 10.0.0.1:4000 > 10.0.0.2:80 rule 7 4500",
                "trace at 11 egress 10.0.0.1:4000 > 10.0.0.2:80 rule 5 4500",
            ]
        );
        assert_eq!(
            lines(&Seen { verdicts: 0, flags: event_flags::ESTABLISHED, ..seen() }),
            ["trace at 11 egress 10.0.0.1:4000 > 10.0.0.2:80 rule 5 4500"]
        );
        let dropped = Seen {
            kind: EventKind::Drop as u8,
            detail: DropReason::Policy as u8,
            direction: ciliate_abi::Direction::Ingress as u8,
            verdicts: verdict_bits(ciliate_abi::Direction::Ingress, Outcome::Unmatched),
            ..seen()
        };
        assert_eq!(
            lines(&dropped),
            [
                "policy-verdict at 12 ingress 10.0.0.1:4000 > 10.0.0.2:80 rule 7 4500",
                "drop at 12 ingress 10.0.0.1:4000 > 10.0.0.2:80 rule 7 4500",
            ]
        );
    }

    #[test]
    fn an_answer_that_is_refused_was_judged_as_what_it_answers() {
        let refused = Seen {
            kind: EventKind::Drop as u8,
            detail: DropReason::Policy as u8,
            direction: ciliate_abi::Direction::Ingress as u8,
            verdicts: verdict_bits(ciliate_abi::Direction::Ingress, Outcome::Unmatched),
            flags: event_flags::REPLY | event_flags::ESTABLISHED,
            ..seen()
        };
        assert_eq!(
            lines(&refused),
            [
                "policy-verdict at 11 ingress 10.0.0.2:80 > 10.0.0.1:4000 rule 7 4500",
                "drop at 11 ingress 10.0.0.1:4000 > 10.0.0.2:80 rule 7 4500",
            ]
        );
    }

    #[test]
    fn flags_have_names() {
        assert_eq!(tcp_flags(0x12), "SYN, ACK");
        assert_eq!(tcp_flags(0), "");
        assert_eq!(tcp_flags(0xff), "FIN, SYN, RST, PSH, ACK, URG, ECE, CWR");
    }
}
