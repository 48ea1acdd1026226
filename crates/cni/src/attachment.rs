//! What this plug-in has attached, by network: empty files below the run directory.
//!
//! GC of one network must leave the containers of others alone, and a deletion must not be lost while the agent is
//! away: then it is left as a file in `cni/deleted`, which the agent carries out before it serves again.

use crate::{Code, Error, config::Config, environment::AttachmentId};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The files of one network, and the queue for the agent.
pub(crate) struct Attachments {
    run_dir: PathBuf,
    network: PathBuf,
}

/// Whether a deletion waits for the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    Waiting,
    /// The agent is down for good and took its endpoints with it.
    NothingToDelete,
}

fn file_name(id: &AttachmentId) -> String {
    format!("{}:{}", id.container, id.interface)
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(Code::TryAgainLater, format!("cannot {what} {}", path.display()), error.to_string())
}

impl Attachments {
    pub fn of(config: &Config) -> Self {
        let run_dir = config.socket.parent().unwrap_or(Path::new("/")).to_owned();
        let network = run_dir.join("cni/attachments").join(&config.network);
        Self { run_dir, network }
    }

    /// Before the endpoint is made, so that GC finds it whatever happens in between.
    pub fn note(&self, id: &AttachmentId) -> Result<(), Error> {
        let path = self.network.join(file_name(id));
        let note = || {
            fs::create_dir_all(&self.network)?;
            fs::write(&path, "")
        };
        note().map_err(|e| failed("note the attachment in", &path, &e))
    }

    pub fn forget(&self, id: &AttachmentId) {
        // One too many only costs the next GC a deletion that finds nothing.
        let _ = fs::remove_file(self.network.join(file_name(id)));
    }

    /// All that are noted.
    pub fn all(&self) -> Result<Vec<AttachmentId>, Error> {
        let entries = match fs::read_dir(&self.network) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed("list", &self.network, &e)),
        };
        let mut all: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (container, interface) = name.split_once(':')?;
                Some(AttachmentId { container: container.to_owned(), interface: interface.to_owned() })
            })
            .collect();
        all.sort();
        Ok(all)
    }

    /// Leaves a deletion for the agent.
    pub fn queue_deletion(&self, id: &AttachmentId) -> Result<Queued, Error> {
        if !self.run_dir.exists() {
            return Ok(Queued::NothingToDelete);
        }
        let folder = self.run_dir.join("cni/deleted");
        let path = folder.join(file_name(id));
        let queue = || {
            fs::create_dir_all(&folder)?;
            fs::write(&path, "")
        };
        queue().map_err(|e| failed("leave the deletion for the agent in", &path, &e))?;
        Ok(Queued::Waiting)
    }

    /// Takes it back: the container is there again.
    pub fn unqueue_deletion(&self, id: &AttachmentId) {
        // Mostly there is none.
        let _ = fs::remove_file(self.run_dir.join("cni/deleted").join(file_name(id)));
    }
}
