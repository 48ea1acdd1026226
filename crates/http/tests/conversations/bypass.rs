//! The corpus of attempts to get past the rules: each file of `tests/bypass` is sent byte for byte, and what comes of it is compared.
//!
//! A file begins with lines of `# `: what it tries. Then come `expect:` lines, an empty line, and the bytes, in which a line's end is written
//! out as `\r\n` (line ends of the file itself do not count), and `\xNN` is a byte.

use crate::driver::Conversation;
use ciliate_http::{DotSegments, EscapedSlashes, Paths, RepeatedSlashes, Settings, h1::ClientNext};
use std::{fs, path::Path};

struct Case {
    name: String,
    expected: Vec<(String, String)>,
    bytes: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bypass");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| case(file)).collect()
}

fn case(file: &Path) -> Case {
    let text = fs::read_to_string(file).unwrap();
    let (head, body) = text.split_once("\n\n").unwrap();
    let expected = head
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.split_once(':').map(|(key, value)| (key.to_owned(), value.trim().to_owned())).unwrap()
        })
        .collect();
    Case {
        name: file.file_name().unwrap().to_string_lossy().into_owned(),
        expected,
        bytes: unescape(&body.replace('\n', "")),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, (c == '\\').then(|| rest.next()).flatten()) {
            ('\\', Some('r')) => out.push(b'\r'),
            ('\\', Some('n')) => out.push(b'\n'),
            ('\\', Some('t')) => out.push(b'\t'),
            ('\\', Some('\\')) => out.push(b'\\'),
            ('\\', Some('x')) => {
                let digits: String = rest.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            ('\\', other) => panic!("unknown escape \\{other:?} in {text:?}"),
            (plain, _) => out.extend(plain.to_string().bytes()),
        }
    }
    out
}

/// Runs the bytes in pieces of `piece` bytes.
fn run(case: &Case, piece: usize) -> Conversation {
    let mut settings = Settings::default();
    if case.expected.iter().any(|(key, value)| key == "settings" && value == "loose") {
        settings.paths = Paths {
            dot_segments: DotSegments::Resolve,
            repeated_slashes: RepeatedSlashes::Merge,
            escaped_slashes: EscapedSlashes::Keep,
        };
    }
    let mut talk = Conversation::with(settings);
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
