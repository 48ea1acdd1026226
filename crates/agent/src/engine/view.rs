//! Endpoints as clients see them.

use super::Engine;
use crate::{
    failure::Result,
    ipam::by_family,
    name,
    news::News,
    state::{EndpointRow, Enforced, Isolation, State},
    stored::{kind, put},
};
use ciliate_api::{
    AuditMode, Device, Endpoint, EndpointHealth, EndpointLogEntry, EndpointPatch, EndpointPolicy,
    EndpointRef, EndpointState, Enforcement, Health, Network,
    settings::{Config, EnforcementMode},
};
use ciliate_policy::Subject;
use ciliate_types::{Direction, EndpointId, Labels};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// What an endpoint's answer says besides its row.
#[derive(Clone, Debug)]
pub struct Surroundings {
    pub network: Network,
    pub node_audit: AuditMode,
}

impl Surroundings {
    pub fn new(config: &Config, gateways: &[IpAddr], hosts_file: std::path::PathBuf) -> Self {
        let (gateway4, gateway6) = by_family(gateways);
        let network = Network { gateway4, gateway6, mtu: config.mtu.0, hosts_file };
        let node_audit = match config.policy_audit_mode.is_on() {
            true => AuditMode::On,
            false => AuditMode::Off,
        };
        Self { network, node_audit }
    }
}

/// One row for clients.
pub fn endpoint(row: &EndpointRow, around: &Surroundings, revision: u64) -> Endpoint {
    let stored = row.stored.clone();
    let audit = stored.audit == AuditMode::On || around.node_audit == AuditMode::On;
    let enforcement = |isolation: &Isolation| match (isolation.enforced, audit) {
        (Enforced::No, _) => Enforcement::Disabled,
        (Enforced::Yes, true) => Enforcement::DisabledAudit,
        (Enforced::Yes, false) => Enforcement::Enabled,
    };
    let up_to_date = matches!(row.state, EndpointState::Ready);
    Endpoint {
        id: stored.id,
        device: Device {
            name: stored.host_device(),
            ifindex: row.ifindex,
            host_mac: row.host_mac.clone(),
            container_name: stored.interface,
            container_mac: stored.mac.to_string(),
            netns: Some(stored.netns),
        },
        name: stored.name,
        namespace: stored.namespace,
        service_account: stored.service_account,
        container_id: stored.container_id,
        state: row.state,
        identity: stored.identity,
        labels: (*row.labels).clone(),
        given_labels: stored.given_labels,
        ipv4: stored.ipv4,
        ipv6: stored.ipv6,
        ports: stored.ports,
        publish: stored.publish,
        policy: EndpointPolicy {
            ingress: enforcement(&row.ingress),
            egress: enforcement(&row.egress),
            audit: stored.audit,
            revision: if up_to_date { revision } else { row.policy_revision },
            rule_set: row.rule_set,
            ingress_isolated_by: row.ingress.by.to_vec(),
            egress_isolated_by: row.egress.by.to_vec(),
        },
        created: stored.created,
        network: around.network.clone(),
    }
}

/// All of them.
pub fn endpoints(state: &State, around: &Surroundings) -> Vec<Endpoint> {
    state.endpoints.values().map(|row| endpoint(row, around, state.revision)).collect()
}

impl Engine {
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings::new(&self.config, &self.ipam.gateways(), self.hosts_file())
    }

    pub(super) fn endpoint_view(&self, row: &EndpointRow) -> Endpoint {
        endpoint(row, &self.surroundings(), self.state.revision)
    }

    pub fn endpoint_views(&self) -> Vec<Endpoint> {
        endpoints(&self.state, &self.surroundings())
    }

    pub fn endpoint(&self, wanted: &EndpointRef) -> Result<Endpoint> {
        Ok(self.endpoint_view(&*self.find_endpoint(wanted)?))
    }

    /// Notes who isolates an endpoint.
    pub(super) fn describe_policy(&mut self, id: EndpointId) {
        if let Some(isolation) = self.isolation(id) {
            self.note_isolation(id, isolation);
        }
    }

    pub(super) fn describe_policies(&mut self) {
        // All policies are asked, so once for those whose labels are the same.
        let mut by_labels: BTreeMap<Arc<Labels>, [Isolation; 2]> = BTreeMap::new();
        let ids: Vec<EndpointId> = self.locals.keys().copied().collect();
        for id in ids {
            let Some(labels) = self.state.endpoints.get(&id).map(|row| Arc::clone(&row.labels)) else {
                continue;
            };
            let isolation = by_labels.get(&labels).cloned().or_else(|| self.isolation(id));
            if let Some(isolation) = isolation {
                self.note_isolation(id, isolation.clone());
                by_labels.insert(labels, isolation);
            }
        }
    }

    /// On ingress and on egress. Named ports do not matter to it.
    fn isolation(&self, id: EndpointId) -> Option<[Isolation; 2]> {
        let (row, local) = (self.state.endpoints.get(&id)?, self.locals.get(&id)?);
        let subject = Subject::endpoint(&row.labels, &local.ports);
        let always = self.config.policy_enforcement == EnforcementMode::Always;
        Some([Direction::Ingress, Direction::Egress].map(|direction| {
            let by: Arc<[String]> =
                self.policy.isolating(&subject, direction).iter().map(ToString::to_string).collect();
            let enforced = if always || !by.is_empty() { Enforced::Yes } else { Enforced::No };
            Isolation { enforced, by }
        }))
    }

    fn note_isolation(&mut self, id: EndpointId, [ingress, egress]: [Isolation; 2]) {
        let Some(row) = self.state.endpoints.get(&id) else { return };
        if row.ingress != ingress || row.egress != egress {
            self.state.endpoints.update(&id, |row| {
                let row = Arc::make_mut(row);
                (row.ingress, row.egress) = (ingress, egress);
            });
        }
    }

    pub fn patch_endpoint(&mut self, wanted: &EndpointRef, patch: EndpointPatch) -> Result<Endpoint> {
        let before = self.find_endpoint(wanted)?;
        let EndpointPatch { add_labels, delete_labels, audit } = patch;
        let id = before.stored.id;
        let kept = name::without(&before.stored.given_labels, &delete_labels)?;
        let given = kept.iter().chain(name::labels(&add_labels)?.iter()).cloned().collect();
        let labels =
            self.security_labels(&given, &before.stored.namespace, &before.stored.service_account)?;
        let audit = audit.unwrap_or(before.stored.audit);
        let unchanged = (&given, audit) == (&before.stored.given_labels, before.stored.audit);
        if unchanged {
            return Ok(self.endpoint_view(&before));
        }
        self.relabel(vec![(id, Arc::new(labels))])?;
        self.state.endpoints.update(&id, |row| {
            let row = Arc::make_mut(row);
            row.stored.given_labels = given;
            row.stored.audit = audit;
        });
        let changed = self.write_rows(id).and_then(|()| self.save_endpoint(id));
        if let Err(failure) = changed {
            self.state.endpoints.update(&id, |row| {
                let row = Arc::make_mut(row);
                row.stored.given_labels = before.stored.given_labels.clone();
                row.stored.audit = before.stored.audit;
            });
            // What failed first is the answer.
            if let Err(undo) =
                self.relabel(vec![(id, Arc::clone(&before.labels))]).and_then(|()| self.write_rows(id))
            {
                tracing::error!(endpoint = %id, %undo, "cannot put the endpoint back");
            }
            self.publish();
            return Err(failure.while_doing(format!("cannot change endpoint {id}; nothing was changed")));
        }
        self.describe_policy(id);
        self.log(id, EndpointState::Ready, Ok("changed"));
        self.publish();
        if let Some(row) = self.state.endpoints.get(&id) {
            self.notices.agent(&News::EndpointChanged(row));
        }
        self.endpoint(&EndpointRef::Id(id))
    }

    pub(super) fn save_endpoint(&self, id: EndpointId) -> Result<()> {
        if let Some(row) = self.state.endpoints.get(&id) {
            self.store.commit(&[put(kind::ENDPOINT, &id.to_string(), &row.stored)?])?;
        }
        Ok(())
    }

    pub fn endpoint_log(&self, wanted: &EndpointRef) -> Result<Vec<EndpointLogEntry>> {
        let row = self.find_endpoint(wanted)?;
        Ok(self.logs.get(&row.stored.id).map(|log| log.iter().cloned().collect()).unwrap_or_default())
    }

    pub fn endpoint_health(&self, wanted: &EndpointRef) -> Result<EndpointHealth> {
        let row = self.find_endpoint(wanted)?;
        let local = self.locals.get(&row.stored.id);
        let in_kernel = self.kernel.endpoints()?;
        let rows_right = row.stored.addresses().iter().all(|address| {
            in_kernel.iter().any(|(at, found)| {
                *at == address
                    && found.identity == row.stored.identity
                    && local.is_some_and(|local| local.handle == found.rule_set)
            })
        });
        let found = self.kernel.namespace(&row.stored.netns);
        let missing = found.map(|found| self.kernel.check_device(&self.device(&row.stored, found.netns)));
        let health = |fine: bool| if fine { Health::Ok } else { Health::Failure };
        let connected = match missing {
            Ok(Ok(missing)) if missing.is_empty() => Health::Ok,
            Ok(Ok(_)) => Health::Warning,
            // The path may be gone while the namespace lives; its device says whether it does.
            Err(_) | Ok(Err(_)) => {
                health(self.kernel.devices()?.iter().any(|l| l.name == row.stored.host_device()))
            }
        };
        let bpf = health(rows_right);
        let policy = health(row.state == EndpointState::Ready);
        Ok(EndpointHealth { overall: bpf.max(policy).max(connected), bpf, policy, connected })
    }
}
