//! The corpus of attempts to get past the rules, a file of `tests/bypass` each.
//!
//! A file begins with lines of `# `: what it tries. Then come `expect:` lines, an empty line, and the bytes, in which a line's end is written
//! out as `\r\n` (line ends of the file itself do not count), and `\xNN` is a byte.

use ciliate_http::{DotSegments, EscapedSlashes, Paths, RepeatedSlashes, Settings};
use std::{fs, path::Path};

pub struct Case {
    pub name: String,
    pub expected: Vec<(String, String)>,
    pub bytes: Vec<u8>,
}

pub fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../http/tests/bypass");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| case(file)).collect()
}

impl Case {
    /// What is expected under this name.
    pub fn expects(&self, key: &str) -> Option<&str> {
        self.expected.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str())
    }

    /// With the looser of the settings about paths.
    pub fn settings(&self) -> Settings {
        let paths = match self.expects("settings") {
            None => Paths::default(),
            Some("loose") => Paths {
                dot_segments: DotSegments::Resolve,
                repeated_slashes: RepeatedSlashes::Merge,
                escaped_slashes: EscapedSlashes::Keep,
            },
            Some(other) => panic!("{}: no settings are named {other}", self.name),
        };
        Settings { paths, ..Settings::default() }
    }
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

pub fn unescape(text: &str) -> Vec<u8> {
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
