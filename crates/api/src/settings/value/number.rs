//! Numbers and times.

use super::SettingValue;
use std::time::Duration;

/// A number of things between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<const MIN: u32, const MAX: u32>(pub u32);

impl<const MIN: u32, const MAX: u32> SettingValue for Count<MIN, MAX> {
    const FORM: &'static str = "NUMBER";

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .filter(|n| (MIN..=MAX).contains(n))
            .map(Self)
            .ok_or_else(|| format!("a number from {MIN} to {MAX}"))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A time in whole seconds, at least one, at most 30 days: `60s`, `10m`, `2h`, `8000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl SettingValue for Seconds {
    const FORM: &'static str = "DURATION";

    fn read(text: &str) -> Result<Self, String> {
        let (number, unit) = match text.char_indices().last() {
            Some((at, 's')) => (text.get(..at), 1),
            Some((at, 'm')) => (text.get(..at), 60),
            Some((at, 'h')) => (text.get(..at), 3600),
            Some(_) | None => (Some(text), 1),
        };
        number
            .and_then(|n| n.parse::<u64>().ok()?.checked_mul(unit))
            .filter(|n| (1..=30 * 86400).contains(n))
            .map(|n| Self(Duration::from_secs(n)))
            .ok_or_else(|| "a time from 1s to 720h, such as 60s, 10m or 2h".to_owned())
    }

    fn show(&self) -> String {
        format!("{}s", self.0.as_secs())
    }
}

/// A time in whole seconds, also none, at most 30 days: `0s`, `60s`, `10m`, `3600`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondsOrNone(pub u32);

impl SettingValue for SecondsOrNone {
    const FORM: &'static str = "DURATION";

    fn read(text: &str) -> Result<Self, String> {
        if matches!(text, "0" | "0s" | "0m" | "0h") {
            return Ok(Self(0));
        }
        let read = Seconds::read(text).ok().and_then(|some| u32::try_from(some.0.as_secs()).ok());
        read.map(Self).ok_or_else(|| "0 or a time up to 720h, such as 60s, 10m or 2h".to_owned())
    }

    fn show(&self) -> String {
        format!("{}s", self.0)
    }
}

/// A short time, at most ten seconds: `50ms`, `1s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Milliseconds(pub Duration);

impl SettingValue for Milliseconds {
    const FORM: &'static str = "DURATION";

    fn read(text: &str) -> Result<Self, String> {
        let milliseconds = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(number), _) => number.parse::<u64>().ok(),
            (None, Some(number)) => number.parse::<u64>().ok().and_then(|n| n.checked_mul(1000)),
            (None, None) => None,
        };
        milliseconds
            .filter(|n| (1..=10_000).contains(n))
            .map(|n| Self(Duration::from_millis(n)))
            .ok_or_else(|| "a time from 1ms to 10s, such as 50ms".to_owned())
    }

    fn show(&self) -> String {
        format!("{}ms", self.0.as_millis())
    }
}
