//! Columns to flows: whole row groups, or the rows that are asked for.

use crate::{
    HistoryError,
    column::{Access, Column},
    draft::{Draft, Shared},
    error::{io, parquet},
};
use bytes::Bytes;
use ciliate_flow::Flow;
use parquet::{
    column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader},
    data_type::{ByteArray, DataType},
    errors::{ParquetError, Result as ParquetResult},
    file::{
        metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData},
        properties::ReaderProperties,
        reader::{ChunkReader, Length},
        serialized_reader::SerializedPageReader,
        statistics::Statistics,
    },
};
use std::{
    fs::File,
    io::{BufReader, Read},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Rows of a group, ascending and apart from each other.
pub(crate) type Rows = Vec<Range<usize>>;

/// Rows that are put together at a time.
const BATCH: usize = 2048;

/// A history file, open.
pub(crate) struct Table {
    pub path: PathBuf,
    source: Arc<Source>,
    pub metadata: ParquetMetaData,
}

/// A file that several column readers read at their own places.
pub(crate) struct Source {
    file: Arc<File>,
    length: u64,
}

pub(crate) struct Place {
    file: Arc<File>,
    at: u64,
}

impl Read for Place {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at = self.at.saturating_add(u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Source {
    type T = BufReader<Place>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(Place { file: self.file.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// What a file says of itself without its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    /// Also where its pages lie.
    Pages,
    Groups,
}

impl Table {
    pub fn open(path: &Path, index: Index) -> Result<Self, HistoryError> {
        let file = File::open(path).map_err(io("open", path))?;
        Self::from_file(file, path, index)
    }

    pub fn from_file(file: File, path: &Path, index: Index) -> Result<Self, HistoryError> {
        let length = file.metadata().map_err(io("look at", path))?.len();
        let source = Source { file: Arc::new(file), length };
        let policy = match index {
            Index::Pages => PageIndexPolicy::Optional,
            Index::Groups => PageIndexPolicy::Skip,
        };
        let metadata = ParquetMetaDataReader::new()
            .with_offset_index_policy(policy)
            .with_column_index_policy(PageIndexPolicy::Skip)
            .parse_and_finish(&source)
            .map_err(parquet(path))?;
        let columns = metadata.file_metadata().schema_descr();
        let fits =
            columns.num_columns() == Column::all().count()
                && columns.columns().iter().zip(Column::all()).all(|(found, column)| {
                    found.path().parts().first().is_some_and(|name| name == column.name)
                });
        if !fits {
            return Err(HistoryError::Columns { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), source: Arc::new(source), metadata })
    }

    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.metadata.row_groups().iter().enumerate().map(|(number, metadata)| Group {
            table: self,
            number,
            metadata,
        })
    }

    pub fn source(&self) -> &Source {
        &self.source
    }
}

/// A row group.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    table: &'a Table,
    pub number: usize,
    pub metadata: &'a RowGroupMetaData,
}

fn text(bytes: Option<&ByteArray>) -> Option<&str> {
    str::from_utf8(bytes?.data()).ok()
}

/// One value that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Number(i64),
    Flag(bool),
    Text(&'a str),
}

impl Group<'_> {
    pub fn rows(&self) -> usize {
        usize::try_from(self.metadata.num_rows()).unwrap_or(0)
    }

    pub fn all(&self) -> Rows {
        match self.rows() {
            0 => Rows::new(),
            rows => std::iter::once(0..rows).collect(),
        }
    }

    /// First and last moment in it, nanoseconds since 1970; everything if the file does not say.
    pub fn times(&self) -> (u64, u64) {
        let found = self.metadata.columns().first().and_then(|time| match time.statistics()? {
            Statistics::Int64(statistics) => Some((*statistics.min_opt()?, *statistics.max_opt()?)),
            _ => None,
        });
        found.map_or((0, u64::MAX), |(first, last)| {
            (u64::try_from(first).unwrap_or(0), u64::try_from(last).unwrap_or(u64::MAX))
        })
    }

    /// Bounds of a column of texts, if the file says them.
    pub fn texts(&self, index: usize) -> Option<(&str, &str)> {
        match self.metadata.columns().get(index)?.statistics()? {
            Statistics::ByteArray(statistics) => {
                Some((text(statistics.min_opt())?, text(statistics.max_opt())?))
            }
            _ => None,
        }
    }

    /// Whether each row of a column has the same value.
    pub fn is_constant(&self, index: usize) -> bool {
        let statistics = self.metadata.columns().get(index).and_then(|chunk| chunk.statistics());
        statistics.is_some_and(|statistics| {
            statistics.null_count_opt() == Some(0)
                && statistics.min_is_exact()
                && statistics.max_is_exact()
                && statistics.min_bytes_opt().is_some()
                && statistics.min_bytes_opt() == statistics.max_bytes_opt()
        })
    }

    /// Calls with each row in question and its value, ascending; not for nulls and empty lists.
    pub fn scan(
        &self,
        index: usize,
        column: &Column,
        rows: &[Range<usize>],
        each: &mut dyn FnMut(usize, Value<'_>) -> Option<()>,
    ) -> Result<(), HistoryError> {
        let failed = parquet(&self.table.path);
        let Some(mut cursor) = self.cursor(index).map_err(&failed)? else { return Ok(()) };
        self.advance(&mut cursor, column, rows, each)
    }

    fn advance(
        &self,
        cursor: &mut Cursor,
        column: &Column,
        rows: &[Range<usize>],
        each: &mut dyn FnMut(usize, Value<'_>) -> Option<()>,
    ) -> Result<(), HistoryError> {
        let bits = i32::cast_unsigned;
        let signed = column.is_signed();
        let mut fits = true;
        let mut put = |row: usize, value: Value<'_>| fits &= each(row, value).is_some();
        let Cursor { reader, at } = cursor;
        let read = match reader {
            ColumnReader::Int64ColumnReader(reader) => {
                walk(reader, at, rows, |row, value| put(row, Value::Number(*value)))
            }
            ColumnReader::Int32ColumnReader(reader) => walk(reader, at, rows, |row, value| {
                put(row, Value::Number(if signed { (*value).into() } else { bits(*value).into() }));
            }),
            ColumnReader::BoolColumnReader(reader) => {
                walk(reader, at, rows, |row, value| put(row, Value::Flag(*value)))
            }
            ColumnReader::ByteArrayColumnReader(reader) => walk(reader, at, rows, |row, value| {
                // What is not UTF-8 fits no column.
                put(row, Value::Text(value.as_utf8().unwrap_or("\u{0}")));
            }),
            _ => Err(ParquetError::General(format!("column {} has another type", column.name))),
        };
        read.map_err(parquet(&self.table.path))?;
        match fits {
            true => Ok(()),
            false => Err(HistoryError::Value { path: self.table.path.clone(), column: column.name }),
        }
    }

    /// None where all of it is null.
    fn cursor(&self, index: usize) -> ParquetResult<Option<Cursor>> {
        let Some(chunk) = self.metadata.columns().get(index) else { return Ok(None) };
        let nulls = chunk.statistics().and_then(|statistics| statistics.null_count_opt());
        if nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(chunk.num_values())) {
            return Ok(None);
        }
        let places = self.table.metadata.page_index();
        let places = places.and_then(|places| places.offset_index(self.number, index));
        let pages = SerializedPageReader::new_with_properties(
            self.table.source.clone(),
            chunk,
            self.rows(),
            places.map(|index| index.page_locations().clone()),
            Arc::new(ReaderProperties::builder().build()),
        )?;
        let reader = get_column_reader(chunk.column_descr_ptr(), Box::new(pages));
        Ok(Some(Cursor { reader, at: 0 }))
    }

    /// Puts the flows of rows together, in the order of the file.
    pub fn flows(
        &self,
        rows: &[Range<usize>],
        shared: &mut Shared,
        mut each: impl FnMut(Flow),
    ) -> Result<(), HistoryError> {
        let failed = parquet(&self.table.path);
        let mut cursors = Vec::new();
        for (index, column) in Column::all().enumerate() {
            if let Some(cursor) = self.cursor(index).map_err(&failed)? {
                cursors.push((column, cursor));
            }
        }
        for batch in batches(rows) {
            let numbers: Vec<usize> = batch.iter().cloned().flatten().collect();
            let mut drafts: Vec<Draft> = numbers.iter().map(|_| Draft::default()).collect();
            for (column, cursor) in &mut cursors {
                // Both ascend.
                let mut place = 0_usize;
                self.advance(cursor, column, &batch, &mut |row, value| {
                    while numbers.get(place).is_some_and(|number| *number < row) {
                        place = place.saturating_add(1);
                    }
                    let draft = drafts.get_mut(place)?;
                    match (&column.access, value) {
                        (Access::Number { set, .. } | Access::Numbers { set, .. }, Value::Number(value)) => {
                            set(draft, value)
                        }
                        (Access::Text { set, .. } | Access::Texts { set, .. }, Value::Text(value)) => {
                            set(draft, value)
                        }
                        (Access::Flag { set, .. }, Value::Flag(value)) => {
                            set(draft, value);
                            Some(())
                        }
                        (_, Value::Number(_) | Value::Text(_) | Value::Flag(_)) => None,
                    }
                })?;
            }
            for draft in drafts {
                let flow = draft.finish(shared);
                let uneven = || HistoryError::Value {
                    path: self.table.path.clone(),
                    column: "(lists of unequal length)",
                };
                each(flow.ok_or_else(uneven)?);
            }
        }
        Ok(())
    }
}

/// Where a column has been read to.
struct Cursor {
    reader: ColumnReader,
    at: usize,
}

fn walk<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    at: &mut usize,
    rows: &[Range<usize>],
    mut each: impl FnMut(usize, &T::T),
) -> ParquetResult<()> {
    let short = || ParquetError::EOF("a column has fewer rows than its group".to_owned());
    let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for range in rows {
        let ahead = range.start.saturating_sub(*at);
        if reader.skip_records(ahead)? != ahead {
            return Err(short());
        }
        *at = range.start;
        while *at < range.end {
            definitions.clear();
            repetitions.clear();
            values.clear();
            let wanted = range.end.saturating_sub(*at).min(BATCH);
            let (records, ..) =
                reader.read_records(wanted, Some(&mut definitions), Some(&mut repetitions), &mut values)?;
            if records == 0 {
                return Err(short());
            }
            let mut values = values.iter();
            let mut next = *at;
            for (place, definition) in definitions.iter().enumerate() {
                if repetitions.get(place).is_none_or(|level| *level == 0) {
                    next = next.saturating_add(1);
                }
                if *definition == 1 {
                    each(next.saturating_sub(1), values.next().ok_or_else(short)?);
                }
            }
            *at = at.saturating_add(records);
        }
    }
    Ok(())
}

/// The same rows, at most [`BATCH`] together.
fn batches(rows: &[Range<usize>]) -> Vec<Rows> {
    let mut batches: Vec<Rows> = Vec::new();
    let mut room = 0_usize;
    for range in rows {
        let mut start = range.start;
        while start < range.end {
            if room == 0 {
                batches.push(Rows::new());
                room = BATCH;
            }
            let end = start.saturating_add(room).min(range.end);
            if let Some(batch) = batches.last_mut() {
                batch.push(start..end);
            }
            room = room.saturating_sub(end.saturating_sub(start));
            start = end;
        }
    }
    batches
}
