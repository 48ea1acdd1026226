//! Any bytes as a TLS hello, as a server's answer and as what stands between: the same outcome however they arrive, within the limit.
#![no_main]

use ciliate_tls::{AnswerReader, DEFAULT_LIMIT, HelloReader, Interlude, Progress};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    let whole = HelloReader::new(DEFAULT_LIMIT).read(bytes);
    let mut reader = HelloReader::new(DEFAULT_LIMIT);
    let mut pieces = reader.read(&[]);
    for end in (0..bytes.len()).step_by(usize::from(step).max(1)).chain([bytes.len()]) {
        pieces = reader.read(&bytes[..end]);
        match &pieces {
            Ok(Progress::More { at_least }) => assert!(*at_least > end && *at_least <= DEFAULT_LIMIT),
            Ok(Progress::Complete(_)) | Err(_) => break,
        }
    }
    assert_eq!(pieces, whole);
    let answer = AnswerReader::default().read(bytes);
    let mut answers = AnswerReader::default();
    assert_eq!(bytes.chunks(usize::from(step).max(1)).find_map(|piece| answers.read(piece)), answer);
    if let Ok(walked) = Interlude::default().walk(bytes) {
        assert!(walked.len <= bytes.len());
    }
    if let Ok(Progress::Complete(hello)) = whole {
        assert!(reader.hello_len() <= bytes.len());
        assert!(hello.server_name.is_none_or(|name| !name.as_str().is_empty()));
    }
});
