//! Metrics of flows, which Prometheus reads by HTTP.

use super::exports::families;
use crate::{
    failure::{Failure, Result},
    shutdown::Shutdown,
};
use anyhow::Context as _;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use ciliate_api::settings::Config;
use ciliate_export::Reports;
use ciliate_flow::Flow;
use ciliate_observer::{
    Losses, Observer,
    log::Log,
    metrics::{self, Bounds, Format, Metrics},
};
use std::{future, net::TcpListener, time::Duration};
use tokio::{sync::watch, time};

/// How often a file of metrics is looked at.
const FILE_INTERVAL: Duration = Duration::from_secs(5);

/// Serves the metrics.
pub struct Server {
    metrics: Metrics,
    wanted: metrics::Config,
    log: Log<Flow>,
    losses: Losses,
    listener: TcpListener,
    configs: watch::Receiver<Config>,
    exports: Reports,
}

/// Whether the metrics that the settings name can be had.
pub fn check(config: &Config) -> Result<()> {
    let parsed = metrics::Config::parse(&config.hubble_metrics.0, bounds(config));
    parsed.map(drop).map_err(|error| Failure::invalid(format!("setting hubble-metrics: {error}")))
}

fn bounds(config: &Config) -> Bounds {
    let ttl = config.hubble_metrics_ttl.0;
    Bounds {
        series: usize::try_from(config.hubble_metrics_series.0).unwrap_or(usize::MAX),
        ttl: (ttl > 0).then(|| Duration::from_secs(ttl.into())),
    }
}

/// What the settings, or the file that they name, want.
fn wanted(config: &Config) -> anyhow::Result<metrics::Config> {
    match &config.hubble_metrics_file.0 {
        None => {
            metrics::Config::parse(&config.hubble_metrics.0, bounds(config)).context("setting hubble-metrics")
        }
        Some(path) => {
            let text =
                ciliate_config_file::read(path).context("setting hubble-dynamic-metrics-config-path")?;
            metrics::Config::from_document(&text, bounds(config))
                .with_context(|| format!("cannot take the metrics from {}", path.display()))
        }
    }
}

impl Server {
    /// None where nobody is to read metrics; then none are made.
    pub fn start(
        config: &Config,
        observer: &Observer,
        configs: watch::Receiver<Config>,
        exports: Reports,
    ) -> anyhow::Result<Option<Self>> {
        let wanted = wanted(config)?;
        let Some(address) = config.hubble_metrics_server.0 else { return Ok(None) };
        let listener = TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .with_context(|| format!("cannot listen on {address} for who reads metrics"))?;
        let metrics = Metrics::new(observer.flows(), wanted.clone())?;
        let (log, losses) = (observer.flows().clone(), observer.losses().clone());
        Ok(Some(Self { metrics, wanted, log, losses, listener, configs, exports }))
    }

    pub async fn serve(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { metrics, wanted, log, losses, listener, configs, exports } = self;
        let listener = tokio::net::TcpListener::from_std(listener).context("cannot serve metrics")?;
        let scraped = Scraped { metrics: metrics.clone(), losses, exports };
        let router = Router::new().route("/metrics", get(scrape)).with_state(scraped);
        let ending = shutdown.clone();
        let server =
            axum::serve(listener, router).with_graceful_shutdown(async move { ending.begun().await });
        tokio::select! {
            served = async { server.await } => served.context("metrics are no longer served"),
            () = metrics.clone().run(log) => Ok(()),
            () = follow(metrics, wanted, configs) => Ok(()),
        }
    }
}

/// Has other metrics counted when the settings or the file change; what is wrong changes nothing.
async fn follow(metrics: Metrics, mut current: metrics::Config, mut configs: watch::Receiver<Config>) {
    let mut last_error = None;
    loop {
        let config = configs.borrow_and_update().clone();
        let timer = async {
            match config.hubble_metrics_file.0 {
                Some(_) => time::sleep(FILE_INTERVAL).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            changed = configs.changed() => if changed.is_err() {
                // The agent ends.
                return future::pending().await;
            },
            () = timer => {}
        }
        let config = configs.borrow().clone();
        let fresh = match wanted(&config) {
            Ok(fresh) if fresh == current => None,
            Ok(fresh) => match metrics.configure(fresh.clone()) {
                Ok(()) => Some(fresh),
                Err(error) => {
                    report(&mut last_error, &error.into());
                    None
                }
            },
            Err(error) => {
                report(&mut last_error, &error);
                None
            }
        };
        if let Some(fresh) = fresh {
            tracing::info!("other metrics are counted from now on");
            (current, last_error) = (fresh, None);
        }
    }
}

/// Once for each mistake.
fn report(last: &mut Option<String>, error: &anyhow::Error) {
    let text = format!("{error:#}");
    if last.as_ref() != Some(&text) {
        tracing::error!("the metrics stay as they are: {text}");
        *last = Some(text);
    }
}

#[derive(Clone)]
struct Scraped {
    metrics: Metrics,
    losses: Losses,
    exports: Reports,
}

async fn scrape(State(Scraped { metrics, losses, exports }): State<Scraped>, headers: HeaderMap) -> Response {
    for (source, count) in losses.totals() {
        metrics.set_lost(source, count);
    }
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::accepted(&accepted.collect::<Vec<_>>().join(","));
    ([(header::CONTENT_TYPE, format.content_type())], metrics.text(format, &families(&exports.report())))
        .into_response()
}

#[cfg(test)]
mod tests;
