//! The node agent: objects in, enforced policy in the kernel out.
//!
//! `run` opens the store and the kernel, puts in force what the store says, and then serves the local API until it is
//! told to end. What it leaves in the kernel goes on enforcing.

mod api;
mod beside;
mod capability;
mod cni_queue;
mod engine;
mod event_bounds;
mod events;
mod failure;
mod flows;
mod hosts;
mod identity;
mod ipam;
mod kernel;
mod lock;
mod logging;
#[doc(hidden)]
pub mod measure;
mod metrics;
mod name;
mod news;
mod node;
mod notice;
mod observer;
mod proxy;
mod rank;
mod recorder;
mod runtime_config;
mod shutdown;
mod socket;
mod state;
mod status;
mod stored;
mod translate;

use anyhow::{Context as _, anyhow};
use beside::Beside;
use ciliate_api::settings::{Config, Resolved};
use ciliate_net::AddressWatch;
use ciliate_store::Embedded;
use engine::{Engine, Inbox, Parts, Requests};
use shutdown::Shutdown;
use std::{
    fs,
    os::unix::net::UnixListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::{signal::unix, sync::watch, task::JoinSet, time};

/// Runs the agent in the foreground until a signal or a request ends it.
pub fn run(settings: Vec<Resolved>, config: Config) -> anyhow::Result<()> {
    logging::start(config.log_level, config.log_format);
    check_host(&config)?;
    fs::create_dir_all(&config.run_dir)
        .with_context(|| format!("cannot make the run directory {}", config.run_dir.display()))?;
    let mut steps = Steps::new();
    let store = Arc::new(Embedded::open(&config.state_dir)?);
    let _lock = lock::Lock::take(&config.bpf_root)?;
    let (settings, config) =
        runtime_config::RuntimeConfig::restore(settings, &store).map_err(|failure| anyhow!("{failure}"))?;
    logging::set_level(config.log_level);
    steps.done("the store is open");
    let ipam = ipam::Ipam::new(&config);
    let (kernel, mut events) = kernel::HostKernel::open(&config, &ipam.gateways(), &ipam.networks())
        .inspect_err(|_| {
            // The lock made it; what has something in it stays.
            let _ = fs::remove_dir(&config.bpf_root);
        })?;
    steps.done("the kernel is adopted");
    let maps = Arc::new(kernel.reader()?);
    let attention = proxy::Attention::default();
    events.watch.bound(event_bounds::read(&config)).context("cannot bound what the kernel reports")?;
    let notices = notice::Notices::new(Some(events.watch), config.monitor_capture.0, attention.clone());
    notices.renew().context("cannot tell the kernel's programs what to report")?;
    let (requests, inbox) = engine::channel();
    let numbering = requests.downgrade();
    let number = move |sets: Vec<ciliate_proxy::message::NameSet>| {
        numbering.tell(move |engine| {
            if let Err(failure) = engine.number_names(sets) {
                tracing::error!(%failure, "names have no identity of their own yet");
            }
        });
    };
    let (inlet, outlet) = events::l7::channel();
    let supervisor = proxy::Supervisor::new(&config, settings.rows(), attention, move |news| match news {
        proxy::News::Accesses(accesses) => inlet.put(accesses),
        proxy::News::Names(names) => inlet.put_names(names),
        proxy::News::Lost(count) => inlet.lose(count),
        proxy::News::Wanted(sets) => number(sets),
    });
    let parts = Parts {
        config: config.clone(),
        kernel: Box::new(kernel),
        proxy: Box::new(supervisor),
        settings,
        store,
        notices: notices.clone(),
    };
    let (mut engine, state) = Engine::new(parts);
    engine.restore().map_err(|failure| anyhow!("{failure}"))?;
    steps.done("the state is in force");
    let listener = socket::bind(&config, &config.socket())?;
    let (recorder, commands) = ciliate_recorder::Recorder::channel();
    let (observer, observed) = observer::start(&config, &notices, engine.configs(), &recorder)?;
    let scraped = metrics::Server::start(&config)?;
    cni_queue::process(&mut engine, &config.run_dir);

    let shutdown = Shutdown::default();
    let exports = observer.as_ref().map(observer::Server::exports).unwrap_or_default();
    let node = node::Node::new(&config);
    let app = api::App { requests, state, maps, notices, recorder, node, shutdown, exports };
    let engine = start_engine(engine, inbox)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let ending = app.shutdown.clone();
    let sources = events::Sources {
        reader: events.reader,
        accesses: outlet,
        state: app.state.clone(),
        requests: app.requests.clone(),
        notices: app.notices.clone(),
        delay: config.monitor_delay.0,
        observed,
        shutdown: app.shutdown.clone(),
    };
    let recording = recorder::Parts {
        records: events.records,
        storage: recorder::storage(&config, &app.node.name),
        node: Arc::new(ciliate_flow::Node { name: app.node.name.clone(), labels: Vec::new() }),
        cluster: config.cluster_name.clone(),
        state: app.state.clone(),
        requests: app.requests.clone(),
        commands,
        shutdown: app.shutdown.clone(),
    };
    let recordings = Beside::start("recorder", |parts| {
        parts.spawn(recorder::run(recording));
    })?;
    let events = Beside::start("events", |parts| {
        parts.spawn(events::forward(sources));
    })?;
    let observer = observer.map(|observer| observer.start(&app.shutdown)).transpose()?;
    let served = runtime.block_on(serve(app, listener, scraped));
    // Also where the API broke: the threads end with it.
    ending.begin();
    // Requests under way hold the engine; without them its channel closes and it ends.
    runtime.shutdown_timeout(Duration::from_secs(1));
    // First what makes flows, then who shows and keeps them.
    events.join();
    recordings.join();
    if let Some(observer) = observer {
        observer.join();
    }
    engine.join().map_err(|_| anyhow!("the engine broke: the kernel goes on enforcing what it has"))?;
    // A next agent replaces it anyway.
    for socket in [config.socket(), config.hubble_socket()] {
        let _ = fs::remove_file(socket);
    }
    tracing::info!("ended");
    served
}

/// Whether an agent can run here at all: capabilities, kernel, BPF file system. Changes nothing.
pub fn check_host(config: &Config) -> anyhow::Result<()> {
    capability::check()?;
    ciliate_bpf::check_kernel(&config.bpf_root)?;
    Ok(())
}

/// Has what this process logs written as the settings say.
pub fn start_logging(config: &Config) {
    logging::start(config.log_level, config.log_format);
}

/// Says how long the parts of the start took.
struct Steps(Instant);

impl Steps {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn done(&mut self, what: &str) {
        let took = std::mem::replace(&mut self.0, Instant::now()).elapsed();
        tracing::debug!(milliseconds = took.as_millis(), "{what}");
    }
}

fn start_engine(engine: Engine, inbox: Inbox) -> anyhow::Result<thread::JoinHandle<()>> {
    thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || engine.run(inbox))
        .context("cannot start a thread")
}

async fn serve(
    app: api::App,
    listener: UnixListener,
    scraped: Option<metrics::Server>,
) -> anyhow::Result<()> {
    let shutdown = app.shutdown.clone();
    let listener = tokio::net::UnixListener::from_std(listener).context("cannot listen")?;
    let mut tasks = JoinSet::new();
    tasks.spawn(upkeep(app.requests.clone()));
    tasks.spawn(watch_host(app.requests.clone()));
    tasks.spawn(signals(app.shutdown.clone()));
    if let Some(metrics) = scraped {
        tasks.spawn(metrics.serve(app.clone()));
    }
    tracing::info!(endpoints = app.state.borrow().endpoints.len(), "ready");

    let ending = shutdown.clone();
    let router = api::router(app);
    let server = axum::serve(listener, router).with_graceful_shutdown(async move { ending.begun().await });
    let server = async move { server.await.context("the API broke") };
    tokio::pin!(server);
    loop {
        tokio::select! {
            served = &mut server => return served,
            Some(ended) = tasks.join_next() => beside::tell(ended),
            () = drained(shutdown.subscribe()) => {
                tracing::warn!("requests under way are cut off");
                return Ok(());
            }
        }
    }
}

/// How long requests may go on after the end has begun.
const DRAIN: Duration = Duration::from_secs(5);

async fn drained(mut ending: watch::Receiver<bool>) {
    // The sender outlives the server.
    let _ = ending.wait_for(|ending| *ending).await;
    time::sleep(DRAIN).await;
}

async fn upkeep(requests: Requests) -> anyhow::Result<()> {
    let mut interval = time::interval(Duration::from_secs(1));
    interval.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if let Err(failure) = requests.call(Engine::tick).await {
            tracing::warn!(%failure, "upkeep failed; it is tried again");
        }
    }
}

async fn watch_host(requests: Requests) -> anyhow::Result<()> {
    let mut watch = AddressWatch::new()?;
    loop {
        // Also once at the start: something may have changed between the restore and now.
        if let Err(failure) = requests.call(Engine::host_changed).await {
            tracing::warn!(%failure, "cannot follow the host's devices");
        }
        watch.changed().await?;
    }
}

async fn signals(shutdown: Shutdown) -> anyhow::Result<()> {
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to end: the kernel goes on enforcing");
    shutdown.begin();
    Ok(())
}
