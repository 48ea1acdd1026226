//! When whoever looks at flows lets the others of its thread have their turn.

use std::time::{Duration, Instant};
use tokio::task;

/// How long a turn lasts, about.
const LENGTH: Duration = Duration::from_millis(1);
/// How far a look at the clock may be from the last one: short beside a turn, long beside a look.
const APART: Duration = Duration::from_micros(100);
/// Flows between two looks at the clock.
const MOST: u32 = 1024;

/// Counts what was looked at. What filters cost differs by a thousand times, so the clock is asked, and after as many flows
/// as they turn out to be quick.
#[derive(Debug)]
pub struct Turn {
    begun: Instant,
    looked: Instant,
    /// Flows until the next look.
    left: u32,
    /// Flows from one look to the next.
    stride: u32,
}

impl Turn {
    pub fn new() -> Self {
        let now = Instant::now();
        Self { begun: now, looked: now, left: 1, stride: 1 }
    }

    /// Counts a flow. Whether the turn is over: then others are to have theirs.
    pub fn is_over(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return false;
        }
        self.look(Instant::now())
    }

    fn look(&mut self, now: Instant) -> bool {
        self.stride = match now.saturating_duration_since(self.looked) < APART {
            true => self.stride.saturating_mul(2).min(MOST),
            false => (self.stride / 2).max(1),
        };
        (self.looked, self.left) = (now, self.stride);
        now.saturating_duration_since(self.begun) >= LENGTH
    }

    /// Counts a flow, and lets others have their turn if this one is over.
    pub async fn pass(&mut self) {
        if self.is_over() {
            task::yield_now().await;
            let now = Instant::now();
            (self.begun, self.looked) = (now, now);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::arithmetic_side_effects, reason = "small numbers")]

    use super::*;

    /// Flows that are looked at, and the time for which a turn lasts, if each takes so long.
    fn turn(each: Duration) -> (u32, Duration) {
        let mut turn = Turn::new();
        let (mut now, mut flows) = (turn.begun, 0_u32);
        loop {
            for _ in 0..turn.left {
                now += each;
                flows += 1;
            }
            if turn.look(now) {
                return (flows, now.duration_since(turn.begun));
            }
        }
    }

    #[test]
    fn a_turn_is_short_whatever_a_flow_costs() {
        for (each, least, most) in
            [(100, 5_000, 20_000), (1_000, 900, 1_500), (70_000, 14, 18), (5_000_000, 1, 1)]
        {
            let (flows, lasted) = turn(Duration::from_nanos(each));
            assert!((least..=most).contains(&flows), "{each} ns: {flows} flows");
            assert!(lasted < LENGTH + Duration::from_nanos(each) + 3 * APART, "{each} ns: {lasted:?}");
        }
    }
}
