//! The columns of a history file: one table that the schema, the writer, the reader and the documentation come from.

mod content;
mod ends;
mod judged;
mod of;
mod packet;

use crate::draft::Draft;
use ciliate_flow::Flow;
pub(crate) use of::{Of, Sharing, Stretch};
use std::borrow::Cow;

/// One leaf of the schema: what it is called, what it says, how it is taken from a flow and put into one.
pub struct Column {
    pub name: &'static str,
    /// For the documentation; one line.
    pub about: &'static str,
    pub(crate) of: Of,
    pub(crate) access: Access,
}

/// Getters give nothing where a flow says nothing, which is written as null. Setters give nothing for a value that no
/// writer of this version makes.
pub(crate) enum Access {
    Number { width: Width, get: fn(&Flow) -> Option<i64>, set: fn(&mut Draft, i64) -> Option<()> },
    Flag { get: fn(&Flow) -> Option<bool>, set: fn(&mut Draft, bool) },
    Text { get: for<'a> fn(&'a Flow) -> Option<Cow<'a, str>>, set: fn(&mut Draft, &str) -> Option<()> },
    Texts { get: for<'a> fn(&'a Flow, &mut dyn FnMut(Cow<'a, str>)), set: fn(&mut Draft, &str) -> Option<()> },
    Numbers { get: fn(&Flow, &mut dyn FnMut(i64)), set: fn(&mut Draft, i64) -> Option<()> },
}

/// What a number is in the file; all of them fit 64 signed bits here, unsigned ones of 64 bits by their bit pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    U8,
    U16,
    U32,
    I32,
    U64,
    /// Nanoseconds since 1970, UTC.
    Time,
}

impl Column {
    /// All of them, in the order of the file.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        let tables = [
            packet::COLUMNS,
            ends::SOURCE,
            ends::TRANSLATED,
            ends::DESTINATION,
            judged::EGRESS,
            judged::INGRESS,
            content::COLUMNS,
        ];
        tables.into_iter().flatten()
    }

    /// Its type as DuckDB calls it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match &self.access {
            Access::Number { width, .. } => match width {
                Width::U8 => "UTINYINT",
                Width::U16 => "USMALLINT",
                Width::U32 => "UINTEGER",
                Width::I32 => "INTEGER",
                Width::U64 => "UBIGINT",
                Width::Time => "TIMESTAMPTZ_NS",
            },
            Access::Flag { .. } => "BOOLEAN",
            Access::Text { .. } => "VARCHAR",
            Access::Texts { .. } => "VARCHAR[]",
            Access::Numbers { .. } => "UBIGINT[]",
        }
    }

    /// All columns as a table in Markdown.
    #[must_use]
    pub fn table() -> String {
        let mut text = "| column | type | what |\n|---|---|---|\n".to_owned();
        for column in Self::all() {
            text.push_str(&format!("| `{}` | {} | {} |\n", column.name, column.kind(), column.about));
        }
        text
    }

    pub(crate) const fn is_signed(&self) -> bool {
        matches!(self.access, Access::Number { width: Width::I32, .. })
    }

    /// Its lines in Parquet's schema language.
    pub(crate) fn schema(&self) -> String {
        let name = self.name;
        match &self.access {
            Access::Number { width, .. } => {
                let kind = match width {
                    Width::U8 => "INT32 NAME (INTEGER(8,false))",
                    Width::U16 => "INT32 NAME (INTEGER(16,false))",
                    Width::U32 => "INT32 NAME (INTEGER(32,false))",
                    Width::I32 => "INT32 NAME",
                    Width::U64 => "INT64 NAME (INTEGER(64,false))",
                    Width::Time => "INT64 NAME (TIMESTAMP(NANOS,true))",
                };
                format!("OPTIONAL {};", kind.replace("NAME", name))
            }
            Access::Flag { .. } => format!("OPTIONAL BOOLEAN {name};"),
            Access::Text { .. } => format!("OPTIONAL BYTE_ARRAY {name} (STRING);"),
            Access::Texts { .. } => format!(
                "REQUIRED GROUP {name} (LIST) {{ REPEATED GROUP list {{ REQUIRED BYTE_ARRAY element (STRING); }} }}"
            ),
            Access::Numbers { .. } => format!(
                "REQUIRED GROUP {name} (LIST) {{ REPEATED GROUP list {{ REQUIRED INT64 element (INTEGER(64,false)); }} }}"
            ),
        }
    }
}

/// Nothing for an empty text.
fn filled(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(Cow::Borrowed(text))
}

/// Nothing for zero.
fn some<N: Into<i64> + Default + PartialEq>(number: N) -> Option<i64> {
    (number != N::default()).then(|| number.into())
}

/// Constructors, so that a table has one line for each side of a column.
const fn number(
    name: &'static str,
    of: Of,
    about: &'static str,
    width: Width,
    get: fn(&Flow) -> Option<i64>,
    set: fn(&mut Draft, i64) -> Option<()>,
) -> Column {
    Column { name, about, of, access: Access::Number { width, get, set } }
}

const fn flag(
    name: &'static str,
    of: Of,
    about: &'static str,
    get: fn(&Flow) -> Option<bool>,
    set: fn(&mut Draft, bool),
) -> Column {
    Column { name, about, of, access: Access::Flag { get, set } }
}

const fn text(
    name: &'static str,
    of: Of,
    about: &'static str,
    get: for<'a> fn(&'a Flow) -> Option<Cow<'a, str>>,
    set: fn(&mut Draft, &str) -> Option<()>,
) -> Column {
    Column { name, about, of, access: Access::Text { get, set } }
}

const fn texts(
    name: &'static str,
    of: Of,
    about: &'static str,
    get: for<'a> fn(&'a Flow, &mut dyn FnMut(Cow<'a, str>)),
    set: fn(&mut Draft, &str) -> Option<()>,
) -> Column {
    Column { name, about, of, access: Access::Texts { get, set } }
}

const fn numbers(
    name: &'static str,
    of: Of,
    about: &'static str,
    get: fn(&Flow, &mut dyn FnMut(i64)),
    set: fn(&mut Draft, i64) -> Option<()>,
) -> Column {
    Column { name, about, of, access: Access::Numbers { get, set } }
}

/// Puts a number where it fits.
fn put<N: TryFrom<i64>>(place: &mut N, number: i64) -> Option<()> {
    *place = N::try_from(number).ok()?;
    Some(())
}

fn set<T>(place: &mut T, value: T) -> Option<()> {
    *place = value;
    Some(())
}

fn put_text(place: &mut String, text: &str) -> Option<()> {
    text.clone_into(place);
    Some(())
}

fn push(place: &mut Vec<String>, text: &str) -> Option<()> {
    place.push(text.to_owned());
    Some(())
}
