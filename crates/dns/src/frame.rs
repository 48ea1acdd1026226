//! Messages in a stream: two bytes of length, then the message (RFC 1035, 4.2.2).

use thiserror::Error;

/// The most bytes that one frame takes.
pub const FRAME_BYTES: usize = 2 + u16::MAX as usize;
/// A buffer above this is given back once it is empty, so that idle connections are cheap.
const KEPT: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    #[error("a frame of length 0 in a stream of messages")]
    Empty,
}

/// Finds the messages in a stream, in whatever pieces it arrives. Holds at most [`FRAME_BYTES`].
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// Offset of what has not been taken out yet.
    start: usize,
}

impl FrameReader {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what there is room for and says how much; if less than all, call [`next`](Self::next) until it gives none, then again.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        self.buffer.drain(..self.start);
        self.start = 0;
        let taken = bytes.len().min(FRAME_BYTES.saturating_sub(self.buffer.len()));
        self.buffer.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        taken
    }

    /// The next whole message. After an error the stream is of no use.
    #[expect(clippy::should_implement_trait, reason = "what it gives borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk() else {
            self.give_back();
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if rest.len() < length {
            return Ok(None);
        }
        let begin = self.start.saturating_add(2);
        self.start = begin.saturating_add(length);
        Ok(self.buffer.get(begin..self.start))
    }

    /// Whether the stream stands between two messages.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.start >= self.buffer.len()
    }

    fn give_back(&mut self) {
        if self.is_between() && self.buffer.capacity() > KEPT {
            self.buffer = Vec::new();
            self.start = 0;
        }
    }
}

/// The two bytes that stand before a message of this length in a stream; none if it is longer than a frame may be.
#[must_use]
pub fn frame_length(message: &[u8]) -> Option<[u8; 2]> {
    u16::try_from(message.len()).ok().map(u16::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_of_nothing_is_an_error() {
        let mut reader = FrameReader::new();
        assert_eq!(reader.feed(&[0, 0]), 2);
        assert_eq!(reader.next(), Err(FrameError::Empty));
    }

    #[test]
    fn the_longest_frame_fits() {
        let mut reader = FrameReader::new();
        let stream: Vec<u8> = [0xff, 0xff].into_iter().chain(std::iter::repeat_n(7, 70_000)).collect();
        assert_eq!(reader.feed(&stream), FRAME_BYTES);
        assert_eq!(reader.feed(&stream), 0);
        assert_eq!(reader.next().unwrap().map(<[u8]>::len), Some(65_535));
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.is_between());
        assert_eq!(reader.feed(&stream), FRAME_BYTES);
    }

    proptest! {
        #[test]
        fn messages_survive_any_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..20),
            pieces in prop::collection::vec(1..500_usize, 1..40),
        ) {
            let stream: Vec<u8> =
                messages.iter().flat_map(|message| frame_length(message).unwrap().into_iter().chain(message.clone())).collect();
            let (mut reader, mut seen, mut rest) = (FrameReader::new(), Vec::new(), &stream[..]);
            for piece in pieces.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let taken = reader.feed(&rest[..rest.len().min(*piece)]);
                rest = &rest[taken..];
                while let Some(message) = reader.next().unwrap() {
                    seen.push(message.to_vec());
                }
            }
            prop_assert_eq!(seen, messages);
            prop_assert!(reader.is_between());
        }
    }
}
