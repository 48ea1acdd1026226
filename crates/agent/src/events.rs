//! From the kernel's events to what clients see: with names, labels and rules.

use crate::{engine::Requests, notice::Notices, state::State};
use anyhow::Context as _;
use ciliate_abi::{DropReason, EventKind, Outcome, TracePoint, event_flags};
use ciliate_api::{EventBody, PacketEvent, PeerView, RuleView, Verdict};
use ciliate_bpf::EventReader;
use ciliate_types::{Direction, EndpointId, Identity, Protocol};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use nix::{
    poll::{PollFd, PollFlags, poll},
    time::{ClockId, clock_gettime},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

/// Events that may wait to be decoded; what does not fit is counted.
const QUEUE: usize = 4096;
/// How long the reader sleeps at most, so that it notices the end.
const NAP: u16 = 500;
/// How often losses are reported, at most.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// Events from the reader's thread, and how many did not fit.
pub struct Inflow {
    events: mpsc::Receiver<ciliate_abi::Event>,
    lost: Arc<AtomicU64>,
}

/// Empties the ring on a thread of its own until nobody wants its events. What nobody watches is not passed on.
pub fn read(mut ring: EventReader, notices: Notices) -> anyhow::Result<Inflow> {
    let (sender, events) = mpsc::channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    let inflow = Inflow { events, lost: Arc::clone(&lost) };
    let drain = move || {
        while !sender.is_closed() {
            // An interruption or a timeout is no reason to stop looking.
            let _ = poll(&mut [PollFd::new(ring.as_fd(), PollFlags::POLLIN)], NAP);
            while let Some(event) = ring.next_event() {
                if notices.watched() && sender.try_send(event).is_err() {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    thread::Builder::new().name("events".to_owned()).spawn(drain).context("cannot start a thread")?;
    Ok(inflow)
}

/// Decodes and passes on until the agent ends.
pub async fn forward(
    mut inflow: Inflow,
    state: watch::Receiver<Arc<State>>,
    requests: Requests,
    notices: Notices,
) -> anyhow::Result<()> {
    let mut decoder = Decoder { state, requests, rules: Rules::default(), boot: boot_time() };
    let mut losses = Losses::default();
    while let Some(event) = inflow.events.recv().await {
        if let Some((time, body)) = decoder.decode(&event).await {
            notices.send(time, body);
        }
        losses.report(&decoder.requests, &notices, &inflow.lost).await;
    }
    Ok(())
}

/// Wall-clock time at which the monotonic clock was zero.
fn boot_time() -> Timestamp {
    let since = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    let since = SignedDuration::try_from(since).unwrap_or_default();
    Timestamp::now().checked_sub(since).unwrap_or_default()
}

/// What the kernel could not put into the ring.
#[derive(Default)]
struct Losses {
    seen: Option<u64>,
    asked: Option<Instant>,
}

impl Losses {
    async fn report(&mut self, requests: &Requests, notices: &Notices, queue: &AtomicU64) {
        if !notices.watched() || self.asked.is_some_and(|at| at.elapsed() < LOSS_INTERVAL) {
            return;
        }
        self.asked = Some(Instant::now());
        let missed = queue.swap(0, Ordering::Relaxed);
        if missed > 0 {
            notices.send(Timestamp::now(), EventBody::Lost { count: missed, place: "agent".to_owned() });
        }
        let Ok(lost) = requests.call(|engine| engine.lost_events()).await else { return };
        let before = self.seen.replace(lost).unwrap_or(lost);
        let count = lost.saturating_sub(before);
        if count > 0 {
            notices.send(Timestamp::now(), EventBody::Lost { count, place: "kernel".to_owned() });
        }
    }
}

/// Rules by number, as of one revision of the policies.
#[derive(Default)]
struct Rules {
    revision: u64,
    known: HashMap<u32, RuleView>,
}

struct Decoder {
    state: watch::Receiver<Arc<State>>,
    requests: Requests,
    rules: Rules,
    boot: Timestamp,
}

impl Decoder {
    /// `None` for what this version does not know.
    async fn decode(&mut self, event: &ciliate_abi::Event) -> Option<(Timestamp, EventBody)> {
        let state = Arc::clone(&self.state.borrow());
        let rule = self.rule(&state, event.rule).await;
        let packet = Box::new(packet(&state, event, rule));
        let body = match EventKind::from_number(event.kind)? {
            EventKind::Drop => {
                let reason = DropReason::from_number(event.detail);
                let reason =
                    reason.map_or_else(|| format!("reason {}", event.detail), |r| r.text().to_owned());
                EventBody::Drop { reason, packet }
            }
            EventKind::Trace => {
                let point = match TracePoint::from_number(event.detail)? {
                    TracePoint::FromEndpoint => "from-endpoint",
                    TracePoint::ToEndpoint => "to-endpoint",
                    TracePoint::ToStack => "to-stack",
                    TracePoint::FromStack => "from-stack",
                };
                EventBody::Trace { point: point.to_owned(), packet }
            }
            EventKind::Verdict => {
                let verdict = match Outcome::from_number(event.detail)? {
                    Outcome::Allowed => Verdict::Allowed,
                    Outcome::Denied | Outcome::Unmatched => Verdict::Denied,
                    Outcome::Audited => Verdict::Audit,
                };
                EventBody::PolicyVerdict { verdict, packet }
            }
        };
        let since = i64::try_from(event.time).map(SignedDuration::from_nanos).unwrap_or_default();
        Some((self.boot.checked_add(since).unwrap_or_default(), body))
    }

    async fn rule(&mut self, state: &State, id: u32) -> Option<RuleView> {
        if id == 0 {
            return None;
        }
        if self.rules.revision != state.revision {
            self.rules = Rules { revision: state.revision, known: HashMap::new() };
        }
        if let Some(known) = self.rules.known.get(&id) {
            return Some(known.clone());
        }
        let rule = self.requests.call(move |engine| Ok(engine.rule(id))).await.ok()?;
        self.rules.known.insert(id, rule.clone());
        Some(rule)
    }
}

fn packet(state: &State, event: &ciliate_abi::Event, rule: Option<RuleView>) -> PacketEvent {
    let protocol = Protocol::new(event.protocol);
    let (details, ports) = match protocol {
        Protocol::TCP => (tcp_flags(event.tcp_flags), true),
        Protocol::ICMP | Protocol::ICMPV6 => {
            (format!("type {} code {}", event.source_port, event.destination_port), false)
        }
        _ => (String::new(), protocol.has_ports()),
    };
    let port = |port: u16| if ports { port } else { 0 };
    let has = |flag: u8| event.flags & flag != 0;
    let connection = match event.flags {
        _ if has(event_flags::RELATED) => "related",
        _ if has(event_flags::REPLY) => "reply",
        _ if has(event_flags::ESTABLISHED) => "established",
        _ => "new",
    };
    PacketEvent {
        endpoint: EndpointId::new(event.endpoint),
        direction: match event.direction == ciliate_abi::Direction::Ingress as u8 {
            true => Direction::Ingress,
            false => Direction::Egress,
        },
        source: peer(state, event.source, port(event.source_port), event.source_identity),
        destination: peer(state, event.destination, port(event.destination_port), event.destination_identity),
        protocol,
        details,
        connection: connection.to_owned(),
        rule,
        ifindex: event.ifindex,
        length: event.length,
        hex: None,
    }
}

fn peer(state: &State, address: ciliate_abi::Address, port: u16, identity: u32) -> PeerView {
    let address: IpAddr = Ipv6Addr::from(address.0).to_canonical();
    let identity = Identity::new(identity);
    let endpoint = state.addresses.get(&IpNet::from(address)).and_then(|row| row.endpoint);
    let row = endpoint.and_then(|id| state.endpoints.get(&id));
    PeerView {
        address,
        port,
        identity,
        endpoint,
        name: row.map(|row| row.record.full_name()),
        labels: (*state.labels(identity)).clone(),
    }
}

fn tcp_flags(flags: u8) -> String {
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let set = names.iter().enumerate().filter(|(bit, _)| flags & (1_u8 << bit) != 0).map(|(_, name)| *name);
    set.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_names() {
        assert_eq!(tcp_flags(0x12), "SYN, ACK");
        assert_eq!(tcp_flags(0), "");
        assert_eq!(tcp_flags(0xff), "FIN, SYN, RST, PSH, ACK, URG, ECE, CWR");
    }
}
