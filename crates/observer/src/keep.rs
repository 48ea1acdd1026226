//! From the log to the history.

use crate::log::{Cursor, Step};
use ciliate_flow::Flow;
use ciliate_history::{FileMaker, History};
use std::{
    ops::ControlFlow,
    time::{Duration, SystemTime},
};

/// Flows that are handed over at once.
const BATCH: usize = 1024;

/// How often the history has its turn.
pub const TURN: Duration = Duration::from_millis(200);

/// Writes what comes to the log until `wait` breaks off. The disk may take its time: nobody else waits for this.
///
/// `wait` is to return after about [`TURN`].
pub fn keep_history(
    mut history: History,
    mut cursor: Cursor<Flow>,
    mut wait: impl FnMut() -> ControlFlow<()>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut missed = 0_u64;
    loop {
        let going = wait();
        loop {
            match cursor.next() {
                Step::Entry(flow) => batch.push(flow.clone()),
                Step::Lost(lost) => missed = missed.saturating_add(lost.count),
                Step::End => break,
            }
            if batch.len() == BATCH {
                history.append(&batch);
                batch.clear();
            }
        }
        history.append(&batch);
        batch.clear();
        history.tick(SystemTime::now());
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

/// Makes files of what [`keep_history`] wrote until `wait` breaks off. Nobody waits for this.
pub fn make_history_files(maker: &FileMaker, mut wait: impl FnMut() -> ControlFlow<()>) {
    while wait().is_continue() {
        maker.work(SystemTime::now());
    }
}
