//! How recordings are asked for.

use crate::{End, Filter, Request, Statistics};
use std::{fmt, path::PathBuf};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

/// A recording of this run of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId(pub u64);

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a recording was not begun.
#[derive(Clone, Debug, Error)]
pub enum Refusal {
    #[error("{0}")]
    Request(String),
    /// There are as many as there may be.
    #[error("{0}")]
    Full(String),
    #[error("{0}")]
    Storage(String),
    #[error("the agent does not record any more")]
    Ended,
}

/// How far a recording is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub statistics: Statistics,
    /// None while it goes on.
    pub end: Option<End>,
}

/// A recording that has begun.
#[derive(Debug)]
pub struct Started {
    pub id: RecordingId,
    pub path: PathBuf,
    pub progress: watch::Receiver<Progress>,
}

/// A recording as it is shown.
#[derive(Clone, Debug)]
pub struct View {
    pub id: RecordingId,
    pub path: PathBuf,
    pub filters: Vec<Filter>,
    /// Nanoseconds since 1970.
    pub begun: u64,
    pub progress: Progress,
}

/// What whoever records is asked.
#[derive(Debug)]
pub enum Command {
    Start {
        request: Box<Request>,
        reply: oneshot::Sender<Result<Started, Refusal>>,
    },
    /// Answered with what it came to when its file is complete; None where no such recording goes on.
    Stop {
        id: RecordingId,
        end: End,
        reply: oneshot::Sender<Option<View>>,
    },
    List {
        reply: oneshot::Sender<Vec<View>>,
    },
}

/// Whom to ask for recordings.
#[derive(Clone, Debug)]
pub struct Recorder(mpsc::Sender<Command>);

/// Commands that may wait.
const WAITING: usize = 16;

impl Recorder {
    #[must_use]
    /// Both ends: for whoever asks, and for whoever records.
    pub fn channel() -> (Self, mpsc::Receiver<Command>) {
        let (sender, commands) = mpsc::channel(WAITING);
        (Self(sender), commands)
    }

    /// Begins a recording.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn start(&self, request: Request) -> Result<Started, Refusal> {
        request.check().map_err(|error| Refusal::Request(error.to_string()))?;
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Start { request: Box::new(request), reply }).await?;
        answer.await.map_err(|_| Refusal::Ended)?
    }

    /// Ends a recording, for the reason that is given; its file is complete when this answers. None where it does not go on.
    ///
    /// # Errors
    /// [`Refusal::Ended`] only.
    pub async fn stop(&self, id: RecordingId, end: End) -> Result<Option<View>, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Stop { id, end, reply }).await?;
        answer.await.map_err(|_| Refusal::Ended)
    }

    /// Those that go on and the last that ended, oldest first.
    ///
    /// # Errors
    /// [`Refusal::Ended`] only.
    pub async fn list(&self) -> Result<Vec<View>, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::List { reply }).await?;
        answer.await.map_err(|_| Refusal::Ended)
    }

    async fn ask(&self, command: Command) -> Result<(), Refusal> {
        self.0.send(command).await.map_err(|_| Refusal::Ended)
    }
}
