//! Label values of a series, as the key by which it is found.

use std::{fmt::Display, io::Write as _};

/// Ends a value; no text in UTF-8 has it.
const END: u8 = 0xff;

/// Label values one after the other. One is used for all flows, so that to look up a known series needs no memory.
#[derive(Debug, Default)]
pub struct Key(Vec<u8>);

/// A place in a key to return to.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl Key {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.0.len())
    }

    pub fn back_to(&mut self, mark: Mark) {
        self.0.truncate(mark.0);
    }

    /// Whether something was written since.
    #[must_use]
    pub fn grew(&self, mark: Mark) -> bool {
        self.0.len() > mark.0
    }

    /// A whole value.
    pub fn value(&mut self, text: &str) {
        self.part(text);
        self.end();
    }

    /// A whole value, such as a number.
    pub fn shown(&mut self, value: impl Display) {
        self.shown_part(value);
        self.end();
    }

    /// A piece of a value.
    pub fn part(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    pub fn shown_part(&mut self, value: impl Display) {
        // Writing to memory does not fail.
        let _ = write!(self.0, "{value}");
    }

    /// Pieces with a comma between them.
    pub fn parts(&mut self, texts: &[String]) {
        for (number, text) in texts.iter().enumerate() {
            if number > 0 {
                self.part(",");
            }
            self.part(text);
        }
    }

    pub fn end(&mut self) {
        self.0.push(END);
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The values of a key.
pub fn values(key: &[u8]) -> impl Iterator<Item = &str> {
    key.strip_suffix(&[END]).into_iter().flat_map(|key| key.split(|byte| *byte == END)).map(|value| {
        // All of it was text.
        str::from_utf8(value).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_out_as_they_went_in() {
        let mut key = Key::default();
        key.value("");
        let mark = key.mark();
        key.shown(80);
        key.back_to(mark);
        assert!(!key.grew(mark));
        key.parts(&["a".to_owned(), "ü".to_owned()]);
        assert!(key.grew(mark));
        key.end();
        key.shown(443);
        key.value("");
        assert_eq!(values(key.bytes()).collect::<Vec<_>>(), ["", "a,ü", "443", ""]);
        key.clear();
        assert_eq!(values(key.bytes()).count(), 0);
    }
}
