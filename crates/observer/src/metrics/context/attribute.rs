//! What can be told of one end of a flow.

use super::super::key::Key;
use ciliate_flow::End;

/// What a label can show of one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// All labels of its identity.
    Identity,
    Namespace,
    /// `namespace/pod`
    Pod,
    PodName,
    /// Names that its address was resolved from.
    Dns,
    Ip,
    /// The label with the source `reserved`.
    ReservedIdentity,
    /// `namespace/workload`
    Workload,
    WorkloadName,
    WorkloadKind,
    /// Of its labels.
    App,
}

/// What `sourceContext` and its like take, by its names.
pub const CONTEXTS: [(&str, Attribute); 10] = [
    ("identity", Attribute::Identity),
    ("namespace", Attribute::Namespace),
    ("pod", Attribute::Pod),
    ("pod-name", Attribute::PodName),
    ("dns", Attribute::Dns),
    ("ip", Attribute::Ip),
    ("reserved-identity", Attribute::ReservedIdentity),
    ("workload", Attribute::Workload),
    ("workload-name", Attribute::WorkloadName),
    ("app", Attribute::App),
];

const RESERVED: &str = "reserved:";
/// Where an end has several reserved labels it is this one that tells most.
const API_SERVER: &str = "reserved:kube-apiserver";
/// Labels that name an application; the first that there is counts.
const APP_LABELS: [&str; 3] = ["app.kubernetes.io/name", "k8s-app", "app"];

impl Attribute {
    /// Nothing where it is not known.
    pub fn write(self, end: &End, key: &mut Key) {
        let party = &*end.party;
        let workload = party.workloads.first();
        match self {
            Self::Identity => key.parts(&party.labels),
            Self::Namespace => key.part(&party.namespace),
            Self::Pod => within(&party.namespace, &party.pod, key),
            Self::PodName => key.part(&party.pod),
            Self::Dns => key.parts(end.names.as_deref().unwrap_or_default()),
            Self::Ip => {
                if let Some(address) = end.address {
                    key.shown_part(address);
                }
            }
            Self::ReservedIdentity => key.part(reserved(&party.labels)),
            Self::Workload => {
                within(&party.namespace, workload.map_or("", |workload| &workload.name), key);
            }
            Self::WorkloadName => key.part(workload.map_or("", |workload| &workload.name)),
            Self::WorkloadKind => key.part(workload.map_or("", |workload| &workload.kind)),
            Self::App => key.part(app(&party.labels)),
        }
    }
}

fn within(namespace: &str, name: &str, key: &mut Key) {
    if !namespace.is_empty() && !name.is_empty() {
        key.part(namespace);
        key.part("/");
    }
    key.part(name);
}

fn reserved(labels: &[String]) -> &str {
    let api_server = labels.iter().find(|label| *label == API_SERVER);
    let any = || labels.iter().find(|label| label.starts_with(RESERVED));
    api_server.or_else(any).map_or("", String::as_str)
}

/// Of whatever source: outside of Kubernetes a container's or a process's labels say it.
fn app(labels: &[String]) -> &str {
    let value = |wanted: &str| {
        labels.iter().find_map(|label| {
            let (source, rest) = label.split_once(':')?;
            let (name, value) = rest.split_once('=')?;
            (source != "reserved" && name == wanted && !value.is_empty()).then_some(value)
        })
    };
    APP_LABELS.into_iter().find_map(value).unwrap_or_default()
}
