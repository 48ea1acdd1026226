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
use tokio::sync::broadcast::error::RecvError;

/// An empty line after this time without events tells whether the client is still there.
const SILENCE: Duration = Duration::from_secs(5);

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
    /// One or more lines; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let received = tokio::select! {
                received = tokio::time::timeout(SILENCE, self.subscription.events.recv()) => received,
                _ = self.shutdown.wait_for(|ending| *ending) => return None,
            };
            match received {
                Err(_) => return Some(Bytes::from_static(b"\n")),
                Ok(Err(RecvError::Closed)) => return None,
                Ok(Err(RecvError::Lagged(count))) => {
                    let body = EventBody::Lost { count, place: "client".to_owned() };
                    return line(&Event { time: Timestamp::now(), body }, &self.filter);
                }
                Ok(Ok(event)) if self.filter.lets_pass(&event) => {
                    return line(&event, &self.filter);
                }
                Ok(Ok(_)) => {}
            }
        }
    }
}

/// Another watcher may have had bytes captured that this one did not ask for.
fn line(event: &Event, filter: &MonitorFilter) -> Option<Bytes> {
    let has_bytes = event.body.packet().is_some_and(|packet| packet.hex.is_some());
    let json = if has_bytes && !filter.hex {
        serde_json::to_vec(&event.clone().without_bytes())
    } else {
        serde_json::to_vec(event)
    };
    let mut line = json.ok()?;
    line.push(b'\n');
    Some(line.into())
}
