//! Fluentd's forward protocol, version 1, as Fluentd and Fluent Bit take it: batches of events in MessagePack over TCP or TLS.

mod greeting;
mod wire;

use super::{Load, Sent, Shape};
use crate::{
    buffer::Entry,
    connection::{Connection, Route},
    fault::Fault,
    spec::{Answers, FluentdTarget},
};
use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    time::Duration,
};
pub use wire::acks_in;
use wire::{Ack, Inbox};

/// Bytes of one batch, about.
const MOST: usize = 512 << 10;
/// How long a receiver may take to say that it has a batch.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Fluentd {
    target: FluentdTarget,
    connection: Option<Open>,
    /// Events one after the other.
    events: Vec<u8>,
    count: usize,
    message: Vec<u8>,
    /// Batches have numbers, and no two exporters the same ones.
    series: u64,
    number: u64,
    host: String,
}

struct Open {
    connection: Connection,
    inbox: Inbox,
}

impl Fluentd {
    pub fn new(target: &FluentdTarget) -> Self {
        Self {
            target: target.clone(),
            connection: None,
            events: Vec::new(),
            count: 0,
            message: Vec::new(),
            series: RandomState::new().build_hasher().finish(),
            number: 0,
            host: String::new(),
        }
    }

    pub fn load<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, shape: &Shape) -> Load {
        self.events.clear();
        self.count = 0;
        self.host.clone_from(&shape.node.name);
        let mut load = Load::default();
        for entry in entries {
            load.entries = load.entries.saturating_add(1);
            match wire::write_event(entry, shape, &mut self.events) {
                Ok(()) => self.count = self.count.saturating_add(1),
                Err(_) => load.unfit = load.unfit.saturating_add(1),
            }
            if self.events.len() >= MOST {
                break;
            }
        }
        load
    }

    pub async fn send(&mut self) -> Result<Sent, Fault> {
        let mut open = match self.connection.take() {
            Some(open) => open,
            None => self.connect().await?,
        };
        self.number = self.number.wrapping_add(1);
        let chunk = match self.target.answers {
            Answers::Awaited => Some(format!("{:016x}{:016x}", self.series, self.number)),
            Answers::None => None,
        };
        self.message.clear();
        wire::write_batch(&self.target.tag, &self.events, self.count, chunk.as_deref(), &mut self.message);
        if chunk.is_none() {
            open.connection.check().await?;
        }
        open.connection.write(&self.message).await?;
        let sent = match chunk {
            None => Sent::Written,
            Some(chunk) => {
                let Ack { ack } = open.inbox.read(&mut open.connection, PATIENCE).await?;
                if ack != chunk {
                    let what = format!("it has batch {ack:?}, but {chunk:?} was sent");
                    return Err(Fault::Protocol { to: open.connection.to().clone(), what });
                }
                Sent::Settled
            }
        };
        self.connection = Some(open);
        Ok(sent)
    }

    async fn connect(&self) -> Result<Open, Fault> {
        let FluentdTarget { route, keys, .. } = &self.target;
        let connection = Route::connect(route, &[]).await?;
        let mut open = Open { connection, inbox: Inbox::default() };
        if let Some(keys) = keys {
            greeting::greet(&mut open.connection, &mut open.inbox, keys, &self.host).await?;
        }
        Ok(open)
    }

    pub async fn idle(&mut self) -> Fault {
        let fault = match &mut self.connection {
            Some(open) => open.connection.hung_up().await,
            None => std::future::pending().await,
        };
        self.connection = None;
        fault
    }

    pub async fn close(&mut self) {
        if let Some(open) = self.connection.take() {
            open.connection.close().await;
        }
    }

    /// See [`Sink::position`](super::Sink::position).
    pub fn position(&self) -> (u64, u64) {
        let open = self.connection.as_ref().map(|open| &open.connection);
        open.map_or((0, 0), |open| (open.written(), open.unacknowledged()))
    }
}

#[cfg(test)]
mod tests;
