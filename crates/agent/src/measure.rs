//! The agent's way from what the kernel reports to flows, for who measures what it costs.

use crate::{
    engine::{self, Inbox},
    events::{Decoder, rules::Rules},
    flows::{Flows, Known, Observed},
    notice::Notices,
    proxy::Attention,
    state::{EndpointRow, IdentityRow, State},
    stored::{Phase, StoredEndpoint},
};
use ciliate_abi::{Address, Direction, Event, EventKind, Outcome, TracePoint, event_flags, verdict_bits};
use ciliate_api::{AuditMode, EndpointState, RuleView};
use ciliate_bpf::{Batch, encoded};
use ciliate_flow::{Flow, Node};
use ciliate_net::{Mac, NetnsId};
use ciliate_observer::log::Writer;
use ciliate_types::{EndpointId, Identity, Label, Labels, NAMESPACE_KEY, source};
use jiff::Timestamp;
use std::{path::PathBuf, sync::Arc};
use tokio::{runtime, sync::watch};

/// First identity of an endpoint.
const FIRST: u32 = 1000;

/// An agent that has endpoints and rules, and nothing else.
pub struct Decoding {
    decoder: Decoder,
    notices: Notices,
    runtime: runtime::Runtime,
    batch: Batch,
    _published: watch::Sender<Arc<State>>,
    _inbox: Inbox,
}

/// Events of short TCP connections between endpoints as they lie in the ring: four of each connection, which are six flows.
pub struct Connections {
    endpoints: u16,
    rules: u16,
    number: u32,
}

impl Decoding {
    /// With so many endpoints, and rules from 1 on; flows go into a log.
    ///
    /// # Errors
    /// If the runtime cannot be made, or an endpoint has no number.
    pub fn new(node: Arc<Node>, log: Writer<Flow>, endpoints: u16, rules: u16) -> anyhow::Result<Self> {
        let mut state = State::new();
        for id in (1..=endpoints).filter_map(EndpointId::new) {
            let (identity, row) = endpoint(id);
            state.identities.put(
                identity,
                IdentityRow { labels: Arc::clone(&row.labels), prefix: None, names: None, references: 1 },
            );
            state.endpoints.put(id, Arc::new(row));
        }
        let revision = state.revision;
        let (requests, inbox) = engine::channel();
        let (published, state) = watch::channel(Arc::new(state));
        let known = (1..=rules).map(|number| {
            let view = RuleView {
                id: number.into(),
                object: format!("cnp/team/rule-{number}"),
                ..RuleView::default()
            };
            (u32::from(number), Known::new(view, None))
        });
        let rules = Rules::that_know(requests, revision, known);
        let observed = Some(Observed { flows: Flows::new(node, "default"), log, losses: None });
        Ok(Self {
            decoder: Decoder::new(state, rules, observed),
            notices: Notices::new(None, 0, Attention::default()),
            runtime: runtime::Builder::new_current_thread().build()?,
            batch: Batch::default(),
            _published: published,
            _inbox: inbox,
        })
    }

    /// Does with what lies in the ring what the agent does.
    pub fn decode<'a>(&mut self, events: impl Iterator<Item = &'a [u8]>) {
        self.batch.clear();
        events.for_each(|event| self.batch.put(event));
        self.runtime.block_on(self.decoder.decode(&self.batch, &self.notices));
    }
}

fn endpoint(id: EndpointId) -> (Identity, EndpointRow) {
    let number = id.get();
    let identity = Identity::new(FIRST.saturating_add(number.into()));
    let namespace = format!("team-{}", number % 20);
    let labels: Labels = [
        Label::new(source::K8S, "app", &format!("service-{}", number % 97)),
        Label::new(source::K8S, "tier", if number.is_multiple_of(3) { "front" } else { "back" }),
        Label::new(source::K8S, NAMESPACE_KEY, &namespace),
    ]
    .into_iter()
    .collect();
    let stored = StoredEndpoint {
        id,
        name: format!("service-{}-7d9f5c6b4-{number:05}", number % 97),
        namespace,
        service_account: String::new(),
        container_id: None,
        given_labels: labels.clone(),
        identity,
        ipv4: None,
        ipv6: None,
        ports: Vec::new(),
        publish: Vec::new(),
        interface: "eth0".to_owned(),
        mac: Mac::random(),
        netns: PathBuf::new(),
        netns_id: NetnsId { dev: 0, ino: 0 },
        audit: AuditMode::Off,
        phase: Phase::Made,
        created: Timestamp::UNIX_EPOCH,
    };
    (identity, EndpointRow::new(stored, Arc::new(labels), EndpointState::Ready))
}

impl Connections {
    #[must_use]
    pub fn new(endpoints: u16, rules: u16) -> Self {
        Self { endpoints: endpoints.max(2), rules: rules.max(1), number: 0 }
    }

    /// The events of the next connection, one after the other; `now` is the kernel's monotonic clock, ns.
    pub fn next(&mut self, now: u64, mut put: impl FnMut(&[u8])) {
        let number = self.number;
        self.number = number.wrapping_add(1);
        // Each endpoint speaks to many others, and neighbours in time are strangers.
        let pick = |factor: u32, bound: u16| {
            let place = number.wrapping_mul(factor).rotate_left(7).checked_rem(bound.into()).unwrap_or(0);
            u16::try_from(place).unwrap_or(0)
        };
        let client = pick(2_654_435_761, self.endpoints);
        let server = client.saturating_add(1).saturating_add(pick(40_503, self.endpoints.saturating_sub(1)));
        let server = server.checked_rem(self.endpoints).unwrap_or(0);
        let rule = |factor| u32::from(pick(factor, self.rules)).saturating_add(1);
        let end = |place: u16| {
            let [high, low] = place.to_be_bytes();
            (Address::v4([10, 0, high, low]), place.saturating_add(1))
        };
        let ((source, from), (destination, to)) = (end(client), end(server));
        let identity = |endpoint: u16| FIRST.saturating_add(endpoint.into());
        let first = Event {
            time: now,
            source,
            destination,
            source_identity: identity(from),
            destination_identity: identity(to),
            egress_rule: rule(97),
            ingress_rule: rule(89),
            ifindex: from.into(),
            length: 60,
            source_port: u16::try_from(number % 28_000).unwrap_or(0).saturating_add(32_768),
            destination_port: 8080,
            source_endpoint: from,
            destination_endpoint: to,
            kind: EventKind::Trace as u8,
            protocol: 6,
            direction: Direction::Egress as u8,
            detail: TracePoint::ToEndpoint as u8,
            tcp_flags: 0x02,
            flags: 0,
            verdicts: verdict_bits(Direction::Egress, Outcome::Allowed)
                | verdict_bits(Direction::Ingress, Outcome::Allowed),
            captured: 0,
        };
        let (forth, back) = (
            Event { verdicts: 0, flags: event_flags::ESTABLISHED, tcp_flags: 0x11, ..first },
            Event {
                verdicts: 0,
                flags: event_flags::ESTABLISHED | event_flags::REPLY,
                source: first.destination,
                destination: first.source,
                source_identity: first.destination_identity,
                destination_identity: first.source_identity,
                source_port: first.destination_port,
                destination_port: first.source_port,
                source_endpoint: to,
                destination_endpoint: from,
                ..first
            },
        );
        for event in [first, Event { tcp_flags: 0x12, ..back }, forth, Event { tcp_flags: 0x11, ..back }] {
            put(encoded(&event));
        }
    }
}
