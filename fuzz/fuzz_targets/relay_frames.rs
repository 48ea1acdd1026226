//! Any bytes as what a node answers or a client asks: they go on as they came, no panic.
#![no_main]

use bytes::Bytes;
use ciliate_hubble::observer::GetFlowsRequest;
use ciliate_relay::{Answer, Moment, Question};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

fuzz_target!(|bytes: &[u8]| {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(answer) = Answer::read(bytes.clone()) {
        assert_eq!(answer.bytes, bytes);
        assert!(
            answer.time.next() > answer.time || answer.time.nanos < 0 || answer.time.nanos >= 999_999_999
        );
    }
    if let Ok(question) = Question::read(bytes.clone()) {
        assert_eq!(question.bytes(), bytes);
        let moment = Moment { seconds: 5, nanos: 7 };
        let rest = GetFlowsRequest::decode(question.since(moment)).expect("a question stays one");
        assert_eq!((rest.number, rest.first, rest.since.map(Moment::from)), (0, false, Some(moment)));
    }
});
