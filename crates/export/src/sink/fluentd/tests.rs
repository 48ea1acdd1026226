use super::{wire::Opaque, *};
use crate::selection::Selection;
use ciliate_flow::{Flow, Node, Time};
use proptest::prelude::*;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

#[derive(Debug, Deserialize)]
struct Batch(
    String,
    Vec<(serde::de::IgnoredAny, BTreeMap<String, serde_json::Value>)>,
    BTreeMap<String, serde_json::Value>,
);

#[test]
fn a_batch_is_read_back() {
    let node = Arc::new(Node { name: "n".to_owned(), labels: Vec::new() });
    let shape =
        Shape { selection: Selection::new(&[], &[], &["time".to_owned(), "uuid".to_owned()]).unwrap(), node };
    let mut flow = Flow::from_message(&Default::default()).unwrap();
    flow.time = Time(1_000_000_002);
    let mut events = Vec::new();
    wire::write_event(&Entry::Flow(flow), &shape, &mut events).unwrap();
    assert_eq!(events[..11], [0x92, 0xd7, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
    let mut bytes = Vec::new();
    wire::write_batch("a.b", &events, 1, Some("7"), &mut bytes);
    let Batch(tag, read, options) = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!((tag.as_str(), read.len()), ("a.b", 1));
    assert_eq!(read[0].1["time"], "1970-01-01T00:00:01.000000002Z");
    assert_eq!(read[0].1["flow"]["time"], "1970-01-01T00:00:01.000000002Z");
    assert_eq!((options["chunk"].clone(), options["size"].clone()), ("7".into(), 1.into()));
}

#[test]
fn answers_may_come_in_parts() {
    // {"ack": "xy"} twice.
    let whole = [0x81, 0xa3, b'a', b'c', b'k', 0xa2, b'x', b'y'];
    for end in 0..whole.len() {
        assert_eq!(Inbox::of(&whole[..end]).take_for_test::<Ack>(), Ok(None), "{end}");
    }
    let mut inbox = Inbox::of(&[whole, whole].concat());
    for _ in 0..2 {
        assert_eq!(inbox.take_for_test::<Ack>(), Ok(Some(Ack { ack: "xy".to_owned() })));
    }
    assert_eq!(inbox.take_for_test::<Ack>(), Ok(None));
    assert!(Inbox::of(&[0xc0]).take_for_test::<Ack>().unwrap_err().contains("forward protocol"));
}

proptest! {
    /// A receiver may send what it likes.
    #[test]
    fn any_answer_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Inbox::of(&bytes).take_for_test::<Ack>();
        let _ = Inbox::of(&bytes).take_for_test::<(String, bool, Opaque)>();
    }
}
