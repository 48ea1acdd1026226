//! The local API on the unix socket. Reads come from the published state, everything else goes to the engine.

mod answer;
mod kernel;
mod monitor;
mod objects;
mod recordings;
mod shutdown;
#[cfg(test)]
mod tests;

use crate::{
    engine::{Engine, Requests, inspect},
    failure::{Failure, Result},
    kernel::MapReader,
    node::Node,
    notice::Notices,
    shutdown::Shutdown,
    state::State,
};
use answer::{Body, Json, answer};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, State as Shared},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use ciliate_api::{
    AddressEntry, ConfigPatch, ConfigRow, DbTable, DebugInfo, EndpointPatch, EndpointRequest, IdentityEntry,
    Status,
};
use ciliate_export::Reports;
use ciliate_recorder::Recorder;
use ciliate_types::Identity;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;

/// What every request has at hand.
#[derive(Clone)]
pub struct App {
    pub requests: Requests,
    pub state: watch::Receiver<Arc<State>>,
    pub maps: Arc<dyn MapReader>,
    pub notices: Notices,
    pub recorder: Recorder,
    pub node: Node,
    pub shutdown: Shutdown,
    pub exports: Reports,
}

impl App {
    fn now(&self) -> Arc<State> {
        Arc::clone(&self.state.borrow())
    }

    async fn engine<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.requests.call(work).await
    }
}

/// What answers on which path.
type Routes = Vec<(&'static str, MethodRouter<App>)>;

/// Every path of [`ciliate_api::ROUTES`].
fn routes() -> Routes {
    let mut all: Routes = vec![
        ("/v1/status", get(status)),
        ("/v1/endpoints", get(endpoints).post(create_endpoint)),
        ("/v1/endpoints/{endpoint}", get(endpoint).patch(patch_endpoint).delete(delete_endpoint)),
        ("/v1/endpoints/{endpoint}/log", get(endpoint_log)),
        ("/v1/endpoints/{endpoint}/health", get(endpoint_health)),
        ("/v1/identities", get(identities)),
        ("/v1/identities/{identity}", get(identity)),
        ("/v1/ips", get(ips)),
        ("/v1/monitor", get(monitor::monitor)),
        ("/v1/metrics", get(metrics)),
        ("/v1/config", get(config).patch(set_config)),
        ("/v1/db", get(tables)),
        ("/v1/db/{table}", get(table)),
        ("/v1/shutdown", post(shutdown::shutdown)),
        ("/v1/debuginfo", get(debuginfo)),
        ("/v1/openapi.json", get(openapi)),
    ];
    all.extend(objects::routes());
    all.extend(kernel::routes());
    all.extend(recordings::routes());
    all
}

pub fn router(app: App) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(answer::LONGEST_BODY))
        .with_state(app)
}

/// The agent's metrics alone, for Prometheus.
pub fn metrics_router(app: App) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(app)
}

async fn unknown_route(uri: axum::http::Uri) -> Response {
    Failure::absent(format!("the agent has no {}: GET /v1/openapi.json lists what it has", uri.path()))
        .into_response()
}

async fn unknown_method(method: axum::http::Method, uri: axum::http::Uri) -> Response {
    let mut failure = Failure::invalid(format!("{method} is not possible on {}", uri.path()));
    failure.0.status = 405;
    failure.into_response()
}

async fn status(Shared(app): Shared<App>) -> Result<Json<Status>> {
    let node = app.node.clone();
    answer(app.engine(move |engine| engine.status(&node)).await)
}

async fn endpoints(Shared(app): Shared<App>) -> Result<Json<Vec<ciliate_api::Endpoint>>> {
    answer(app.engine(|engine| Ok(engine.endpoint_views())).await)
}

async fn create_endpoint(
    Shared(app): Shared<App>,
    Body(request): Body<EndpointRequest>,
) -> Result<Json<ciliate_api::Endpoint>> {
    answer(app.engine(move |engine| engine.create_endpoint(request)).await)
}

async fn endpoint(
    Shared(app): Shared<App>,
    Path(wanted): Path<String>,
) -> Result<Json<ciliate_api::Endpoint>> {
    answer(app.engine(move |engine| engine.endpoint(&inspect::reference(&wanted))).await)
}

async fn patch_endpoint(
    Shared(app): Shared<App>,
    Path(wanted): Path<String>,
    Body(patch): Body<EndpointPatch>,
) -> Result<Json<ciliate_api::Endpoint>> {
    answer(app.engine(move |engine| engine.patch_endpoint(&inspect::reference(&wanted), patch)).await)
}

async fn delete_endpoint(
    Shared(app): Shared<App>,
    Path(wanted): Path<String>,
) -> Result<Json<ciliate_api::Endpoint>> {
    answer(app.engine(move |engine| engine.delete_endpoint(&inspect::reference(&wanted))).await)
}

async fn endpoint_log(
    Shared(app): Shared<App>,
    Path(wanted): Path<String>,
) -> Result<Json<Vec<ciliate_api::EndpointLogEntry>>> {
    answer(app.engine(move |engine| engine.endpoint_log(&inspect::reference(&wanted))).await)
}

async fn endpoint_health(
    Shared(app): Shared<App>,
    Path(wanted): Path<String>,
) -> Result<Json<ciliate_api::EndpointHealth>> {
    answer(app.engine(move |engine| engine.endpoint_health(&inspect::reference(&wanted))).await)
}

fn identity_entry(state: &State, id: Identity) -> Option<IdentityEntry> {
    let row = state.identities.get(&id)?;
    Some(IdentityEntry { id, labels: (*row.labels).clone(), references: row.references })
}

async fn identities(Shared(app): Shared<App>) -> Json<Vec<IdentityEntry>> {
    let state = app.now();
    Json(state.identities.iter().filter_map(|(id, _)| identity_entry(&state, *id)).collect())
}

async fn identity(Shared(app): Shared<App>, Path(wanted): Path<String>) -> Result<Json<IdentityEntry>> {
    let id = wanted.parse().map_err(|_| Failure::invalid(format!("identity {wanted:?} is not a number")))?;
    let entry = identity_entry(&app.now(), Identity::new(id));
    entry.map(Json).ok_or_else(|| Failure::absent(format!("there is no identity {id}")))
}

async fn ips(Shared(app): Shared<App>) -> Json<Vec<AddressEntry>> {
    let state = app.now();
    let entry = |(cidr, row): (&ipnet::IpNet, &crate::state::AddressRow)| AddressEntry {
        cidr: *cidr,
        identity: row.identity,
        labels: (*state.labels(row.identity)).clone(),
        source: row.source,
        endpoint: row.endpoint,
        name: row.endpoint.and_then(|id| state.endpoints.get(&id)).map(|row| row.stored.full_name()),
    };
    Json(state.addresses.iter().map(entry).collect())
}

async fn metrics(Shared(app): Shared<App>) -> Result<Response> {
    let state = app.now();
    let sample = app.engine(move |engine| engine.sample(state)).await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(axum::http::header::CONTENT_TYPE, kind)], crate::metrics::text(sample, &app.exports.report())?)
        .into_response())
}

async fn config(Shared(app): Shared<App>) -> Result<Json<Vec<ConfigRow>>> {
    answer(app.engine(|engine| Ok(engine.settings().iter().map(ConfigRow::from).collect())).await)
}

async fn set_config(
    Shared(app): Shared<App>,
    Body(ConfigPatch(patch)): Body<ConfigPatch>,
) -> Result<Json<Vec<ConfigRow>>> {
    let rows = app.engine(move |engine| engine.configure(&patch)).await?;
    Ok(Json(rows.iter().map(ConfigRow::from).collect()))
}

async fn tables(Shared(app): Shared<App>) -> Json<Vec<DbTable>> {
    let state = app.now();
    let row = |table: &dyn ciliate_tables::AnyTable| DbTable {
        name: table.name().to_owned(),
        rows: table.len(),
        revision: table.revision(),
        initialised: table.is_initialised(),
    };
    Json(state.tables().into_iter().map(row).collect())
}

async fn table(Shared(app): Shared<App>, Path(wanted): Path<String>) -> Result<Json<Vec<serde_json::Value>>> {
    let state = app.now();
    let tables = state.tables();
    let found = tables.iter().find(|table| table.name() == wanted).ok_or_else(|| {
        let names: Vec<&str> = tables.iter().map(|table| table.name()).collect();
        Failure::absent(format!("there is no table {wanted:?}: there are {}", names.join(", ")))
    })?;
    Ok(Json(found.rows_as_json()))
}

async fn debuginfo(Shared(app): Shared<App>) -> Result<Json<DebugInfo>> {
    let state = app.now();
    let (node, sampled) = (app.node.clone(), Arc::clone(&state));
    let (status, config, sample) = app
        .engine(move |engine| {
            let config = engine.settings().iter().map(ConfigRow::from).collect();
            Ok((engine.status(&node)?, config, engine.sample(sampled)?))
        })
        .await?;
    let tables: BTreeMap<_, _> =
        state.tables().iter().map(|table| (table.name().to_owned(), table.rows_as_json())).collect();
    let metrics = crate::metrics::text(sample, &app.exports.report())?;
    Ok(Json(DebugInfo { status, config, tables, metrics }))
}

async fn openapi() -> Json<serde_json::Value> {
    Json(ciliate_api::document())
}

/// No body: done.
pub fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
