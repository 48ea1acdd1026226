//! How a server is, as text.

use ciliate_hubble::observer::ServerStatusResponse as Status;
use std::time::Duration;

/// `8190` as `8,190`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// ` (12.34%)` of the most, if that is known.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn share(number: u64, most: u64) -> String {
    match most {
        0 => String::new(),
        most => format!(" ({:.2}%)", number as f64 / most as f64 * 100.0),
    }
}

/// `1h2m3s`
pub fn duration(nanoseconds: u64) -> String {
    let seconds = Duration::from_nanos(nanoseconds).as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (hours, minutes) => format!("{hours}h{minutes}m{}s", seconds % 60),
    }
}

/// Flows a second since the server began, where it does not say its present rate.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn rate(now: f64, seen: u64, uptime_ns: u64) -> String {
    let uptime = Duration::from_nanos(uptime_ns).as_secs_f64();
    match (now > 0.0, uptime > 0.0) {
        (true, _) => format!("{now:.2}"),
        (false, true) => format!("{:.2}", seen as f64 / uptime),
        (false, false) => "N/A".to_owned(),
    }
}

pub fn compact(status: &Status) -> String {
    let (number, most) = (status.num_flows, status.max_flows);
    let mut text =
        format!("Current/Max Flows: {}/{}{}\n", grouped(number), grouped(most), share(number, most));
    text.push_str(&format!("Flows/s: {}\n", rate(status.flows_rate, status.seen_flows, status.uptime_ns)));
    let missing = status.num_unavailable_nodes.map(|nodes| nodes.value);
    if let Some(connected) = status.num_connected_nodes {
        let all = missing
            .map_or_else(String::new, |missing| format!("/{}", missing.saturating_add(connected.value)));
        text.push_str(&format!("Connected Nodes: {}{all}\n", connected.value));
    }
    if let Some(missing) = missing.filter(|missing| *missing > 0) {
        text.push_str(&format!("Unavailable Nodes: {missing}\n"));
        let mut names = status.unavailable_nodes.clone();
        names.sort();
        names.iter().for_each(|name| text.push_str(&format!("  - {name}\n")));
        let unnamed = u64::from(missing).saturating_sub(u64::try_from(names.len()).unwrap_or(u64::MAX));
        if unnamed > 0 && !names.is_empty() {
            text.push_str(&format!("  - and {unnamed} more...\n"));
        }
    }
    text
}

fn values(status: &Status) -> [(&'static str, &'static str, String); 8] {
    let nodes = |nodes: Option<ciliate_hubble::UInt32Value>| {
        nodes.map_or_else(|| "N/A".to_owned(), |nodes| nodes.value.to_string())
    };
    [
        ("NUM FLOWS", "NUM FLOWS", grouped(status.num_flows)),
        ("MAX FLOWS", "MAX FLOWS", grouped(status.max_flows)),
        ("SEEN FLOWS", "SEEN FLOWS", grouped(status.seen_flows)),
        ("FLOWS PER SECOND", "FLOWS PER SECOND", rate(status.flows_rate, 0, 0)),
        ("UPTIME", "UPTIME", duration(status.uptime_ns)),
        ("NUM CONNECTED NODES", "NUM CONNECTED NODES", nodes(status.num_connected_nodes)),
        ("NUM UNAVAIL. NODES", "NUM UNAVAILABLE NODES", nodes(status.num_unavailable_nodes)),
        ("VERSION", "VERSION", status.version.clone()),
    ]
}

pub fn dict(status: &Status) -> String {
    values(status).iter().map(|(name, _, value)| format!("{name:>19}: {value}\n")).collect()
}

/// Titles and values.
pub fn rows(status: &Status) -> [Vec<String>; 2] {
    let values = values(status);
    [
        values.iter().map(|(_, title, _)| (*title).to_owned()).collect(),
        values.iter().map(|(_, _, value)| value.clone()).collect(),
    ]
}
