//! Tables as values: a copy is free, so a transaction is a copy that is kept or dropped.
//!
//! Every change of a row gets a revision. A reconciler asks for the changes since the revision it has dealt with;
//! rows it finds outside and not in the table may only be removed once the table is initialised, that is after
//! everything that fills it has been listed once.

mod any;
mod table;

pub use any::AnyTable;
pub use table::{Change, Initialised, Row, Table};
