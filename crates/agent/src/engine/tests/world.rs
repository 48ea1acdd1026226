//! A host of its own for each test: a store in a folder, a kernel in memory, an agent that can be killed.

use super::naming::NamingProxy;
use crate::{
    engine::{Engine, Parts},
    failure::Failure,
    kernel::memory::{Fault, Held, MemoryKernel},
    notice::Notices,
    runtime_config::RuntimeConfig,
};
use ciliate_api::{ApplyRequest, ApplyResult, DeleteRequest, Endpoint, EndpointRequest, NetnsRef};
use ciliate_net::{HostAddress, Scope};
use ciliate_policy::rule_set::Traffic;
use ciliate_store::Embedded;
use ciliate_types::{Direction, PortPrefix, Protocol};
use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

pub struct World {
    folder: PathBuf,
    pub kernel: MemoryKernel,
    pub proxy: NamingProxy,
    engine: Option<Engine>,
}

/// Whether a packet from one address to another passes, for all pairs that a test looks at.
pub type Verdicts = BTreeMap<(IpAddr, IpAddr, u16), bool>;

/// What each end's own policy says: endpoints are switched one by one, each of them at once.
pub type Judgements = BTreeMap<(Direction, IpAddr, IpAddr, u16), bool>;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Refused,
    Killed,
}

static WORLDS: AtomicUsize = AtomicUsize::new(0);

pub const PORTS: [u16; 2] = [80, 443];

impl World {
    pub fn new() -> Self {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ciliate-agent-{}-{number}", std::process::id()));
        fs::create_dir_all(folder.join("run")).unwrap();
        let kernel = MemoryKernel::default();
        let address = "192.0.2.1".parse().unwrap();
        kernel.held().host.push(HostAddress { ifindex: 1, address, prefix_len: 24, scope: Scope::Global });
        let proxy = NamingProxy::new(folder.join("state"), kernel.clone());
        let mut world = Self { folder, kernel, proxy, engine: None };
        world.start().unwrap();
        world
    }

    /// A new agent on the same host; a running one is killed.
    pub fn start(&mut self) -> Result<(), Failure> {
        self.engine = None;
        let folder = |name: &str| self.folder.join(name).display().to_string();
        let flags = [
            ("state-dir", folder("state")),
            ("run-dir", folder("run")),
            ("ipv4-pool", "10.9.0.0/24".to_owned()),
            ("enable-ipv6", "false".to_owned()),
        ];
        let flags: BTreeMap<String, String> = flags.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let (settings, config) = ciliate_api::settings::resolve(&flags, |_| None, None).unwrap();
        let store = Arc::new(Embedded::open(&config.state_dir).unwrap());
        let (settings, config) = RuntimeConfig::restore(settings, &store).unwrap();
        let kernel = Box::new(self.kernel.clone());
        let (mut engine, _) = Engine::new(Parts {
            config,
            settings,
            kernel,
            proxy: Box::new(self.proxy.clone()),
            store,
            notices: Notices::new(None, 0, crate::proxy::Attention::default()),
        });
        engine.restore()?;
        self.engine = Some(engine);
        Ok(())
    }

    pub fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().unwrap()
    }

    /// Does something while the kernel misbehaves. A killed agent is gone.
    pub fn with_fault(
        &mut self,
        after: usize,
        fault: Fault,
        work: impl FnOnce(&mut Engine) -> Result<(), Failure>,
    ) -> Outcome {
        self.kernel.held().fault = Some((after, fault));
        let engine = self.engine.as_mut().unwrap();
        let outcome = match catch_unwind(AssertUnwindSafe(|| work(engine))) {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(_)) => Outcome::Refused,
            Err(_) => {
                self.engine = None;
                Outcome::Killed
            }
        };
        self.kernel.held().fault = None;
        outcome
    }

    pub fn create(&mut self, name: &str, labels: &[&str]) -> Result<Endpoint, Failure> {
        self.engine().create_endpoint(request(name, labels))
    }

    pub fn apply(&mut self, text: &str) -> Result<ApplyResult, Failure> {
        self.engine().apply(&apply_request(text))
    }

    pub fn delete(&mut self, text: &str) -> Result<ApplyResult, Failure> {
        self.engine().delete_objects(&DeleteRequest { text: Some(apply_request(text)), ..Default::default() })
    }

    /// All pairs of these addresses.
    pub fn verdicts(&self, addresses: &[IpAddr]) -> Verdicts {
        verdicts(&self.kernel.held(), addresses)
    }

    pub fn judgements(&self, addresses: &[IpAddr]) -> Judgements {
        judgements(&self.kernel.held(), addresses)
    }

    /// Notes the judgements after every write from now on.
    pub fn watch(&self, addresses: &[IpAddr]) -> Arc<Mutex<Vec<(String, Judgements)>>> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (notes, addresses) = (Arc::clone(&seen), addresses.to_vec());
        self.kernel.held().check = Some(Box::new(move |held| {
            let step = held.log.last().cloned().unwrap_or_default();
            notes.lock().unwrap().push((step, judgements(held, &addresses)));
        }));
        seen
    }
}

fn traffic(port: u16) -> Traffic {
    Traffic::Ports(Protocol::TCP, PortPrefix { value: port, len: 16 })
}

fn pairs(addresses: &[IpAddr]) -> impl Iterator<Item = (IpAddr, IpAddr, u16)> {
    let others = move |a: IpAddr| addresses.iter().filter(move |b| **b != a).map(move |b| (a, *b));
    addresses.iter().flat_map(move |a| others(*a)).flat_map(|(a, b)| PORTS.map(|port| (a, b, port)))
}

fn verdicts(held: &Held, addresses: &[IpAddr]) -> Verdicts {
    pairs(addresses).map(|(a, b, port)| ((a, b, port), held.passes(a, b, traffic(port)))).collect()
}

fn judgements(held: &Held, addresses: &[IpAddr]) -> Judgements {
    let judge =
        |direction, (a, b, port)| ((direction, a, b, port), held.judge(direction, a, b, traffic(port)));
    Direction::BOTH.into_iter().flat_map(|d| pairs(addresses).map(move |pair| judge(d, pair))).collect()
}

impl Drop for World {
    fn drop(&mut self) {
        self.engine = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub fn request(name: &str, labels: &[&str]) -> EndpointRequest {
    EndpointRequest {
        name: Some(name.to_owned()),
        namespace: None,
        service_account: None,
        labels: labels.iter().map(|l| (*l).to_owned()).collect(),
        netns: NetnsRef::Path(format!("/run/netns/{name}").into()),
        interface: None,
        addresses: Vec::new(),
        ports: Vec::new(),
        publish: Vec::new(),
        container_id: None,
    }
}

pub fn apply_request(text: &str) -> ApplyRequest {
    ApplyRequest { text: text.to_owned(), origin: "test.yaml".to_owned(), namespace: "default".to_owned() }
}

/// A policy for endpoints with `app: <app>`.
pub fn policy(name: &str, app: &str, rules: &str) -> String {
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: {name}}}\n\
         spec:\n  endpointSelector: {{matchLabels: {{app: {app}}}}}\n{rules}\n---\n"
    )
}
