//! HTTP/2, frame by frame.

mod denials;
mod passing;
mod refusals;
mod revoked;

const OK: &[u8] = &[0x88];

/// Names and values of a block that has nothing but literals with names.
fn literals(mut block: &[u8]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    while let [0x00 | 0x10 | 0x40, rest @ ..] = block {
        let (name, rest) = rest[1..].split_at(usize::from(rest[0]));
        let (value, rest) = rest[1..].split_at(usize::from(rest[0]));
        out.push((String::from_utf8(name.into()).unwrap(), String::from_utf8(value.into()).unwrap()));
        block = rest;
    }
    assert!(block.is_empty(), "{block:?}");
    out
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
