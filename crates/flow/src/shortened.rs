//! What is wrong with a value of a megabyte, in a few lines.

use std::borrow::Cow;

/// Bytes at either end of a message that stay.
const KEPT: usize = 1024;

/// A message without its middle where it quotes more than anybody reads: what is wrong stands at its beginning, why at its end.
/// gRPC has it in a header, which is not to be long.
#[must_use]
pub fn shortened(message: &str) -> Cow<'_, str> {
    if message.len() <= KEPT.saturating_mul(3) {
        return Cow::Borrowed(message);
    }
    let (head, rest) = message.split_at(message.floor_char_boundary(KEPT));
    let (middle, tail) = rest.split_at(rest.ceil_char_boundary(rest.len().saturating_sub(KEPT)));
    Cow::Owned(format!("{head} [{} more bytes] {tail}", middle.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_stay() {
        let short = "x".repeat(3 * KEPT);
        assert_eq!(shortened(&short), short);
        let long = format!("--http-path: \"{}\" is no regular expression", "é".repeat(50_000));
        let said = shortened(&long);
        assert!(
            said.starts_with("--http-path: \"é") && said.ends_with("é\" is no regular expression"),
            "{said}"
        );
        assert!(said.len() < 3 * KEPT && said.contains(" more bytes] "), "{}", said.len());
    }
}
