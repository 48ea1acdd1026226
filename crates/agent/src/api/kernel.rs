//! The kernel's maps as they are.

use super::{
    App, Routes,
    answer::{Json, answer},
};
use crate::{
    engine::inspect::{self, MapContents, PolicyDumps, reference},
    failure::{Failure, Result},
    kernel::MapReader,
    state::State,
};
use axum::{
    extract::{Path, RawQuery, State as Shared},
    routing::get,
};
use ciliate_api::{
    BpfEndpoint, BpfMetric, Connection, ConnectionFilter, EndpointRef, Flushed, IpcacheEntry, MapEvent,
    MapInfo, PolicyEntry, decode_query,
};
use serde_json::Value;
use std::sync::Arc;

pub fn routes() -> Routes {
    vec![
        ("/v1/bpf/endpoints", get(endpoints)),
        ("/v1/bpf/policy", get(policy)),
        ("/v1/bpf/policy/{endpoint}", get(policy_of)),
        ("/v1/bpf/connections", get(connections).delete(flush)),
        ("/v1/bpf/ipcache", get(ipcache)),
        ("/v1/bpf/ipcache/{address}", get(ipcache_lookup)),
        ("/v1/bpf/metrics", get(metrics)),
        ("/v1/maps", get(maps)),
        ("/v1/maps/{map}", get(map)),
        ("/v1/maps/{map}/events", get(map_events)),
    ]
}

async fn endpoints(Shared(app): Shared<App>) -> Result<Json<Vec<BpfEndpoint>>> {
    answer(app.engine(|engine| engine.bpf_endpoints()).await)
}

/// Has something done that takes a while and needs nothing of the engine.
async fn beside<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&State, &dyn MapReader) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (state, maps) = (app.now(), Arc::clone(&app.maps));
    let done = tokio::task::spawn_blocking(move || work(&state, &*maps)).await;
    done.map_err(|broken| Failure::unavailable(format!("reading the maps broke off: {broken}")))?
}

async fn policy_entries(app: &App, wanted: Option<EndpointRef>) -> Result<Vec<PolicyEntry>> {
    let dumps = beside(app, move |state, maps| PolicyDumps::read(state, maps, wanted.as_ref())).await?;
    let numbers = dumps.rules();
    let rules = app.engine(move |engine| Ok(engine.rules(numbers))).await?;
    beside(app, move |state, _| Ok(dumps.entries(state, &rules))).await
}

async fn policy(Shared(app): Shared<App>) -> Result<Json<Vec<PolicyEntry>>> {
    answer(policy_entries(&app, None).await)
}

async fn policy_of(Shared(app): Shared<App>, Path(wanted): Path<String>) -> Result<Json<Vec<PolicyEntry>>> {
    answer(policy_entries(&app, Some(reference(&wanted))).await)
}

fn filter(query: Option<&str>) -> Result<ConnectionFilter> {
    decode_query(query).map_err(Failure::invalid)
}

async fn connections(Shared(app): Shared<App>, RawQuery(query): RawQuery) -> Result<Json<Vec<Connection>>> {
    let filter = filter(query.as_deref())?;
    answer(beside(&app, move |state, maps| inspect::connections(state, maps, &filter)).await)
}

async fn flush(Shared(app): Shared<App>, RawQuery(query): RawQuery) -> Result<Json<Flushed>> {
    let filter = filter(query.as_deref())?;
    answer(app.engine(move |engine| engine.flush_connections(&filter)).await)
}

async fn ipcache(Shared(app): Shared<App>) -> Result<Json<Vec<IpcacheEntry>>> {
    answer(app.engine(|engine| engine.ipcache()).await)
}

async fn ipcache_lookup(Shared(app): Shared<App>, Path(wanted): Path<String>) -> Result<Json<IpcacheEntry>> {
    let address = wanted.parse().map_err(|_| Failure::invalid(format!("{wanted:?} is not an IP address")))?;
    answer(app.engine(move |engine| engine.ipcache_lookup(address)).await)
}

async fn metrics(Shared(app): Shared<App>) -> Result<Json<Vec<BpfMetric>>> {
    answer(app.engine(|engine| engine.bpf_metrics()).await)
}

async fn maps(Shared(app): Shared<App>) -> Result<Json<Vec<MapInfo>>> {
    answer(app.engine(|engine| Ok(engine.maps())).await)
}

async fn map(Shared(app): Shared<App>, Path(wanted): Path<String>) -> Result<Json<Vec<Value>>> {
    let all = ConnectionFilter::default();
    let rows = match app.engine(move |engine| engine.map(&wanted)).await? {
        MapContents::Rows(rows) => rows,
        MapContents::Connections => {
            beside(&app, move |state, maps| inspect::values(inspect::connections(state, maps, &all)?)).await?
        }
        MapContents::Policy => inspect::values(policy_entries(&app, None).await?)?,
    };
    Ok(Json(rows))
}

async fn map_events(Shared(app): Shared<App>, Path(wanted): Path<String>) -> Result<Json<Vec<MapEvent>>> {
    answer(app.engine(move |engine| engine.map_events(&wanted)).await)
}
