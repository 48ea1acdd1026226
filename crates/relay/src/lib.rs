//! Asks many nodes for their flows and answers as one, as hubble-relay does.
//!
//! Sources name nodes; the roster keeps a connection to each; a client's question goes to all of them, and their answers are merged
//! by time. Answers pass as the bytes that they came as: a relay needs not know the fields that its nodes and clients know.

mod aggregate;
mod answer;
mod codec;
mod dial;
mod flows;
mod merge;
mod nodes;
mod peer;
mod question;
mod roster;
mod service;
mod sources;

/// For the fuzzer.
#[doc(hidden)]
pub use answer::{Answer, Moment};
pub use dial::{Dialer, Encryption};
pub use flows::Collecting;
pub use merge::Sorting;
pub use peer::{NODE_PORT, Peer, PeerError, listed};
#[doc(hidden)]
pub use question::Question;
pub use sources::Source;

use ciliate_hubble::describe;
use ciliate_transport::{Bounds, Incoming};
use nodes::Nodes;
use roster::Upkeep;
use service::{Passing, Service};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::sleep,
};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

/// Names for whose health clients ask.
const HEALTH_NAMES: [&str; 3] = ["", "hubble.server.Observer", "observer.Observer"];
/// How long answers may go on after the end has begun.
const DRAIN: Duration = Duration::from_secs(1);
/// Changes of nodes that wait.
const CHANGES: usize = 64;

/// What a relay goes by.
pub struct Settings {
    pub sources: Vec<Source>,
    pub dialer: Dialer,
    /// Longest pause between two tries to connect to a node.
    pub retry: Duration,
    pub collecting: Collecting,
    /// How long a node may take to say how it is.
    pub patience: Duration,
    /// Streams of flows to clients that are under way at once.
    pub streams: usize,
}

pub(crate) fn version() -> String {
    concat!("ciliate relay ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// Serves the clients that come in, until `end` is there.
pub async fn serve(settings: Settings, incoming: Incoming, end: impl Future<Output = ()>) {
    let Settings { sources, dialer, retry, collecting, patience, streams } = settings;
    let nodes = Nodes::new();
    let (changes, changing) = mpsc::channel(CHANGES);
    // Dropped with all that they do.
    let mut tasks = JoinSet::new();
    for source in sources {
        tasks.spawn(source.run(dialer.clone(), retry, changes.clone()));
    }
    tasks.spawn(roster::follow(nodes.clone(), Upkeep { dialer, retry }, changing));
    let (health, health_service) = tonic_health::server::health_reporter();
    tasks.spawn(tell_health(health, nodes.clone()));

    let service = Service { nodes, collecting, patience, places: Arc::new(Semaphore::new(streams)) };
    let routes =
        describe(Routes::new(health_service).add_service(Passing::new(service)), &["observer.Observer"]);
    let (ending, ended) = tokio::sync::oneshot::channel::<()>();
    let closing = async move {
        // Its sender is dropped, used or not, when the end has begun.
        let _ = ended.await;
    };
    let late = async {
        end.await;
        drop(ending);
        // Who follows flows never comes to an end.
        sleep(DRAIN).await;
    };
    tokio::select! {
        () = ciliate_transport::serve(routes, incoming, Bounds::default(), closing) => {}
        () = late => {}
    }
}

/// Well is a relay that can ask a node.
async fn tell_health(health: HealthReporter, nodes: Nodes) {
    let mut watch = nodes.watch();
    loop {
        let status = match aggregate::any_connected(&nodes) {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        for name in HEALTH_NAMES {
            health.set_service_status(name, status).await;
        }
        if watch.changed().await.is_err() {
            return;
        }
    }
}
