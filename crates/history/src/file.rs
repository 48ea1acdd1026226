//! Parquet files as wholes: written under another name and moved into place when they are safe on the disk.

use crate::{
    HistoryError,
    decode::Table,
    encode::{Class, Groups, arrange, properties, schema},
    error::{io, parquet},
};
use ciliate_flow::Flow;
use parquet::{
    column::writer::ColumnCloseResult,
    file::{metadata::KeyValue, writer::SerializedFileWriter},
};
use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Key of a file's metadata: names of files whose flows it took over, one a line.
pub(crate) const REPLACES: &str = "ciliate.replaces";

/// A file that is being written.
pub(crate) struct Unfinished {
    path: PathBuf,
    writing: PathBuf,
    writer: SerializedFileWriter<BufWriter<File>>,
    groups: Groups,
    others: Vec<Flow>,
    forwarded: Vec<Flow>,
    group_rows: usize,
    pub rows: u64,
}

impl Unfinished {
    /// That will be at a path and takes over what other files hold.
    pub fn create(path: &Path, replaces: &[String], group_rows: usize) -> Result<Self, HistoryError> {
        let mut writing = path.as_os_str().to_owned();
        writing.push(".unfinished");
        let writing = PathBuf::from(writing);
        let mut metadata = vec![KeyValue::new("ciliate.format".to_owned(), "1".to_owned())];
        if !replaces.is_empty() {
            metadata.push(KeyValue::new(REPLACES.to_owned(), replaces.join("\n")));
        }
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&writing);
        let file = file.map_err(io("create", &writing))?;
        let failed = parquet(&writing);
        let properties = properties(metadata).map_err(&failed)?;
        let writer = SerializedFileWriter::new(BufWriter::new(file), schema().map_err(&failed)?, properties);
        let writer = writer.map_err(&failed)?;
        let groups = Groups::new().map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            writing,
            writer,
            groups,
            others: Vec::new(),
            forwarded: Vec::new(),
            group_rows,
            rows: 0,
        })
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn push(&mut self, flow: Flow) -> Result<(), HistoryError> {
        let class = Class::of(&flow);
        let waiting = self.waiting(class);
        waiting.push(flow);
        match waiting.len() >= self.group_rows {
            true => self.end_group(class),
            false => Ok(()),
        }
    }

    /// Makes row groups of flows in any order.
    pub fn write(&mut self, flows: &[Flow]) -> Result<(), HistoryError> {
        for class in Class::ALL {
            let mut of_class: Vec<&Flow> = flows.iter().filter(|flow| Class::of(flow) == class).collect();
            for rows in of_class.chunks_mut(self.group_rows) {
                arrange(rows);
                self.groups.write(&mut self.writer, rows).map_err(parquet(&self.writing))?;
                self.rows = self.rows.saturating_add(u64::try_from(rows.len()).unwrap_or(0));
            }
        }
        Ok(())
    }

    fn waiting(&mut self, class: Class) -> &mut Vec<Flow> {
        match class {
            Class::Other => &mut self.others,
            Class::Forwarded => &mut self.forwarded,
        }
    }

    fn end_group(&mut self, class: Class) -> Result<(), HistoryError> {
        let flows = std::mem::take(self.waiting(class));
        self.write(&flows)
    }

    /// Takes a row group of another file over as it is.
    pub fn copy(&mut self, table: &Table, number: usize) -> Result<(), HistoryError> {
        let failed = parquet(&table.path);
        let Some(group) = table.metadata.row_groups().get(number) else { return Ok(()) };
        let index = table.metadata.page_index();
        let mut out = self.writer.next_row_group().map_err(&failed)?;
        for (column, chunk) in group.columns().iter().enumerate() {
            let close = ColumnCloseResult {
                bytes_written: u64::try_from(chunk.compressed_size()).unwrap_or(0),
                rows_written: u64::try_from(group.num_rows()).unwrap_or(0),
                metadata: chunk.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: index.and_then(|index| index.offset_index(number, column)).cloned(),
            };
            out.append_column(table.source(), close).map_err(&failed)?;
        }
        out.close().map_err(failed)?;
        self.rows = self.rows.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        Ok(())
    }

    /// Moves it to its place once the disk has it. Its size in bytes.
    pub fn finish(mut self) -> Result<u64, HistoryError> {
        for class in Class::ALL {
            self.end_group(class)?;
        }
        self.writer.finish().map_err(parquet(&self.writing))?;
        let buffer = self.writer.inner_mut();
        buffer.flush().map_err(io("write to", &self.writing))?;
        let file = buffer.get_ref();
        file.sync_all().map_err(io("write to", &self.writing))?;
        let bytes = file.metadata().map_err(io("look at", &self.writing))?.len();
        std::fs::rename(&self.writing, &self.path).map_err(io("rename", &self.writing))?;
        sync_directory(&self.path)?;
        Ok(bytes)
    }
}

/// What did not come to its end leaves nothing.
impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.writing);
    }
}

/// Makes names as safe as what they name.
fn sync_directory(path: &Path) -> Result<(), HistoryError> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else {
        return Ok(());
    };
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io("write to", directory))
}

/// Names of the files that this one took over.
pub(crate) fn replaced(table: &Table) -> Vec<String> {
    let metadata = table.metadata.file_metadata().key_value_metadata().into_iter().flatten();
    let found = metadata.filter(|pair| pair.key == REPLACES).filter_map(|pair| pair.value.as_deref());
    found.flat_map(str::lines).map(str::to_owned).collect()
}
