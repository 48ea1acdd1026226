//! Running a program on a packet that is on no wire, with the node's real maps.

use crate::{Datapath, Error, programs::Hook};
use aya::programs::{TestRun as _, TestRunOptions};
use std::time::Duration;

/// Which way a replayed packet goes, seen from the endpoint whose device it is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    Sent,
    Received,
}

/// What became of a replayed packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// To the host's stack, or into the endpoint.
    Passed,
    /// Into another endpoint, or answered.
    Redirected,
    Dropped,
}

/// Where `ifindex` lies in `struct __sk_buff`, and how long that is up to there.
const IFINDEX_OFFSET: usize = 40;

impl Datapath {
    /// Runs a program `repeat` times on an Ethernet frame at a device; returns what it decided last and how long
    /// a run took. Counters, connections and events change as with a real packet; nothing is sent.
    pub fn replay(
        &mut self,
        way: Replay,
        ifindex: u32,
        frame: &[u8],
        repeat: u32,
    ) -> Result<(Fate, Duration), Error> {
        let hook = match way {
            Replay::Sent => Hook::FromEndpoint,
            Replay::Received => Hook::ToEndpoint,
        };
        let mut context = [0_u8; IFINDEX_OFFSET + 4];
        if let Some(field) = context.get_mut(IFINDEX_OFFSET..) {
            field.copy_from_slice(&ifindex.to_ne_bytes());
        }
        let options =
            TestRunOptions { data_in: Some(frame), ctx_in: Some(&context), repeat, ..TestRunOptions::new() };
        let name = hook.program();
        let result = self
            .programs
            .get(hook)
            .test_run(options)
            .map_err(|error| Error::Program { name, reason: error.to_string() })?;
        let fate = match result.return_value.cast_signed() {
            TC_ACT_SHOT => Fate::Dropped,
            TC_ACT_REDIRECT => Fate::Redirected,
            _ => Fate::Passed,
        };
        Ok((fate, result.duration))
    }
}

/// Of linux/pkt_cls.h.
const TC_ACT_SHOT: i32 = 2;
const TC_ACT_REDIRECT: i32 = 7;
