//! Files that take the place of others: of journals, of several small ones, of what cannot be read.

use super::{Hour, Notice, files::Files, run};
use crate::{
    HistoryError,
    decode::{Index, Table},
    draft::Shared,
    file::{Unfinished, replaced},
    journal::{self, End},
    name::{Name, list},
    query::superseded,
};
use ciliate_flow::{Flow, Run};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{PoisonError, atomic::Ordering::Relaxed},
};

/// Hours that one journal may be split into; more is no clock.
const HOURS: usize = 64;

/// So many small files of the running hour are merged into one.
const SMALL_FILES: usize = 16;

impl Files {
    /// Makes files of a journal and removes it.
    pub(super) fn adopt(&self, path: &Path) -> Result<(), HistoryError> {
        let name = file_name(path);
        let replay = journal::replay(&journal::read(path)?);
        let mut hours: BTreeMap<Hour, Vec<Flow>> = BTreeMap::new();
        for flow in replay.flows {
            hours.entry(Hour::of(flow.time.0)).or_default().push(flow);
        }
        self.drop_scattered(&mut hours);
        // A writer may have ended when it had made some of the files.
        let known: HashSet<Hour> = hours.keys().copied().collect();
        for file in list(&self.directory)?.files.into_iter().filter(|file| known.contains(&file.hour)) {
            let table = Table::open(&self.directory.join(file.to_string()), Index::Groups)?;
            if replaced(&table).contains(&name) {
                hours.remove(&file.hour);
            }
        }
        let run = run(path).unwrap_or(self.run);
        let mut files = Vec::new();
        for (hour, flows) in &hours {
            let mut file = self.create(*hour, run, std::slice::from_ref(&name))?;
            file.write(flows)?;
            files.push(file);
        }
        let link = self.reader.link();
        let _swap = link.swaps.write().unwrap_or_else(PoisonError::into_inner);
        let mut finished = Vec::new();
        for file in files {
            let path = file.path().to_owned();
            if let Err(error) = file.finish() {
                // All or none: the journal goes on to grow.
                finished.iter().for_each(|path| drop(fs::remove_file(path)));
                return Err(error);
            }
            finished.push(path);
        }
        match replay.end {
            End::Whole | End::Cut => fs::remove_file(path).map_err(crate::error::io("remove", path)),
            End::Bad(at) => {
                let why = format!("bytes from {at} on are not what was written; the flows before are kept");
                drop(_swap);
                self.set_aside(path, why)
            }
        }
    }

    /// Leaves the hours with most flows.
    fn drop_scattered(&self, hours: &mut BTreeMap<Hour, Vec<Flow>>) {
        let mut lost = 0_u64;
        while hours.len() > HOURS {
            let fewest = hours.iter().min_by_key(|(_, flows)| flows.len()).map(|(hour, _)| *hour);
            let Some(flows) = fewest.and_then(|hour| hours.remove(&hour)) else { break };
            lost = lost.saturating_add(u64::try_from(flows.len()).unwrap_or(0));
        }
        if lost > 0 {
            self.scattered.fetch_add(lost, Relaxed);
            self.tell(Notice::Scattered { lost });
        }
    }

    /// Merges files of the same hour: all of hours other than the running one, and of that when there are many.
    pub(super) fn merge(&self, running: Option<Hour>) -> Result<usize, HistoryError> {
        let mut gone = 0_usize;
        let files = list(&self.directory)?.files;
        for files in files.chunk_by(|left, right| left.hour == right.hour) {
            let mut tables = Vec::new();
            for name in files {
                tables.push((*name, Table::open(&self.directory.join(name.to_string()), Index::Pages)?));
            }
            if files.first().map(|name| name.hour) == running {
                // Those that came of merging stay as they are until the hour is over.
                tables.retain(|(_, table)| table.metadata.num_row_groups() < SMALL_FILES);
                if tables.len() < SMALL_FILES {
                    continue;
                }
            }
            if tables.len() > 1 {
                gone = gone.saturating_add(self.merge_files(&tables)?);
            }
        }
        Ok(gone)
    }

    fn merge_files(&self, tables: &[(Name, Table)]) -> Result<usize, HistoryError> {
        let Some((first, _)) = tables.first() else { return Ok(0) };
        let replaces: Vec<String> = tables.iter().map(|(name, _)| name.to_string()).collect();
        let mut file = self.create(first.hour, first.run, &replaces)?;
        let mut shared = Shared::default();
        for (_, table) in tables {
            for group in table.groups() {
                if group.rows() >= self.settings.group_rows / 2 {
                    file.copy(table, group.number)?;
                    continue;
                }
                let mut flows = Vec::new();
                group.flows(&group.all(), &mut shared, |flow| flows.push(flow))?;
                for flow in flows {
                    file.push(flow)?;
                }
            }
        }
        let link = self.reader.link();
        let _swap = link.swaps.write().unwrap_or_else(PoisonError::into_inner);
        file.finish()?;
        for (_, table) in tables {
            fs::remove_file(&table.path).map_err(crate::error::io("remove", &table.path))?;
        }
        Ok(tables.len().saturating_sub(1))
    }

    /// Sets aside what cannot be read, and removes what another file has taken over.
    pub(super) fn check(&self) -> Result<(), HistoryError> {
        let mut good = Vec::new();
        for name in list(&self.directory)?.files {
            let path = self.directory.join(name.to_string());
            match Table::open(&path, Index::Groups) {
                Ok(_) => good.push(name),
                Err(error @ HistoryError::Io { .. }) => return Err(error),
                Err(error) => self.set_aside(&path, error.to_string())?,
            }
        }
        for name in superseded(&self.directory, &good) {
            let path = self.directory.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(crate::error::io("remove", &path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Looks closely at files that a reader could not read.
    pub(super) fn set_suspects_aside(&self) {
        let link = self.reader.link();
        let suspects = std::mem::take(&mut *link.suspects.lock().unwrap_or_else(PoisonError::into_inner));
        for path in suspects {
            let result = match verify(&path) {
                Err(error) if error.is_gone() => Ok(()),
                Err(error) => self.set_aside(&path, error.to_string()),
                Ok(()) => Ok(()),
            };
            if let Err(error) = result {
                self.tell(Notice::Failed(error));
            }
        }
    }

    fn set_aside(&self, path: &Path, why: String) -> Result<(), HistoryError> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".torn");
        let aside = PathBuf::from(aside);
        let link = self.reader.link();
        let _swap = link.swaps.write().unwrap_or_else(PoisonError::into_inner);
        fs::rename(path, &aside).map_err(crate::error::io("rename", path))?;
        self.tell(Notice::SetAside { path: aside, why });
        Ok(())
    }

    fn create(&self, hour: Hour, run: Run, replaces: &[String]) -> Result<Unfinished, HistoryError> {
        let name = Name { hour, run, number: self.number() };
        Unfinished::create(&self.directory.join(name.to_string()), replaces, self.settings.group_rows)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Reads all of a file.
fn verify(path: &Path) -> Result<(), HistoryError> {
    let table = Table::open(path, Index::Pages)?;
    let mut shared = Shared::default();
    for group in table.groups() {
        group.flows(&group.all(), &mut shared, drop)?;
    }
    Ok(())
}
