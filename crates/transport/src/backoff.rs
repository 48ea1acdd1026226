//! When something that failed is tried again.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    time::Duration,
};

/// How long to wait before the next attempt: twice as long each time, up to a bound, and never quite as long as others wait.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    #[must_use]
    pub fn between(first: Duration, longest: Duration) -> Self {
        let first = first.min(longest);
        Self { first, longest, next: first }
    }

    /// It works again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// Three quarters to all of the time that it is about.
    pub fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.longest);
        let [chance, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
        whole.mul_f64(1.0 - f64::from(chance) / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rarer_up_to_a_bound() {
        let [first, longest] = [100, 10_000].map(Duration::from_millis);
        let mut backoff = Backoff::between(first, longest);
        let mut whole = first;
        for _ in 0..12 {
            let wait = backoff.wait();
            assert!(wait <= whole && wait >= whole * 3 / 4, "{wait:?} of {whole:?}");
            whole = (whole * 2).min(longest);
        }
        assert_eq!(whole, longest);
        backoff.reset();
        assert!(backoff.wait() <= first);
        assert!(Backoff::between(longest, first).wait() <= first, "the bound holds from the first on");
    }
}
