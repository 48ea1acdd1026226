//! Words for numbers in flows, as Hubble's users know them.

use ciliate_hubble::flow::{DropReason, TraceObservationPoint};
use ciliate_types::Identity;

/// Subtype of a trace at an endpoint; the point itself has another number.
const TO_ENDPOINT: i32 = 0;

/// `to-endpoint`
pub fn of_point(point: TraceObservationPoint) -> String {
    point.as_str_name().to_ascii_lowercase().replace('_', "-")
}

/// Where a trace was taken, by the subtype of its event.
pub fn of_trace(sub: i32) -> String {
    match (sub, TraceObservationPoint::try_from(sub)) {
        (TO_ENDPOINT, _) => of_point(TraceObservationPoint::ToEndpoint),
        (_, Ok(point)) => of_point(point),
        (_, Err(_)) => sub.to_string(),
    }
}

/// The subtype of events of a point by its name.
pub fn observation_point(name: &str) -> Option<i32> {
    let known = name.to_ascii_uppercase().replace('-', "_");
    match TraceObservationPoint::from_str_name(&known)? {
        TraceObservationPoint::ToEndpoint => Some(TO_ENDPOINT),
        TraceObservationPoint::UnknownPoint => None,
        point => Some(point.into()),
    }
}

/// `Policy denied`, made from the name in the interface.
pub fn of_reason(number: i32) -> String {
    match DropReason::try_from(number) {
        Ok(DropReason::Unknown) | Err(_) => number.to_string(),
        Ok(DropReason::PolicyDeny) => "Policy denied by denylist".to_owned(),
        Ok(DropReason::InvalidSourceMac) => "Invalid source mac".to_owned(),
        Ok(DropReason::InvalidSourceIp) => "Invalid source ip".to_owned(),
        Ok(reason) => {
            let name = reason.as_str_name();
            let (subject, name) = match name.strip_prefix("CT_") {
                Some(rest) => ("CT: ", rest),
                None => ("", name.strip_prefix("DROP_").unwrap_or(name)),
            };
            let words: Vec<String> = name.split('_').enumerate().map(|(at, word)| cased(word, at)).collect();
            format!("{subject}{}", words.join(" "))
        }
    }
}

/// Abbreviations keep their capitals, the first word gets one.
fn cased(word: &str, at: usize) -> String {
    const ABBREVIATIONS: [&str; 22] = [
        "L2", "L3", "L4", "IP", "TCP", "ACK", "ICMPV4", "ICMPV6", "IPV6", "NAT", "NAT46", "NAT64", "FIB",
        "LB", "EDT", "VNI", "TC", "SID", "TTL", "SNAT", "DSR", "IGMP",
    ];
    if ABBREVIATIONS.contains(&word) {
        return word.replace("MPV", "MPv").replace("IPV", "IPv");
    }
    let lower = word.to_ascii_lowercase();
    let mut letters = lower.chars();
    match (at, letters.next()) {
        (0, Some(first)) => first.to_ascii_uppercase().to_string() + letters.as_str(),
        _ => lower,
    }
}

/// `(world)` or `(ID:4711)`
pub fn of_identity(number: u32) -> String {
    match (number, Identity::new(number).reserved()) {
        (0, _) => "(unknown)".to_owned(),
        (_, Some(reserved)) => format!("({})", reserved.key()),
        (_, None) => format!("(ID:{number})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_hubble() {
        for (number, text) in [
            (133, "Policy denied"),
            (181, "Policy denied by denylist"),
            (132, "Invalid source ip"),
            (135, "CT: Truncated or invalid header"),
            (137, "CT: Unknown L4 protocol"),
            (139, "Unsupported L3 protocol"),
            (156, "Invalid IPv6 extension header"),
            (151, "Stale or unroutable IP"),
            (7, "7"),
        ] {
            assert_eq!(of_reason(number), text, "{number}");
        }
        for (sub, text) in [(0, "to-endpoint"), (3, "to-stack"), (10, "from-network"), (77, "77")] {
            assert_eq!(of_trace(sub), text);
        }
        assert_eq!([observation_point("to-endpoint"), observation_point("from-proxy")], [Some(0), Some(6)]);
        assert_eq!([of_identity(0), of_identity(2), of_identity(256)], ["(unknown)", "(world)", "(ID:256)"]);
    }
}
