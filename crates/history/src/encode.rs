//! Flows to columns.

use crate::column::{Access, Column, Width};
use ciliate_flow::{Flow, Judgement, Party, Verdict};
use parquet::{
    basic::{Compression, Encoding, ZstdLevel},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::{ParquetError, Result},
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::{
        parser::parse_message_type,
        types::{ColumnPath, TypePtr},
    },
};
use std::{borrow::Cow, collections::HashMap, io::Write, ops::Range, sync::Arc};

/// Flows in one row group: what is sorted, compressed and held in memory together.
pub(crate) const GROUP_ROWS: usize = 65_536;

/// Flows whose values are given to the library at a time.
const BATCH: usize = 4096;

/// Flows in one page, the smallest part that is read.
const PAGE_ROWS: usize = 16_384;

pub(crate) fn schema() -> Result<TypePtr> {
    let columns: Vec<String> = Column::all().map(Column::schema).collect();
    Ok(Arc::new(parse_message_type(&format!("message flow {{ {} }}", columns.join(" ")))?))
}

pub(crate) fn properties(metadata: Vec<KeyValue>) -> Result<Arc<WriterProperties>> {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("ciliate version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(metadata))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(24))
        .set_dictionary_page_size_limit(4 << 20)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(BATCH);
    // Nearly every value is another one, near the one before.
    for name in ["time", "sequence"] {
        builder = builder
            .set_column_dictionary_enabled(ColumnPath::from(name), false)
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
    }
    Ok(Arc::new(builder.build()))
}

/// What lies in row groups of its own. Few flows are not simply forwarded and most questions are about those: so they are
/// read without the forwarded ones, of whose groups the statistics say that they are all alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Denied, redirected, audited or failed.
    Other,
    Forwarded,
}

impl Class {
    pub const ALL: [Self; 2] = [Self::Other, Self::Forwarded];

    pub const fn of(flow: &Flow) -> Self {
        match flow.verdict {
            Verdict::Forwarded => Self::Forwarded,
            Verdict::Unknown
            | Verdict::Dropped
            | Verdict::Error
            | Verdict::Audit
            | Verdict::Redirected
            | Verdict::Traced
            | Verdict::Translated => Self::Other,
        }
    }
}

/// Puts flows next to those that are like them, so that most columns become a few runs: by verdict, then by who speaks to
/// whom, and in that by time.
pub(crate) fn arrange(rows: &mut [&Flow]) {
    let mut parties: Numbers<'_, Party> = Numbers::default();
    let mut judgements: Numbers<'_, Judgement> = Numbers::default();
    rows.sort_by_cached_key(|flow| {
        let source = parties.of(&flow.source.party);
        let destination = parties.of(&flow.destination.party);
        let egress = flow.egress.as_ref().map_or(u32::MAX, |judgement| judgements.of(judgement));
        let ingress = flow.ingress.as_ref().map_or(u32::MAX, |judgement| judgements.of(judgement));
        (flow.verdict as i32, source, destination, egress, ingress, flow.time, flow.id.sequence)
    });
}

/// Numbers equal values alike. Mostly equal ones are one value that is shared, and then they need not be looked at.
struct Numbers<'a, T> {
    places: HashMap<*const T, u32, foldhash::fast::FixedState>,
    values: HashMap<&'a T, u32, foldhash::fast::FixedState>,
}

impl<T> Default for Numbers<'_, T> {
    fn default() -> Self {
        Self { places: HashMap::default(), values: HashMap::default() }
    }
}

impl<'a, T: Eq + std::hash::Hash> Numbers<'a, T> {
    fn of(&mut self, value: &'a Arc<T>) -> u32 {
        let Self { places, values } = self;
        *places.entry(Arc::as_ptr(value)).or_insert_with(|| {
            let next = u32::try_from(values.len()).unwrap_or(u32::MAX);
            *values.entry(value).or_insert(next)
        })
    }
}

/// Writes a row group with flows in the order in which they are given.
pub(crate) fn write_group<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    rows: &[&Flow],
) -> Result<()> {
    let mut group = writer.next_row_group()?;
    for column in Column::all() {
        let missing = || ParquetError::General(format!("the schema has no column {}", column.name));
        let mut out = group.next_column()?.ok_or_else(missing)?;
        let mut texts = Texts::default();
        for batch in rows.chunks(BATCH) {
            write_batch(&column.access, out.untyped(), batch, &mut texts)?;
        }
        out.close()?;
    }
    group.close()?;
    Ok(())
}

fn write_batch(
    access: &Access,
    out: &mut ColumnWriter<'_>,
    rows: &[&Flow],
    texts: &mut Texts,
) -> Result<()> {
    let mismatch =
        || ParquetError::General("the schema gives a column another type than its table".to_owned());
    let level = |present: bool| i16::from(present);
    match (access, out) {
        (
            Access::Number { width: Width::U64 | Width::Time, get, .. },
            ColumnWriter::Int64ColumnWriter(out),
        ) => {
            let values: Vec<Option<i64>> = rows.iter().map(|flow| get(flow)).collect();
            let levels: Vec<i16> = values.iter().map(|value| level(value.is_some())).collect();
            let values: Vec<i64> = values.into_iter().flatten().collect();
            out.write_batch(&values, Some(&levels), None)?;
        }
        (Access::Number { get, .. }, ColumnWriter::Int32ColumnWriter(out)) => {
            let values: Vec<Option<i64>> = rows.iter().map(|flow| get(flow)).collect();
            let levels: Vec<i16> = values.iter().map(|value| level(value.is_some())).collect();
            // Those without a sign lie there by their bits.
            let bits = |value: i64| {
                u32::try_from(value).map(u32::cast_signed).or_else(|_| i32::try_from(value)).unwrap_or(0)
            };
            let values: Vec<i32> = values.into_iter().flatten().map(bits).collect();
            out.write_batch(&values, Some(&levels), None)?;
        }
        (Access::Flag { get, .. }, ColumnWriter::BoolColumnWriter(out)) => {
            let values: Vec<Option<bool>> = rows.iter().map(|flow| get(flow)).collect();
            let levels: Vec<i16> = values.iter().map(|value| level(value.is_some())).collect();
            let values: Vec<bool> = values.into_iter().flatten().collect();
            out.write_batch(&values, Some(&levels), None)?;
        }
        (Access::Text { of, get, .. }, ColumnWriter::ByteArrayColumnWriter(out)) => {
            texts.begin();
            let levels: Vec<i16> =
                rows.iter().map(|flow| level(texts.text(of.key(flow), || get(flow)))).collect();
            out.write_batch(&texts.values, Some(&levels), None)?;
        }
        (Access::Texts { of, get, .. }, ColumnWriter::ByteArrayColumnWriter(out)) => {
            texts.begin();
            let levels = lists(rows, |flow, levels| {
                let items = texts.list(of.key(flow), |each| get(flow, each));
                (0..items).for_each(|_| levels.item());
            });
            out.write_batch(&texts.values, Some(&levels.definitions), Some(&levels.repetitions))?;
        }
        (Access::Numbers { get, .. }, ColumnWriter::Int64ColumnWriter(out)) => {
            let mut values = Vec::new();
            let levels = lists(rows, |flow, levels| {
                get(flow, &mut |value| {
                    values.push(value);
                    levels.item();
                })
            });
            out.write_batch(&values, Some(&levels.definitions), Some(&levels.repetitions))?;
        }
        (
            Access::Number { .. }
            | Access::Flag { .. }
            | Access::Text { .. }
            | Access::Texts { .. }
            | Access::Numbers { .. },
            _,
        ) => return Err(mismatch()),
    }
    Ok(())
}

/// Values of a column for the library, which wants each in a buffer of its own; equal ones share it, and those of what flows
/// share are looked up by that.
#[derive(Default)]
struct Texts {
    /// Of the present batch.
    values: Vec<ByteArray>,
    known: HashMap<String, ByteArray, foldhash::fast::FixedState>,
    /// The values of what flows share, as ranges of `shared`.
    keys: HashMap<usize, Range<usize>, foldhash::fast::FixedState>,
    shared: Vec<ByteArray>,
}

impl Texts {
    fn begin(&mut self) {
        self.values.clear();
    }

    /// Whether there is one.
    fn text<'a>(&mut self, key: Option<usize>, get: impl FnOnce() -> Option<Cow<'a, str>>) -> bool {
        self.list(key, |each| get().into_iter().for_each(each)) > 0
    }

    /// How many there are.
    fn list<'a>(
        &mut self,
        key: Option<usize>,
        get: impl FnOnce(&mut dyn FnMut(Cow<'a, str>)),
    ) -> usize {
        let begin = self.values.len();
        if let Some(range) = key.and_then(|key| self.keys.get(&key)) {
            let found = self.shared.get(range.clone()).unwrap_or_default();
            self.values.extend_from_slice(found);
            return found.len();
        }
        get(&mut |text| self.push(&text));
        let added = self.values.get(begin..).unwrap_or_default();
        if let Some(key) = key {
            let from = self.shared.len();
            self.shared.extend_from_slice(added);
            self.keys.insert(key, from..self.shared.len());
        }
        added.len()
    }

    fn push(&mut self, text: &str) {
        let last = self.values.last().filter(|last| last.data() == text.as_bytes());
        let value = match last.or_else(|| self.known.get(text)) {
            Some(value) => value.clone(),
            None => {
                let value = ByteArray::from(text);
                self.known.insert(text.to_owned(), value.clone());
                value
            }
        };
        self.values.push(value);
    }
}

/// Levels of lists that are always there and may be empty.
#[derive(Default)]
struct Levels {
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    /// Items of the present list.
    items: usize,
}

impl Levels {
    fn item(&mut self) {
        self.definitions.push(1);
        self.repetitions.push(i16::from(self.items > 0));
        self.items = self.items.saturating_add(1);
    }

    fn end(&mut self) {
        if self.items == 0 {
            self.definitions.push(0);
            self.repetitions.push(0);
        }
        self.items = 0;
    }
}

fn lists(rows: &[&Flow], mut items: impl FnMut(&Flow, &mut Levels)) -> Levels {
    let mut levels = Levels::default();
    for flow in rows {
        items(flow, &mut levels);
        levels.end();
    }
    levels
}
