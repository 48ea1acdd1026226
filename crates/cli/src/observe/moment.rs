//! Moments: how users write them and how they are printed.

use ciliate_hubble::Timestamp;
use jiff::{Span, Timestamp as Moment, Zoned, civil, fmt::strtime, tz::TimeZone};

/// `--time-format`, with the names of Go's layouts; always in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum TimeFormat {
    #[default]
    StampMilli,
    YearMonthDay,
    YearMonthDayHour,
    YearMonthDayHourMinute,
    #[value(name = "RFC3339")]
    Rfc3339,
    #[value(name = "RFC3339Milli")]
    Rfc3339Milli,
    #[value(name = "RFC3339Micro")]
    Rfc3339Micro,
    #[value(name = "RFC3339Nano")]
    Rfc3339Nano,
    #[value(name = "RFC1123Z")]
    Rfc1123Z,
}

impl TimeFormat {
    const fn layout(self) -> &'static str {
        match self {
            Self::StampMilli => "%b %e %H:%M:%S.%3f",
            Self::YearMonthDay => "%Y-%m-%d",
            Self::YearMonthDayHour => "%Y-%m-%dT%HZ",
            Self::YearMonthDayHourMinute => "%Y-%m-%dT%H:%MZ",
            Self::Rfc3339 => "%Y-%m-%dT%H:%M:%SZ",
            Self::Rfc3339Milli | Self::Rfc3339Micro | Self::Rfc3339Nano => "%Y-%m-%dT%H:%M:%S%.fZ",
            Self::Rfc1123Z => "%a, %d %b %Y %H:%M:%S +0000",
        }
    }

    /// Nanoseconds that its last digit stands for; zeros at the end are not printed.
    const fn step(self) -> i32 {
        match self {
            Self::Rfc3339Milli => 1_000_000,
            Self::Rfc3339Micro => 1_000,
            Self::StampMilli
            | Self::YearMonthDay
            | Self::YearMonthDayHour
            | Self::YearMonthDayHourMinute
            | Self::Rfc3339
            | Self::Rfc3339Nano
            | Self::Rfc1123Z => 1,
        }
    }

    pub fn print(self, at: Option<&Timestamp>) -> String {
        let below = |nanos: i32| nanos.checked_rem(self.step()).unwrap_or_default();
        at.and_then(|at| Moment::new(at.seconds, at.nanos.saturating_sub(below(at.nanos))).ok())
            .and_then(|at| strtime::format(self.layout(), &at.to_zoned(TimeZone::UTC)).ok())
            .unwrap_or_else(|| "N/A".to_owned())
    }
}

/// A moment, or how long ago it was, such as `1h30m` or `2d`.
pub fn read(text: &str, now: Moment) -> Result<Timestamp, String> {
    let moment = match ago(text) {
        Some(nanoseconds) => now.checked_sub(Span::new().nanoseconds(nanoseconds)).ok(),
        None => date(text, now),
    };
    let wrong = || {
        format!(
            "{text:?} is no time: write how long ago, as in 90s, 5m, 1h30m or 2d, or a moment, as in \
             2026-01-31, 2026-01-31T15:04Z or 2026-01-31T15:04:05Z"
        )
    };
    let moment = moment.ok_or_else(wrong)?;
    Ok(Timestamp { seconds: moment.as_second(), nanos: moment.subsec_nanosecond() })
}

/// Nanoseconds, of numbers with units after each other.
fn ago(text: &str) -> Option<i64> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 60e9),
        ("h", 3600e9),
        ("d", 86400e9),
    ];
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let (_, scale) = UNITS.into_iter().find(|(unit, _)| Some(*unit) == rest.get(..letters))?;
        total += number * scale;
        rest = rest.get(letters..)?;
    }
    // Below the 292 years that fit.
    #[expect(clippy::cast_possible_truncation, reason = "checked: it fits")]
    (!text.is_empty() && total < 9e18).then_some(total as i64)
}

fn date(text: &str, now: Moment) -> Option<Moment> {
    if let Ok(moment) = text.parse::<Moment>() {
        return Some(moment);
    }
    if let Ok(day) = text.parse::<civil::Date>() {
        return day.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
    }
    let zulu = text.strip_suffix('Z').map_or_else(|| text.to_owned(), |rest| format!("{rest}+00:00"));
    for layout in ["%Y-%m-%dT%H:%M%:z", "%Y-%m-%dT%H%:z", "%a, %d %b %Y %H:%M:%S %z"] {
        let parsed = strtime::parse(layout, &zulu).ok();
        let moment = parsed.and_then(|mut parsed| {
            if parsed.minute().is_none() {
                parsed.set_minute(Some(0)).ok()?;
            }
            parsed.to_timestamp().ok()
        });
        if moment.is_some() {
            return moment;
        }
    }
    // Without a year, as in the lines that are printed: this one.
    let year = Zoned::new(now, TimeZone::UTC).year();
    let with_year = format!("{year} {text}");
    civil::DateTime::strptime("%Y %b %d %H:%M:%S%.f", with_year)
        .ok()
        .and_then(|at| at.to_zoned(TimeZone::UTC).ok())
        .map(|at| at.timestamp())
}

/// The moment from a flag.
pub fn flag(name: &str, text: &str) -> anyhow::Result<Timestamp> {
    read(text, Moment::now()).map_err(|what| super::raw_filter::usage(format!("--{name}: {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let now: Moment = "2026-03-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("90s", "2026-03-01T11:58:30Z"),
            ("1h30m", "2026-03-01T10:30:00Z"),
            ("2d", "2026-02-27T12:00:00Z"),
            ("1.5h", "2026-03-01T10:30:00Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T15Z", "2026-01-31T15:00:00Z"),
            ("2026-01-31T15+01:00", "2026-01-31T14:00:00Z"),
            ("2026-01-31T15:04Z", "2026-01-31T15:04:00Z"),
            ("2026-01-31T15:04:05.250+02:00", "2026-01-31T13:04:05.25Z"),
            ("Sat, 31 Jan 2026 15:04:05 +0100", "2026-01-31T14:04:05Z"),
            ("Jan 31 15:04:05.5", "2026-01-31T15:04:05.5Z"),
        ] {
            let expected: Moment = expected.parse().unwrap();
            let read = read(text, now).unwrap();
            assert_eq!(
                (read.seconds, read.nanos),
                (expected.as_second(), expected.subsec_nanosecond()),
                "{text}"
            );
        }
        for text in ["", "5", "5x", "yesterday", "m5", "2026-13-01"] {
            assert!(read(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_printed_in_every_layout() {
        let at = Timestamp { seconds: 1_672_574_645, nanos: 120_001_002 };
        use TimeFormat::*;
        for (format, text) in [
            (StampMilli, "Jan  1 12:04:05.120"),
            (YearMonthDay, "2023-01-01"),
            (YearMonthDayHour, "2023-01-01T12Z"),
            (YearMonthDayHourMinute, "2023-01-01T12:04Z"),
            (Rfc3339, "2023-01-01T12:04:05Z"),
            (Rfc3339Milli, "2023-01-01T12:04:05.12Z"),
            (Rfc3339Micro, "2023-01-01T12:04:05.120001Z"),
            (Rfc3339Nano, "2023-01-01T12:04:05.120001002Z"),
            (Rfc1123Z, "Sun, 01 Jan 2023 12:04:05 +0000"),
        ] {
            assert_eq!(format.print(Some(&at)), text);
        }
        assert_eq!(StampMilli.print(None), "N/A");
    }
}
