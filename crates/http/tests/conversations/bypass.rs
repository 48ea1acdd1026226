//! Each attempt of the corpus is sent byte for byte, and what comes of it is compared.

use crate::{
    corpus::{Case, cases, unescape},
    driver::Conversation,
};
use ciliate_http::h1::ClientNext;

/// Runs the bytes in pieces of `piece` bytes.
fn run(case: &Case, piece: usize) -> Conversation {
    let mut talk = Conversation::with(case.settings());
    for bytes in case.bytes.chunks(piece) {
        talk.client(bytes);
    }
    talk
}

fn check(case: &Case, talk: &Conversation, how: &str) {
    for (key, value) in &case.expected {
        let found = match key.as_str() {
            "settings" => continue,
            // What the server has got, byte for byte.
            "server" => {
                assert_eq!(
                    String::from_utf8_lossy(talk.server_bytes()),
                    String::from_utf8_lossy(&unescape(value)),
                    "{} {how}",
                    case.name
                );
                continue;
            }
            // How much of a body goes before the end is cut off depends on how it comes; that the end is missing does not.
            "server-begins" => {
                let found = String::from_utf8_lossy(talk.server_bytes()).into_owned();
                assert!(
                    found.starts_with(&*String::from_utf8_lossy(&unescape(value))),
                    "{} {how}",
                    case.name
                );
                assert!(!found.ends_with("0\r\n\r\n") && !found.contains("GET"), "{} {how}", case.name);
                continue;
            }
            "refused" | "aborted" => match talk.client_next() {
                ClientNext::Refused(refusal) => ("refused", refusal.name()),
                ClientNext::Abort(refusal) => ("aborted", refusal.name()),
                _ => ("neither", ""),
            },
            "client" => {
                let statuses: Vec<_> =
                    talk.to_client().split("HTTP/1.1 ").skip(1).map(|reply| reply[..3].to_owned()).collect();
                assert_eq!(statuses.join(" "), value.trim_matches('-'), "{} {how}", case.name);
                continue;
            }
            other => panic!("{}: unknown expectation {other}", case.name),
        };
        assert_eq!(found, (key.as_str(), value.as_str()), "{} {how}", case.name);
    }
}

#[test]
fn nothing_gets_past() {
    let cases = cases();
    assert!(cases.len() >= 60, "the corpus is there");
    for case in &cases {
        assert!(
            case.expected.iter().any(|(key, _)| key.starts_with("server")),
            "{} says what the server gets",
            case.name
        );
        for piece in [case.bytes.len().max(1), 1, 2, 3, 7] {
            check(case, &run(case, piece), &format!("in pieces of {piece}"));
        }
    }
}
