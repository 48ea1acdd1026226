//! What keeps exporters as the settings and the file of flow logs say.

use crate::{
    config::{self, ConfigError},
    counts::{Count, Counts, Report},
    exports::{Changes, Exports},
    spec::Spec,
};
use ciliate_config_file::ReadError;
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where it is said which exporters there are.
#[derive(Debug, Default)]
pub struct Sources {
    /// Of the settings; it stays.
    pub fixed: Option<Spec>,
    /// A file of flow logs.
    pub file: Option<PathBuf>,
}

/// The exporters at work. Dropping it has what is in their buffers delivered, for a moment.
pub struct Service {
    reports: Reports,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Tells what exporters do.
#[derive(Clone, Default)]
pub struct Reports(Arc<Board>);

#[derive(Default)]
struct Board {
    exporters: Mutex<Vec<(String, Arc<Counts>)>>,
    added: Count,
    updated: Count,
    removed: Count,
    failed: Count,
    last_applied: Count,
}

impl Service {
    /// # Errors
    /// Where threads cannot be started. A file that cannot be read or is wrong is told in the log until it is right; exporters
    /// are no reason not to start.
    pub fn start(sources: Sources, exports: Exports) -> Result<Self, ServiceError> {
        let mut reconciler =
            Reconciler { sources, exports, board: Arc::default(), text: None, told: String::new() };
        reconciler.begin()?;
        let reports = Reports(Arc::clone(&reconciler.board));
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("exports".to_owned())
            .spawn(move || reconciler.reconcile(&stopped))
            .map_err(ServiceError::Start)?;
        Ok(Self { reports, stop: Some(stop), thread: Some(thread) })
    }

    #[must_use]
    pub fn reports(&self) -> Reports {
        self.reports.clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("what keeps the exporters broke");
        }
    }
}

impl Reports {
    #[must_use]
    pub fn report(&self) -> Report {
        let Self(board) = self;
        Report {
            exporters: board.exporters().iter().map(|(name, counts)| counts.report(name)).collect(),
            reconfigurations: [
                ("add", board.added.get()),
                ("update", board.updated.get()),
                ("remove", board.removed.get()),
                ("failure", board.failed.get()),
            ],
            last_applied: board.last_applied.get(),
        }
    }
}

impl Board {
    fn exporters(&self) -> MutexGuard<'_, Vec<(String, Arc<Counts>)>> {
        self.exporters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why exporters are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{}: {name:?} is the name of the exporter of the settings: choose another", path.display())]
    Name { path: PathBuf, name: String },
    #[error("cannot start an exporter: {0}")]
    Start(io::Error),
}

struct Reconciler {
    sources: Sources,
    exports: Exports,
    board: Arc<Board>,
    /// Of the file, as it was looked at last.
    text: Option<String>,
    /// What was said to be wrong with it.
    told: String,
}

impl Reconciler {
    /// All exporters of the first configuration see all flows of this run.
    fn begin(&mut self) -> Result<(), ServiceError> {
        let begun = self.read().and_then(|text| {
            self.apply(text.as_deref(), Some(0))?;
            self.text = text;
            Ok(())
        });
        match begun {
            Ok(()) => Ok(()),
            Err(error @ ServiceError::Start(_)) => Err(error),
            Err(error) => {
                self.apply(None, Some(0))?;
                self.tell(&error);
                Ok(())
            }
        }
    }

    /// Once for each mistake.
    fn tell(&mut self, error: &ServiceError) {
        let text = error.to_string();
        if text != self.told {
            self.board.failed.add(1);
            tracing::error!("exporters stay as they are: {text}");
            self.told = text;
        }
    }

    fn reconcile(mut self, stopped: &mpsc::Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK) {
            self.exports.tidy();
            if let Err(error) = self.look() {
                self.tell(&error);
            }
        }
        self.exports.end();
    }

    fn look(&mut self) -> Result<(), ServiceError> {
        let text = self.read()?;
        if text == self.text {
            return Ok(());
        }
        let changes = self.apply(text.as_deref(), None)?;
        self.told.clear();
        self.text = text;
        let Changes { added, updated, removed } = changes;
        tracing::info!(added, updated, removed, "exporters are as their file says now");
        Ok(())
    }

    fn read(&self) -> Result<Option<String>, ServiceError> {
        let Some(path) = &self.sources.file else { return Ok(None) };
        Ok(Some(ciliate_config_file::read(path)?))
    }

    fn apply(&mut self, text: Option<&str>, from: Option<u64>) -> Result<Changes, ServiceError> {
        let mut specs = match (&self.sources.file, text) {
            (Some(path), Some(text)) => config::read(path, text)?,
            _ => Vec::new(),
        };
        if let Some(fixed) = &self.sources.fixed {
            let same = specs.iter().find(|spec| spec.name == fixed.name);
            if let (Some(spec), Some(path)) = (same, &self.sources.file) {
                return Err(ServiceError::Name { path: path.clone(), name: spec.name.clone() });
            }
            specs.push(fixed.clone());
        }
        let changes = self.exports.apply(&specs, from).map_err(ServiceError::Start);
        *self.board.exporters() = self.exports.counts();
        let changes = changes?;
        self.board.added.add(changes.added);
        self.board.updated.add(changes.updated);
        self.board.removed.add(changes.removed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.board.last_applied.set(usize::try_from(now.as_secs()).unwrap_or(0));
        Ok(changes)
    }
}
