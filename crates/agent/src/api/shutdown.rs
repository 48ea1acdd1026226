//! The agent's end, asked for through the API.

use super::{App, answer::Body, done};
use crate::failure::Result;
use axum::{extract::State as Shared, response::Response};
use ciliate_api::ShutdownMode;

pub async fn shutdown(
    Shared(app): Shared<App>,
    Body(ciliate_api::Shutdown { mode }): Body<ciliate_api::Shutdown>,
) -> Result<Response> {
    match mode {
        ShutdownMode::Stop => tracing::info!("stopping: the kernel goes on enforcing"),
        ShutdownMode::Down => app.engine(|engine| engine.take_down()).await?,
    }
    app.shutdown.begin();
    Ok(done())
}
