//! The names of all endpoints in the form of /etc/hosts.

use crate::state::State;
use std::{collections::BTreeMap, fmt::Write as _};

/// `deathstar`, `deathstar.default`, `deathstar.default.svc` and `deathstar.default.svc.cluster.local`. A bare name
/// that endpoints of several namespaces have means the one of `default`, or nobody.
pub fn render(state: &State) -> String {
    let mut bare: BTreeMap<&str, usize> = BTreeMap::new();
    for row in state.endpoints.values() {
        let users = bare.entry(&row.stored.name).or_default();
        *users = users.saturating_add(1);
    }
    let mut out = String::from(
        "# Written by ciliate.\n127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    );
    for row in state.endpoints.values() {
        let (name, namespace) = (&row.stored.name, &row.stored.namespace);
        let alone = bare.get(name.as_str()).is_none_or(|users| *users < 2);
        for address in row.stored.addresses().iter() {
            let _ = write!(out, "{address}");
            if alone || namespace == "default" {
                let _ = write!(out, " {name}");
            }
            let _ = writeln!(
                out,
                " {name}.{namespace} {name}.{namespace}.svc {name}.{namespace}.svc.cluster.local"
            );
        }
    }
    out
}
