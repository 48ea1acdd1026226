//! Tables and packets in memory: the same decisions without a kernel.

use crate::{flow::Packet, hook, hook::Action, inquiry::Rows, record::Wish, scene::Scene, tables::Tables};
use ciliate_abi::{
    Address, Aggregation, CAPTURE_MAX, Captured, Config, Connection, ConnectionKey, Direction, DropReason,
    Endpoint, Event, EventKind, EventLimit, FragmentKey, FragmentPorts, Lifetimes, PolicyEntry, PolicyKey,
    PrefixKey, RECORD_BYTES_MAX, RecordTally, RecordTallyKey, Recorded, Recorder, RuleSet, Watch,
    config_flags, watched,
};
use core::convert::Infallible;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    vec::Vec,
};

/// A packet as bytes from its Ethernet header on.
pub struct Bytes<'a> {
    pub bytes: &'a [u8],
    pub tagged: bool,
    pub mark: u32,
}

impl Packet for Bytes<'_> {
    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let start = usize::try_from(offset).ok()?;
        self.bytes.get(start..start.checked_add(N)?)?.try_into().ok()
    }

    fn length(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    fn ethertype(&self) -> u16 {
        self.load(12).map_or(0, u16::from_be_bytes)
    }

    fn is_tagged(&self) -> bool {
        self.tagged
    }

    fn mark(&self) -> u32 {
        self.mark
    }

    fn capture<const N: usize>(&self, into: &mut [u8; N], most: u32) -> u32 {
        let pairs = into.iter_mut().zip(self.bytes).take(usize::try_from(most).unwrap_or(N));
        pairs.fold(0, |count, (to, from)| {
            *to = *from;
            count.saturating_add(1)
        })
    }
}

/// A prefix in a longest-prefix table: significant bits and what follows.
pub type Prefix<K> = (u32, K);

/// What BPF maps hold in the kernel.
pub struct Memory {
    pub config: Config,
    pub endpoints: BTreeMap<Address, Endpoint>,
    pub ipcache: BTreeMap<Prefix<Address>, u32>,
    pub rule_sets: BTreeMap<u32, RuleSet>,
    pub policy: BTreeMap<PolicyKey, PolicyEntry>,
    /// The bits count those of the address only.
    pub prefixes: BTreeMap<Prefix<PrefixKey>, u32>,
    pub connections: RefCell<BTreeMap<ConnectionKey, Connection>>,
    pub fragments: RefCell<BTreeMap<FragmentKey, FragmentPorts>>,
    pub counters: RefCell<BTreeMap<(u8, u8), (u64, u64)>>,
    pub events: RefCell<Vec<Captured>>,
    pub watch: Watch,
    /// By kind of event: its limit, and what was over it.
    pub limits: RefCell<BTreeMap<u32, (EventLimit, u64)>>,
    pub recorder: Recorder,
    /// With the bytes that follow each.
    pub recorded: RefCell<Vec<(Recorded, Vec<u8>)>>,
    /// Recorded packets that fit at most.
    pub record_room: usize,
    pub tallies: RefCell<BTreeMap<RecordTallyKey, RecordTally>>,
    /// The last number that was drawn.
    pub random: Cell<u32>,
    pub now: Cell<u32>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            config: Config {
                gateway_v4: Address::v4([10, 0, 0, 1]),
                gateway_v6: Address::v6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
                lifetimes: Lifetimes { tcp: 7451, tcp_syn: 56, tcp_close: 10, other: 56 },
                peers_epoch: 1,
                last_epoch: 1,
                aggregation: Aggregation::Medium as u32,
                report_interval: 5,
                flags: config_flags::DUAL_STACK,
                proxy_ifindex: 2,
                proxy_mac: [2, 0, 0, 0, 0, 2],
                pad: [0; 2],
            },
            endpoints: BTreeMap::new(),
            ipcache: BTreeMap::new(),
            rule_sets: BTreeMap::new(),
            policy: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            connections: RefCell::default(),
            fragments: RefCell::default(),
            counters: RefCell::default(),
            events: RefCell::default(),
            watch: Watch { kinds: watched::ALL, ..Watch::default() },
            limits: RefCell::default(),
            recorder: Recorder::default(),
            recorded: RefCell::default(),
            record_room: usize::MAX,
            tallies: RefCell::default(),
            random: Cell::new(0),
            now: Cell::new(1000),
        }
    }
}

impl Memory {
    /// A packet that comes out of the device of an endpoint.
    pub fn from_endpoint(&self, bytes: &[u8], ifindex: u32) -> Result<Action, DropReason> {
        let mut scene = Scene::new(0, 0, Direction::Egress);
        let _action =
            hook::from_endpoint(&Bytes { bytes, tagged: false, mark: 0 }, self, &mut scene, ifindex);
        outcome(&scene)
    }

    /// The device that a packet out of an endpoint is delivered to.
    pub fn receiver(&self, bytes: &[u8], ifindex: u32) -> Option<u32> {
        let mut scene = Scene::new(0, 0, Direction::Egress);
        let packet = Bytes { bytes, tagged: false, mark: 0 };
        let action = hook::from_endpoint(&packet, self, &mut scene, ifindex);
        matches!(action, Action::Deliver).then_some(scene.receiver.ifindex)
    }

    /// A packet that the host sends into the device of an endpoint.
    pub fn to_endpoint(&self, bytes: &[u8], ifindex: u32) -> Result<Action, DropReason> {
        self.to_endpoint_marked(bytes, ifindex, 0)
    }

    /// The same with a mark of [`ciliate_abi::mark`].
    pub fn to_endpoint_marked(&self, bytes: &[u8], ifindex: u32, mark: u32) -> Result<Action, DropReason> {
        let mut scene = Scene::new(0, 0, Direction::Ingress);
        let _action = hook::to_endpoint(&Bytes { bytes, tagged: false, mark }, self, &mut scene, ifindex);
        outcome(&scene)
    }
}

fn outcome(scene: &Scene) -> Result<Action, DropReason> {
    DropReason::from_number(scene.drop_reason).map_or(Ok(scene.action), Err)
}

/// Whether the leading bits of two addresses of the same family are the same.
fn shares(bits: u32, a: &Address, b: &Address) -> bool {
    if a.family() != b.family() {
        return false;
    }
    let difference = u128::from_be_bytes(a.0) ^ u128::from_be_bytes(b.0);
    difference.leading_zeros() >= bits
}

impl Rows for Memory {
    type Error = Infallible;

    fn rule_set(&self, handle: u32) -> Result<Option<RuleSet>, Infallible> {
        Ok(self.rule_sets.get(&handle).copied())
    }

    fn policy_entry(&self, key: &PolicyKey) -> Result<Option<PolicyEntry>, Infallible> {
        Ok(self.policy.get(key).copied())
    }

    fn class(&self, key: &PrefixKey) -> Result<Option<u32>, Infallible> {
        Ok(Tables::class(self, key))
    }

    fn identity(&self, address: &Address) -> Result<Option<u32>, Infallible> {
        Ok(Tables::identity(self, address))
    }
}

impl Tables for Memory {
    fn now(&self) -> u32 {
        self.now.get()
    }

    fn nanoseconds(&self) -> u64 {
        u64::from(self.now.get()) << ciliate_abi::TICK_SHIFT
    }

    fn config(&self) -> Option<&Config> {
        Some(&self.config)
    }

    fn endpoint(&self, address: &Address) -> Option<&Endpoint> {
        self.endpoints.get(address)
    }

    fn identity(&self, address: &Address) -> Option<u32> {
        let matching = self.ipcache.iter().filter(|((bits, net), _)| shares(*bits, net, address));
        matching.max_by_key(|((bits, _), _)| *bits).map(|(_, identity)| *identity)
    }

    fn rule_set(&self, handle: u32) -> Option<&RuleSet> {
        self.rule_sets.get(&handle)
    }

    fn policy_entry(&self, key: &PolicyKey) -> Option<&PolicyEntry> {
        self.policy.get(key)
    }

    fn class(&self, key: &PrefixKey) -> Option<u32> {
        let matching = self.prefixes.iter().filter(|((bits, net), _)| {
            (net.rule_set, net.direction, net.kind) == (key.rule_set, key.direction, key.kind)
                && shares(*bits, &net.address, &key.address)
        });
        matching.max_by_key(|((bits, _), _)| *bits).map(|(_, class)| *class)
    }

    fn with_connection<R>(
        &self,
        key: &ConnectionKey,
        change: impl FnOnce(&mut Connection) -> R,
    ) -> Option<R> {
        self.connections.borrow_mut().get_mut(key).map(change)
    }

    fn put_connection(&self, key: &ConnectionKey, connection: &Connection) -> bool {
        self.connections.borrow_mut().insert(*key, *connection);
        true
    }

    fn fragment(&self, key: &FragmentKey) -> Option<FragmentPorts> {
        self.fragments.borrow().get(key).copied()
    }

    fn put_fragment(&self, key: &FragmentKey, ports: &FragmentPorts) {
        self.fragments.borrow_mut().insert(*key, *ports);
    }

    fn count(&self, reason: u8, direction: Direction, bytes: u32) {
        let mut counters = self.counters.borrow_mut();
        let (packets, sum) = counters.entry((reason, direction as u8)).or_default();
        *packets = packets.saturating_add(1);
        *sum = sum.saturating_add(u64::from(bytes));
    }

    fn watch(&self) -> Option<&Watch> {
        Some(&self.watch)
    }

    fn within_limit(&self, kind: u32, now: u64) -> bool {
        let mut limits = self.limits.borrow_mut();
        let Some((limit, over)) = limits.get_mut(&kind) else { return true };
        let within = limit.take(now);
        *over = over.saturating_add(u64::from(!within));
        within
    }

    fn emit<P: Packet>(&self, packet: &P, watch: &Watch, event: impl Fn() -> Event) {
        let mut captured = Captured { event: event(), bytes: [0; CAPTURE_MAX] };
        let count = packet.capture(&mut captured.bytes, watch.capture);
        captured.event.captured = u8::try_from(count).unwrap_or(u8::MAX);
        self.events.borrow_mut().push(captured);
    }

    fn recorder(&self) -> Option<&Recorder> {
        Some(&self.recorder)
    }

    fn with_wish<R>(&self, use_it: impl FnOnce(&mut Wish) -> R) -> Option<R> {
        Some(use_it(&mut Wish::default()))
    }

    fn random(&self) -> u32 {
        self.random.set(self.random.get().wrapping_add(1));
        self.random.get()
    }

    fn tally(&self, key: &RecordTallyKey, add: &RecordTally) {
        let mut tallies = self.tallies.borrow_mut();
        let tally = tallies.entry(*key).or_default();
        tally.matched = tally.matched.saturating_add(add.matched);
        tally.lost = tally.lost.saturating_add(add.lost);
        tally.lost_bytes = tally.lost_bytes.saturating_add(add.lost_bytes);
    }

    fn record<P: Packet>(&self, packet: &P, wish: &Wish, head: impl Fn(&mut Recorded)) -> bool {
        const ROOM: usize = RECORD_BYTES_MAX as usize;
        if self.recorded.borrow().len() >= self.record_room {
            return false;
        }
        let event = Scene::new(0, 0, Direction::Ingress).event(EventKind::Drop as u8, 0, 0);
        let mut recorded = Recorded { event, recordings: 0, captured: 0, length: 0, fate: 0, pad: [0; 3] };
        head(&mut recorded);
        let mut bytes = [0; ROOM];
        recorded.captured = packet.capture(&mut bytes, wish.snap);
        let captured = usize::try_from(recorded.captured).unwrap_or(ROOM);
        let bytes = bytes.iter().copied().take(captured).collect();
        self.recorded.borrow_mut().push((recorded, bytes));
        true
    }
}
