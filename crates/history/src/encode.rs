//! Flows to columns.

use crate::{
    chunk::{Bits, Chunks, Dictionary, LEVEL, RowRuns, Shape},
    column::{Access, Column, Of, Sharing, Stretch, Width},
};
use ciliate_flow::{Flow, Judgement, Party, Verdict};
use parquet::{
    basic::{Compression, Encoding, ZstdLevel},
    column::writer::ColumnWriter,
    errors::{ParquetError, Result},
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::{
        parser::parse_message_type,
        types::{ColumnDescPtr, ColumnPath, TypePtr},
    },
};
use std::{collections::HashMap, io::Write, iter, sync::Arc};

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
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(24))
        .set_dictionary_page_size_limit(4 << 20)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(BATCH);
    for name in DELTAS {
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

/// Columns that have no dictionary: nearly every value is another one, near the one before.
const DELTAS: [&str; 2] = ["time", "sequence"];

/// Flows of which all columns are gathered before the next: few enough to stay in a processor's cache meanwhile.
const BLOCK: usize = 512;

/// What writes row groups.
pub(crate) struct Groups {
    chunks: Chunks,
}

/// What a column of a group comes to.
enum Gathered {
    Texts(Shape, RowRuns, Dictionary<String>),
    Numbers(Shape, Bits, RowRuns, Dictionary<i64>),
    /// For the library, with whether each row has one.
    Deltas(Vec<i64>, Vec<i16>),
    Flags(Vec<bool>, Vec<i16>),
}

impl Groups {
    pub fn new() -> Result<Self> {
        Ok(Self { chunks: Chunks::new(PAGE_ROWS)? })
    }

    /// Writes a row group with flows in the order in which they are given.
    pub fn write<W: Write + Send>(
        &mut self,
        writer: &mut SerializedFileWriter<W>,
        flows: &[&Flow],
    ) -> Result<()> {
        let described: Vec<ColumnDescPtr> = writer.schema_descr().columns().to_vec();
        let mut columns: Vec<(&Column, Gathered)> =
            Column::all().map(|column| (column, Gathered::of(column))).collect();
        let (mut sharing, mut stretches) = (Sharing::default(), Vec::new());
        for block in flows.chunks(BLOCK) {
            for of in Of::ALL {
                stretches.clear();
                sharing.stretches(of, block, &mut stretches);
                for (column, gathered) in columns.iter_mut().filter(|(column, _)| column.of == of) {
                    gathered.add(&column.access, &stretches);
                }
            }
        }
        let mut group = writer.next_row_group()?;
        for ((column, gathered), described) in columns.into_iter().zip(described) {
            match gathered {
                Gathered::Texts(shape, rows, dictionary) => {
                    self.chunks.texts(&mut group, described, shape, (rows, dictionary))?;
                }
                Gathered::Numbers(shape, bits, rows, dictionary) => {
                    self.chunks.numbers(&mut group, described, (shape, bits), (rows, dictionary))?;
                }
                Gathered::Deltas(..) | Gathered::Flags(..) => by_library(&mut group, column, &gathered)?,
            }
        }
        group.close()?;
        Ok(())
    }
}

impl Gathered {
    /// Nothing yet.
    fn of(column: &Column) -> Self {
        let number = |width: &Width| match width {
            Width::Time => Bits::Wide,
            Width::U64 => Bits::WideUnsigned,
            Width::U8 | Width::U16 | Width::U32 | Width::I32 => Bits::Narrow,
        };
        match &column.access {
            Access::Number { .. } if DELTAS.contains(&column.name) => Self::Deltas(Vec::new(), Vec::new()),
            Access::Number { width, .. } => {
                Self::Numbers(Shape::Optional, number(width), RowRuns::default(), Dictionary::default())
            }
            Access::Numbers { .. } => {
                Self::Numbers(Shape::List, Bits::WideUnsigned, RowRuns::default(), Dictionary::default())
            }
            Access::Flag { .. } => Self::Flags(Vec::new(), Vec::new()),
            Access::Text { .. } => Self::Texts(Shape::Optional, RowRuns::default(), Dictionary::default()),
            Access::Texts { .. } => Self::Texts(Shape::List, RowRuns::default(), Dictionary::default()),
        }
    }

    fn add(&mut self, access: &Access, stretches: &[Stretch<'_>]) {
        match (access, self) {
            (Access::Number { get, .. }, Self::Numbers(_, bits, rows, dictionary)) => {
                for stretch in stretches {
                    rows.add(stretch, |numbers| {
                        numbers.extend(get(stretch.first).map(|value| dictionary.number(value, *bits)));
                    });
                }
            }
            (Access::Number { get, .. }, Self::Deltas(values, levels)) => {
                present(stretches, get, values, levels);
            }
            (Access::Flag { get, .. }, Self::Flags(values, levels)) => {
                present(stretches, get, values, levels)
            }
            (Access::Numbers { get, .. }, Self::Numbers(_, bits, rows, dictionary)) => {
                for stretch in stretches {
                    rows.add(stretch, |numbers| {
                        get(stretch.first, &mut |value| numbers.push(dictionary.number(value, *bits)));
                    });
                }
            }
            (Access::Text { get, .. }, Self::Texts(_, rows, dictionary)) => {
                for stretch in stretches {
                    rows.add(stretch, |numbers| {
                        numbers.extend(get(stretch.first).map(|text| dictionary.text(&text)));
                    });
                }
            }
            (Access::Texts { get, .. }, Self::Texts(_, rows, dictionary)) => {
                for stretch in stretches {
                    rows.add(stretch, |numbers| {
                        get(stretch.first, &mut |text| numbers.push(dictionary.text(&text)));
                    });
                }
            }
            // Made for the other kind of column by nobody; its rows would be missing, which closing the group reports.
            (
                Access::Number { .. }
                | Access::Flag { .. }
                | Access::Text { .. }
                | Access::Texts { .. }
                | Access::Numbers { .. },
                Self::Texts(..) | Self::Numbers(..) | Self::Deltas(..) | Self::Flags(..),
            ) => {}
        }
    }
}

/// The next column of the group, as the library encodes it.
fn by_library<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: &Column,
    gathered: &Gathered,
) -> Result<()> {
    let name = column.name;
    let missing = || ParquetError::General(format!("the schema has no column {name}"));
    let mut out = group.next_column()?.ok_or_else(missing)?;
    match (gathered, out.untyped()) {
        (Gathered::Deltas(values, levels), ColumnWriter::Int64ColumnWriter(out)) => {
            out.write_batch(values, Some(levels), None)?;
        }
        (Gathered::Flags(values, levels), ColumnWriter::BoolColumnWriter(out)) => {
            out.write_batch(values, Some(levels), None)?;
        }
        (Gathered::Texts(..) | Gathered::Numbers(..) | Gathered::Deltas(..) | Gathered::Flags(..), _) => {
            let fault = format!("the schema gives column {name} another type than its table");
            return Err(ParquetError::General(fault));
        }
    }
    out.close()?;
    Ok(())
}

/// Adds the values that are there, and for each flow whether one is.
fn present<T: Clone>(
    stretches: &[Stretch<'_>],
    get: impl Fn(&Flow) -> Option<T>,
    values: &mut Vec<T>,
    levels: &mut Vec<i16>,
) {
    for stretch in stretches {
        let value = get(stretch.first);
        levels.extend(iter::repeat_n(i16::from(value.is_some()), stretch.rows));
        values.extend(value.into_iter().flat_map(|value| iter::repeat_n(value, stretch.rows)));
    }
}
