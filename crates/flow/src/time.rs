//! Moments, as flows and their files have them.

use ciliate_hubble::Timestamp;

const BILLION: u64 = 1_000_000_000;

/// Nanoseconds since 1970, UTC; enough until 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl From<Time> for Timestamp {
    fn from(Time(nanoseconds): Time) -> Self {
        let seconds = nanoseconds / BILLION;
        let rest = nanoseconds % BILLION;
        // Neither is ever too large: 2^64 ns are 2^35 s.
        Self { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: i32::try_from(rest).unwrap_or(0) }
    }
}

/// What lies before 1970 or after 2554 becomes the nearest moment in between.
impl From<&Timestamp> for Time {
    fn from(at: &Timestamp) -> Self {
        let Ok(seconds) = u64::try_from(at.seconds) else { return Self(0) };
        let rest = u64::try_from(at.nanos).unwrap_or(0);
        Self(seconds.saturating_mul(BILLION).saturating_add(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_go_there_and_back() {
        for time in [0, 1, BILLION - 1, BILLION, 1_795_000_000_123_456_789, u64::MAX] {
            assert_eq!(Time::from(&Timestamp::from(Time(time))), Time(time));
        }
        assert_eq!(Time::from(&Timestamp { seconds: -1, nanos: 5 }), Time(0));
        assert_eq!(Time::from(&Timestamp { seconds: i64::MAX, nanos: 5 }), Time(u64::MAX));
    }
}
