//! Recordings of packets.

use super::{
    App, Routes,
    answer::{Body, Json},
};
use crate::failure::{Failure, Result};
use axum::{
    extract::{Path, State as Shared},
    routing::{delete, get},
};
use ciliate_api::{Recording, RecordingEnd, RecordingRequest};
use ciliate_recorder::{End, Filter, Limits, OneOf, RecordingId, Refusal, Request, Snap, View};
use jiff::Timestamp;
use std::time::Duration;

pub fn routes() -> Routes {
    vec![("/v1/recordings", get(list).post(start)), ("/v1/recordings/{recording}", delete(stop))]
}

async fn list(Shared(app): Shared<App>) -> Result<Json<Vec<Recording>>> {
    let found = app.recorder.list().await.map_err(refused)?;
    Ok(Json(found.iter().map(recording).collect()))
}

async fn start(Shared(app): Shared<App>, Body(request): Body<RecordingRequest>) -> Result<Json<Recording>> {
    let id = app.recorder.start(wanted(&request)?).await.map_err(refused)?.id;
    let found = app.recorder.list().await.map_err(refused)?;
    let view = found.iter().find(|view| view.id == id);
    view.map(|view| Json(recording(view))).ok_or_else(|| absent(&id.to_string()))
}

async fn stop(Shared(app): Shared<App>, Path(wanted): Path<String>) -> Result<Json<Recording>> {
    let id = wanted
        .parse()
        .map_err(|_| Failure::invalid(format!("{wanted:?} is not the number of a recording")))?;
    let stopped = app.recorder.stop(RecordingId(id), End::Stopped).await.map_err(refused)?;
    stopped.map(|view| Json(recording(&view))).ok_or_else(|| absent(&wanted))
}

fn absent(wanted: &str) -> Failure {
    Failure::absent(format!("there is no recording {wanted}: `ciliate recorder list` shows them"))
}

fn wanted(request: &RecordingRequest) -> Result<Request> {
    let invalid = |error: &dyn std::error::Error| Failure::invalid(error.to_string());
    let filters = request.filters.iter().map(|text| text.parse::<Filter>());
    Ok(Request {
        prefix: request.file_prefix.parse().map_err(|error| invalid(&error))?,
        filters: filters.collect::<Result<_, _>>().map_err(|error| invalid(&error))?,
        snap: Snap::new(request.max_capture_length),
        one_of: OneOf::new(request.one_of),
        limits: Limits {
            bytes: request.bytes_limit,
            packets: request.packet_limit,
            time: Duration::from_millis(request.time_limit_milliseconds),
        },
    })
}

fn refused(refusal: Refusal) -> Failure {
    let text = refusal.to_string();
    match refusal {
        Refusal::Request(_) => Failure::invalid(text),
        Refusal::Full(_) => Failure::conflict(text),
        Refusal::Storage(_) => Failure(ciliate_api::ApiError::new(500, text)),
        Refusal::Ended => Failure::unavailable(text),
    }
}

fn recording(view: &View) -> Recording {
    let statistics = &view.progress.statistics;
    Recording {
        id: view.id.0,
        path: view.path.display().to_string(),
        filters: view.filters.iter().map(ToString::to_string).collect(),
        begun: Timestamp::from_nanosecond(view.begun.into()).unwrap_or_default(),
        packets: statistics.packets,
        bytes: statistics.bytes,
        packets_matched: statistics.counted.matched,
        packets_lost: statistics.counted.lost,
        bytes_lost: statistics.counted.lost_bytes,
        end: view
            .progress
            .end
            .as_ref()
            .map(|end| RecordingEnd { reason: end.name().to_owned(), description: end.to_string() }),
    }
}
