//! The nodes that are known, and how each of them is.

use crate::peer::Peer;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;
use tonic::transport::Channel;

/// Everybody has a look at the same table.
#[derive(Clone)]
pub struct Nodes(Arc<watch::Sender<Table>>);

/// By name.
pub type Table = Arc<BTreeMap<String, Node>>;

#[derive(Clone)]
pub struct Node {
    pub peer: Arc<Peer>,
    /// With TLS: the name that its certificate must have.
    pub server_name: Option<String>,
    pub state: State,
}

#[derive(Clone)]
pub enum State {
    Connected(Link),
    Unavailable,
}

/// A connection. It ends for good; the next one has another number.
#[derive(Clone)]
pub struct Link {
    pub channel: Channel,
    pub number: u64,
}

impl Node {
    pub fn link(&self) -> Option<&Link> {
        match &self.state {
            State::Connected(link) => Some(link),
            State::Unavailable => None,
        }
    }
}

impl Nodes {
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Table::default())))
    }

    /// As they are now.
    pub fn table(&self) -> Table {
        Arc::clone(&self.0.borrow())
    }

    /// Tells of every change.
    pub fn watch(&self) -> watch::Receiver<Table> {
        self.0.subscribe()
    }

    pub fn put(&self, name: &str, node: Node) {
        self.0.send_modify(|table| {
            Arc::make_mut(table).insert(name.to_owned(), node);
        });
    }

    /// Of a node that is still known.
    pub fn set_state(&self, name: &str, state: State) {
        self.0.send_if_modified(|table| match Arc::make_mut(table).get_mut(name) {
            Some(node) => {
                node.state = state;
                true
            }
            None => false,
        });
    }

    pub fn remove(&self, name: &str) {
        self.0.send_modify(|table| {
            Arc::make_mut(table).remove(name);
        });
    }
}
