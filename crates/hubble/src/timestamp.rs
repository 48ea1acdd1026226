//! Moments, as the protobuf project's JSON mapping writes them.

use jiff::Timestamp as Moment;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// `google.protobuf.Timestamp`: seconds since 1970, UTC, and nanoseconds on top of them (0 to 999,999,999).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Serialize for Timestamp {
    /// As `2026-11-21T10:00:00.125Z`: always UTC, with no fraction, or one of 3, 6 or 9 digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let second = Moment::from_second(self.seconds).map_err(ser::Error::custom)?;
        let text = second.to_string();
        let whole = text.trim_end_matches('Z');
        let nanos = self.nanos;
        let text = match (nanos, nanos % 1_000_000, nanos % 1000) {
            (0, ..) => text,
            (_, 0, _) => format!("{whole}.{:03}Z", nanos / 1_000_000),
            (_, _, 0) => format!("{whole}.{:06}Z", nanos / 1000),
            _ => format!("{whole}.{nanos:09}Z"),
        };
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// RFC 3339, with any offset.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment: Moment = text.parse().map_err(|error| {
            de::Error::custom(format_args!("{text:?} is no time such as 2026-11-21T10:00:00Z: {error}"))
        })?;
        let (mut seconds, mut nanos) = (moment.as_second(), moment.subsec_nanosecond());
        if nanos < 0 {
            (seconds, nanos) = (seconds.saturating_sub(1), nanos.saturating_add(1_000_000_000));
        }
        Ok(Self { seconds, nanos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc_with_as_many_digits_as_they_need() {
        for (seconds, nanos, text) in [
            (1_704_103_200, 0, "2024-01-01T10:00:00Z"),
            (1_704_103_200, 120_000_000, "2024-01-01T10:00:00.120Z"),
            (1_704_103_200, 1000, "2024-01-01T10:00:00.000001Z"),
            (1_704_103_200, 1, "2024-01-01T10:00:00.000000001Z"),
            (-1, 500_000_000, "1969-12-31T23:59:59.500Z"),
        ] {
            let moment = Timestamp { seconds, nanos };
            assert_eq!(serde_json::to_string(&moment).unwrap(), format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Timestamp>(&format!("{text:?}")).unwrap(), moment);
        }
        let there: Timestamp = serde_json::from_str("\"2024-01-01T11:00:00+01:00\"").unwrap();
        assert_eq!(there, Timestamp { seconds: 1_704_103_200, nanos: 0 });
        let error = serde_json::from_str::<Timestamp>("\"noon\"").unwrap_err().to_string();
        assert!(error.contains("such as 2026-11-21T10:00:00Z"), "{error}");
    }
}
