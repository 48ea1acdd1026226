//! Who takes part in flows. Few of these are shared by very many flows.

/// The node that saw a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// `node`, or `cluster/node` where the cluster has a name of its own.
    pub name: String,
    /// `key=value`
    pub labels: Vec<String>,
}

/// One end of a flow as policies and people know it, apart from its address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Party {
    /// On its node; 0 = none of this node.
    pub endpoint: u32,
    pub identity: u32,
    pub cluster: String,
    pub namespace: String,
    pub pod: String,
    /// With their sources, such as `k8s:org=empire`, sorted.
    pub labels: Vec<String>,
    pub workloads: Vec<Workload>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Workload {
    pub name: String,
    /// Such as `Deployment`.
    pub kind: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Service {
    pub name: String,
    pub namespace: String,
}
