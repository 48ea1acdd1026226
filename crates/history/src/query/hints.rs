//! What a query may leave out without looking: less exact than filters, and never too narrow.

use ciliate_flow::{Time, Verdict};
use std::net::IpAddr;

/// Which flows are wanted. The default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The first moment, itself included.
    pub since: Option<Time>,
    /// The last moment, itself included.
    pub until: Option<Time>,
    /// A flow has to be allowed by one of these, if there are any.
    pub any_of: Vec<Hint>,
}

/// All that is said has to hold; of a list, one entry; an empty list says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    pub verdicts: Vec<Verdict>,
    pub source: EndHint,
    pub destination: EndHint,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndHint {
    pub pods: Vec<PodHint>,
    pub identities: Vec<u32>,
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<u16>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodHint {
    /// The whole name; none = any namespace.
    pub namespace: Option<String>,
    /// What the pod's name begins with; empty = any.
    pub prefix: String,
}

impl Hints {
    /// Nanoseconds since 1970, both included.
    pub(crate) fn times(&self) -> (u64, u64) {
        (self.since.map_or(0, |time| time.0), self.until.map_or(u64::MAX, |time| time.0))
    }
}

/// A condition on one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub column: &'static str,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Equal(Vec<String>),
    Begin(Vec<String>),
    Number(Vec<i64>),
}

impl Hint {
    /// Those that cost least and say most come first.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let Self { verdicts, source, destination } = self;
        let mut conditions = Vec::new();
        if !verdicts.is_empty() {
            let names = verdicts.iter().map(|verdict| verdict.as_str_name().to_owned()).collect();
            conditions.push(Condition { column: "verdict", test: Test::Equal(names) });
        }
        source.add(
            &mut conditions,
            ["source_namespace", "source_pod", "source_identity", "source_address", "source_port"],
        );
        destination.add(
            &mut conditions,
            [
                "destination_namespace",
                "destination_pod",
                "destination_identity",
                "destination_address",
                "destination_port",
            ],
        );
        conditions
    }
}

impl EndHint {
    fn add(&self, conditions: &mut Vec<Condition>, columns: [&'static str; 5]) {
        let Self { pods, identities, addresses, ports } = self;
        let [namespace, pod, identity, address, port] = columns;
        let mut add = |column, test| conditions.push(Condition { column, test });
        // The identity 0 and the port 0 may be nulls in the file.
        if !identities.is_empty() && !identities.contains(&0) {
            add(identity, Test::Number(identities.iter().map(|identity| (*identity).into()).collect()));
        }
        if !pods.is_empty() {
            let namespaces: Option<Vec<String>> = pods.iter().map(|pod| pod.namespace.clone()).collect();
            // The empty namespace and the empty name are nulls in the file, which fulfil no condition.
            if let Some(namespaces) = namespaces.filter(|all| !all.iter().any(String::is_empty)) {
                add(namespace, Test::Equal(namespaces));
            }
            if pods.iter().all(|pod| !pod.prefix.is_empty()) {
                add(pod, Test::Begin(pods.iter().map(|pod| pod.prefix.clone()).collect()));
            }
        }
        if !addresses.is_empty() {
            add(address, Test::Equal(addresses.iter().map(IpAddr::to_string).collect()));
        }
        if !ports.is_empty() && !ports.contains(&0) {
            add(port, Test::Number(ports.iter().map(|port| (*port).into()).collect()));
        }
    }
}

impl Test {
    pub(crate) fn text(&self, text: &str) -> bool {
        match self {
            Self::Equal(wanted) => wanted.iter().any(|wanted| wanted == text),
            Self::Begin(wanted) => wanted.iter().any(|wanted| text.starts_with(wanted.as_str())),
            Self::Number(_) => false,
        }
    }

    pub(crate) fn number(&self, number: i64) -> bool {
        match self {
            Self::Number(wanted) => wanted.contains(&number),
            Self::Equal(_) | Self::Begin(_) => false,
        }
    }
}
