//! The threads that keep the history.

use crate::rank::Rank;
use anyhow::Context as _;
use ciliate_history::History;
use ciliate_observer::{Observer, TURN, keep_history, make_history_files};
use std::{
    ops::ControlFlow,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
};

/// One thread writes down what is seen, as it comes. Another makes files of that when the processor has nothing better to do, for
/// what it takes is what connections that are being looked at would have had. Dropping this has all written down.
pub struct Keeper {
    _writer: Turns,
    _maker: Turns,
}

impl Keeper {
    pub fn start(mut history: History, observer: &Observer) -> anyhow::Result<Self> {
        let maker = history.file_maker();
        let cursor = observer.flows().cursor(0);
        Ok(Self {
            _writer: Turns::start("history", move |stop| {
                Rank::Seeing.take();
                keep_history(history, cursor, || turn(&stop));
            })?,
            _maker: Turns::start("history-files", move |stop| {
                Rank::Filing.take();
                make_history_files(&maker, || turn(&stop));
            })?,
        })
    }
}

/// A thread that looks every now and then whether it is to go on, which it is until this is dropped.
struct Turns {
    name: &'static str,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Turns {
    fn start(name: &'static str, work: impl FnOnce(Receiver<()>) + Send + 'static) -> anyhow::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || work(stopped));
        let thread = thread.with_context(|| format!("cannot start a thread for {name}"))?;
        Ok(Self { name, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.stop.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread {} broke", self.name);
        }
    }
}

/// Waits for the next turn.
fn turn(stop: &Receiver<()>) -> ControlFlow<()> {
    match stop.recv_timeout(TURN) {
        Err(RecvTimeoutError::Timeout) => ControlFlow::Continue(()),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => ControlFlow::Break(()),
    }
}
