//! Events to one client, as long as it listens.

use super::App;
use crate::{
    failure::{Failure, Result},
    kernel::KernelError,
    notice::Subscription,
};
use axum::{
    body::{Body, Bytes},
    extract::{RawQuery, State as Shared},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use ciliate_api::{Event, EventBody, MonitorFilter, decode_query};
use futures_util::stream;
use jiff::Timestamp;
use std::{convert::Infallible, time::Duration};
use tokio::{
    sync::broadcast::error::{RecvError, TryRecvError},
    time::{self, Instant},
};

/// An empty line after this time without events tells whether the client is still there.
const SILENCE: Duration = Duration::from_secs(5);

/// Bytes of lines from which on they are sent, whatever else waits.
const CHUNK: usize = 64 << 10;

pub async fn monitor(Shared(app): Shared<App>, RawQuery(query): RawQuery) -> Result<Response> {
    let filter: MonitorFilter = decode_query(query.as_deref()).map_err(Failure::invalid)?;
    let subscription = app.notices.subscribe(&filter).map_err(KernelError::from)?;
    let follower = Follower { subscription, filter, shutdown: app.shutdown.subscribe() };
    let lines = stream::unfold(follower, |mut follower| async move {
        let line = follower.next().await?;
        Some((Ok::<_, Infallible>(line), follower))
    });
    // The first line at once, so that the client knows that it is heard.
    let body = stream::StreamExt::chain(stream::iter([Ok(Bytes::from_static(b"\n"))]), lines);
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response())
}

struct Follower {
    subscription: Subscription,
    filter: MonitorFilter,
    shutdown: tokio::sync::watch::Receiver<bool>,
}

impl Follower {
    /// As many lines as there are, one at least; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let mut lines = Vec::new();
        let silence = Instant::now().checked_add(SILENCE).unwrap_or_else(Instant::now);
        loop {
            let received = tokio::select! {
                received = time::timeout_at(silence, self.subscription.events.recv()) => received,
                _ = self.shutdown.wait_for(|ending| *ending) => return None,
            };
            match received {
                Err(_) => return Some(Bytes::from_static(b"\n")),
                Ok(Err(RecvError::Closed)) => return None,
                Ok(Err(RecvError::Lagged(count))) => lost(count, &mut lines),
                Ok(Ok(event)) => self.write(&event, &mut lines),
            }
            // Many events cost one write to the socket.
            while lines.len() < CHUNK {
                match self.subscription.events.try_recv() {
                    Ok(event) => self.write(&event, &mut lines),
                    Err(TryRecvError::Lagged(count)) => lost(count, &mut lines),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            if !lines.is_empty() {
                return Some(lines.into());
            }
        }
    }

    /// Adds an event that the filter lets pass. Another watcher may have had bytes captured that this one did not ask for.
    fn write(&self, event: &Event, lines: &mut Vec<u8>) {
        if !self.filter.lets_pass(event) {
            return;
        }
        let packet = event.body.packet();
        let has_bytes = packet.is_some_and(|packet| packet.hex.is_some());
        if self.filter.hex && packet.is_some() && !has_bytes {
            // It was in the ring before this watcher came.
            return;
        }
        match has_bytes && !self.filter.hex {
            true => line(&event.clone().without_bytes(), lines),
            false => line(event, lines),
        }
    }
}

fn lost(count: u64, lines: &mut Vec<u8>) {
    let body = EventBody::Lost { count, place: "client".to_owned() };
    line(&Event { time: Timestamp::now(), body }, lines);
}

fn line(event: &Event, lines: &mut Vec<u8>) {
    // Writing to memory does not fail, and every event has a form in JSON.
    if serde_json::to_writer(&mut *lines, event).is_ok() {
        lines.push(b'\n');
    }
}
