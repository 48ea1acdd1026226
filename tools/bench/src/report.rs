//! The numbers as a table for people and as JSON for programs, from one model.

use crate::{
    compare::{Metric, Path},
    lab::{self, Family},
    statistics::{self, Ratio},
};
use anyhow::Result;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, fs, process::Command};

#[derive(Debug, Serialize)]
pub struct Report {
    pub date: String,
    pub kernel: String,
    pub processor: String,
    pub processors: usize,
    pub measurements: Vec<Measurement>,
    pub rows: Vec<Row>,
}

/// A measurement that stands by itself.
#[derive(Debug, Serialize)]
pub struct Row {
    pub what: String,
    pub measured: String,
    pub must: Option<String>,
    /// In the unit that `measured` names.
    pub values: Vec<f64>,
}

impl Row {
    pub fn text(what: &str, measured: &str) -> Self {
        Self { what: what.to_owned(), measured: measured.to_owned(), must: None, values: Vec::new() }
    }

    /// Milliseconds.
    pub fn times(what: &str, values: &[f64], must: Option<&str>) -> Self {
        let at = |share| statistics::quantile(values, share).unwrap_or(f64::NAN);
        let measured = format!("p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms", at(0.5), at(0.99), at(1.0));
        Self { must: must.map(str::to_owned), values: values.to_vec(), ..Self::text(what, &measured) }
    }

    pub fn amounts(what: &str, unit: &str, values: &[f64], must: Option<&str>) -> Self {
        let at = |share| statistics::quantile(values, share).unwrap_or(f64::NAN);
        let measured = format!("{:.1} {unit}, most {:.1} {unit}", at(0.5), at(1.0));
        Self { must: must.map(str::to_owned), values: values.to_vec(), ..Self::text(what, &measured) }
    }
}

#[derive(Debug, Serialize)]
pub struct Measurement {
    pub metric: Metric,
    pub family: Family,
    /// A value of each round.
    pub values: BTreeMap<Path, Vec<f64>>,
}

impl Report {
    pub fn of_this_machine() -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Self {
            date: lab::output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?.trim().to_owned(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            processors: processors.lines().filter(|line| line.starts_with("processor")).count(),
            measurements: Vec::new(),
            rows: Vec::new(),
        })
    }

    fn heading(&self) -> String {
        let Self { date, kernel, processor, processors, .. } = self;
        format!("{date}, Linux {kernel}, {processor} ({processors} processors)\n\n")
    }

    pub fn rows_table(&self) -> String {
        let mut text = self.heading();
        text.push_str("| what | measured | must |\n|---|---|---|\n");
        for Row { what, measured, must, values: _ } in &self.rows {
            text.push_str(&format!("| {what} | {measured} | {} |\n", must.as_deref().unwrap_or("")));
        }
        text
    }

    pub fn table(&self) -> String {
        let mut text = self.heading();
        text.push_str("| what | unit |");
        for path in Path::ALL {
            text.push_str(&format!(" {} |", path.letter()));
        }
        for (ours, reference) in COMPARED {
            text.push_str(&format!(" {}/{} |", ours.letter(), reference.letter()));
        }
        text.push_str("\n|---|---|");
        text.push_str(&"---|".repeat(Path::ALL.len().saturating_add(COMPARED.len())));
        text.push('\n');
        for measurement in &self.measurements {
            text.push_str(&measurement.row());
        }
        text
    }
}

/// The ratios that are shown.
const COMPARED: [(Path, Path); 5] = [
    (Path::Ciliate, Path::Routed),
    (Path::Ciliate, Path::Iptables),
    (Path::Ciliate, Path::Nftables),
    (Path::Ciliate, Path::Veth),
    (Path::CiliateFull, Path::Ciliate),
];

impl Measurement {
    pub fn new(metric: Metric, family: Family, paths: impl Iterator<Item = Path>) -> Self {
        Self { metric, family, values: paths.map(|path| (path, Vec::new())).collect() }
    }

    pub fn add(&mut self, path: Path, value: f64) {
        self.values.entry(path).or_default().push(value);
    }

    pub fn ratio(&self, ours: Path, reference: Path) -> Option<Ratio> {
        statistics::ratio(self.values.get(&ours)?, self.values.get(&reference)?)
    }

    fn row(&self) -> String {
        let (what, unit) = match self.metric {
            Metric::Rr => ("request/response", "k/s"),
            Metric::Stream => ("one TCP stream", "Gbit/s"),
            Metric::Crr => ("connect-request-close", "k/s"),
            Metric::Udp => ("small datagrams", "k/s"),
        };
        let family = match self.family {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
        };
        let scale = match self.metric {
            Metric::Stream => 1.0,
            Metric::Rr | Metric::Crr | Metric::Udp => 1e3,
        };
        let mut row = format!("| {what}, {family} | {unit} |");
        for path in Path::ALL {
            let median = self.values.get(&path).and_then(|values| statistics::median(values));
            // Writing to a string cannot fail.
            let _ = match median {
                Some(value) => write!(row, " {:.1} |", value / scale),
                None => write!(row, " - |"),
            };
        }
        for (ours, reference) in COMPARED {
            let _ = match self.ratio(ours, reference) {
                Some(Ratio { median, least, most }) => write!(row, " {median:.2} ({least:.2}-{most:.2}) |"),
                None => write!(row, " - |"),
            };
        }
        row.push('\n');
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_medians_and_paired_ratios() {
        let mut measurement =
            Measurement::new(Metric::Rr, Family::Ipv4, [Path::Routed, Path::Ciliate].into_iter());
        for (routed, ciliate) in [(60_000.0, 66_000.0), (50_000.0, 60_000.0), (70_000.0, 70_000.0)] {
            measurement.add(Path::Routed, routed);
            measurement.add(Path::Ciliate, ciliate);
        }
        assert_eq!(
            measurement.row(),
            "| request/response, IPv4 | k/s | - | 60.0 | - | - | 66.0 | - | 1.10 (1.00-1.20) | - | - | - | - |\n"
        );
    }
}
