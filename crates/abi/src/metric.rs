//! Counters by reason and direction, one row per processor.

use crate::{Direction, layout};

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metric {
    pub packets: u64,
    pub bytes: u64,
}

layout!(Metric = 16);

/// Rows of the metrics map: 256 reasons in two directions.
pub const METRIC_SLOTS: u32 = 512;

/// The row of a reason (0 = forwarded) and a direction.
#[inline(always)]
#[must_use]
pub const fn metric_slot(reason: u8, direction: Direction) -> u32 {
    (reason as u32) << 1 | direction as u32
}
