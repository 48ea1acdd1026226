//! How far one direction has come: in its frames, and in the input of one call.

use std::ops::Range;

/// Where one direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Preface,
    Frames,
    /// In a payload that nobody looks at.
    Payload {
        left: usize,
        to: To,
    },
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    OtherSide,
    Nobody,
}

impl Side {
    /// Goes on by so many bytes of a payload.
    pub(super) fn advance(&mut self, len: usize) {
        *self = match *self {
            Self::Payload { left, to } if left > len => Self::Payload { left: left.saturating_sub(len), to },
            Self::Payload { .. } => Self::Frames,
            other @ (Self::Preface | Self::Frames | Self::Closed) => other,
        };
    }

    /// What becomes of the next bytes, if they are part of something that nobody looks at.
    pub(super) fn unread(&mut self, available: usize) -> Option<Fate> {
        match *self {
            Self::Payload { left, to } => {
                let len = left.min(available);
                self.advance(len);
                Some(if to == To::OtherSide { Fate::Pass(len) } else { Fate::Skip(len) })
            }
            Self::Closed => Some(Fate::Skip(available)),
            Self::Preface | Self::Frames => None,
        }
    }

    /// How many of the next bytes go to the other side whatever they are.
    pub(super) fn opaque(self) -> u64 {
        match self {
            Self::Payload { left, to: To::OtherSide } => u64::try_from(left).unwrap_or_default(),
            Self::Payload { .. } | Self::Preface | Self::Frames | Self::Closed => 0,
        }
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// More bytes are needed to tell.
    Partial,
    /// So many bytes go on as they are.
    Pass(usize),
    /// So many bytes stay here, whether or not others were written in their place.
    Skip(usize),
    /// It has to wait for the other side.
    Wait,
}

/// What one call has taken of its input, and which part of that goes on.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub consumed: usize,
    pub forward: Range<usize>,
}

impl Taken {
    pub(super) fn pass(&mut self, len: usize) {
        if self.forward.is_empty() {
            self.forward.start = self.consumed;
        }
        self.skip(len);
        self.forward.end = self.consumed;
    }

    pub(super) fn skip(&mut self, len: usize) {
        self.consumed = self.consumed.saturating_add(len);
    }

    /// Whether something was left out behind what goes on, which has to be one piece.
    pub(super) fn has_gap(&self) -> bool {
        !self.forward.is_empty() && self.forward.end != self.consumed
    }
}
