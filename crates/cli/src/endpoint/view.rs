//! How endpoints look.

use crate::{
    output::{Cell, Detail, Page, Table, Tone, View, json},
    row,
};
use ciliate_api::{Endpoint, EndpointHealth, EndpointLogEntry, EndpointState, Enforcement, Health};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// The table that users of Cilium know.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct EndpointList(pub Vec<Endpoint>);

impl View for EndpointList {
    fn text(&self, page: &Page) -> String {
        let mut titles = vec![
            "ENDPOINT",
            "POLICY (ingress)\nENFORCEMENT",
            "POLICY (egress)\nENFORCEMENT",
            "IDENTITY",
            "LABELS (source:key[=value])",
            "IPv6",
            "IPv4",
            "STATUS",
        ];
        if page.detail == Detail::Wide {
            titles.extend(["NAMESPACE/NAME", "DEVICE", "RULE SET", "REVISION"]);
        }
        let mut table = Table::new(&titles).wrap("LABELS (source:key[=value])");
        for endpoint in &self.0 {
            let mut row = row![
                endpoint.id.get(),
                enforcement(endpoint.policy.ingress),
                enforcement(endpoint.policy.egress),
                endpoint.identity.get(),
                Cell::lines(endpoint.labels.iter()),
                Cell::optional(endpoint.ipv6),
                Cell::optional(endpoint.ipv4),
                state(endpoint.state),
            ];
            if page.detail == Detail::Wide {
                row.extend(row![
                    format!("{}/{}", endpoint.namespace, endpoint.name),
                    &endpoint.device.name,
                    endpoint.policy.rule_set,
                    endpoint.policy.revision,
                ]);
            }
            table.push(row);
        }
        table.render(page)
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(self.0.iter().map(|e| format!("endpoint/{}", e.id)).collect())
    }
}

fn enforcement(enforcement: Enforcement) -> Cell {
    let tone = match enforcement {
        Enforcement::Disabled => Tone::Plain,
        Enforcement::DisabledAudit => Tone::Doubtful,
        Enforcement::Enabled => Tone::Good,
    };
    Cell::toned(enforcement, tone)
}

fn state(state: EndpointState) -> Cell {
    let tone = match state {
        EndpointState::Ready => Tone::Good,
        EndpointState::NotReady => Tone::Bad,
        EndpointState::Creating | EndpointState::Restoring | EndpointState::Regenerating => Tone::Doubtful,
        EndpointState::Disconnecting | EndpointState::Disconnected => Tone::Faint,
    };
    Cell::toned(state, tone)
}

/// Endpoints in full; for people too that is JSON, as Cilium shows them.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Found(pub Vec<Endpoint>);

impl View for Found {
    fn text(&self, _: &Page) -> String {
        json(self).unwrap_or_default()
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(self.0.iter().map(|e| format!("endpoint/{}", e.id)).collect())
    }
}

/// An endpoint in one line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndpointRow {
    id: u16,
    name: String,
    identity: u32,
    addresses: Vec<IpAddr>,
}

impl EndpointRow {
    pub fn of(endpoint: &Endpoint) -> Self {
        let addresses = [endpoint.ipv4.map(IpAddr::V4), endpoint.ipv6.map(IpAddr::V6)];
        Self {
            id: endpoint.id.get(),
            name: format!("{}/{}", endpoint.namespace, endpoint.name),
            identity: endpoint.identity.get(),
            addresses: addresses.into_iter().flatten().collect(),
        }
    }
}

impl fmt::Display for EndpointRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        write!(f, "endpoint/{} {}, identity {}, {}", self.id, self.name, self.identity, addresses.join(" "))
    }
}

/// An endpoint that was just made.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Made(pub Endpoint);

impl View for Made {
    fn text(&self, _: &Page) -> String {
        format!("{} created\n", EndpointRow::of(&self.0))
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(vec![format!("endpoint/{}", self.0.id)])
    }
}

/// An endpoint as it last was.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Gone(pub Endpoint);

impl View for Gone {
    fn text(&self, _: &Page) -> String {
        format!("endpoint/{} {}/{} deleted\n", self.0.id, self.0.namespace, self.0.name)
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Log(pub Vec<EndpointLogEntry>);

impl View for Log {
    fn text(&self, page: &Page) -> String {
        let rows = self.0.iter().map(|entry| {
            let tone = if entry.code == "OK" { Tone::Good } else { Tone::Bad };
            row![
                format!("{:.0}", entry.time),
                Cell::toned(&entry.code, tone),
                entry.state.to_string(),
                &entry.message
            ]
        });
        Table::new(&["Timestamp", "Status", "State", "Message"]).wrap("Message").rows(rows).render(page)
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct HealthView(pub EndpointHealth);

impl View for HealthView {
    fn text(&self, page: &Page) -> String {
        let health = |health: Health| {
            let tone = match health {
                Health::Ok => Tone::Good,
                Health::Warning => Tone::Doubtful,
                Health::Failure => Tone::Bad,
                Health::Disabled => Tone::Faint,
            };
            Cell::toned(health.to_string().to_uppercase(), tone)
        };
        let connected = if self.0.connected == Health::Ok { "yes" } else { "no" };
        Table::new(&["", ""])
            .rows([
                row!["Overall Health:", health(self.0.overall)],
                row!["BPF Health:", health(self.0.bpf)],
                row!["Policy Health:", health(self.0.policy)],
                row!["Connected:", connected],
            ])
            .render(&Page { headers: false, ..*page })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn tiefighter() -> Endpoint {
        serde_json::from_value(serde_json::json!({
            "id": 65, "name": "tiefighter", "namespace": "default", "serviceAccount": "default", "state": "ready",
            "identity": 31995, "labels": ["k8s:class=tiefighter", "k8s:io.kubernetes.pod.namespace=default"],
            "givenLabels": ["k8s:class=tiefighter"], "ipv4": "10.0.0.205", "ports": [], "publish": [],
            "device": {"name": "cil65", "ifindex": 12, "hostMac": "", "containerName": "eth0", "containerMac": ""},
            "policy": {"ingress": "disabled", "egress": "disabled", "audit": "off", "revision": 1, "ruleSet": 1,
                       "ingressIsolatedBy": [], "egressIsolatedBy": []},
            "created": "2026-01-02T03:04:05Z", "network": {"mtu": 1500, "hostsFile": "/run/ciliate/hosts"},
        }))
        .unwrap()
    }

    /// The layout is a promise: this is how users of Cilium read it, and what their scripts cut.
    #[test]
    fn the_list_looks_as_in_cilium() {
        let expected = "\
ENDPOINT   POLICY (ingress)   POLICY (egress)   IDENTITY   LABELS (source:key[=value])               IPv6   IPv4         STATUS
           ENFORCEMENT        ENFORCEMENT
65         Disabled           Disabled          31995      k8s:class=tiefighter                             10.0.0.205   ready
                                                           k8s:io.kubernetes.pod.namespace=default
";
        assert_eq!(EndpointList(vec![tiefighter()]).text(&Page::plain()), expected);
    }

    #[test]
    fn the_log_and_the_health_are_tables() {
        let log = Log(vec![EndpointLogEntry {
            time: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            state: EndpointState::Ready,
            code: "OK".to_owned(),
            message: "policy revision 2 enforced".to_owned(),
        }]);
        assert_eq!(
            log.text(&Page::plain()),
            "Timestamp              Status   State   Message\n\
             2026-01-02T03:04:05Z   OK       ready   policy revision 2 enforced\n"
        );
        let health = EndpointHealth {
            overall: Health::Warning,
            bpf: Health::Ok,
            policy: Health::Warning,
            connected: Health::Ok,
        };
        assert_eq!(
            HealthView(health).text(&Page::plain()),
            "Overall Health:   WARNING\nBPF Health:       OK\nPolicy Health:    WARNING\nConnected:        yes\n"
        );
    }
}
