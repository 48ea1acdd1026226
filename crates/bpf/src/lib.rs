//! The node's kernel programs and maps: loading, pinning, filling, reading. The only user of `aya`.
//!
//! Everything is pinned below one directory of a BPF file system and outlives the process that loaded it. Opening
//! again adopts the maps and replaces the programs in place, device by device, without a moment in which a device
//! has none.

mod batch;
mod census;
mod connections;
mod datapath;
mod endpoints;
mod error;
mod events;
mod grace;
mod ipcache;
mod links;
mod maps;
mod metrics;
mod node;
mod outgrown;
mod pins;
mod programs;
mod reader;
mod recorder;
mod release;
mod replay;
mod rule_sets;
mod sockets;
mod view;

pub use connections::{ConnectionRow, Sweep, Traffic};
pub use datapath::{Datapath, Settings, check_kernel};
pub use endpoints::{Audit, EndpointRow};
pub use error::Error;
pub use events::{
    Batch, EventBound, EventBounds, EventReader, EventWatch, Events, LostEvents, Suppressed, encoded,
};
pub use maps::{MapSizes, MapUsage};
pub use metrics::MetricRow;
pub use node::{Lifetimes, NodeSettings, ProxyDevice};
pub use pins::cleanup;
pub use reader::Reader;
pub use recorder::{
    RecordBatch, RecordControl, RecordReader, RecordRule, RecordTerms, RecordingSlot, Records,
};
pub use release::Attachment;
pub use replay::{Fate, Replay};
pub use rule_sets::{Extended, Handle, PolicyDump};
pub use sockets::Listeners;
pub use view::{Judged, Ruling, Side, Stamp, Use, View};

use ciliate_abi::Address;
use ipnet::IpNet;

/// Significant bits of a prefix in the maps, where IPv4 lies in its mapped range.
fn prefix_bits(net: &IpNet) -> u32 {
    match net {
        IpNet::V4(v4) => Address::V4_PREFIX.saturating_add(u32::from(v4.prefix_len())),
        IpNet::V6(v6) => u32::from(v6.prefix_len()),
    }
}

/// The prefix of a map's row; `None` if its bits make no sense.
fn prefix(bits: u32, address: Address) -> Option<IpNet> {
    let bits = match address.is_v4() {
        true => bits.checked_sub(Address::V4_PREFIX)?,
        false => bits,
    };
    IpNet::new(address.into(), u8::try_from(bits).ok()?).ok()
}
