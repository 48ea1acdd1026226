//! The trace that a request belongs to, as tracing systems number them (W3C Trace Context).

use serde::{Deserialize, Serialize};
use std::fmt;

/// Sixteen bytes, not all of them 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TraceId([u8; 16]);

/// The header that says it, in lower case.
pub const HEADER: &[u8] = b"traceparent";

impl TraceId {
    /// From the header's value: version, trace, caller and flags in hexadecimal digits; a version that is not known yet may say
    /// more behind them.
    #[must_use]
    pub fn of_header(value: &[u8]) -> Option<Self> {
        let mut parts = value.trim_ascii().split(|byte| *byte == b'-');
        let [version, trace, caller, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let version = bytes::<1>(version)?;
        if version == [0xff] || version == [0] && parts.next().is_some() {
            return None;
        }
        let (trace, caller) = (bytes::<16>(trace)?, bytes::<8>(caller)?);
        bytes::<1>(flags)?;
        (trace != [0; 16] && caller != [0; 8]).then_some(Self(trace))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Of exactly as many pairs of digits; capitals are none here.
fn bytes<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' | b'a'..=b'f' => char::from(*byte).to_digit(16),
        _ => None,
    };
    let pairs: Option<Vec<u8>> = text
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        })
        .collect();
    pairs?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_read_from_the_header() {
        let usual = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let said = |value: &str| TraceId::of_header(value.as_bytes()).map(|trace| trace.to_string());
        assert_eq!(said(usual).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(said(&usual.replacen("00", "01", 1)), said(usual), "a later version");
        assert_eq!(said(&(usual.replacen("00", "cc", 1) + "-more")), said(usual));
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            &usual.replacen("00", "ff", 1),
            &format!("{usual}-more"),
            &usual.to_uppercase(),
            &usual.replace("4bf9", "4bf"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47363-0f067aa0ba902b7-01",
        ] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
    }
}
