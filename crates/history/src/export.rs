//! Flows of some time in one file, for taking away.

use crate::{Hints, HistoryError, Order, Outcome, Reader, encode::GROUP_ROWS, file::Unfinished};
use ciliate_flow::Flow;
use std::{io::Write, ops::ControlFlow, path::Path};

/// Whether a flow is wanted, after what hints say.
pub type Wanted<'a> = &'a dyn Fn(&Flow) -> bool;

impl Reader {
    /// Writes flows into one Parquet file with the columns of the history, oldest first. It appears when it is complete.
    ///
    /// # Errors
    /// If the history cannot be read or the file cannot be written.
    pub fn export_parquet(
        &self,
        hints: &Hints,
        wanted: Wanted<'_>,
        path: &Path,
    ) -> Result<Outcome, HistoryError> {
        let mut file = Unfinished::create(path, &[], GROUP_ROWS)?;
        let outcome = self.export(hints, wanted, &mut |flow| file.push(flow))?;
        file.finish()?;
        Ok(outcome)
    }

    /// Writes flows as Hubble's messages in JSON, one a line, oldest first.
    ///
    /// # Errors
    /// If the history cannot be read or the output not be written; `path` is what the error calls it.
    pub fn export_json(
        &self,
        hints: &Hints,
        wanted: Wanted<'_>,
        out: &mut dyn Write,
        path: &Path,
    ) -> Result<Outcome, HistoryError> {
        let outcome = self.export(hints, wanted, &mut |flow| {
            let line = serde_json::to_string(&flow.to_message());
            let line =
                line.map_err(|error| HistoryError::Export { path: path.to_owned(), why: error.to_string() })?;
            writeln!(out, "{line}").map_err(crate::error::io("write to", path))
        })?;
        out.flush().map_err(crate::error::io("write to", path))?;
        Ok(outcome)
    }

    /// The outcome counts what was written.
    fn export(
        &self,
        hints: &Hints,
        wanted: Wanted<'_>,
        write: &mut dyn FnMut(Flow) -> Result<(), HistoryError>,
    ) -> Result<Outcome, HistoryError> {
        let (mut flows, mut failed) = (0_u64, None);
        let outcome = self.query(hints, Order::OldestFirst, &mut |flow| {
            if !wanted(&flow) {
                return ControlFlow::Continue(());
            }
            flows = flows.saturating_add(1);
            match write(flow) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(Outcome { flows, ..outcome }),
        }
    }
}
