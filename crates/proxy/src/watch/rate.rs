//! How many records of each kind a second may have.

use crate::message::What;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug)]
pub struct Rate {
    /// A second, for each kind; 0 = no limit.
    limit: u32,
    /// The second in the higher half, what was admitted in it in the lower.
    seen: [AtomicU64; What::KINDS],
}

impl Rate {
    pub fn new(limit: u32) -> Self {
        Self { limit, seen: Default::default() }
    }

    /// Whether one more of this kind may be told of at `time`, nanoseconds since 1970.
    pub fn admits(&self, kind: usize, time: u64) -> bool {
        if self.limit == 0 {
            return true;
        }
        let Some(seen) = self.seen.get(kind) else { return false };
        let second = (time / 1_000_000_000) & u64::from(u32::MAX);
        let limit = u64::from(self.limit);
        let next = |seen: u64| {
            let admitted = if seen >> 32 == second { seen & u64::from(u32::MAX) } else { 0 };
            (admitted < limit).then(|| second << 32 | admitted.saturating_add(1))
        };
        seen.fetch_update(Relaxed, Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_limit_in_each_second() {
        let rate = Rate::new(2);
        let admitted = |kind, second: u64| {
            (0..5).filter(|part| rate.admits(kind, second * 1_000_000_000 + part)).count()
        };
        assert_eq!([admitted(0, 1), admitted(1, 1), admitted(0, 1), admitted(0, 2)], [2, 2, 0, 2]);
        assert!(!rate.admits(What::KINDS, 1_000_000_000));
        let none = Rate::new(0);
        assert!((0..100).all(|_| none.admits(0, 1)));
    }
}
