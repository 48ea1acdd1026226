//! Lines for one write.

use super::super::{Load, Shape};
use crate::{buffer::Entry, event::write_json};

/// Bytes that one write has, about: what a disk takes at once.
const MOST: usize = 256 << 10;

#[derive(Debug)]
pub struct Lines {
    most: usize,
    bytes: Vec<u8>,
}

impl Default for Lines {
    fn default() -> Self {
        Self::bounded(MOST)
    }
}

impl Lines {
    /// No more than so many bytes, unless one line has more.
    pub fn bounded(most: usize) -> Self {
        Self { most: most.min(MOST), bytes: Vec::new() }
    }

    pub fn load<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, shape: &Shape) -> Load {
        self.bytes.clear();
        let mut load = Load::default();
        for entry in entries {
            let before = self.bytes.len();
            match write_json(&shape.selection.event(entry, &shape.node), &mut self.bytes) {
                Ok(()) => self.bytes.push(b'\n'),
                Err(_) => load.unfit = load.unfit.saturating_add(1),
            }
            if before > 0 && self.bytes.len() > self.most {
                self.bytes.truncate(before);
                return load;
            }
            load.entries = load.entries.saturating_add(1);
        }
        load
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
