//! Files made beside the writer.

use super::{Notice, files::Files};
use std::{sync::Arc, time::SystemTime};

/// Makes files of full journals, merges and removes them, for a thread that may be of little priority: what it has not come to
/// yet can be read from the journals, also by a later writer.
pub struct FileMaker {
    files: Arc<Files>,
}

impl FileMaker {
    pub(super) const fn new(files: Arc<Files>) -> Self {
        Self { files }
    }

    /// Does what there is to do. To be called several times a second; may take some tenths of a second for each journal.
    pub fn work(&self, now: SystemTime) {
        match self.files.make_all() {
            Ok(()) => {}
            // Told by the writer when there is no room for journals either.
            Err(error) if error.is_no_room() => {}
            Err(error) => self.files.tell(Notice::Failed(error)),
        }
        self.files.look_after(now);
    }
}
