//! The observer's part of the agent: keeps flows, and answers Hubble's clients on a socket of their own.

mod doors;
mod exports;
mod keeper;
mod metrics;

pub use exports::families;
pub use metrics::check;

use crate::{
    beside::Beside,
    flows::{Flows, Observed},
    news::News,
    node::Node,
    notice::{Notices, Wanted},
    shutdown::Shutdown,
};
use anyhow::Context as _;
use ciliate_api::settings::{Config, Switch};
use ciliate_export::{Reports, Service};
use ciliate_flow::{Run, Time};
use ciliate_history::{History, Settings};
use ciliate_observer::{Observer, Peer};
use doors::Doors;
use keeper::Keeper;
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{sync::watch, time};

/// Cilium's name for a cluster that was given none; names of nodes do not mention it.
const DEFAULT_CLUSTER: &str = "default";

/// How long answers may take after the agent's end has begun.
const GRACE: Duration = Duration::from_millis(250);

/// Answers clients, once it is started.
pub struct Server {
    observer: Observer,
    peer: Peer,
    doors: Doors,
    recordings: ciliate_recorder::Service,
    metrics: Option<metrics::Server>,
    wanted: Wanted,
    keeper: Option<Keeper>,
    exports: Service,
}

/// Answers clients.
pub struct Running {
    thread: Beside,
    _wanted: Wanted,
    keeper: Option<Keeper>,
    exports: Service,
}

/// None where it is switched off: then nothing is reported that nobody watches.
pub fn start(
    config: &Config,
    notices: &Notices,
    configs: watch::Receiver<Config>,
    recorder: &ciliate_recorder::Recorder,
) -> anyhow::Result<(Option<Server>, Option<Observed>)> {
    if config.enable_hubble == Switch::Off {
        return Ok((None, None));
    }
    let name = match config.cluster_name.as_str() {
        "" | DEFAULT_CLUSTER => Node::new(config).name,
        cluster => format!("{cluster}/{}", Node::new(config).name),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let begun = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let run = Run::begun(&name, begun);
    let doors = Doors::open(config)?;
    let peer = doors.peer(config, name.clone());
    let recordings = ciliate_recorder::Service { recorder: recorder.clone(), node: name.clone() };
    let labels = config.node_labels.iter().map(|label| label.0.clone()).collect();
    let node = Arc::new(ciliate_flow::Node { name, labels });
    let history = open_history(config, run);
    let reader = history.as_ref().map(History::reader);
    let (inlets, observer) = Observer::new(Arc::clone(&node), run, config.hubble_capacity.0.into(), reader);
    let keeper = history.map(|history| Keeper::start(history, &observer)).transpose()?;
    notices.keep_agent_events(inlets.agent_events);
    notices.agent(&News::Started(Time(begun)));
    let wanted = notices.observe().context("cannot tell the kernel's programs to report flows")?;
    let exports = exports::start(config, Arc::clone(&node), observer.flows())?;
    let metrics = metrics::Server::start(config, &observer, configs, exports.reports())?;
    let server = Server { observer, peer, doors, recordings, metrics, wanted, keeper, exports };
    let flows = Flows::new(node, &config.cluster_name);
    Ok((Some(server), Some(Observed { flows, log: inlets.flows, losses: Some(inlets.losses) })))
}

/// None where it is switched off or cannot be had: flows are no reason not to enforce policies.
fn open_history(config: &Config, run: Run) -> Option<History> {
    if config.history == Switch::Off {
        return None;
    }
    let settings = Settings {
        max_age: config.history_max_age.0,
        max_size: u64::from(config.history_max_megabytes.0) << 20,
        ..Settings::default()
    };
    History::open(&config.history_dir(), run, settings)
        .inspect_err(|error| tracing::error!(%error, "no flows are kept on disk"))
        .ok()
}

impl Server {
    /// What those who export flows do.
    pub fn exports(&self) -> Reports {
        self.exports.reports()
    }

    /// Answers clients and serves metrics, both on a thread that nothing else uses.
    pub fn start(self, shutdown: &Shutdown) -> anyhow::Result<Running> {
        let Self { observer, peer, doors, recordings, metrics, wanted, keeper, exports } = self;
        let shutdown = shutdown.clone();
        let thread = Beside::start("observer", move |parts| {
            if let Some(metrics) = metrics {
                parts.spawn(until_cut_off(shutdown.clone(), metrics.serve(shutdown.clone())));
            }
            parts.spawn(until_cut_off(shutdown.clone(), serve(observer, peer, recordings, doors, shutdown)));
        })?;
        Ok(Running { thread, _wanted: wanted, keeper, exports })
    }
}

impl Running {
    /// Waits until clients are gone, flows are exported and the history is written, once the agent's end has begun.
    pub fn join(self) {
        self.thread.join();
        drop(self.exports);
        drop(self.keeper);
    }
}

async fn serve(
    observer: Observer,
    peer: Peer,
    recordings: ciliate_recorder::Service,
    doors: Doors,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let incoming = doors.accept()?;
    let end = async move { shutdown.begun().await };
    ciliate_observer::serve(observer, peer, Some(recordings), incoming, end).await;
    Ok(())
}

/// Those who follow never come to an end by themselves.
async fn until_cut_off(
    shutdown: Shutdown,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let over = async {
        shutdown.begun().await;
        time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = work => ended,
        () = over => Ok(()),
    }
}
