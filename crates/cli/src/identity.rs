//! `ciliate identity`: the numbers that stand for sets of labels.

use crate::{
    context::Context,
    endpoint::label,
    output::{Cell, Detail, OutputArgs, Page, Table, View},
    row,
};
use ciliate_api::IdentityEntry;
use ciliate_types::{Identity, Label, source};
use serde::Serialize;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List all identities
    #[command(visible_alias = "ls")]
    List {
        /// Only those that have all of these labels
        #[arg(value_name = "LABEL", value_parser = label)]
        labels: Vec<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show one identity, by number or by labels
    Get {
        #[arg(value_name = "NUMBER", required_unless_present = "labels", value_parser = number)]
        identity: Option<Identity>,
        /// Labels it has. May be repeated
        #[arg(short = 'l', long = "label", value_name = "LABEL", value_parser = label, conflicts_with = "identity")]
        labels: Vec<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// Reads the number of an identity.
pub fn number(text: &str) -> Result<Identity, String> {
    text.parse().map(Identity::new).map_err(|_| format!("{text:?} is not the number of an identity"))
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List { labels, output } => {
                let mut identities = client.identities()?;
                identities.retain(|entry| has_labels(entry, &labels));
                output.print(&context.page, &Identities(identities))
            }
            Self::Get { identity: Some(identity), output, .. } => {
                output.print(&context.page, &Identities(vec![client.identity(identity)?]))
            }
            Self::Get { identity: None, labels, output } => {
                let mut identities = client.identities()?;
                identities.retain(|entry| has_labels(entry, &labels));
                output.print(&context.page, &Identities(identities))
            }
        }
    }
}

fn has_labels(entry: &IdentityEntry, wanted: &[String]) -> bool {
    wanted.iter().all(|text| {
        Label::parse(text, source::ANY).is_ok_and(|label| {
            let value = entry.labels.get(label.source(), label.key());
            value.is_some_and(|value| !text.contains('=') || value == label.value())
        })
    })
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Identities(Vec<IdentityEntry>);

impl View for Identities {
    fn text(&self, page: &Page) -> String {
        let mut titles = vec!["ID", "LABELS"];
        if page.detail == Detail::Wide {
            titles.push("REFERENCES");
        }
        let mut table = Table::new(&titles).wrap("LABELS");
        for entry in &self.0 {
            let mut row = row![entry.id.get(), Cell::lines(entry.labels.iter())];
            if page.detail == Detail::Wide {
                row.extend(row![entry.references]);
            }
            table.push(row);
        }
        table.render(page)
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(self.0.iter().map(|entry| format!("identity/{}", entry.id)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_below_each_other() {
        let entry = |id, labels: &[&str]| IdentityEntry {
            id: Identity::new(id),
            labels: labels.iter().map(|l| l.parse().unwrap()).collect(),
            references: 2,
        };
        let list = Identities(vec![entry(1, &["reserved:host"]), entry(31995, &["k8s:a=b", "k8s:c=d"])]);
        assert_eq!(
            list.text(&Page::plain()),
            "ID      LABELS\n1       reserved:host\n31995   k8s:a=b\n        k8s:c=d\n"
        );
        assert!(has_labels(&list.0[1], &["a=b".to_owned(), "k8s:c".to_owned()]));
        assert!(!has_labels(&list.0[1], &["a=c".to_owned()]));
    }
}
