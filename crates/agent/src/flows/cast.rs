//! Who takes part in flows, made once for as long as the state stays.

use super::{known::reference, workload::workload};
use crate::state::{Isolation, State};
use ciliate_abi::Direction;
use ciliate_flow::{End, Judgement, Outcome, Party, PolicyRef};
use ciliate_types::{EndpointId, Identity, NAMESPACE_KEY, source};
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// By identity and endpoint.
type PartyKey = (u32, u16);
type Parties = HashMap<PartyKey, Arc<Party>, foldhash::fast::RandomState>;

/// Parties of former states that are remembered.
const FORMER: usize = 16_384;

pub struct Cast {
    cluster: String,
    state: Arc<State>,
    parties: Parties,
    /// As of the state before: who stays the same goes on being shared.
    former: Parties,
    closed: HashMap<(u16, u8), Option<Arc<Judgement>>, foldhash::fast::RandomState>,
}

impl Cast {
    pub fn new(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            state: Arc::new(State::new()),
            parties: Parties::default(),
            former: Parties::default(),
            closed: HashMap::default(),
        }
    }

    /// Looks everything up anew if the state is another one.
    pub fn renew(&mut self, state: &Arc<State>) {
        if !Arc::ptr_eq(&self.state, state) {
            self.state = Arc::clone(state);
            self.former.extend(self.parties.drain());
            if self.former.len() > FORMER {
                self.former.clear();
            }
            self.closed.clear();
        }
    }

    pub fn end(&mut self, address: IpAddr, identity: u32, endpoint: u16) -> End {
        let key = (identity, endpoint);
        let party = match self.parties.get(&key) {
            Some(party) => Arc::clone(party),
            None => {
                let party = self.party(identity, endpoint);
                let party = match self.former.remove(&key) {
                    Some(former) if *former == party => former,
                    Some(_) | None => Arc::new(party),
                };
                self.parties.insert(key, Arc::clone(&party));
                party
            }
        };
        End { address: Some(address), party, names: None }
    }

    fn party(&self, identity: u32, endpoint: u16) -> Party {
        let labels = self.state.labels(Identity::new(identity));
        let row = EndpointId::new(endpoint).and_then(|id| self.state.endpoints.get(&id));
        let namespace = labels.iter().find(|l| l.source() == source::K8S && l.key() == NAMESPACE_KEY);
        Party {
            endpoint: endpoint.into(),
            identity,
            cluster: match row {
                Some(_) => self.cluster.clone(),
                None => String::new(),
            },
            namespace: match (row, namespace) {
                (Some(row), _) => row.stored.namespace.clone(),
                (None, Some(label)) => label.value().to_owned(),
                (None, None) => String::new(),
            },
            pod: row.map_or_else(String::new, |row| row.stored.name.clone()),
            labels: labels.iter().map(ToString::to_string).collect(),
            workloads: row
                .and_then(|row| workload(&row.stored.name, &row.stored.given_labels))
                .into_iter()
                .collect(),
        }
    }

    /// The policies because of which a direction of an endpoint lets nothing pass that no rule allows; none for one that
    /// is not known.
    pub fn closed(&mut self, endpoint: u16, direction: Direction) -> Option<Arc<Judgement>> {
        let key = (endpoint, direction as u8);
        if let Some(known) = self.closed.get(&key) {
            return known.clone();
        }
        let row = EndpointId::new(endpoint).and_then(|id| self.state.endpoints.get(&id));
        let judgement = row.map(|row| {
            let Isolation { by, .. } = match direction {
                Direction::Egress => &row.egress,
                Direction::Ingress => &row.ingress,
            };
            Arc::new(Judgement {
                outcome: Outcome::Denied,
                by: by.iter().map(|name| self.policy(name)).collect(),
            })
        });
        self.closed.insert(key, judgement.clone());
        judgement
    }

    /// Of an object named like `cnp/default/rule1`, or of a setting.
    fn policy(&self, name: &str) -> PolicyRef {
        let row = self.state.objects.iter().find(|(key, _)| key.0.to_string() == name);
        match row {
            Some((key, row)) => reference(&key.0, row.revision),
            None => PolicyRef { name: name.to_owned(), ..PolicyRef::default() },
        }
    }
}
