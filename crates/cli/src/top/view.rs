//! The views: what names a row, and which columns show what was counted.

use super::tally::Tally;
use crate::observe::print::grouped;

/// What the rows are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum View {
    /// Who talks to whom
    #[default]
    Talkers,
    /// What is dropped, and why
    Drops,
    /// Which policy decides how often
    Policies,
    /// Names that are asked for
    Dns,
    /// Requests by method and URL
    Http,
}

/// A number of a row.
#[derive(Debug)]
pub struct Column {
    /// In JSON, and for `--sort`.
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    pub value: fn(&Tally) -> f64,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Rate,
    Count,
    /// Nanoseconds.
    Duration,
    /// Seconds since 1970.
    Moment,
}

impl Kind {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts came from integers")]
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Rate => format!("{value:.1}"),
            Self::Count => grouped(value as u64),
            Self::Duration if value > 0.0 => short(value),
            Self::Moment if value > 0.0 => {
                let moment = jiff::Timestamp::new(value as i64, 0).unwrap_or_default();
                moment.strftime("%H:%M:%S").to_string()
            }
            Self::Duration | Self::Moment => "-".to_owned(),
        }
    }
}

/// Three digits and a unit.
fn short(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e6 => format!("{:.0}us", ns / 1e3),
        ns if ns < 1e7 => format!("{:.1}ms", ns / 1e6),
        ns if ns < 1e9 => format!("{:.0}ms", ns / 1e6),
        ns => format!("{:.1}s", ns / 1e9),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn number(count: u64) -> f64 {
    count as f64
}

fn mean(tally: &Tally) -> f64 {
    number(tally.latency_sum) / number(tally.latency_count.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn last(tally: &Tally) -> f64 {
    tally.last as f64
}

impl Column {
    const fn new(name: &'static str, title: &'static str, kind: Kind, value: fn(&Tally) -> f64) -> Self {
        Self { name, title, kind, value }
    }

    const fn count(name: &'static str, title: &'static str, value: fn(&Tally) -> f64) -> Self {
        Self::new(name, title, Kind::Count, value)
    }

    /// How often something comes.
    const fn rate(title: &'static str) -> Self {
        Self::new("rate", title, Kind::Rate, |tally| tally.rate)
    }

    /// All that came, under the name of what it is.
    const fn events(name: &'static str, title: &'static str) -> Self {
        Self::count(name, title, |tally| number(tally.events))
    }

    /// What policy did not let through.
    const fn dropped(name: &'static str, title: &'static str) -> Self {
        Self::count(name, title, |tally| number(tally.dropped))
    }

    const fn failed(name: &'static str, title: &'static str) -> Self {
        Self::count(name, title, |tally| number(tally.failed))
    }
}

const LAST: Column = Column::new("last", "LAST", Kind::Moment, last);
const REFUSED: Column = Column::dropped("refused", "REFUSED");
const ANSWERS: Column = Column::count("answers", "ANSWERS", |tally| number(tally.answers));
const MEAN: Column = Column::new("mean", "MEAN", Kind::Duration, mean);
const MAX: Column = Column::new("max", "MAX", Kind::Duration, |tally| number(tally.latency_max));

const TALKERS: &[Column] =
    &[Column::rate("FLOWS/S"), Column::events("flows", "FLOWS"), Column::dropped("dropped", "DROPPED"), LAST];
const DROPS: &[Column] = &[Column::rate("DROPS/S"), Column::events("drops", "DROPS"), LAST];
const POLICIES: &[Column] = &[
    Column::rate("VERDICTS/S"),
    Column::count("allowed", "ALLOWED", |tally| number(tally.forwarded)),
    Column::dropped("denied", "DENIED"),
    Column::count("audited", "AUDITED", |tally| number(tally.audited)),
    LAST,
];
const DNS: &[Column] = &[
    Column::rate("QUERIES/S"),
    Column::events("queries", "QUERIES"),
    REFUSED,
    ANSWERS,
    Column::failed("failed", "FAILED"),
    MEAN,
    MAX,
    LAST,
];
const HTTP: &[Column] = &[
    Column::rate("REQUESTS/S"),
    Column::events("requests", "REQUESTS"),
    REFUSED,
    ANSWERS,
    Column::failed("4xx", "4XX"),
    Column::count("5xx", "5XX", |tally| number(tally.broken)),
    MEAN,
    MAX,
    LAST,
];

impl View {
    pub const ALL: [Self; 5] = [Self::Talkers, Self::Drops, Self::Policies, Self::Dns, Self::Http];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Talkers => "talkers",
            Self::Drops => "drops",
            Self::Policies => "policies",
            Self::Dns => "dns",
            Self::Http => "http",
        }
    }

    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Talkers => TALKERS,
            Self::Drops => DROPS,
            Self::Policies => POLICIES,
            Self::Dns => DNS,
            Self::Http => HTTP,
        }
    }

    /// Titles of what names a row, for people; in lower case the names in JSON.
    pub const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Talkers => &["SOURCE", "DESTINATION", "PORT"],
            Self::Drops => &["REASON", "SOURCE", "DESTINATION", "PORT", "DIRECTION"],
            Self::Policies => &["POLICY", "DIRECTION"],
            Self::Dns => &["NAME", "TYPE"],
            Self::Http => &["METHOD", "URL"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (kind, value, text) in [
            (Kind::Rate, 12.34, "12.3"),
            (Kind::Count, 12_345.0, "12,345"),
            (Kind::Duration, 0.0, "-"),
            (Kind::Duration, 42_000.0, "42us"),
            (Kind::Duration, 3_200_000.0, "3.2ms"),
            (Kind::Duration, 250e6, "250ms"),
            (Kind::Duration, 1.5e9, "1.5s"),
            (Kind::Moment, 3_661.0, "01:01:01"),
        ] {
            assert_eq!(kind.text(value), text);
        }
    }
}
