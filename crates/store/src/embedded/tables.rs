//! The tables of the file: one for each kind, and one for the format and the revision.

use super::{BTreeMap, Change, Document, Error, Expect, FORMAT, Path, Revision, Write};
use redb::{
    AccessGuard, Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    TableHandle,
};
use serde_json::Value;
use std::io;

/// `format` and `revision`.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";
const REVISION_KEY: &str = "revision";
/// Before the kind in a table's name.
const PREFIX: &str = "kind:";

/// Key to the revision of the last change and the JSON text.
type Rows<'a> = TableDefinition<'a, &'static str, (u64, &'static [u8])>;

pub(super) fn kind(table: &str) -> Option<&str> {
    table.strip_prefix(PREFIX)
}

pub(super) fn decode(key: &str, (revision, text): (u64, &[u8])) -> Result<Document, redb::Error> {
    let value = serde_json::from_slice(text)
        .map_err(|e| redb::Error::Corrupted(format!("document {key:?} is not JSON: {e}")))?;
    Ok(Document { key: key.to_owned(), revision: Revision(revision), value })
}

pub(super) fn document(
    (key, row): &(AccessGuard<'_, &'static str>, AccessGuard<'_, (u64, &'static [u8])>),
) -> Result<Document, redb::Error> {
    decode(key.value(), row.value())
}

type ReadRows = redb::ReadOnlyTable<&'static str, (u64, &'static [u8])>;

/// None where a kind never had a document.
pub(super) fn open_read(transaction: &ReadTransaction, kind: &str) -> Result<Option<ReadRows>, redb::Error> {
    let name = format!("{PREFIX}{kind}");
    match transaction.open_table(Rows::new(&name)) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Writes what makes a new file a store.
pub(super) fn start(path: &Path, database: &Database) -> Result<(), Error> {
    let start = || {
        let transaction = database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(FORMAT_KEY, FORMAT)?;
            meta.insert(REVISION_KEY, 0)?;
        }
        transaction.commit()?;
        Ok(())
    };
    start().map_err(|e: redb::Error| Error::redb(path, e))
}

/// Reads everything, so that damage shows now. Returns the last revision.
pub(super) fn check(path: &Path, database: &Database) -> Result<Revision, Error> {
    let read = || {
        let transaction = database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let number = |key| {
            let row = meta.get(key)?.map(|row| row.value());
            row.ok_or_else(|| redb::Error::Corrupted(format!("its {key} is missing")))
        };
        Ok((number(FORMAT_KEY)?, number(REVISION_KEY)?, transaction))
    };
    let (format, revision, transaction) = read().map_err(|e: redb::Error| Error::redb(path, e))?;
    if format > FORMAT {
        return Err(Error::Version { path: path.to_owned(), found: format, known: FORMAT });
    }
    let walk = || {
        for table in transaction.list_tables()? {
            let Some(kind) = kind(table.name()) else { continue };
            let Some(rows) = open_read(&transaction, kind)? else { continue };
            for row in rows.iter()? {
                let document = document(&row?)?;
                if document.revision.0 > revision {
                    let detail = format!("{kind} {} is of revision {}", document.key, document.revision);
                    return Err(redb::Error::Corrupted(format!("{detail}, the last one is {revision}")));
                }
            }
        }
        Ok(())
    };
    walk().map_err(|e: redb::Error| Error::redb(path, e))?;
    Ok(Revision(revision))
}

/// Carries out a batch in one transaction and says what it changed; nothing changed, nothing written.
pub(super) fn write(
    path: &Path,
    database: &Database,
    revision: Revision,
    writes: &[Write],
) -> Result<Vec<Change>, Error> {
    let broken = |e: redb::Error| Error::redb(path, e);
    let mut by_kind: BTreeMap<&str, Vec<(usize, &Write)>> = BTreeMap::new();
    for (position, write) in writes.iter().enumerate() {
        by_kind.entry(&write.kind).or_default().push((position, write));
    }
    let transaction = database.begin_write().map_err(|e| broken(e.into()))?;
    let mut changes = Vec::new();
    for (kind, writes) in by_kind {
        let name = format!("{PREFIX}{kind}");
        let mut table = transaction.open_table(Rows::new(&name)).map_err(|e| broken(e.into()))?;
        for (position, write) in writes {
            let key = write.key.as_str();
            let found = table
                .get(key)
                .map_err(|e| broken(e.into()))?
                .map(|row| decode(key, row.value()))
                .transpose()
                .map_err(broken)?;
            check_expectation(write, found.as_ref())?;
            let changed = match &write.value {
                Some(value) if found.as_ref().is_some_and(|d| d.value == *value) => false,
                Some(value) => {
                    table
                        .insert(key, (revision.0, text(path, value)?.as_slice()))
                        .map_err(|e| broken(e.into()))?;
                    true
                }
                None => table.remove(key).map_err(|e| broken(e.into()))?.is_some(),
            };
            if changed {
                let document =
                    write.value.clone().map(|value| Document { key: key.to_owned(), revision, value });
                changes.push((position, Change { kind: kind.to_owned(), key: key.to_owned(), document }));
            }
        }
    }
    if changes.is_empty() {
        transaction.abort().map_err(|e| broken(e.into()))?;
        return Ok(Vec::new());
    }
    let finish = || {
        transaction.open_table(META)?.insert(REVISION_KEY, revision.0)?;
        transaction.commit()?;
        Ok(())
    };
    finish().map_err(broken)?;
    // In the order in which they were asked for.
    changes.sort_by_key(|(position, _)| *position);
    Ok(changes.into_iter().map(|(_, change)| change).collect())
}

fn check_expectation(write: &Write, found: Option<&Document>) -> Result<(), Error> {
    let found = found.map(|d| d.revision);
    let met = match write.expect {
        Expect::Anything => true,
        Expect::Absent => found.is_none(),
        Expect::Revision(revision) => found == Some(revision),
    };
    if met {
        return Ok(());
    }
    let (kind, key) = (write.kind.clone(), write.key.clone());
    Err(Error::Conflict { kind, key, expected: write.expect, found })
}

fn text(path: &Path, value: &Value) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|e| Error::io(path, io::Error::new(io::ErrorKind::InvalidData, e)))
}
