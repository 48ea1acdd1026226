//! The name of a flow, made from where and when it was numbered, so that it need not be kept.

use std::{fmt, str::FromStr};
use uuid::Uuid;

/// One life of one observer: flows are numbered anew in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run(u64);

/// Bits of a UUID that say its version and variant; the others are ours (RFC 9562, version 8).
const VERSION: u128 = 0x8 << 76;
const VARIANT: u128 = 0b10 << 62;

const RUN_BITS: u32 = 60;
const SEQUENCE_BITS: u32 = 62;

impl Run {
    /// Keeps the low 60 bits.
    #[must_use]
    pub const fn new(bits: u64) -> Self {
        Self(bits & (1_u64 << RUN_BITS).wrapping_sub(1))
    }

    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Of a node that begins to observe at a moment (nanoseconds since 1970): two nodes, or one node after a restart,
    /// differ.
    #[must_use]
    pub fn begun(node: &str, at: u64) -> Self {
        // FNV-1a: the same on every machine and for ever, which a hasher of the standard library is not.
        let hash = node.bytes().chain(at.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self::new(hash ^ hash.rotate_left(32))
    }
}

/// Names a flow among all flows of all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId {
    pub run: Run,
    /// Counts flows from 0; below 2^62.
    pub sequence: u64,
}

impl From<FlowId> for Uuid {
    fn from(id: FlowId) -> Self {
        let run = u128::from(id.run.0);
        let sequence = u128::from(id.sequence) & (1_u128 << SEQUENCE_BITS).wrapping_sub(1);
        // 48 bits of the run, the version, 12 bits of the run, the variant, the sequence.
        Self::from_u128(run >> 12 << 80 | VERSION | (run & 0xfff) << 64 | VARIANT | sequence)
    }
}

/// Why a text names no flow of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowIdError {
    #[error("is not a UUID")]
    NotUuid,
    #[error("is a UUID, but not one of a flow of Ciliate (those are of version 8)")]
    Foreign,
}

impl FlowId {
    /// Of a UUID that any system made; its version and variant are not kept, so it tells flows apart and no more.
    ///
    /// # Errors
    /// Where it is no UUID.
    pub(crate) fn of_any_system(text: &str) -> Result<Self, FlowIdError> {
        let bits = Uuid::try_parse(text).map_err(|_| FlowIdError::NotUuid)?.as_u128();
        let run = (bits >> 80) << 12 | (bits >> 64) & 0xfff;
        let sequence = bits & (1_u128 << SEQUENCE_BITS).wrapping_sub(1);
        // Both are cut to fewer bits than 64.
        let narrow = |bits: u128| u64::try_from(bits).unwrap_or(u64::MAX);
        Ok(Self { run: Run::new(narrow(run)), sequence: narrow(sequence) })
    }
}

impl FromStr for FlowId {
    type Err = FlowIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bits = Uuid::try_parse(text).map_err(|_| FlowIdError::NotUuid)?.as_u128();
        if bits & (0xf << 76) != VERSION || bits & (0b11 << 62) != VARIANT {
            return Err(FlowIdError::Foreign);
        }
        Self::of_any_system(text)
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Uuid::from(*self).hyphenated(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_says_its_run_and_sequence(run in any::<u64>(), sequence in 0..1_u64 << SEQUENCE_BITS) {
            let id = FlowId { run: Run::new(run), sequence };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let uuid = Uuid::from(id);
            prop_assert_eq!(uuid.get_version_num(), 8);
            prop_assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        }
    }

    #[test]
    fn runs_differ_by_node_and_by_time() {
        let runs = [Run::begun("a", 1), Run::begun("b", 1), Run::begun("a", 2)];
        assert!(runs[0] != runs[1] && runs[0] != runs[2] && runs[1] != runs[2]);
        assert_eq!("x".parse::<FlowId>(), Err(FlowIdError::NotUuid));
        let [foreign, other] =
            ["1cd2f5a4-1a7b-4f58-9d0b-2f8f7a1f9c11", "1cd2f5a4-1a7b-4f58-9d0b-2f8f7a1f9c12"];
        assert_eq!(foreign.parse::<FlowId>(), Err(FlowIdError::Foreign));
        assert!(FlowId::of_any_system(foreign).is_ok_and(|id| Ok(id) != FlowId::of_any_system(other)));
    }
}
