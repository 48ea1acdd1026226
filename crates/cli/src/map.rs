//! `ciliate map`: the kernel's maps, what the agent wrote into them and when.

use crate::{
    context::Context,
    output::{Cell, OutputArgs, Page, Table, Tone, View},
    row,
};
use ciliate_api::{MapEvent, MapInfo};
use serde::Serialize;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List all maps
    #[command(visible_alias = "ls")]
    List(OutputArgs),
    /// Show what the agent wrote into a map
    Get(Named),
    /// Show the last writes of the agent to a map
    Events(Named),
}

#[derive(Debug, clap::Args)]
pub struct Named {
    /// Name of the map, as in `map list`
    map: String,
    #[command(flatten)]
    output: OutputArgs,
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List(output) => output.print(&context.page, &Maps(client.maps()?)),
            Self::Get(args) => args.output.print(&context.page, &crate::db::Rows(client.map(&args.map)?)),
            Self::Events(args) => args.output.print(&context.page, &Events(client.map_events(&args.map)?)),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Maps(Vec<MapInfo>);

impl View for Maps {
    fn text(&self, page: &Page) -> String {
        let rows = self.0.iter().map(|map| {
            let errors = if map.errors == 0 { Tone::Plain } else { Tone::Bad };
            row![
                &map.name,
                &map.kind,
                map.entries,
                map.capacity,
                Cell::toned(map.errors, errors),
                &map.pinned_at
            ]
        });
        Table::new(&["Name", "Kind", "Num entries", "Capacity", "Num errors", "Pinned at"])
            .rows(rows)
            .render(page)
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(self.0.iter().map(|map| format!("map/{}", map.name)).collect())
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Events(Vec<MapEvent>);

impl View for Events {
    fn text(&self, page: &Page) -> String {
        let rows = self.0.iter().map(|event| {
            let error =
                if event.error.is_empty() { Cell::from("-") } else { Cell::toned(&event.error, Tone::Bad) };
            row![format!("{:.3}", event.time), &event.action, &event.key, &event.value, error]
        });
        Table::new(&["Timestamp", "Action", "Key", "Value", "Error"]).wrap("Value").rows(rows).render(page)
    }
}
