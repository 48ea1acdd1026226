//! The observer's part of the agent: keeps flows, and answers Hubble's clients on a socket of their own.

use crate::{
    api::Shutdown,
    events::Observed,
    flows::Flows,
    news::News,
    notice::{Notices, Wanted},
    socket,
    status::Node,
};
use anyhow::Context as _;
use ciliate_api::settings::{Config, Switch};
use ciliate_flow::{Run, Time};
use ciliate_observer::{Observer, Peer};
use std::{
    os::unix::net::UnixListener,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Cilium's name for a cluster that was given none; names of nodes do not mention it.
const DEFAULT_CLUSTER: &str = "default";

/// Answers clients.
pub struct Server {
    observer: Observer,
    peer: Peer,
    listener: UnixListener,
    _wanted: Wanted,
}

/// None where it is switched off: then nothing is reported that nobody watches.
pub fn start(config: &Config, notices: &Notices) -> anyhow::Result<(Option<Server>, Option<Observed>)> {
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
    let path = config.hubble_socket();
    let listener = socket::bind(config, &path)?;
    let peer = Peer { name: name.clone(), address: format!("unix://{}", path.display()) };
    let node = Arc::new(ciliate_flow::Node { name, labels: Vec::new() });
    let (inlets, observer) = Observer::new(Arc::clone(&node), run, config.hubble_capacity.0.into());
    notices.keep_agent_events(inlets.agent_events);
    notices.agent(&News::Started(Time(begun)));
    let wanted = notices.observe().context("cannot tell the kernel's programs to report flows")?;
    let server = Server { observer, peer, listener, _wanted: wanted };
    let flows = Flows::new(node, &config.cluster_name);
    Ok((Some(server), Some(Observed { flows, log: inlets.flows })))
}

impl Server {
    pub async fn serve(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let listener = tokio::net::UnixListener::from_std(self.listener)
            .context("cannot listen for Hubble's clients")?;
        let end = async move { shutdown.begun().await };
        ciliate_observer::serve(self.observer, self.peer, listener, end)
            .await
            .context("cannot answer Hubble's clients")
    }
}
