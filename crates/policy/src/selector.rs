//! Selectors in the form they are matched in.

use ciliate_types::{CLUSTER_KEY, Label, NAMESPACE_KEY, NamePattern, ReservedIdentity, source};
use ipnet::IpNet;
use std::{collections::BTreeSet, fmt, net::IpAddr};

/// What a label selector asks of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Requirement {
    pub source: Box<str>,
    pub key: Box<str>,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Test {
    /// Some label of the key has one of these values.
    In(BTreeSet<Box<str>>),
    /// No label of the key has one of these values; also true without the key.
    NotIn(BTreeSet<Box<str>>),
    Exists,
    Missing,
    /// Some `cidr` label names a prefix inside this one.
    Within(IpNet),
}

impl Requirement {
    #[must_use]
    pub fn equals(source: &str, key: &str, value: &str) -> Self {
        Self { source: source.into(), key: key.into(), test: Test::In([value.into()].into()) }
    }

    #[must_use]
    pub fn exists(source: &str, key: &str) -> Self {
        Self { source: source.into(), key: key.into(), test: Test::Exists }
    }

    /// Every endpoint that is managed has a namespace; the world, hosts and address prefixes have none.
    #[must_use]
    pub fn managed() -> Self {
        Self::exists(source::K8S, NAMESPACE_KEY)
    }

    /// Whether something must be there for it to hold.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        match self.test {
            Test::In(_) | Test::Exists | Test::Within(_) => true,
            Test::NotIn(_) | Test::Missing => false,
        }
    }

    fn names(&self, label: &Label) -> bool {
        label.key() == &*self.key && (&*self.source == source::ANY || label.source() == &*self.source)
    }

    pub fn holds<'a>(&self, mut labels: impl Iterator<Item = &'a Label>) -> bool {
        match &self.test {
            Test::In(values) => labels.any(|l| self.names(l) && values.contains(l.value())),
            Test::NotIn(values) => !labels.any(|l| self.names(l) && values.contains(l.value())),
            Test::Exists => labels.any(|l| self.names(l)),
            Test::Missing => !labels.any(|l| self.names(l)),
            Test::Within(net) => labels.filter_map(label_prefix).any(|prefix| net.contains(&prefix)),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format_args!("{}:{}", self.source, self.key);
        let list = |values: &BTreeSet<Box<str>>| values.iter().map(|v| &**v).collect::<Vec<_>>().join(",");
        match &self.test {
            Test::In(values) => match (values.first(), values.len()) {
                (Some(value), 1) if value.is_empty() => write!(f, "{name}"),
                (Some(value), 1) => write!(f, "{name}={value}"),
                _ => write!(f, "{name} in ({})", list(values)),
            },
            Test::NotIn(values) => write!(f, "{name} not in ({})", list(values)),
            Test::Exists => write!(f, "{name}"),
            Test::Missing => write!(f, "!{name}"),
            Test::Within(net) => write!(f, "cidr:{net}"),
        }
    }
}

/// A label selector: all requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelMatch(BTreeSet<Requirement>);

impl LabelMatch {
    pub fn requirements(&self) -> impl Iterator<Item = &Requirement> {
        self.0.iter()
    }

    pub fn add(&mut self, requirement: Requirement) {
        self.0.insert(requirement);
    }

    pub fn matches<'a>(&self, labels: impl Iterator<Item = &'a Label> + Clone) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels.clone()))
    }

    /// The first requirement that does not hold.
    pub fn unmet<'a>(&self, labels: impl Iterator<Item = &'a Label> + Clone) -> Option<&Requirement> {
        self.0.iter().find(|requirement| !requirement.holds(labels.clone()))
    }

    /// The keys and values that every match has.
    pub fn equalities(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|r| match &r.test {
            Test::In(values) if values.len() == 1 => values.first().map(|v| (&*r.key, &**v)),
            Test::In(_) | Test::NotIn(_) | Test::Exists | Test::Missing | Test::Within(_) => None,
        })
    }

    /// One of them, the rarer the better: an index can start there.
    #[must_use]
    pub fn anchor(&self) -> Option<(&str, &str)> {
        let common = |key: &str| key == NAMESPACE_KEY || key == CLUSTER_KEY;
        self.equalities().min_by_key(|(key, _)| common(key))
    }
}

impl FromIterator<Requirement> for LabelMatch {
    fn from_iter<I: IntoIterator<Item = Requirement>>(requirements: I) -> Self {
        Self(requirements.into_iter().collect())
    }
}

impl fmt::Display for LabelMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("everything");
        }
        self.0.iter().enumerate().try_for_each(|(i, requirement)| match i {
            0 => write!(f, "{requirement}"),
            _ => write!(f, ", {requirement}"),
        })
    }
}

/// Peers that have a name instead of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entity {
    All,
    World,
    WorldIpv4,
    WorldIpv6,
    Cluster,
    Host,
    RemoteNode,
    KubeApiserver,
    Ingress,
    Init,
    Health,
    Unmanaged,
    None,
}

impl Entity {
    pub const ALL: [Self; 13] = [
        Self::All,
        Self::World,
        Self::WorldIpv4,
        Self::WorldIpv6,
        Self::Cluster,
        Self::Host,
        Self::RemoteNode,
        Self::KubeApiserver,
        Self::Ingress,
        Self::Init,
        Self::Health,
        Self::Unmanaged,
        Self::None,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::World => "world",
            Self::WorldIpv4 => "world-ipv4",
            Self::WorldIpv6 => "world-ipv6",
            Self::Cluster => "cluster",
            Self::Host => "host",
            Self::RemoteNode => "remote-node",
            Self::KubeApiserver => "kube-apiserver",
            Self::Ingress => "ingress",
            Self::Init => "init",
            Self::Health => "health",
            Self::Unmanaged => "unmanaged",
            Self::None => "none",
        }
    }

    /// Any one of these reserved labels makes a peer part of the entity.
    const fn reserved(self) -> &'static [ReservedIdentity] {
        use ReservedIdentity as R;
        match self {
            Self::All | Self::None => &[],
            Self::World => &[R::World, R::WorldIpv4, R::WorldIpv6],
            Self::WorldIpv4 => &[R::WorldIpv4],
            Self::WorldIpv6 => &[R::WorldIpv6],
            Self::Cluster => {
                &[R::Host, R::RemoteNode, R::Init, R::Health, R::Ingress, R::Unmanaged, R::KubeApiserver]
            }
            Self::Host => &[R::Host],
            Self::RemoteNode => &[R::RemoteNode],
            Self::KubeApiserver => &[R::KubeApiserver],
            Self::Ingress => &[R::Ingress],
            Self::Init => &[R::Init],
            Self::Health => &[R::Health],
            Self::Unmanaged => &[R::Unmanaged],
        }
    }

    /// `cluster` is the name of the local cluster.
    pub fn matches<'a>(self, mut labels: impl Iterator<Item = &'a Label>, cluster: &str) -> bool {
        let reserved = self.reserved();
        labels.any(|label| match label.source() {
            source::RESERVED => reserved.iter().any(|r| r.key() == label.key()),
            source::K8S => self == Self::Cluster && label.key() == CLUSTER_KEY && label.value() == cluster,
            _ => false,
        }) || self == Self::All
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An address prefix without some of its parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block {
    pub net: IpNet,
    pub except: BTreeSet<IpNet>,
}

impl Block {
    /// Whether all of `prefix` lies in the block. A prefix that only partly lies in an exception does count:
    /// the exception is a longer prefix with an answer of its own.
    #[must_use]
    pub fn contains(&self, prefix: &IpNet) -> bool {
        self.net.contains(prefix) && !self.except.iter().any(|except| except.contains(prefix))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.net)?;
        if !self.except.is_empty() {
            let list: Vec<_> = self.except.iter().map(ToString::to_string).collect();
            write!(f, " except {}", list.join(","))?;
        }
        Ok(())
    }
}

/// One distinct way to choose peers by what they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selector {
    Labels(LabelMatch),
    Entity(Entity),
    /// Peers outside of the cluster, by address.
    Cidr(Block),
    /// Peers outside of the cluster, by the names that their addresses were found under.
    Fqdn(NamePattern),
}

impl Selector {
    /// The prefixes that it speaks of, each of which needs an identity of its own.
    pub fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        let nets: Vec<IpNet> = match self {
            Self::Labels(labels) => {
                let within = labels.requirements().filter_map(|requirement| match &requirement.test {
                    Test::Within(net) => Some(*net),
                    Test::In(_) | Test::NotIn(_) | Test::Exists | Test::Missing => None,
                });
                within.collect()
            }
            Self::Entity(_) | Self::Fqdn(_) => Vec::new(),
            Self::Cidr(block) => std::iter::once(block.net).chain(block.except.iter().copied()).collect(),
        };
        nets.into_iter()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Labels(labels) => write!(f, "{labels}"),
            Self::Entity(entity) => write!(f, "entity {entity}"),
            Self::Cidr(block) => write!(f, "cidr {block}"),
            Self::Fqdn(pattern) => write!(f, "fqdn {pattern}"),
        }
    }
}

/// Whether the labels say that the address has a name of the pattern.
pub fn is_named<'a>(pattern: &NamePattern, mut labels: impl Iterator<Item = &'a Label>) -> bool {
    labels.any(|label| label.source() == source::FQDN && label.key() == pattern.as_str())
}

/// The prefix that a label of source `cidr` names. Where addresses have colons the label has dashes.
#[must_use]
pub fn label_prefix(label: &Label) -> Option<IpNet> {
    (label.source() == source::CIDR).then(|| parse_label_key(label.key())).flatten()
}

/// Reads the key of a `cidr` label.
#[must_use]
pub fn parse_label_key(key: &str) -> Option<IpNet> {
    let with_length = |text: &str| {
        let net = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        net.map(|net: IpNet| net.trunc())
    };
    with_length(key).or_else(|| with_length(&key.replace('-', ":")))
}

/// The key of the `cidr` label of a prefix. Colons become dashes, and an end that would be a dash gets a zero.
#[must_use]
pub fn label_key(net: &IpNet) -> String {
    let address = net.network().to_string().replace(':', "-");
    let front = if address.starts_with('-') { "0" } else { "" };
    let back = if address.ends_with('-') { "0" } else { "" };
    format!("{front}{address}{back}/{}", net.prefix_len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_types::Labels;

    #[test]
    fn prefixes_and_their_label_keys_are_the_same() {
        for (net, key) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::/0", "0--0/0"),
            ("fd00::/8", "fd00--0/8"),
            ("::1/128", "0--1/128"),
        ] {
            let net: IpNet = net.parse().unwrap();
            assert_eq!(label_key(&net), key);
            assert_eq!(parse_label_key(key), Some(net));
        }
        assert_eq!(parse_label_key("fd00::/8"), "fd00::/8".parse().ok());
        assert_eq!(parse_label_key("10.0.0.1"), "10.0.0.1/32".parse().ok());
        assert_eq!(parse_label_key("x"), None);
    }

    #[test]
    fn requirements_hold_as_kubernetes_says() {
        let labels: Labels = ["k8s:app=web", "container:app=db", "k8s:empty"]
            .map(|l| l.parse().unwrap())
            .into_iter()
            .collect();
        let set = |values: &[&str]| values.iter().map(|v| Box::from(*v)).collect::<BTreeSet<Box<str>>>();
        for (source, key, test, holds) in [
            ("any", "app", Test::In(set(&["db"])), true),
            ("k8s", "app", Test::In(set(&["db"])), false),
            ("k8s", "app", Test::In(set(&["db", "web"])), true),
            ("any", "app", Test::NotIn(set(&["db"])), false),
            ("k8s", "app", Test::NotIn(set(&["db"])), true),
            ("k8s", "nope", Test::NotIn(set(&["db"])), true),
            ("any", "empty", Test::Exists, true),
            ("container", "empty", Test::Exists, false),
            ("container", "empty", Test::Missing, true),
            ("any", "app", Test::Missing, false),
            ("k8s", "empty", Test::In(set(&[""])), true),
        ] {
            let requirement = Requirement { source: source.into(), key: key.into(), test };
            assert_eq!(requirement.holds(labels.iter()), holds, "{requirement}");
        }
    }
}
