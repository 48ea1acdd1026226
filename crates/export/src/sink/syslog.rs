//! Syslog: RFC 5424 over UDP (RFC 5426), TCP with octet counting (RFC 6587, 3.4.1) and TLS (RFC 5425).

mod datagram;
mod message;

pub use message::{Facility, Form, StructuredId};

use super::{Load, Sent, Shape};
use crate::{
    buffer::Entry,
    connection::{Connection, Route},
    fault::Fault,
    spec::{SyslogRoute, SyslogTarget},
};
use datagram::Datagrams;
use message::Encoder;
use std::io::Write as _;

/// Bytes of one write, about.
const MOST: usize = 64 << 10;
/// Bytes that a datagram over IPv6 has room for.
const LONGEST_DATAGRAM: usize = 65_487;

pub struct Syslog {
    encoder: Encoder,
    road: Road,
    /// Messages one after the other, in the road's form.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    message: Vec<u8>,
}

enum Road {
    Stream { route: Route, connection: Option<Connection> },
    Datagrams(Datagrams),
}

impl Syslog {
    pub fn new(target: &SyslogTarget) -> Self {
        let road = match &target.route {
            SyslogRoute::Stream(route) => Road::Stream { route: route.clone(), connection: None },
            SyslogRoute::Udp(address) => Road::Datagrams(Datagrams::new(address.clone())),
        };
        let encoder = Encoder::new(target);
        Self { encoder, road, bytes: Vec::new(), ends: Vec::new(), message: Vec::new() }
    }

    pub fn load<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, shape: &Shape) -> Load {
        self.bytes.clear();
        self.ends.clear();
        let mut load = Load::default();
        for entry in entries {
            self.message.clear();
            let encoded = self.encoder.encode(entry, shape, &mut self.message);
            let fits = match self.road {
                Road::Stream { .. } => true,
                Road::Datagrams(_) => self.message.len() <= LONGEST_DATAGRAM,
            };
            load.entries = load.entries.saturating_add(1);
            if encoded.is_err() || !fits {
                load.unfit = load.unfit.saturating_add(1);
                continue;
            }
            if let Road::Stream { .. } = self.road {
                // Writing to memory does not fail.
                let _ = write!(self.bytes, "{} ", self.message.len());
            }
            self.bytes.extend_from_slice(&self.message);
            self.ends.push(self.bytes.len());
            if self.bytes.len() >= MOST {
                break;
            }
        }
        load
    }

    pub async fn send(&mut self) -> Result<Sent, Fault> {
        match &mut self.road {
            Road::Datagrams(datagrams) => datagrams.send(&self.bytes, &self.ends).await?,
            Road::Stream { route, connection } => {
                let mut open = match connection.take() {
                    Some(open) => open,
                    None => route.connect(&[]).await?,
                };
                open.check().await?;
                open.write(&self.bytes).await?;
                *connection = Some(open);
            }
        }
        Ok(Sent::Written)
    }

    pub async fn idle(&mut self) -> Fault {
        match &mut self.road {
            Road::Datagrams(datagrams) => datagrams.refused().await,
            Road::Stream { connection, .. } => {
                let fault = match connection {
                    Some(open) => open.hung_up().await,
                    None => std::future::pending().await,
                };
                *connection = None;
                fault
            }
        }
    }

    pub async fn close(&mut self) {
        if let Road::Stream { connection, .. } = &mut self.road
            && let Some(open) = connection.take()
        {
            open.close().await;
        }
    }

    /// See [`Sink::position`](super::Sink::position).
    pub fn position(&self) -> (u64, u64) {
        match &self.road {
            Road::Stream { connection: Some(open), .. } => (open.written(), open.unacknowledged()),
            Road::Stream { connection: None, .. } | Road::Datagrams(_) => (0, 0),
        }
    }
}

#[cfg(test)]
mod tests;
