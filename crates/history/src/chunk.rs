//! Column chunks of values from a dictionary, made from runs: what many flows share is looked at once, and neighbours that are alike cost
//! nothing. The Parquet library, which takes one value after the other, needs several times as long; it still writes what has no
//! dictionary, and puts the chunks made here into the file.

mod hybrid;

use crate::column::Stretch;
use bytes::Bytes;
use foldhash::fast::FixedState;
use hybrid::Hybrid;
use parquet::{
    basic::{Compression, Encoding, ZstdLevel},
    column::{
        page::{CompressedPage, Page, PageWriter as _},
        writer::ColumnCloseResult,
    },
    data_type::ByteArray,
    errors::{ParquetError, Result},
    file::{
        metadata::{ColumnChunkMetaData, OffsetIndexBuilder},
        statistics::{Statistics, ValueStatistics},
        writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite},
    },
    schema::types::ColumnDescPtr,
};
use std::{collections::HashMap, hash::Hash, io::Write, ops::Range};
use zstd::bulk::Compressor;

/// How hard what is written is compressed.
pub(crate) const LEVEL: i32 = 3;

/// Bounds of texts that are longer are not written down.
const LONGEST_BOUND: usize = 256;

/// Whether a row has a value or none, or any number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Optional,
    List,
}

/// Values that came up, each once, with the numbers that stand for them.
pub(crate) struct Dictionary<K> {
    numbers: HashMap<K, u32, FixedState>,
    /// One after the other as Parquet's `PLAIN` encoding has them.
    plain: Vec<u8>,
    bounds: Option<(K, K)>,
}

impl<K> Default for Dictionary<K> {
    fn default() -> Self {
        Self { numbers: HashMap::default(), plain: Vec::new(), bounds: None }
    }
}

impl<K: Clone + Eq + Hash> Dictionary<K> {
    fn len(&self) -> u32 {
        u32::try_from(self.numbers.len()).unwrap_or(u32::MAX)
    }

    fn add(&mut self, value: K, is_less: impl Fn(&K, &K) -> bool) -> u32 {
        let number = self.len();
        match &mut self.bounds {
            None => self.bounds = Some((value.clone(), value.clone())),
            Some((least, _)) if is_less(&value, least) => *least = value.clone(),
            Some((_, most)) if is_less(most, &value) => *most = value.clone(),
            Some(_) => {}
        }
        self.numbers.insert(value, number);
        number
    }
}

impl Dictionary<String> {
    pub fn text(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.plain.extend_from_slice(&length.to_le_bytes());
        self.plain.extend_from_slice(text.as_bytes());
        self.add(text.to_owned(), |left, right| left < right)
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let fits = |(least, most): &&(String, String)| least.len().max(most.len()) <= LONGEST_BOUND;
        let bounds = self.bounds.as_ref().filter(fits);
        let (least, most) = bounds.map(|(least, most)| (bytes(least), bytes(most))).unzip();
        Statistics::ByteArray(ValueStatistics::new(least, most, None, Some(nulls), false))
    }
}

fn bytes(text: &str) -> ByteArray {
    ByteArray::from(text.as_bytes().to_vec())
}

/// Numbers of 64 bits, or of 32 by their low bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bits {
    Wide,
    /// 64 without a sign.
    WideUnsigned,
    /// 32, as the column's getter gives them: with or without a sign.
    Narrow,
}

impl Dictionary<i64> {
    pub fn number(&mut self, value: i64, bits: Bits) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        match bits {
            Bits::Wide | Bits::WideUnsigned => self.plain.extend_from_slice(&value.to_le_bytes()),
            Bits::Narrow => self.plain.extend_from_slice(&narrow(value).to_le_bytes()),
        }
        self.add(value, |left, right| match bits {
            Bits::Wide | Bits::Narrow => left < right,
            Bits::WideUnsigned => left.cast_unsigned() < right.cast_unsigned(),
        })
    }

    fn statistics(&self, bits: Bits, nulls: u64) -> Statistics {
        let (least, most) = self.bounds.unzip();
        match bits {
            Bits::Wide | Bits::WideUnsigned => {
                Statistics::Int64(ValueStatistics::new(least, most, None, Some(nulls), false))
            }
            Bits::Narrow => {
                let (least, most) = (least.map(narrow), most.map(narrow));
                Statistics::Int32(ValueStatistics::new(least, most, None, Some(nulls), false))
            }
        }
    }
}

/// Those without a sign lie there by their bits.
fn narrow(value: i64) -> i32 {
    u32::try_from(value).map(u32::cast_signed).or_else(|_| i32::try_from(value)).unwrap_or(0)
}

/// Rows by the numbers of their values.
#[derive(Default)]
pub(crate) struct RowRuns {
    /// Of all kinds of rows, one after the other.
    numbers: Vec<u32>,
    /// Which of the numbers, and how many rows on end have them.
    runs: Vec<(Range<usize>, usize)>,
    /// Where the numbers of shared rows are, by what the stretch is numbered.
    shared: Vec<Option<Range<usize>>>,
}

impl RowRuns {
    /// Adds the rows of a stretch. Those of one number have the same values, which `fill` gives.
    pub fn add(&mut self, stretch: &Stretch<'_>, fill: impl FnOnce(&mut Vec<u32>)) {
        let shared = stretch.number.map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        let known = shared.and_then(|number| self.shared.get(number)).cloned().flatten();
        let range = known.unwrap_or_else(|| {
            let begin = self.numbers.len();
            fill(&mut self.numbers);
            let fresh = begin..self.numbers.len();
            // Mostly that of the row before, or nothing.
            let range = match self.runs.last() {
                Some((before, _)) if self.are_alike(before, &fresh) => {
                    self.numbers.truncate(begin);
                    before.clone()
                }
                _ => fresh,
            };
            if let Some(number) = shared {
                if self.shared.len() <= number {
                    self.shared.resize(number.saturating_add(1), None);
                }
                if let Some(place) = self.shared.get_mut(number) {
                    *place = Some(range.clone());
                }
            }
            range
        });
        match self.runs.last_mut() {
            Some((before, rows)) if *before == range => *rows = rows.saturating_add(stretch.rows),
            _ => self.runs.push((range, stretch.rows)),
        }
    }

    /// They are few, mostly one: a call to compare memory would cost more than all else here.
    fn are_alike(&self, left: &Range<usize>, right: &Range<usize>) -> bool {
        let at = |place| self.numbers.get(place);
        left.len() == right.len()
            && left.clone().zip(right.clone()).all(|(left, right)| at(left) == at(right))
    }
}

/// Writes chunks into row groups.
pub(crate) struct Chunks {
    compressor: Compressor<'static>,
    /// Rows of a page.
    page_rows: usize,
}

/// What a chunk is beside its rows.
struct Kind {
    column: ColumnDescPtr,
    shape: Shape,
    /// Bits of a number in the dictionary.
    width: u32,
}

impl Chunks {
    pub fn new(page_rows: usize) -> Result<Self> {
        Ok(Self { compressor: Compressor::new(LEVEL).map_err(ParquetError::from)?, page_rows })
    }

    /// The next column of the group: one of texts.
    pub fn texts<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        column: ColumnDescPtr,
        shape: Shape,
        (rows, dictionary): (RowRuns, Dictionary<String>),
    ) -> Result<()> {
        let kind = Kind { column, shape, width: width(dictionary.len()) };
        let statistics = |nulls| dictionary.statistics(nulls);
        self.write(group, &kind, &rows, (&dictionary.plain, dictionary.len()), statistics)
    }

    /// The next column of the group: one of numbers.
    pub fn numbers<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        column: ColumnDescPtr,
        (shape, bits): (Shape, Bits),
        (rows, dictionary): (RowRuns, Dictionary<i64>),
    ) -> Result<()> {
        let kind = Kind { column, shape, width: width(dictionary.len()) };
        let statistics = |nulls| dictionary.statistics(bits, nulls);
        self.write(group, &kind, &rows, (&dictionary.plain, dictionary.len()), statistics)
    }

    fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        kind: &Kind,
        rows: &RowRuns,
        (plain, values): (&[u8], u32),
        statistics: impl FnOnce(u64) -> Statistics,
    ) -> Result<()> {
        let mut out = TrackedWrite::new(Vec::new());
        let mut sums = Sums::default();
        if values > 0 {
            let page = |buf| Page::DictionaryPage {
                buf,
                num_values: values,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            self.put(&mut out, plain, page, &mut sums)?;
        }
        let data_at = sums.compressed;
        let mut index = OffsetIndexBuilder::new();
        let mut body = Body::new(kind);
        for (range, count) in &rows.runs {
            let numbers = rows.numbers.get(range.clone()).unwrap_or_default();
            let mut left = *count;
            while left > 0 {
                let taken = left.min(self.page_rows.saturating_sub(body.rows)).max(1);
                body.put(numbers, taken);
                left = left.saturating_sub(taken);
                if body.rows >= self.page_rows {
                    let full = std::mem::replace(&mut body, Body::new(kind));
                    self.put_body(&mut out, full, values, &mut sums, &mut index)?;
                }
            }
        }
        if body.rows > 0 {
            self.put_body(&mut out, body, values, &mut sums, &mut index)?;
        }
        let metadata = ColumnChunkMetaData::builder(kind.column.clone())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_num_values(i64::try_from(sums.levels)?)
            .set_total_compressed_size(i64::try_from(sums.compressed)?)
            .set_total_uncompressed_size(i64::try_from(sums.uncompressed)?)
            .set_dictionary_page_offset((values > 0).then_some(0))
            .set_data_page_offset(i64::try_from(data_at)?)
            .set_statistics(statistics(u64::try_from(sums.nulls)?))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: u64::try_from(sums.compressed)?,
            rows_written: u64::try_from(sums.rows)?,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(index.build()),
        };
        group.append_column(&Bytes::from(out.into_inner()?), close)
    }

    fn put_body(
        &mut self,
        out: &mut TrackedWrite<Vec<u8>>,
        body: Body,
        values: u32,
        sums: &mut Sums,
        index: &mut OffsetIndexBuilder,
    ) -> Result<()> {
        let (levels, nulls, rows) = (body.levels, body.nulls, body.rows);
        let num_values = u32::try_from(levels)?;
        let encoding = if values > 0 { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN };
        let bytes = body.finish(encoding);
        let page = |buf| Page::DataPage {
            buf,
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let at = sums.compressed;
        self.put(out, &bytes, page, sums)?;
        index.append_offset_and_size(i64::try_from(at)?, i32::try_from(sums.compressed.saturating_sub(at))?);
        index.append_row_count(i64::try_from(rows)?);
        sums.levels = sums.levels.saturating_add(levels);
        sums.nulls = sums.nulls.saturating_add(nulls);
        sums.rows = sums.rows.saturating_add(rows);
        Ok(())
    }

    fn put(
        &mut self,
        out: &mut TrackedWrite<Vec<u8>>,
        bytes: &[u8],
        page: impl FnOnce(Bytes) -> Page,
        sums: &mut Sums,
    ) -> Result<()> {
        let compressed = self.compressor.compress(bytes)?;
        let page = CompressedPage::new(page(Bytes::from(compressed)), bytes.len());
        let spec = SerializedPageWriter::new(out).write_page(page)?;
        sums.compressed = sums.compressed.saturating_add(spec.compressed_size);
        sums.uncompressed = sums.uncompressed.saturating_add(spec.uncompressed_size);
        Ok(())
    }
}

/// Bits that numbers below this one take; readers know no fewer than one.
fn width(numbers: u32) -> u32 {
    u32::BITS.saturating_sub(numbers.saturating_sub(1).leading_zeros()).max(1)
}

/// What a chunk's pages come to.
#[derive(Default)]
struct Sums {
    compressed: usize,
    uncompressed: usize,
    levels: usize,
    nulls: usize,
    rows: usize,
}

/// A data page while it is put together.
struct Body {
    shape: Shape,
    repetitions: Hybrid,
    definitions: Hybrid,
    numbers: Hybrid,
    width: u32,
    rows: usize,
    levels: usize,
    nulls: usize,
}

impl Body {
    fn new(kind: &Kind) -> Self {
        Self {
            shape: kind.shape,
            repetitions: Hybrid::new(1),
            definitions: Hybrid::new(1),
            numbers: Hybrid::new(kind.width),
            width: kind.width,
            rows: 0,
            levels: 0,
            nulls: 0,
        }
    }

    /// So many rows with these values.
    fn put(&mut self, numbers: &[u32], rows: usize) {
        let levels = numbers.len().max(1).saturating_mul(rows);
        self.rows = self.rows.saturating_add(rows);
        self.levels = self.levels.saturating_add(levels);
        self.definitions.put(u32::from(!numbers.is_empty()), levels);
        match numbers {
            [] => {
                self.nulls = self.nulls.saturating_add(rows);
                self.repetitions.put(0, rows);
            }
            [one] => {
                self.repetitions.put(0, rows);
                self.numbers.put(*one, rows);
            }
            [_, others @ ..] => {
                for _ in 0..rows {
                    self.repetitions.put(0, 1);
                    self.repetitions.put(1, others.len());
                    numbers.iter().for_each(|number| self.numbers.put(*number, 1));
                }
            }
        }
    }

    fn finish(self, encoding: Encoding) -> Vec<u8> {
        let mut bytes = Vec::new();
        let levels = |level: Hybrid, bytes: &mut Vec<u8>| {
            let level = level.finish();
            bytes.extend_from_slice(&u32::try_from(level.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(&level);
        };
        if self.shape == Shape::List {
            levels(self.repetitions, &mut bytes);
        }
        levels(self.definitions, &mut bytes);
        if encoding == Encoding::RLE_DICTIONARY {
            bytes.push(u8::try_from(self.width).unwrap_or(u8::MAX));
            bytes.extend_from_slice(&self.numbers.finish());
        }
        bytes
    }
}
