//! The agent's metrics by HTTP, for who cannot read a unix socket.

use crate::api::{App, metrics_router};
use anyhow::Context as _;
use ciliate_api::settings::Config;
use std::net::TcpListener;

/// Answers `GET /metrics`.
pub struct Server(TcpListener);

impl Server {
    /// None where the settings name no address.
    pub fn start(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(address) = config.prometheus_server.0 else { return Ok(None) };
        let listener = TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .with_context(|| format!("cannot listen on {address} for Prometheus (prometheus-serve-addr)"))?;
        Ok(Some(Self(listener)))
    }

    pub async fn serve(self, app: App) -> anyhow::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.0).context("cannot serve metrics")?;
        let shutdown = app.shutdown.clone();
        axum::serve(listener, metrics_router(app))
            .with_graceful_shutdown(async move { shutdown.begun().await })
            .await
            .context("metrics are no longer served")
    }
}
