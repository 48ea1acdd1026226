//! The maps, and how decisions read and write them. Sizes here are defaults; the agent sets them when it loads.

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_F_NO_PREALLOC, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_get_prandom_u32, bpf_ktime_get_coarse_ns, bpf_ktime_get_ns},
    macros::map,
    maps::{
        Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf, SockMap, lpm_trie::Key,
    },
};
use ciliate_abi::{
    Address, Captured, Config, Connection, ConnectionKey, Direction, Endpoint, Event, EventLimit,
    FragmentKey, FragmentPorts, IpcacheKey, Listener, METRIC_SLOTS, Metric, PolicyEntry, PolicyKey,
    PrefixKey, RecordTally, RecordTallyKey, Recorded, Recorder, RuleSet, TICK_SHIFT, Watch, metric_slot,
    record_room, watched,
};
use ciliate_dp_core::{Packet, Scene, Tables, record::Wish};
use core::mem::MaybeUninit;

#[map]
static CONFIG: Array<Config> = Array::with_max_entries(1, 0);
#[map]
static ENDPOINTS: HashMap<Address, Endpoint> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);
#[map]
static IPCACHE: LpmTrie<IpcacheKey, u32> = LpmTrie::with_max_entries(512_000, BPF_F_NO_PREALLOC);
#[map]
static RULE_SETS: HashMap<u32, RuleSet> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);
#[map]
static POLICY: HashMap<PolicyKey, PolicyEntry> = HashMap::with_max_entries(1_048_576, BPF_F_NO_PREALLOC);
#[map]
static PREFIXES: LpmTrie<PrefixKey, u32> = LpmTrie::with_max_entries(65_536, BPF_F_NO_PREALLOC);
#[map]
static CONNECTIONS: LruHashMap<ConnectionKey, Connection> = LruHashMap::with_max_entries(262_144, 0);
#[map]
static FRAGMENTS: LruHashMap<FragmentKey, FragmentPorts> = LruHashMap::with_max_entries(8_192, 0);
#[map]
static METRICS: PerCpuArray<Metric> = PerCpuArray::with_max_entries(METRIC_SLOTS, 0);
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);
/// What user space wants to hear of.
#[map]
static WATCH: Array<Watch> = Array::with_max_entries(1, 0);
/// By [`watched::row`] of a kind.
#[map]
static EVENT_LIMITS: Array<EventLimit> = Array::with_max_entries(watched::KINDS, 0);
/// Events over the limit of their kind.
#[map]
static SUPPRESSED: PerCpuArray<u64> = PerCpuArray::with_max_entries(watched::KINDS, 0);
/// Events that found the ring full.
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Which packets are recorded.
#[map]
static RECORDER: Array<Recorder> = Array::with_max_entries(1, 0);
/// Recorded packets.
#[map]
static RECORDS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);
#[map]
static RECORD_TALLIES: PerCpuHashMap<RecordTallyKey, RecordTally> =
    PerCpuHashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);
#[map]
static RECORD_WISH: PerCpuArray<Wish> = PerCpuArray::with_max_entries(1, 0);

/// Sockets that the proxy listens on, by [`ciliate_abi::Listener`].
#[map]
pub static PROXY_LISTENERS: SockMap = SockMap::with_max_entries(Listener::COUNT, 0);

#[map]
static SCENE: PerCpuArray<MaybeUninit<Scene>> = PerCpuArray::with_max_entries(1, 0);

pub struct KernelTables;

impl Tables for KernelTables {
    #[inline(always)]
    fn now(&self) -> u32 {
        // SAFETY: a helper without arguments.
        (unsafe { bpf_ktime_get_coarse_ns() } >> TICK_SHIFT) as u32
    }

    #[inline(always)]
    fn nanoseconds(&self) -> u64 {
        // SAFETY: a helper without arguments.
        unsafe { bpf_ktime_get_ns() }
    }

    #[inline(always)]
    fn config(&self) -> Option<&Config> {
        CONFIG.get(0)
    }

    #[inline(always)]
    fn endpoint(&self, address: &Address) -> Option<&Endpoint> {
        // SAFETY: rows are replaced whole and freed after a grace period (no preallocation).
        unsafe { ENDPOINTS.get(address) }
    }

    #[inline(always)]
    fn identity(&self, address: &Address) -> Option<u32> {
        identity_of(address)
    }

    #[inline(always)]
    fn rule_set(&self, handle: u32) -> Option<&RuleSet> {
        // SAFETY: as for endpoints.
        unsafe { RULE_SETS.get(handle) }
    }

    #[inline(always)]
    fn policy_entry(&self, key: &PolicyKey) -> Option<&PolicyEntry> {
        // SAFETY: as for endpoints.
        unsafe { POLICY.get(key) }
    }

    #[inline(always)]
    fn class(&self, key: &PrefixKey) -> Option<u32> {
        class_of(key)
    }

    #[inline(always)]
    fn with_connection<R>(
        &self,
        key: &ConnectionKey,
        change: impl FnOnce(&mut Connection) -> R,
    ) -> Option<R> {
        // SAFETY: rows are shared with other processors, which may mix fields of two packets of the same
        // connection; each field is written whole and means the same whichever packet wrote it.
        CONNECTIONS.get_ptr_mut(key).map(|row| change(unsafe { &mut *row }))
    }

    #[inline(always)]
    fn put_connection(&self, key: &ConnectionKey, connection: &Connection) -> bool {
        CONNECTIONS.insert(key, connection, u64::from(BPF_ANY)).is_ok()
    }

    #[inline(always)]
    fn fragment(&self, key: &FragmentKey) -> Option<FragmentPorts> {
        // SAFETY: a copy; a row recycled meanwhile belongs to another datagram and fails its look-up by policy.
        unsafe { FRAGMENTS.get(key) }.copied()
    }

    #[inline(always)]
    fn put_fragment(&self, key: &FragmentKey, ports: &FragmentPorts) {
        // A full map evicts; a failure means that later fragments are dropped, by name.
        let _evicted = FRAGMENTS.insert(key, ports, u64::from(BPF_ANY));
    }

    #[inline(always)]
    fn count(&self, reason: u8, direction: Direction, bytes: u32) {
        if let Some(metric) = METRICS.get_ptr_mut(metric_slot(reason, direction)) {
            // SAFETY: a row of this processor; programs on it do not nest.
            unsafe {
                (*metric).packets += 1;
                (*metric).bytes += u64::from(bytes);
            }
        }
    }

    #[inline(always)]
    fn watch(&self) -> Option<&Watch> {
        WATCH.get(0)
    }

    #[inline(always)]
    fn within_limit(&self, kind: u32, now: u64) -> bool {
        is_within_limit(watched::row(kind), now)
    }

    #[inline(always)]
    fn emit<P: Packet>(&self, packet: &P, watch: &Watch, event: impl Fn() -> Event) {
        let wake_up = match EVENTS.query(u64::from(BPF_RB_AVAIL_DATA)) < u64::from(watch.wake) {
            true => u64::from(BPF_RB_NO_WAKEUP),
            false => u64::from(BPF_RB_FORCE_WAKEUP),
        };
        if watch.capture == 0 {
            if let Some(mut entry) = EVENTS.reserve::<Event>(0) {
                entry.write(event());
                return entry.submit(wake_up);
            }
        } else if let Some(mut entry) = EVENTS.reserve::<Captured>(0) {
            // SAFETY: memory of the ring holds some bytes, and any are valid.
            let captured = unsafe { entry.assume_init_mut() };
            captured.event = event();
            captured.event.captured = packet.capture(&mut captured.bytes, watch.capture) as u8;
            return entry.submit(wake_up);
        }
        if let Some(lost) = LOST.get_ptr_mut(0) {
            // SAFETY: a row of this processor.
            unsafe { *lost += 1 };
        }
    }

    #[inline(always)]
    fn recorder(&self) -> Option<&Recorder> {
        RECORDER.get(0)
    }

    #[inline(always)]
    fn with_wish<R>(&self, use_it: impl FnOnce(&mut Wish) -> R) -> Option<R> {
        // SAFETY: a row of this processor; programs on it do not nest.
        RECORD_WISH.get_ptr_mut(0).map(|wish| use_it(unsafe { &mut *wish }))
    }

    #[inline(always)]
    fn random(&self) -> u32 {
        // SAFETY: a helper without arguments.
        unsafe { bpf_get_prandom_u32() }
    }

    #[inline(always)]
    fn tally(&self, key: &RecordTallyKey, add: &RecordTally) {
        add_to_tally(key, add);
    }

    #[inline(always)]
    fn record<P: Packet>(&self, packet: &P, wish: &Wish, head: impl Fn(&mut Recorded)) -> bool {
        use record_room::{LARGE, LARGEST, MIDDLE, SMALL};
        let wanted = wish.snap.min(packet.length());
        match wanted as usize {
            ..=SMALL => put::<P, SMALL>(packet, wanted, head),
            ..=MIDDLE => put::<P, MIDDLE>(packet, wanted, head),
            ..=LARGE => put::<P, LARGE>(packet, wanted, head),
            _ => put::<P, LARGEST>(packet, wanted, head),
        }
    }
}

/// A recorded packet in the ring.
#[repr(C)]
struct Room<const N: usize> {
    head: Recorded,
    bytes: [u8; N],
}

#[inline(always)]
fn put<P: Packet, const N: usize>(packet: &P, wanted: u32, head: impl Fn(&mut Recorded)) -> bool {
    let wake = RECORDER.get(0).map_or(0, |recorder| recorder.wake);
    let wake_up = match RECORDS.query(u64::from(BPF_RB_AVAIL_DATA)) < u64::from(wake) {
        true => u64::from(BPF_RB_NO_WAKEUP),
        false => u64::from(BPF_RB_FORCE_WAKEUP),
    };
    let Some(mut entry) = RECORDS.reserve::<Room<N>>(0) else { return false };
    // SAFETY: memory of the ring holds some bytes, and any are valid.
    let room = unsafe { entry.assume_init_mut() };
    head(&mut room.head);
    room.head.captured = packet.capture(&mut room.bytes, wanted);
    entry.submit(wake_up);
    true
}

#[inline(never)]
fn is_within_limit(kind: u32, now: u64) -> bool {
    // SAFETY: shared with other processors, which may let an event more pass; each number is read and written whole.
    let within = EVENT_LIMITS.get_ptr_mut(kind).is_none_or(|limit| unsafe { (*limit).take(now) });
    if !within && let Some(suppressed) = SUPPRESSED.get_ptr_mut(kind) {
        // SAFETY: a row of this processor.
        unsafe { *suppressed += 1 };
    }
    within
}

#[inline(never)]
fn add_to_tally(key: &RecordTallyKey, add: &RecordTally) {
    let row = match RECORD_TALLIES.get_ptr_mut(key) {
        Some(row) => Some(row),
        None => {
            let _full = RECORD_TALLIES.insert(key, RecordTally::default(), u64::from(BPF_ANY));
            // User space makes the row of the devices that find no room.
            let overflow = RecordTallyKey { ifindex: 0, ..*key };
            RECORD_TALLIES.get_ptr_mut(key).or_else(|| RECORD_TALLIES.get_ptr_mut(overflow))
        }
    };
    if let Some(row) = row {
        // SAFETY: a row of this processor; programs on it do not nest.
        unsafe {
            (*row).matched += add.matched;
            (*row).lost += add.lost;
            (*row).lost_bytes += add.lost_bytes;
        }
    }
}

// Keys of prefix maps are large: frames of their own, so that they and those of other stages need not fit the stack
// at the same time.

#[inline(never)]
fn identity_of(address: &Address) -> Option<u32> {
    IPCACHE.get(Key::new(IpcacheKey::SCOPE_BITS + 128, IpcacheKey::new(*address))).copied()
}

#[inline(never)]
fn class_of(key: &PrefixKey) -> Option<u32> {
    PREFIXES.get(Key::new(PrefixKey::SCOPE_BITS + 128, *key)).copied()
}

/// This processor's scene; a packet's program runs to its end before the next one's starts.
#[inline(always)]
pub fn scene<'a>() -> Option<&'a mut Scene> {
    // SAFETY: tc programs on one processor do not nest (`bpf_redirect*` takes effect after the return), so there
    // is one reference at a time; every bit pattern the program leaves is one it wrote.
    SCENE.get_ptr_mut(0).map(|scene| unsafe { (*scene).assume_init_mut() })
}
