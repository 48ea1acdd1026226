//! Hubble's gRPC interface: messages, clients, servers, and the JSON that its tools print and read.
//!
//! Everything here is made from the files in `proto`. JSON has the fields' original names, enumerations by name and
//! 64-bit numbers as text (the protobuf project's JSON mapping); fields that are not known are skipped when reading, so that a newer
//! tool's output can be read.

mod reflection;
mod timestamp;

macro_rules! package {
    ($($name:ident: $what:literal),+) => {$(
        #[doc = $what]
        #[expect(
            clippy::all,
            clippy::allow_attributes,
            clippy::allow_attributes_without_reason,
            clippy::arithmetic_side_effects,
            reason = "generated"
        )]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".serde.rs"));
        }
    )+};
}

package! {
    flow: "What was seen, and filters for it.",
    relay: "What a relay says of its nodes.",
    observer: "Asking for what was seen.",
    peer: "Whom a relay can ask.",
    recorder: "Recording packets."
}

pub use pbjson_types::{Any, BoolValue, Duration, FieldMask, Int32Value, UInt32Value};
pub use reflection::describe;
pub use timestamp::Timestamp;

/// All files of the interface as a `FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
