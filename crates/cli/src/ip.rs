//! `ciliate ip`: which address has which identity, and why.

use crate::{
    context::Context,
    output::{Cell, OutputArgs, Page, Table, View},
    row,
};
use ciliate_api::{AddressEntry, AddressSource, Client};
use ciliate_types::ReservedIdentity;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;
use std::net::IpAddr;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List all addresses and prefixes with an identity
    #[command(visible_alias = "ls")]
    List {
        /// Numbers in place of labels
        #[arg(short = 'n', long)]
        numeric: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show what decides the identity of an address
    Get {
        address: IpAddr,
        /// Numbers in place of labels
        #[arg(short = 'n', long)]
        numeric: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        let mut entries = client.ips()?;
        let (numeric, output) = match self {
            Self::List { numeric, output } => (numeric, output),
            Self::Get { address, numeric, output } => {
                entries.retain(|entry| entry.cidr.contains(&address));
                entries.sort_by_key(|entry| entry.cidr.prefix_len());
                entries = vec![match entries.pop() {
                    Some(entry) => entry,
                    None => world(&client, address)?,
                }];
                (numeric, output)
            }
        };
        output.print(
            &context.page,
            &Addresses { entries, labels: if numeric { Labels::Numbers } else { Labels::Full } },
        )
    }
}

/// What no entry names belongs to the world of its family.
fn world(client: &Client, address: IpAddr) -> anyhow::Result<AddressEntry> {
    let (reserved, cidr) = match address {
        IpAddr::V4(_) => (ReservedIdentity::WorldIpv4, IpNet::V4(Ipv4Net::default())),
        IpAddr::V6(_) => (ReservedIdentity::WorldIpv6, IpNet::V6(Ipv6Net::default())),
    };
    let identity = client.identity(reserved.into())?;
    Ok(AddressEntry {
        cidr,
        identity: identity.id,
        labels: identity.labels,
        source: AddressSource::Reserved,
        endpoint: None,
        name: None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Labels {
    Full,
    Numbers,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Addresses {
    entries: Vec<AddressEntry>,
    #[serde(skip)]
    labels: Labels,
}

impl View for Addresses {
    fn text(&self, page: &Page) -> String {
        let rows = self.entries.iter().map(|entry| {
            let identity = match self.labels {
                Labels::Numbers => Cell::from(entry.identity.to_string()),
                Labels::Full if entry.labels.is_empty() => Cell::from(entry.identity.to_string()),
                Labels::Full => Cell::lines(entry.labels.iter()),
            };
            let whom = match (&entry.name, entry.endpoint) {
                (Some(name), _) => name.clone(),
                (None, Some(endpoint)) => format!("endpoint {endpoint}"),
                (None, None) => String::new(),
            };
            row![entry.cidr.to_string(), identity, entry.source.to_string(), whom]
        });
        Table::new(&["IP", "IDENTITY", "SOURCE", "ENDPOINT"]).wrap("IDENTITY").rows(rows).render(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_types::Identity;

    #[test]
    fn addresses_show_labels_or_numbers() {
        let entries = vec![AddressEntry {
            cidr: "10.201.0.7/32".parse().unwrap(),
            identity: Identity::new(31995),
            labels: ["k8s:a=b", "k8s:c=d"].iter().map(|l| l.parse().unwrap()).collect(),
            source: AddressSource::Endpoint,
            endpoint: "65".parse().ok(),
            name: Some("default/tiefighter".to_owned()),
        }];
        let mut list = Addresses { entries, labels: Labels::Full };
        assert_eq!(
            list.text(&Page::plain()),
            "IP              IDENTITY   SOURCE     ENDPOINT\n\
             10.201.0.7/32   k8s:a=b    endpoint   default/tiefighter\n\
             \x20               k8s:c=d\n"
        );
        list.labels = Labels::Numbers;
        assert!(list.text(&Page::plain()).contains("31995"));
    }
}
