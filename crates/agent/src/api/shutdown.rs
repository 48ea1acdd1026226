//! The agent's end, asked for through the API or by a signal.

use super::{App, answer::Body, done};
use crate::failure::Result;
use axum::{extract::State as Shared, response::Response};
use ciliate_api::ShutdownMode;
use tokio::sync::watch;

/// Tells everybody that the agent ends.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<bool>);

pub fn shutdown_channel() -> Shutdown {
    Shutdown(watch::channel(false).0)
}

impl Shutdown {
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }

    /// Returns when the end has begun.
    pub async fn begun(&self) {
        // The sender lives in `self`.
        let _ = self.subscribe().wait_for(|ending| *ending).await;
    }
}

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
