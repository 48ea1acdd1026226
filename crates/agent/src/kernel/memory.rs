//! A kernel in memory that writes down what it is told, and fails when asked to.

use super::{EndpointEntry, Extended, Extension, Handle, Kernel, KernelError, Namespace, Owner, Result};
use ciliate_api::MapEvent;
use ciliate_bpf::{LostEvents, MapUsage, MetricRow, NodeSettings, Sweep};
use ciliate_net::{Created, EndpointDevice, HostAddress, Link, Mac, Masquerade, Netns, NetnsId};
use ciliate_policy::rule_set::{Action, Otherwise, Peer, PeerKind, RuleSet, Traffic};
use ciliate_proxy::Rows;
use ciliate_types::{Direction, Identity};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

type Check = Box<dyn Fn(&Held) + Send>;

/// What the kernel holds; it outlives the agents that write to it.
#[derive(Default)]
pub struct Held {
    pub log: Vec<String>,
    pub rule_sets: BTreeMap<u32, (RuleSet, usize)>,
    pub endpoints: BTreeMap<IpAddr, EndpointEntry>,
    pub addresses: BTreeMap<IpNet, Identity>,
    pub devices: BTreeMap<String, Link>,
    pub up: BTreeSet<String>,
    pub attached: BTreeSet<String>,
    pub host: Vec<HostAddress>,
    pub translation: Option<Masquerade>,
    /// What goes wrong, and after how many more writes.
    pub fault: Option<(usize, Fault)>,
    /// Called after every write: what must hold at every moment.
    pub check: Option<Check>,
    last_handle: u32,
    last_index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One write is refused.
    Refuse,
    /// The agent is killed before a write.
    Kill,
}

#[derive(Clone, Default)]
pub struct MemoryKernel(Arc<Mutex<Held>>);

impl MemoryKernel {
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap()
    }

    /// What was written since the last call.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.held().log)
    }

    fn step(&self, what: String, change: impl FnOnce(&mut Held)) -> Result<()> {
        let mut held = self.held();
        match held.fault {
            Some((0, fault)) => {
                held.fault = None;
                drop(held);
                match fault {
                    Fault::Refuse => return Err(KernelError::Test("the kernel refused")),
                    Fault::Kill => panic!("killed"),
                }
            }
            Some((left, fault)) => held.fault = Some((left - 1, fault)),
            None => {}
        }
        held.note(what, change);
        Ok(())
    }

    /// Somebody else's write, which no accident of the agent's stops.
    fn outside(&self, what: String, change: impl FnOnce(&mut Held)) {
        self.held().note(what, change);
    }
}

impl Held {
    fn note(&mut self, what: String, change: impl FnOnce(&mut Self)) {
        self.log.push(what);
        change(self);
        let check = self.check.take();
        if let Some(check) = &check {
            check(self);
        }
        self.check = check;
    }

    /// Who the programs take an address for.
    fn identity(&self, address: IpAddr) -> Identity {
        if let Some(row) = self.endpoints.get(&address) {
            return row.identity;
        }
        let nets = self.addresses.iter().filter(|(net, _)| net.contains(&address));
        let world = Identity::new(if address.is_ipv4() { 9 } else { 10 });
        nets.max_by_key(|(net, _)| net.prefix_len()).map_or(world, |(_, identity)| *identity)
    }

    /// What the programs would decide for the first packet of a connection, at both of its ends.
    pub fn passes(&self, source: IpAddr, destination: IpAddr, traffic: Traffic) -> bool {
        self.judge(Direction::Egress, source, destination, traffic)
            && self.judge(Direction::Ingress, destination, source, traffic)
    }

    /// What the policy of one end says; addresses without a policy let everything pass.
    pub fn judge(&self, direction: Direction, subject: IpAddr, peer: IpAddr, traffic: Traffic) -> bool {
        let Some(row) = self.endpoints.get(&subject) else { return true };
        let rules = self.rule_sets[&row.rule_set.0].0.direction(direction);
        let identity = self.identity(peer);
        let kind = PeerKind::of_identity(identity);
        let classes = rules.prefixes.iter().filter(|((k, net), _)| *k == kind && net.contains(&peer));
        let class =
            classes.max_by_key(|((_, net), _)| net.prefix_len()).map(|(_, class)| Peer::Class(*class));
        let entries = rules.entries.iter().filter(|(key, _)| {
            (key.peer == Peer::Any || key.peer == Peer::Identity(identity) || Some(key.peer) == class)
                && (key.traffic == Traffic::Any || key.traffic == traffic)
        });
        match entries.max_by_key(|(_, entry)| entry.precedence) {
            Some((_, entry)) => entry.action == Action::Allow,
            None => rules.otherwise == Otherwise::Allow,
        }
    }
}

/// What the proxy writes into the kernel by itself.
impl Rows for MemoryKernel {
    fn identity_of(&self, at: IpAddr) -> std::result::Result<Option<Identity>, ciliate_bpf::Error> {
        let held = self.held();
        let nets = held.addresses.iter().filter(|(net, _)| net.contains(&at));
        Ok(nets.max_by_key(|(net, _)| net.prefix_len()).map(|(_, identity)| *identity))
    }

    fn put_identity(&self, at: IpAddr, identity: Identity) -> std::result::Result<(), ciliate_bpf::Error> {
        self.outside(format!("proxy: address {at} is {identity}"), |held| {
            held.addresses.insert(at.into(), identity);
        });
        Ok(())
    }

    fn remove_identity(&self, at: IpAddr) -> std::result::Result<(), ciliate_bpf::Error> {
        if !self.held().addresses.contains_key(&IpNet::from(at)) {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(ciliate_bpf::Error::Call { what: "delete from", map: "IPCACHE", source });
        }
        self.outside(format!("proxy: no address {at}"), |held| {
            held.addresses.remove(&IpNet::from(at));
        });
        Ok(())
    }

    fn identities(&self) -> std::result::Result<Vec<(IpNet, Identity)>, ciliate_bpf::Error> {
        Ok(self.held().addresses.iter().map(|(net, identity)| (*net, *identity)).collect())
    }
}

/// Entries as one line, for logs.
fn describe(rules: &RuleSet) -> String {
    let peers: BTreeSet<String> = rules
        .ingress
        .entries
        .keys()
        .map(|key| match key.peer {
            Peer::Any => "any".to_owned(),
            Peer::Identity(identity) => identity.to_string(),
            Peer::Class(class) => format!("class {}", class.0),
        })
        .collect();
    format!("{:?} [{}]", rules.ingress.otherwise, peers.into_iter().collect::<Vec<_>>().join(" "))
}

impl Kernel for MemoryKernel {
    fn set_node(&mut self, _: &NodeSettings) -> Result<()> {
        self.step("node".to_owned(), |_| {})
    }

    fn write_rule_set(&mut self, rules: &RuleSet) -> Result<Handle> {
        let known = self.held().rule_sets.iter().find(|(_, (r, _))| r == rules).map(|(n, _)| *n);
        if let Some(number) = known {
            if let Some((_, references)) = self.held().rule_sets.get_mut(&number) {
                *references += 1;
            }
            return Ok(Handle(number));
        }
        let number = self.held().last_handle + 1;
        self.step(format!("rules {number} {}", describe(rules)), |held| {
            held.last_handle = number;
            held.rule_sets.insert(number, (rules.clone(), 1));
        })?;
        Ok(Handle(number))
    }

    fn extend_rule_set(&mut self, extension: &Extension<'_>) -> Result<Extended> {
        let Extension { handle, old, new, gone } = *extension;
        let grows = |old: &RuleSet, new: &RuleSet| {
            old.egress == new.egress
                && old.ingress.otherwise == new.ingress.otherwise
                && old.ingress.prefixes == new.ingress.prefixes
                && old.ingress.entries.iter().all(|(k, e)| match new.ingress.entries.get(k) {
                    Some(same) => same == e,
                    None => matches!(k.peer, Peer::Identity(identity) if gone.contains(&identity)),
                })
                && new.ingress.entries.iter().all(|(k, e)| {
                    old.ingress.entries.contains_key(k)
                        || (matches!(k.peer, Peer::Identity(_)) && e.action == Action::Allow)
                })
        };
        if !grows(old, new) {
            return Ok(Extended::NotPossible);
        }
        self.step(format!("extend {} {}", handle.0, describe(new)), |held| {
            if let Some((rules, _)) = held.rule_sets.get_mut(&handle.0) {
                *rules = new.clone();
            }
        })?;
        Ok(Extended::InPlace)
    }

    fn release_rule_set(&mut self, handle: Handle) {
        let mut held = self.held();
        let left = held.rule_sets.get_mut(&handle.0).map(|(_, references)| {
            *references -= 1;
            *references
        });
        if left == Some(0) {
            held.log.push(format!("free {}", handle.0));
            held.rule_sets.remove(&handle.0);
            assert!(
                held.endpoints.values().all(|row| row.rule_set != handle),
                "rule set {} is freed while an endpoint uses it",
                handle.0
            );
        }
    }

    fn release_unclaimed_rule_sets(&mut self) {
        let mut held = self.held();
        let used: BTreeSet<u32> = held.endpoints.values().map(|row| row.rule_set.0).collect();
        held.rule_sets.retain(|number, _| used.contains(number));
    }

    fn put_endpoint(&mut self, at: IpAddr, row: &EndpointEntry) -> Result<()> {
        self.step(format!("endpoint {at} identity {} rules {}", row.identity, row.rule_set.0), |held| {
            assert!(held.rule_sets.contains_key(&row.rule_set.0), "an endpoint without its rules");
            held.endpoints.insert(at, *row);
        })
    }

    fn remove_endpoint(&mut self, at: IpAddr) -> Result<()> {
        self.step(format!("no endpoint {at}"), |held| {
            held.endpoints.remove(&at);
        })
    }

    fn endpoints(&self) -> Result<Vec<(IpAddr, EndpointEntry)>> {
        Ok(self.held().endpoints.iter().map(|(at, row)| (*at, *row)).collect())
    }

    fn put_address(&mut self, net: IpNet, identity: Identity) -> Result<()> {
        if self.held().addresses.get(&net) == Some(&identity) {
            return Ok(());
        }
        self.step(format!("address {net} is {identity}"), |held| {
            held.addresses.insert(net, identity);
        })
    }

    fn remove_address(&mut self, net: IpNet) -> Result<()> {
        if !self.held().addresses.contains_key(&net) {
            return Ok(());
        }
        self.step(format!("no address {net}"), |held| {
            held.addresses.remove(&net);
        })
    }

    fn addresses(&self) -> Result<Vec<(IpNet, Identity)>> {
        Ok(self.held().addresses.iter().map(|(net, identity)| (*net, *identity)).collect())
    }

    fn address(&self, at: IpAddr) -> Option<Identity> {
        self.held().addresses.get(&IpNet::from(at)).copied()
    }

    fn namespace(&self, path: &Path) -> Result<Namespace> {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        Ok(Namespace {
            netns: Netns::current()?,
            id: NetnsId { dev: 1, ino: hasher.finish() },
            owner: Owner::Other,
        })
    }

    fn made(&self, device: &EndpointDevice, host: &Link) -> Result<Created> {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let container_mac = device.mac.unwrap_or(mac);
        Ok(Created { host_ifindex: host.index, host_mac: mac, container_ifindex: 2, container_mac })
    }

    fn create_device(&mut self, device: &EndpointDevice) -> Result<Created> {
        let index = self.held().last_index + 1;
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        self.step(format!("make {}", device.host_name), |held| {
            held.last_index = index;
            let link = Link { index, name: device.host_name.clone(), mac: Some(mac), mtu: 1500, up: false };
            held.devices.insert(device.host_name.clone(), link);
            held.attached.insert(device.host_name.clone());
        })?;
        let container_mac = device.mac.unwrap_or(mac);
        Ok(Created { host_ifindex: index, host_mac: mac, container_ifindex: 2, container_mac })
    }

    fn start_device(&mut self, device: &EndpointDevice, _: &Created) -> Result<()> {
        self.step(format!("start {}", device.host_name), |held| {
            for address in &device.addresses {
                assert!(held.endpoints.contains_key(address), "{address} is up before it has a row");
                assert!(held.addresses.contains_key(&IpNet::from(*address)), "{address} is up but unknown");
            }
            held.up.insert(device.host_name.clone());
        })
    }

    fn attach(&mut self, device: &str) -> Result<()> {
        self.step(format!("attach {device}"), |held| {
            held.attached.insert(device.to_owned());
        })
    }

    fn attached(&self) -> Result<BTreeSet<String>> {
        Ok(self.held().attached.clone())
    }

    fn delete_device(&mut self, device: &str) -> Result<()> {
        self.step(format!("delete {device}"), |held| {
            held.devices.remove(device);
            held.up.remove(device);
            held.attached.remove(device);
        })
    }

    fn devices(&self) -> Result<Vec<Link>> {
        Ok(self.held().devices.values().cloned().collect())
    }

    fn check_device(&self, _: &EndpointDevice) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn host_addresses(&self) -> Result<Vec<HostAddress>> {
        Ok(self.held().host.clone())
    }

    fn ensure_router(&mut self) -> Result<()> {
        Ok(())
    }

    fn translate(&mut self, masquerade: &Masquerade) -> Result<()> {
        let publishes = masquerade.publishes.len();
        self.step(format!("translate {publishes}"), |held| held.translation = Some(masquerade.clone()))
    }

    fn open_to_loopback(&mut self, device: &str) -> Result<()> {
        self.step(format!("loopback {device}"), |_| {})
    }

    fn flush_connections(&mut self, _: &[IpAddr]) -> Result<usize> {
        Ok(0)
    }

    fn metrics(&self) -> Result<Vec<MetricRow>> {
        Ok(Vec::new())
    }

    fn lost_events(&self) -> Result<LostEvents> {
        Ok(LostEvents::default())
    }

    fn usage(&self) -> Vec<MapUsage> {
        Vec::new()
    }

    fn sweep(&mut self) -> Result<Sweep> {
        Ok(Sweep::default())
    }

    fn journal(&self, _: &str) -> Vec<MapEvent> {
        Vec::new()
    }

    fn errors(&self, _: &str) -> u64 {
        0
    }

    fn take_down(&mut self) -> Vec<KernelError> {
        let mut held = self.held();
        *held = Held { host: std::mem::take(&mut held.host), ..Held::default() };
        Vec::new()
    }
}
