//! What policies mean, a second time, straight from their documented meaning: objects as users write them, rule
//! by rule, for one packet. It shares no code with the engine.

mod requests;

use super::world::{Being, CLUSTER, Packet, World};
use crate::{
    AllowLocalhost, EnforcementMode, Object,
    l7::Request,
    object::{
        cilium::{CidrRule, CiliumCidrGroup, EgressRule, IcmpRule, IngressRule, PortRule, Spec},
        kubernetes::{IntOrString, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
        l7::FqdnSelector,
        selector::LabelSelector,
    },
    rule_set::PeerKind,
};
use ciliate_types::{Direction, Protocol};
use ipnet::IpNet;
use std::net::IpAddr;

const NAMESPACE: &str = "io.kubernetes.pod.namespace";
const NAMESPACE_LABELS: &str = "io.cilium.k8s.namespace.labels.";

/// Whether the policies of `subject` let the packet pass in the direction, whatever is asked for.
#[must_use]
pub fn allows(world: &World, direction: Direction, subject: &Being, other: &Being, packet: Packet) -> bool {
    fate(world, direction, subject, other, packet, None) == Fate::Allowed
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Allowed,
    /// It depends on requests, and none was given.
    Redirected,
    Denied,
}

/// What becomes of the packet, and of the request in it.
#[must_use]
pub fn fate(
    world: &World,
    direction: Direction,
    subject: &Being,
    other: &Being,
    packet: Packet,
    request: Option<&Request>,
) -> Fate {
    if subject.kind != PeerKind::Endpoint || world.settings.enforcement == EnforcementMode::Never {
        return Fate::Allowed;
    }
    let mut model = Model {
        world,
        direction,
        subject,
        other,
        packet,
        isolated: false,
        allowed: false,
        denied: false,
        filters: Vec::new(),
    };
    for object in &world.objects {
        model.object(object);
    }
    let is_host = has(other, "reserved", "host", |_| true);
    if direction == Direction::Ingress && is_host && world.settings.allow_localhost == AllowLocalhost::Always
    {
        return Fate::Allowed;
    }
    let isolated = model.isolated || world.settings.enforcement == EnforcementMode::Always;
    match (model.denied, model.allowed, model.filters.is_empty(), isolated) {
        (true, ..) => Fate::Denied,
        (false, true, ..) => Fate::Allowed,
        (false, false, false, _) => match request {
            None => Fate::Redirected,
            Some(request) if requests::allowed(request, &model.filters) => Fate::Allowed,
            Some(_) => Fate::Denied,
        },
        (false, false, true, true) => Fate::Denied,
        (false, false, true, false) => Fate::Allowed,
    }
}

struct Model<'a> {
    world: &'a World,
    direction: Direction,
    subject: &'a Being,
    other: &'a Being,
    packet: Packet,
    isolated: bool,
    allowed: bool,
    denied: bool,
    /// What would allow it with the right request.
    filters: Vec<PortRule>,
}

/// What a rule says of the packet.
#[derive(Default)]
struct Hit {
    plain: bool,
    filters: Vec<PortRule>,
}

impl Model<'_> {
    fn allow(&mut self, hit: Hit) {
        self.allowed |= hit.plain;
        self.filters.extend(hit.filters);
    }

    fn object(&mut self, object: &Object) {
        match object {
            Object::CiliumNetworkPolicy(policy) | Object::CiliumClusterwideNetworkPolicy(policy) => {
                let namespace = policy.metadata.namespace.as_deref();
                for spec in policy.spec.iter().chain(policy.specs.iter().flatten()) {
                    self.spec(spec, namespace);
                }
            }
            Object::NetworkPolicy(policy) => self.network_policy(policy),
            Object::CiliumCidrGroup(_) | Object::Namespace(_) | Object::Secret(_) => {}
        }
    }

    fn spec(&mut self, spec: &Spec, namespace: Option<&str>) {
        let Some(selector) = &spec.endpoint_selector else { return };
        let home = namespace_of(self.subject);
        if !selects(selector, self.subject) || namespace.is_some_and(|n| home.as_deref() != Some(n)) {
            return;
        }
        let wish = spec.enable_default_deny.unwrap_or_default();
        let not_empty = |a: Option<usize>, b: Option<usize>| a.unwrap_or(0) > 0 || b.unwrap_or(0) > 0;
        let isolates = match self.direction {
            Direction::Ingress => wish.ingress.unwrap_or_else(|| {
                not_empty(spec.ingress.as_ref().map(Vec::len), spec.ingress_deny.as_ref().map(Vec::len))
            }),
            Direction::Egress => wish.egress.unwrap_or_else(|| {
                not_empty(spec.egress.as_ref().map(Vec::len), spec.egress_deny.as_ref().map(Vec::len))
            }),
        };
        self.isolated |= isolates;
        match self.direction {
            Direction::Ingress => {
                for rule in spec.ingress.iter().flatten() {
                    self.allow(self.ingress_matches(rule, namespace, false));
                }
                for rule in spec.ingress_deny.iter().flatten() {
                    self.denied |= self.ingress_matches(rule, namespace, true).plain;
                }
            }
            Direction::Egress => {
                for rule in spec.egress.iter().flatten() {
                    self.allow(self.egress_matches(rule, namespace, false));
                }
                for rule in spec.egress_deny.iter().flatten() {
                    self.denied |= self.egress_matches(rule, namespace, true).plain;
                }
            }
        }
    }

    fn ingress_matches(&self, rule: &IngressRule, namespace: Option<&str>, empty_matches: bool) -> Hit {
        let peers = [
            self.endpoints(rule.from_endpoints.as_deref(), namespace),
            self.entities(rule.from_entities.as_deref()),
            self.nodes(rule.from_nodes.as_deref()),
            self.cidrs(rule.from_cidr.as_deref()),
            self.cidr_sets(rule.from_cidr_set.as_deref()),
            None,
        ];
        self.element(peers, rule.to_ports.as_deref(), rule.icmps.as_deref(), empty_matches)
    }

    fn egress_matches(&self, rule: &EgressRule, namespace: Option<&str>, empty_matches: bool) -> Hit {
        let peers = [
            self.endpoints(rule.to_endpoints.as_deref(), namespace),
            self.entities(rule.to_entities.as_deref()),
            self.nodes(rule.to_nodes.as_deref()),
            self.cidrs(rule.to_cidr.as_deref()),
            self.cidr_sets(rule.to_cidr_set.as_deref()),
            self.fqdns(rule.to_fqdns.as_deref()),
        ];
        self.element(peers, rule.to_ports.as_deref(), rule.icmps.as_deref(), empty_matches)
    }

    /// Each part is None where the rule does not have it.
    fn element(
        &self,
        peers: [Option<bool>; 6],
        ports: Option<&[PortRule]>,
        icmps: Option<&[IcmpRule]>,
        empty_matches: bool,
    ) -> Hit {
        let (ports, icmps) = (ports.unwrap_or_default(), icmps.unwrap_or_default());
        let says_peers = peers.iter().any(Option::is_some);
        let says_traffic = !ports.is_empty() || !icmps.is_empty();
        if !says_peers && !says_traffic {
            return Hit { plain: empty_matches, ..Hit::default() };
        }
        if says_peers && !peers.contains(&Some(true)) {
            return Hit::default();
        }
        let mut hit = Hit { plain: !says_traffic, ..Hit::default() };
        for rule in ports {
            let fits = rule.ports.iter().any(|port| {
                self.port(port.protocol.as_deref().unwrap_or("ANY"), &port.port, port.end_port.unwrap_or(0))
            });
            match (fits, requests::looks_inside(rule)) {
                (false, _) => {}
                (true, false) => hit.plain = true,
                // Nobody looks inside of SCTP.
                (true, true) if self.packet.protocol == Protocol::SCTP => {}
                (true, true) => hit.filters.push(rule.clone()),
            }
        }
        hit.plain |= icmps.iter().flat_map(|rule| &rule.fields).any(|field| {
            let protocol = match field.family.as_deref() {
                Some("IPv6") => Protocol::ICMPV6,
                _ => Protocol::ICMP,
            };
            self.packet.protocol == protocol && self.icmp_type(&field.icmp_type)
        });
        hit
    }

    fn fqdns(&self, selectors: Option<&[FqdnSelector]>) -> Option<bool> {
        let names = self.world.names.iter().filter(|(_, list)| list.contains(&self.other.address));
        let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        Some(selectors?.iter().any(|selector| {
            self.other.kind == PeerKind::World && names.iter().any(|name| requests::named(selector, name))
        }))
    }

    fn icmp_type(&self, written: &str) -> bool {
        let number = match (written, self.packet.protocol) {
            ("EchoRequest", Protocol::ICMP) => 8,
            ("EchoRequest", _) => 128,
            (digits, _) => digits.parse().unwrap_or(u16::MAX),
        };
        self.packet.port == number
    }

    fn port(&self, protocol: &str, port: &str, end: i64) -> bool {
        let protocol_fits = match protocol.to_ascii_uppercase().as_str() {
            "TCP" => self.packet.protocol == Protocol::TCP,
            "UDP" => self.packet.protocol == Protocol::UDP,
            "SCTP" => self.packet.protocol == Protocol::SCTP,
            "GRE" => return self.packet.protocol == Protocol::new(47),
            _ => [Protocol::TCP, Protocol::UDP, Protocol::SCTP].contains(&self.packet.protocol),
        };
        let port_fits = match port.parse::<i64>() {
            Ok(0) => true,
            Ok(first) => (first..=end.max(first)).contains(&i64::from(self.packet.port)),
            Err(_) => self.has_name(port),
        };
        protocol_fits && port_fits
    }

    /// Whether the destination calls the packet's port by this name.
    fn has_name(&self, name: &str) -> bool {
        let destination = match self.direction {
            Direction::Ingress => self.subject,
            Direction::Egress => self.other,
        };
        destination.named_ports.iter().any(|((known, protocol), ports)| {
            known.to_lowercase() == name.to_lowercase()
                && *protocol == self.packet.protocol
                && ports.contains(&self.packet.port)
        })
    }

    fn endpoints(&self, selectors: Option<&[LabelSelector]>, namespace: Option<&str>) -> Option<bool> {
        Some(selectors?.iter().any(|selector| {
            if !selects(selector, self.other) {
                return false;
            }
            let special =
                positive_keys(selector).any(|k| k.starts_with("reserved:") || k.starts_with("cidr:"));
            if special {
                return true;
            }
            let Some(home) = namespace_of(self.other) else { return false };
            let chooses = all_keys(selector).any(|k| {
                let key = k.strip_prefix("k8s:").or(k.strip_prefix("any:")).unwrap_or(k);
                key == NAMESPACE || key.starts_with(NAMESPACE_LABELS)
            });
            namespace.is_none_or(|namespace| chooses || home == namespace)
        }))
    }

    fn nodes(&self, selectors: Option<&[LabelSelector]>) -> Option<bool> {
        let remote = has(self.other, "reserved", "remote-node", |_| true);
        Some(selectors?.iter().any(|selector| remote && selects(selector, self.other)))
    }

    fn entities(&self, names: Option<&[String]>) -> Option<bool> {
        let reserved = |key: &str| has(self.other, "reserved", key, |_| true);
        let one = |name: &String| match name.as_str() {
            "all" => true,
            "none" => false,
            "world" => self.other.kind == PeerKind::World,
            "world-ipv4" => self.other.kind == PeerKind::World && self.other.address.is_ipv4(),
            "world-ipv6" => self.other.kind == PeerKind::World && self.other.address.is_ipv6(),
            "cluster" => {
                has(self.other, "k8s", "io.cilium.k8s.policy.cluster", |value| value == CLUSTER)
                    || ["host", "remote-node", "kube-apiserver", "health", "ingress", "init", "unmanaged"]
                        .into_iter()
                        .any(reserved)
            }
            other => reserved(other),
        };
        Some(names?.iter().any(one))
    }

    fn by_cidr(&self) -> bool {
        match self.other.kind {
            PeerKind::World => true,
            PeerKind::Node => self.world.settings.cidr_match_mode.nodes,
            PeerKind::Endpoint => self.world.settings.cidr_match_mode.endpoints,
        }
    }

    fn cidrs(&self, nets: Option<&[String]>) -> Option<bool> {
        Some(nets?.iter().any(|net| self.by_cidr() && inside(net, self.other.address)))
    }

    fn cidr_sets(&self, rules: Option<&[CidrRule]>) -> Option<bool> {
        Some(rules?.iter().any(|rule| {
            let groups = self.world.objects.iter().filter_map(|object| match object {
                Object::CiliumCidrGroup(group) => Some(group),
                Object::CiliumNetworkPolicy(_)
                | Object::CiliumClusterwideNetworkPolicy(_)
                | Object::NetworkPolicy(_)
                | Object::Namespace(_)
                | Object::Secret(_) => None,
            });
            let meant = |group: &&CiliumCidrGroup| {
                rule.cidr_group_ref.as_ref() == Some(&group.metadata.name)
                    || rule.cidr_group_selector.as_ref().is_some_and(|selector| {
                        selects_by(selector, |key, test| {
                            group.metadata.labels.get(key).is_some_and(|value| test(value))
                        })
                    })
            };
            let of_groups = groups.filter(meant).flat_map(|group| &group.spec.external_cidrs);
            let mut nets = rule.cidr.iter().chain(of_groups);
            self.by_cidr()
                && nets.any(|net| inside(net, self.other.address))
                && !rule.except.iter().any(|net| inside(net, self.other.address))
        }))
    }

    fn network_policy(&mut self, policy: &NetworkPolicy) {
        let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
        let spec = &policy.spec;
        if namespace_of(self.subject).as_deref() != Some(namespace)
            || !selects_pod(&spec.pod_selector, "", self.subject)
        {
            return;
        }
        let applies = match (self.direction, spec.policy_types.is_empty()) {
            (Direction::Ingress, true) => true,
            (Direction::Egress, true) => !spec.egress.is_empty(),
            (Direction::Ingress, false) => spec.policy_types.iter().any(|t| t == "Ingress"),
            (Direction::Egress, false) => spec.policy_types.iter().any(|t| t == "Egress"),
        };
        if !applies {
            return;
        }
        self.isolated = true;
        let rules: Vec<(&[NetworkPolicyPeer], &[NetworkPolicyPort])> = match self.direction {
            Direction::Ingress => spec.ingress.iter().map(|r| (&*r.from, &*r.ports)).collect(),
            Direction::Egress => spec.egress.iter().map(|r| (&*r.to, &*r.ports)).collect(),
        };
        for (peers, ports) in rules {
            let peer = peers.is_empty() || peers.iter().any(|peer| self.network_policy_peer(peer, namespace));
            let port = ports.is_empty() || ports.iter().any(|port| self.network_policy_port(port));
            self.allowed |= peer && port;
        }
    }

    fn network_policy_peer(&self, peer: &NetworkPolicyPeer, namespace: &str) -> bool {
        if let Some(block) = &peer.ip_block {
            return inside(&block.cidr, self.other.address)
                && !block.except.iter().any(|net| inside(net, self.other.address));
        }
        let Some(home) = namespace_of(self.other) else { return false };
        let pod = peer.pod_selector.as_ref().is_none_or(|s| selects_pod(s, "", self.other));
        let space = match &peer.namespace_selector {
            Some(selector) => selects_pod(selector, NAMESPACE_LABELS, self.other),
            None => home == namespace,
        };
        pod && space
    }

    fn network_policy_port(&self, port: &NetworkPolicyPort) -> bool {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        match &port.port {
            None => self.port(protocol, "0", 0),
            Some(IntOrString::Int(number)) => {
                self.port(protocol, &number.to_string(), port.end_port.unwrap_or(0))
            }
            Some(IntOrString::String(name)) => self.port(protocol, name, 0),
        }
    }
}

fn inside(net: &str, address: IpAddr) -> bool {
    match net.parse::<IpNet>() {
        Ok(net) => net.contains(&address),
        Err(_) => net.parse() == Ok(address),
    }
}

fn has(being: &Being, source: &str, key: &str, test: impl Fn(&str) -> bool) -> bool {
    let named = being.labels.iter().filter(|l| l.key() == key && (source == "any" || l.source() == source));
    named.into_iter().any(|label| test(label.value()))
}

fn namespace_of(being: &Being) -> Option<String> {
    being.labels.get("k8s", NAMESPACE).map(ToOwned::to_owned)
}

fn positive_keys(selector: &LabelSelector) -> impl Iterator<Item = &str> {
    let positive = selector.match_expressions.iter().filter(|e| matches!(&*e.operator, "In" | "Exists"));
    selector.match_labels.keys().map(String::as_str).chain(positive.map(|e| &*e.key))
}

fn all_keys(selector: &LabelSelector) -> impl Iterator<Item = &str> {
    selector.match_labels.keys().map(String::as_str).chain(selector.match_expressions.iter().map(|e| &*e.key))
}

/// `find(key, test)` says whether a label of the key passes the test.
fn selects_by(selector: &LabelSelector, find: impl Fn(&str, &dyn Fn(&str) -> bool) -> bool) -> bool {
    let labels = selector.match_labels.iter().all(|(key, value)| find(key, &|v| v == value));
    let expressions = selector.match_expressions.iter().all(|e| match &*e.operator {
        "In" => find(&e.key, &|v| e.values.iter().any(|wanted| wanted == v)),
        "NotIn" => !find(&e.key, &|v| e.values.iter().any(|wanted| wanted == v)),
        "Exists" => find(&e.key, &|_| true),
        _ => !find(&e.key, &|_| true),
    });
    labels && expressions
}

/// A selector of Cilium: keys may have a source.
fn selects(selector: &LabelSelector, being: &Being) -> bool {
    selects_by(selector, |key, test| match key.split_once(':') {
        Some(("cidr", net)) => being.kind == PeerKind::World && inside(net, being.address),
        Some((source, key)) => has(being, source, key, test),
        None => has(being, "any", key, test),
    })
}

/// A selector of Kubernetes, whose keys stand behind a prefix in our labels.
fn selects_pod(selector: &LabelSelector, prefix: &str, being: &Being) -> bool {
    selects_by(selector, |key, test| has(being, "k8s", &format!("{prefix}{key}"), test))
}
