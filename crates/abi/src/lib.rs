//! Layouts shared by the kernel programs and user space.
//!
//! Everything here is plain data in the machine's byte order, except ports and addresses, which are as on the
//! wire where a field says so. Each layout has its size asserted, and [`VERSION`] names them all: a change of
//! any layout raises it, and maps of another version are never adopted as they are.
#![no_std]

mod address;
mod config;
mod connection;
mod endpoint;
mod event;
mod listener;
pub mod mark;
mod metric;
mod policy;
mod reason;
mod recorder;

pub use address::{Address, IpcacheKey};
pub use config::{Aggregation, Config, Lifetimes, TICK_SHIFT, config_flags};
pub use connection::{Connection, ConnectionKey, FragmentKey, FragmentPorts, connection_flags};
pub use endpoint::{Endpoint, endpoint_flags};
pub use event::{
    CAPTURE_MAX, Captured, Event, EventKind, EventLimit, Outcome, TracePoint, Watch, event_flags,
    verdict_bits, watched,
};
pub use listener::Listener;
pub use metric::{METRIC_SLOTS, Metric, metric_slot};
pub use policy::{
    ANY_PROTOCOL_SHAPE, CLASS_BIT, DirectionShapes, ENTRY_ALLOW, ENTRY_DENY, ENTRY_REDIRECT, PEER_KINDS,
    PeerKind, PolicyEntry, PolicyKey, PrefixKey, RuleSet, rule_set_flags,
};
pub use reason::{DropReason, ReasonClass};
pub use recorder::{
    Fate, RECORD_BYTES_MAX, RECORD_FILTERS_MAX, RECORDINGS_MAX, RecordFilter, RecordTally, RecordTallyKey,
    Recorded, Recorder, Recording, Tuple, has_ports, record_room,
};

/// Version of every layout in this crate and of the programs' map set.
pub const VERSION: u32 = 2;

/// Direction of traffic seen from the endpoint whose policy is meant.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ingress = 0,
    Egress = 1,
}

/// Implements what user space needs to read and write a layout as bytes.
macro_rules! layout {
    ($($name:ident = $size:literal),+ $(,)?) => {$(
        const _: () = assert!(core::mem::size_of::<$name>() == $size);
        #[cfg(feature = "user")]
        // SAFETY: repr(C), plain integers only and no implicit padding (its size is asserted above).
        unsafe impl aya::Pod for $name {}
    )+};
}
pub(crate) use layout;
