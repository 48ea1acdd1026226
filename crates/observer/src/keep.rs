//! From the log to the history.

use crate::log::{Cursor, Step};
use ciliate_flow::Flow;
use ciliate_history::{FileMaker, History};
use std::{
    ops::ControlFlow,
    time::{Duration, SystemTime},
};

/// Flows after which it is looked what has waited for too long.
const BATCH: usize = 1024;

/// How often the history has its turn.
pub const TURN: Duration = Duration::from_millis(200);

/// Turns after which the disk gets what came: together less than the second that may be lost.
const TURNS: u32 = 4;

/// Writes what comes to the log until `wait` breaks off. The disk may take its time: nobody else waits for this.
///
/// `wait` is to return after about [`TURN`].
pub fn keep_history(
    mut history: History,
    mut cursor: Cursor<Flow>,
    mut wait: impl FnMut() -> ControlFlow<()>,
) {
    let (mut missed, mut turns) = (0_u64, 0_u32);
    loop {
        let going = wait();
        while take(&mut history, &mut cursor, &mut missed).is_continue() {
            history.pass_on();
        }
        turns = turns.saturating_add(1);
        if turns >= TURNS || going.is_break() {
            turns = 0;
            history.tick(SystemTime::now());
        }
        for notice in history.notices() {
            tracing::warn!("{notice}");
        }
        if missed > 0 {
            tracing::warn!(missed, "flows came faster than the history could take them");
            missed = 0;
        }
        if going.is_break() {
            return;
        }
    }
}

/// Some of what has come; breaks off where there is no more.
fn take(history: &mut History, cursor: &mut Cursor<Flow>, missed: &mut u64) -> ControlFlow<()> {
    for _ in 0..BATCH {
        match cursor.next() {
            Step::Entry(flow) => history.put(flow),
            Step::Lost(lost) => *missed = missed.saturating_add(lost.count),
            Step::End => return ControlFlow::Break(()),
        }
    }
    ControlFlow::Continue(())
}

/// Makes files of what [`keep_history`] wrote until `wait` breaks off. Nobody waits for this.
pub fn make_history_files(maker: &FileMaker, mut wait: impl FnMut() -> ControlFlow<()>) {
    while wait().is_continue() {
        maker.work(SystemTime::now());
    }
}
