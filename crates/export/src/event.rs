//! What Hubble calls an `ExportEvent`, and its line of JSON.

use ciliate_hubble::{
    Timestamp,
    flow::{self as hubble, LostEvent},
};
use serde::Serialize as _;
use serde_json::ser::Formatter;
use std::io;

/// One of both is there. Fields are in the order in which Hubble writes them.
#[derive(Debug, Default, PartialEq, serde::Serialize)]
pub struct ExportEvent {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<hubble::Flow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_events: Option<LostEvent>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

/// Appends the event as JSON on one line, without its end.
///
/// # Errors
/// Where an event cannot be written as JSON, such as one with a time outside of all calendars.
pub fn write_json(event: &ExportEvent, to: &mut Vec<u8>) -> serde_json::Result<()> {
    let begin = to.len();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *to, Escaping);
    event.serialize(&mut serializer).inspect_err(|_| to.truncate(begin))
}

/// Compact, and with what could be taken for HTML or JavaScript escaped: the bytes that Go's encoder, and so Hubble, writes.
struct Escaping;

impl Escaping {
    /// What stands for a character, and the bytes that the character takes.
    fn escape(rest: &[u8]) -> Option<(&'static [u8], usize)> {
        match rest {
            [b'<', ..] => Some((br"\u003c", 1)),
            [b'>', ..] => Some((br"\u003e", 1)),
            [b'&', ..] => Some((br"\u0026", 1)),
            [0xe2, 0x80, 0xa8, ..] => Some((br"\u2028", 3)),
            [0xe2, 0x80, 0xa9, ..] => Some((br"\u2029", 3)),
            _ => None,
        }
    }
}

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment.as_bytes();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'<' | b'>' | b'&' | 0xe2)) {
            let (plain, special) = rest.split_at(at);
            writer.write_all(plain)?;
            let (text, length) = Self::escape(special).unwrap_or((special.get(..1).unwrap_or_default(), 1));
            writer.write_all(text)?;
            rest = special.get(length..).unwrap_or_default();
        }
        writer.write_all(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{buffer::Entry, selection::Selection};
    use ciliate_flow::{Flow, Node, Time};
    use ciliate_observer::log::Lost;
    use serde_json::json;
    use std::sync::Arc;

    fn line(event: &ExportEvent) -> String {
        let mut line = Vec::new();
        write_json(event, &mut line).unwrap();
        String::from_utf8(line).unwrap()
    }

    fn flow(value: serde_json::Value) -> Flow {
        Flow::from_message(&serde_json::from_value(value).unwrap()).unwrap()
    }

    #[test]
    fn lines_are_those_of_hubble() {
        let node = Arc::new(Node { name: "n1".to_owned(), labels: Vec::new() });
        let flow = Entry::Flow(flow(json!({
            "time": "2024-01-01T10:00:00.5Z", "verdict": "FORWARDED", "node_name": "default/n1", "is_reply": false,
            "source": {"namespace": "default", "pod_name": "pod-1"}, "destination": {"pod_name": "pod-target", "ID": 7},
            "l7": {"type": "REQUEST", "http": {"method": "GET", "url": "http://x/?a=<1>&b=é\u{2028}", "protocol": "HTTP/1.1"}},
        })));
        let masked = |paths: &[&str]| {
            let mask: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
            line(&Selection::new(&[], &[], &mask).unwrap().event(&flow, &node))
        };
        assert_eq!(
            masked(&["time", "verdict", "node_name", "is_reply", "destination.ID", "source.pod_name"]),
            r#"{"flow":{"time":"2024-01-01T10:00:00.500Z","verdict":"FORWARDED","source":{"pod_name":"pod-1"},"destination":{"ID":7},"node_name":"default/n1","is_reply":false},"node_name":"default/n1","time":"2024-01-01T10:00:00.500Z"}"#
        );
        assert_eq!(
            masked(&["l7.http.url"]),
            r#"{"flow":{"l7":{"http":{"url":"http://x/?a=\u003c1\u003e\u0026b=é\u2028"}}}}"#
        );
        let all = masked(&[]);
        assert!(all.starts_with(r#"{"flow":{"time":"2024-01-01T10:00:00.500Z","#), "{all}");
        assert!(all.ends_with(r#""node_name":"default/n1","time":"2024-01-01T10:00:00.500Z"}"#), "{all}");
        let lost = Entry::Lost(Lost {
            count: 12,
            first: Some(Time(1_000_000_000)),
            last: Some(Time(2_000_000_000)),
        });
        assert_eq!(
            line(&Selection::new(&[], &[], &[]).unwrap().event(&lost, &node)),
            r#"{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"12","first":"1970-01-01T00:00:01Z","last":"1970-01-01T00:00:02Z"},"node_name":"n1","time":"1970-01-01T00:00:02Z"}"#
        );
    }
}
