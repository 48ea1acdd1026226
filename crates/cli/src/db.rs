//! `ciliate db`: the agent's tables, row by row.

use crate::{
    context::Context,
    output::{Cell, IntoCell, OutputArgs, Page, Table, View},
    row,
};
use ciliate_api::DbTable;
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List all tables
    #[command(visible_alias = "ls")]
    List(OutputArgs),
    /// Show the rows of a table
    Show {
        /// Name of the table, as in `db list`
        table: String,
        #[command(flatten)]
        output: OutputArgs,
    },
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List(output) => output.print(&context.page, &Tables(client.tables()?)),
            Self::Show { table, output } => output.print(&context.page, &Rows(client.table(&table)?)),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Tables(Vec<DbTable>);

impl View for Tables {
    fn text(&self, page: &Page) -> String {
        let rows = self.0.iter().map(|table| {
            let listed = if table.initialised { "yes" } else { "no" };
            row![&table.name, table.rows, table.revision, listed]
        });
        Table::new(&["NAME", "ROWS", "REVISION", "INITIALISED"]).rows(rows).render(page)
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(self.0.iter().map(|table| format!("table/{}", table.name)).collect())
    }
}

/// Rows of any shape: their fields are the columns.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Rows(pub Vec<Value>);

impl View for Rows {
    fn text(&self, page: &Page) -> String {
        let mut keys: Vec<&str> = Vec::new();
        for key in self.0.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
            if !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return self.0.iter().map(|row| format!("{}\n", plain(row))).collect();
        }
        let rows = self.0.iter().map(|row| {
            let cells =
                keys.iter().map(|key| row.get(key).map_or_else(Cell::default, |value| plain(value).cell()));
            cells.collect()
        });
        Table::named(keys.iter().map(|key| key.to_uppercase())).wrap("VALUE").rows(rows).render(page)
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(items) if !items.iter().any(|i| i.is_object() || i.is_array()) => {
            items.iter().map(plain).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_become_columns() {
        let rows = Rows(vec![
            json!({"id": 1, "labels": ["a", "b"]}),
            json!({"id": 20, "state": null, "x": {"y": 1}}),
        ]);
        assert_eq!(
            rows.text(&Page::plain()),
            "ID   LABELS   STATE   X\n1    a,b\n20                    {\"y\":1}\n"
        );
        assert_eq!(Rows(vec![json!("plain")]).text(&Page::plain()), "plain\n");
    }
}
