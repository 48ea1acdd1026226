//! Where recordings are kept.

use crate::{FilePrefix, Refusal};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

/// A folder for files of recordings, which only its owner may read: they hold what others said.
#[derive(Clone, Debug)]
pub struct Storage {
    pub folder: PathBuf,
    /// Most bytes of one file.
    pub largest: u64,
    /// As files are named after it.
    pub node: String,
}

/// Other recordings of the same second.
const ATTEMPTS: u32 = 100;

impl Storage {
    /// A new file that nobody else writes, named like `web_1700000000_1_node.pcapng`.
    pub(crate) fn create(&self, prefix: &FilePrefix, seconds: u64) -> Result<(PathBuf, File), Refusal> {
        let refused = |what: &str, path: &PathBuf, error: &io::Error| {
            Refusal::Storage(format!("cannot {what} {}: {error}", path.display()))
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| refused("make the folder of recordings", &self.folder, &error))?;
        // A link of the folder's name leads where somebody wants it; one of a file's name is never followed.
        let folder = fs::canonicalize(&self.folder)
            .map_err(|error| refused("find the folder of recordings", &self.folder, &error))?;
        let node: String = self.node.chars().map(safe).collect();
        let mut attempt = 1_u32;
        loop {
            let path = folder.join(format!("{prefix}_{seconds}_{attempt}_{node}.pcapng"));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS => {
                    attempt = attempt.saturating_add(1);
                }
                Err(error) => return Err(refused("make the file", &path, &error)),
            }
        }
    }
}

fn safe(letter: char) -> char {
    match letter {
        letter if letter.is_ascii_alphanumeric() => letter,
        '-' | '_' | '.' => letter,
        _ => '_',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn files_are_new_and_private_and_stay_in_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let storage =
            Storage { folder: folder.path().join("pcaps"), largest: 1, node: "../default/n1 \n".to_owned() };
        let names: Vec<String> = (0..2)
            .map(|_| {
                let (path, _) = storage.create(&FilePrefix::default(), 17).unwrap();
                assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
                assert_eq!(path.parent(), Some(storage.folder.as_path()));
                path.file_name().unwrap().to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(names, ["hubble_17_1_.._default_n1__.pcapng", "hubble_17_2_.._default_n1__.pcapng"]);
        assert_eq!(storage.folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let lost = Storage { folder: "/proc/nowhere".into(), ..storage };
        let error = lost.create(&FilePrefix::default(), 17).unwrap_err().to_string();
        assert!(error.contains("/proc/nowhere"), "{error}");
    }
}
