//! How many connections there are, without reading all of them at once.
//!
//! The kernel does not tell how full an evicting map is. So some of it is read at each tick, and a count is what a walk
//! through the whole map has found; a walk that already found more than the last one is believed before its end.

use crate::{
    Error,
    batch::{Cursor, Reached},
    maps::call,
};
use aya::maps::MapData;
use ciliate_abi::{Connection, ConnectionKey};
use std::time::{Duration, Instant};

/// Least time between the beginnings of two walks: even through an empty map one visits every bucket.
const WALK_INTERVAL: Duration = Duration::from_secs(5);
/// Pieces that one tick reads, of 4,096 entries each.
const PIECES: usize = 8;

pub struct Census {
    cursor: Cursor,
    begun: Option<Instant>,
    /// Of the walk that goes on, none between walks.
    counting: Option<u32>,
    /// Of the last whole walk.
    counted: u32,
}

impl Census {
    pub const NEW: Self = Self { cursor: Cursor::START, begun: None, counting: None, counted: 0 };

    /// Connections that live, as far as known.
    pub fn count(&self) -> u32 {
        self.counting.map_or(self.counted, |counting| counting.max(self.counted))
    }

    /// Reads on; `is_live` says which rows count.
    pub fn tick(&mut self, map: &MapData, is_live: impl Fn(&Connection) -> bool) -> Result<(), Error> {
        if self.counting.is_none() && self.begun.is_some_and(|begun| begun.elapsed() < WALK_INTERVAL) {
            return Ok(());
        }
        if self.counting.is_none() {
            self.begun = Some(Instant::now());
        }
        for _ in 0..PIECES {
            let (piece, reached) =
                self.cursor.read::<ConnectionKey, Connection>(map).map_err(call("read", "CONNECTIONS"))?;
            let live = piece.iter().filter(|(_, row)| is_live(row)).count();
            let sum = self.counting.unwrap_or(0).saturating_add(u32::try_from(live).unwrap_or(u32::MAX));
            self.counting = Some(sum);
            if reached == Reached::End {
                self.counted = sum;
                self.counting = None;
                break;
            }
        }
        Ok(())
    }
}
