//! Lines of JSON on the agent's standard output, for hosts that collect it.

use super::{Load, Sent, Shape, file::Lines};
use crate::{buffer::Entry, fault::Fault};
use std::io::{self, Write as _};

#[derive(Default)]
pub struct Stdout {
    lines: Lines,
}

impl Stdout {
    pub fn load<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, shape: &Shape) -> Load {
        self.lines.load(entries, shape)
    }

    pub fn send(&mut self) -> Result<Sent, Fault> {
        let mut out = io::stdout().lock();
        out.write_all(self.lines.bytes()).and_then(|()| out.flush()).map_err(Fault::Stdout)?;
        Ok(Sent::Settled)
    }
}
