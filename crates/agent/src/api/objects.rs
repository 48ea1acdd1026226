//! Policies and other objects.

use super::{
    App, Routes,
    answer::{Body, Json, answer},
};
use crate::failure::{Failure, Result};
use axum::{
    extract::{Query, State as Shared},
    routing::{get, post},
};
use ciliate_api::{
    ApplyRequest, ApplyResult, DeleteRequest, ObjectView, SelectorRow, TraceReply, TraceRequest, WaitReply,
    WaitRequest,
};
use serde::Deserialize;
use std::time::Duration;

pub fn routes() -> Routes {
    vec![
        ("/v1/policies", get(list).post(apply).delete(delete)),
        ("/v1/policies/selectors", get(selectors)),
        ("/v1/policies/trace", post(trace)),
        ("/v1/policies/wait", post(wait)),
        ("/v1/validate", post(validate)),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    kind: Option<String>,
}

async fn list(Shared(app): Shared<App>, Query(Kind { kind }): Query<Kind>) -> Result<Json<Vec<ObjectView>>> {
    answer(app.engine(move |engine| engine.objects(kind.as_deref())).await)
}

async fn apply(Shared(app): Shared<App>, Body(request): Body<ApplyRequest>) -> Result<Json<ApplyResult>> {
    answer(app.engine(move |engine| engine.apply(&request)).await)
}

async fn delete(Shared(app): Shared<App>, Body(request): Body<DeleteRequest>) -> Result<Json<ApplyResult>> {
    answer(app.engine(move |engine| engine.delete_objects(&request)).await)
}

async fn validate(Shared(app): Shared<App>, Body(request): Body<ApplyRequest>) -> Result<Json<ApplyResult>> {
    answer(app.engine(move |engine| engine.validate(&request)).await)
}

async fn selectors(Shared(app): Shared<App>) -> Result<Json<Vec<SelectorRow>>> {
    answer(app.engine(|engine| Ok(engine.selectors())).await)
}

async fn trace(Shared(app): Shared<App>, Body(request): Body<TraceRequest>) -> Result<Json<Vec<TraceReply>>> {
    answer(app.engine(move |engine| engine.trace(&request)).await)
}

/// Longest wait, in seconds.
const LONGEST_WAIT: u64 = 600;

async fn wait(Shared(app): Shared<App>, Body(request): Body<WaitRequest>) -> Result<Json<WaitReply>> {
    let mut state = app.state.clone();
    let seconds = request.timeout_seconds.min(LONGEST_WAIT);
    let reached = state.wait_for(|state| state.revision >= request.revision);
    match tokio::time::timeout(Duration::from_secs(seconds), reached).await {
        Ok(Ok(state)) => Ok(Json(WaitReply { revision: state.revision })),
        Ok(Err(_)) => Err(Failure::unavailable("the agent is shutting down")),
        Err(_) => Err(Failure::timeout(format!(
            "revision {} is not enforced after {seconds} s: it is {} now",
            request.revision,
            app.now().revision
        ))),
    }
}
