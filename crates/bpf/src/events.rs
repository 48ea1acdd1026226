//! What the programs report.

use aya::maps::{MapData, RingBuf};
use ciliate_abi::Event;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// Reads the ring buffer; its descriptor is readable while events wait.
pub struct EventReader {
    ring: RingBuf<MapData>,
}

impl EventReader {
    pub(crate) fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring }
    }

    /// The next event, or `None` if none waits.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            let item = self.ring.next()?;
            let bytes: &[u8] = &item;
            if bytes.len() == std::mem::size_of::<Event>() {
                // SAFETY: the length is that of an event, which is plain data; the read need not be aligned.
                return Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) });
            }
        }
    }
}

impl AsFd for EventReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl AsRawFd for EventReader {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
