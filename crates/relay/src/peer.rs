//! A node, and where it is asked.

use ciliate_config_file::YamlError;
use ciliate_hubble::peer::ChangeNotification;
use ciliate_transport::{Address, AddressError};
use serde::Deserialize;
use std::str::FromStr;
use thiserror::Error;

/// Where nodes listen.
pub const NODE_PORT: u16 = 4244;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `node`, or `cluster/node`.
    pub name: String,
    pub address: Address,
    /// What its certificate must say, if that is not the host's name.
    pub server_name: Option<String>,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum PeerError {
    #[error(
        "{0:?} is no node: write NAME=HOST:PORT, or NAME=HOST:PORT,SERVER-NAME where its certificate has another name"
    )]
    Form(String),
    #[error("node {name:?}: {source}")]
    Address { name: String, source: AddressError },
    #[error("the file of nodes: {0}")]
    File(#[from] YamlError),
    #[error("the file of nodes has {0:?} twice")]
    Twice(String),
}

impl Peer {
    /// # Errors
    /// When the name is empty or the address is none.
    pub fn new(name: &str, address: &str, server_name: Option<String>) -> Result<Self, PeerError> {
        if name.is_empty() {
            return Err(PeerError::Form(format!("{name}={address}")));
        }
        let address = Address::parse(address, NODE_PORT)
            .map_err(|source| PeerError::Address { name: name.to_owned(), source })?;
        Ok(Self { name: name.to_owned(), address, server_name })
    }

    /// A node that a peer service tells of.
    ///
    /// # Errors
    /// When the name is empty or the address is none.
    pub fn told(change: ChangeNotification) -> Result<Self, PeerError> {
        let server_name = change.tls.map(|tls| tls.server_name).filter(|name| !name.is_empty());
        Self::new(&change.name, &change.address, server_name)
    }
}

impl FromStr for Peer {
    type Err = PeerError;

    fn from_str(text: &str) -> Result<Self, PeerError> {
        let (name, rest) = text.split_once('=').ok_or_else(|| PeerError::Form(text.to_owned()))?;
        match rest.split_once(',') {
            Some((_, "")) => Err(PeerError::Form(text.to_owned())),
            Some((address, server_name)) => Self::new(name, address, Some(server_name.to_owned())),
            None => Self::new(name, rest, None),
        }
    }
}

/// One entry of a file of nodes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Listed {
    name: String,
    address: String,
    server_name: Option<String>,
}

/// The nodes of a file: a list in YAML of `name`, `address` and, if need be, `server-name`.
///
/// # Errors
/// What is wrong with which node.
pub fn listed(text: &str) -> Result<Vec<Peer>, PeerError> {
    let listed: Vec<Listed> = ciliate_config_file::parse(text)?.unwrap_or_default();
    let mut peers: Vec<Peer> = Vec::new();
    for Listed { name, address, server_name } in listed {
        if peers.iter().any(|peer| peer.name == name) {
            return Err(PeerError::Twice(name));
        }
        peers.push(Peer::new(&name, &address, server_name)?);
    }
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(peer: &Peer) -> String {
        format!("{} {} {:?}", peer.name, peer.address, peer.server_name)
    }

    #[test]
    fn nodes_are_read() {
        for (text, expected) in [
            ("a=10.0.0.1:1", "a 10.0.0.1:1 None"),
            ("west/a=10.0.0.1", "west/a 10.0.0.1:4244 None"),
            ("a=[::1]:2,a.test", "a [::1]:2 Some(\"a.test\")"),
            ("a=unix:///x", "a unix:///x None"),
        ] {
            assert_eq!(text.parse().as_ref().map(shown), Ok(expected.to_owned()));
        }
        for text in ["a", "=x:1", "a=", "a=x:1,", "a=x:y"] {
            assert!(text.parse::<Peer>().is_err(), "{text}");
        }
    }

    #[test]
    fn files_of_nodes_are_read() {
        let text =
            "# ours\n- name: a\n  address: 10.0.0.1:1\n- {name: b, address: b.test, server-name: c.test}\n";
        let read = listed(text).map(|peers| peers.iter().map(shown).collect::<Vec<_>>());
        assert_eq!(
            read,
            Ok(vec!["a 10.0.0.1:1 None".to_owned(), "b b.test:4244 Some(\"c.test\")".to_owned()])
        );
        assert_eq!(listed("# none\n"), Ok(Vec::new()));
        assert_eq!(
            listed("[{name: a, address: x}, {name: a, address: y}]"),
            Err(PeerError::Twice("a".to_owned()))
        );
        let wrong = listed("[{name: a, addres: x}]").map_err(|error| error.to_string());
        assert!(wrong.as_ref().is_err_and(|error| error.contains("addres")), "{wrong:?}");
    }
}
