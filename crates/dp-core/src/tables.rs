//! The tables that decisions read and write.

use crate::{flow::Packet, record::Wish};
use ciliate_abi::{
    Address, Config, Connection, ConnectionKey, Direction, Endpoint, Event, FragmentKey, FragmentPorts,
    PolicyEntry, PolicyKey, PrefixKey, RecordTally, RecordTallyKey, Recorded, Recorder, RuleSet, Watch,
};

/// In the kernel these are BPF maps; in tests plain ordered maps.
pub trait Tables {
    /// Monotonic time in ticks of 2^30 ns.
    fn now(&self) -> u32;
    /// Monotonic time in ns.
    fn nanoseconds(&self) -> u64;
    fn config(&self) -> Option<&Config>;
    fn endpoint(&self, address: &Address) -> Option<&Endpoint>;
    /// The identity of the longest prefix that holds the address.
    fn identity(&self, address: &Address) -> Option<u32>;
    fn rule_set(&self, handle: u32) -> Option<&RuleSet>;
    fn policy_entry(&self, key: &PolicyKey) -> Option<&PolicyEntry>;
    /// The address class of the longest prefix that holds the address.
    fn class(&self, key: &PrefixKey) -> Option<u32>;

    /// Runs `change` on the connection's row in place.
    fn with_connection<R>(&self, key: &ConnectionKey, change: impl FnOnce(&mut Connection) -> R)
    -> Option<R>;
    /// Returns whether there was room.
    fn put_connection(&self, key: &ConnectionKey, connection: &Connection) -> bool;

    fn fragment(&self, key: &FragmentKey) -> Option<FragmentPorts>;
    fn put_fragment(&self, key: &FragmentKey, ports: &FragmentPorts);

    /// Adds one packet to the counter of a reason; 0 = forwarded.
    fn count(&self, reason: u8, direction: Direction, bytes: u32);
    /// Which events anybody wants.
    fn watch(&self) -> Option<&Watch>;
    /// Whether the limit of a kind, a bit of [`ciliate_abi::watched`], has room for one more event; counts it if not.
    fn within_limit(&self, kind: u32, now: u64) -> bool;
    /// Hands an event about a packet to user space, or counts it as lost.
    fn emit<P: Packet>(&self, packet: &P, watch: &Watch, event: impl Fn() -> Event);

    /// Which packets are recorded.
    fn recorder(&self) -> Option<&Recorder>;
    /// Runs `use_it` with room for one packet's wish.
    fn with_wish<R>(&self, use_it: impl FnOnce(&mut Wish) -> R) -> Option<R>;
    fn random(&self) -> u32;
    /// Adds to what is counted of a recording on a device.
    fn tally(&self, key: &RecordTallyKey, add: &RecordTally);
    /// Hands as much of a packet as is wished for to user space, behind what `head` writes; returns whether there was room.
    fn record<P: Packet>(&self, packet: &P, wish: &Wish, head: impl Fn(&mut Recorded)) -> bool;
}
