//! Answers about what is: the agent's view and the kernel's.

use super::Engine;
use crate::{
    failure::{Failure, Result},
    flows::Known,
    kernel::MapReader,
    state::{EndpointRow, State},
};
use ciliate_api::{
    AddressSource, BpfEndpoint, BpfMetric, Carried, Connection, ConnectionFilter, ConnectionTuple,
    EndpointRef, Flushed, IpcacheEntry, MapEvent, MapInfo, PolicyEntry, RuleView, SelectorRow,
};
use ciliate_bpf::{ConnectionRow, MetricRow, PolicyDump, Traffic};
use ciliate_policy::rule_set::RuleId;
use ciliate_types::{Direction, Identity, PortPrefix, Protocol};
use ipnet::IpNet;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

impl Engine {
    pub fn selectors(&self) -> Vec<SelectorRow> {
        let row = |row: ciliate_policy::SelectorRow| SelectorRow {
            selector: row.selector,
            users: row.users.iter().map(ToString::to_string).collect(),
            identities: row.identities,
        };
        self.policy.selectors().into_iter().map(row).collect()
    }

    /// A rule as clients see it; one that is gone has only its number.
    pub fn rule(&self, id: u32) -> RuleView {
        self.known_rule(id).view
    }

    pub fn known_rule(&self, id: u32) -> Known {
        let rule = self.policy.rule(RuleId(id));
        let view = match rule.clone() {
            Some(rule) => RuleView {
                id,
                object: rule
                    .object
                    .map_or_else(|| "setting allow-localhost".to_owned(), |key| key.to_string()),
                section: rule.section,
                description: rule.description,
            },
            None => RuleView {
                id,
                object: "unknown".to_owned(),
                section: String::new(),
                description: String::new(),
            },
        };
        Known::new(view, rule.as_ref())
    }

    pub fn bpf_endpoints(&self) -> Result<Vec<BpfEndpoint>> {
        let mut rows: Vec<BpfEndpoint> = self
            .kernel
            .endpoints()?
            .into_iter()
            .map(|(address, row)| BpfEndpoint {
                address,
                id: row.id.get(),
                identity: row.identity,
                flags: u32::from(row.audit == ciliate_api::AuditMode::On),
                rule_set: row.rule_set.0,
                ifindex: row.device.ifindex,
                mac: mac(row.device.mac),
                node_mac: mac(row.device.gateway_mac),
                local_host: false,
            })
            .collect();
        let local = self.state.addresses.iter().filter(|(_, row)| row.source == AddressSource::Local);
        rows.extend(local.map(|(net, row)| BpfEndpoint {
            address: net.addr(),
            id: 0,
            identity: row.identity,
            flags: 0,
            rule_set: 0,
            ifindex: 0,
            mac: mac([0; 6]),
            node_mac: mac([0; 6]),
            local_host: true,
        }));
        rows.sort_by_key(|row| row.address);
        Ok(rows)
    }

    /// Rules as clients see them.
    pub fn rules(&self, numbers: BTreeSet<u32>) -> BTreeMap<u32, RuleView> {
        numbers.into_iter().map(|number| (number, self.rule(number))).collect()
    }

    pub fn flush_connections(&mut self, filter: &ConnectionFilter) -> Result<Flushed> {
        let addresses = addresses_of(&self.state, filter)?;
        let entries = self.kernel.flush_connections(&addresses)?;
        Ok(Flushed { entries: u64::try_from(entries).unwrap_or(u64::MAX) })
    }

    pub fn ipcache(&self) -> Result<Vec<IpcacheEntry>> {
        let mut rows = self.kernel.addresses()?;
        rows.sort();
        Ok(rows.into_iter().map(|(cidr, identity)| IpcacheEntry { cidr, identity }).collect())
    }

    pub fn ipcache_lookup(&self, address: IpAddr) -> Result<IpcacheEntry> {
        let identity = self.kernel.address(address).ok_or_else(|| {
            Failure::absent(format!("no prefix in the ipcache holds {address}: it is the world's"))
        })?;
        let cidr = self.state.address(address).map_or_else(|| IpNet::from(address), |(net, _)| net);
        Ok(IpcacheEntry { cidr, identity })
    }

    pub fn bpf_metrics(&self) -> Result<Vec<BpfMetric>> {
        let metric = |row: &MetricRow| BpfMetric {
            reason: row.reason.map_or("Success", ciliate_abi::DropReason::text).to_owned(),
            direction: row.direction.to_string().to_uppercase(),
            packets: row.packets,
            bytes: row.bytes,
        };
        Ok(self.kernel.metrics()?.iter().map(metric).collect())
    }

    pub fn maps(&self) -> Vec<MapInfo> {
        let map = |usage: ciliate_bpf::MapUsage| MapInfo {
            name: usage.name.to_owned(),
            kind: kind_of_map(usage.name).to_owned(),
            entries: usage.entries.into(),
            capacity: usage.max.into(),
            errors: self.kernel.errors(usage.name),
            pinned_at: self.config.bpf_root.display().to_string(),
        };
        self.kernel.usage().into_iter().map(map).collect()
    }

    pub fn map(&self, name: &str) -> Result<MapContents> {
        Ok(match self.map_name(name)? {
            "ENDPOINTS" => MapContents::Rows(values(self.bpf_endpoints()?)?),
            "IPCACHE" => MapContents::Rows(values(self.ipcache()?)?),
            "CONNECTIONS" => MapContents::Connections,
            "POLICY" => MapContents::Policy,
            "RULE_SETS" => MapContents::Rows(self.rule_set_users()),
            other => {
                return Err(Failure::invalid(format!(
                    "map {other} is not listed by itself: `bpf policy get` shows what it holds"
                )));
            }
        })
    }

    fn rule_set_users(&self) -> Vec<Value> {
        let mut users: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
        for row in self.state.endpoints.values() {
            users.entry(row.rule_set).or_default().push(row.stored.id.get());
        }
        users
            .into_iter()
            .map(|(number, endpoints)| json!({"ruleSet": number, "endpoints": endpoints}))
            .collect()
    }

    pub fn map_events(&self, name: &str) -> Result<Vec<MapEvent>> {
        Ok(self.kernel.journal(self.map_name(name)?))
    }

    /// Names of maps are read in any case, and with Cilium's prefix.
    fn map_name(&self, text: &str) -> Result<&'static str> {
        let plain = text.strip_prefix("cilium_").or_else(|| text.strip_prefix("ciliate_")).unwrap_or(text);
        let plain = match plain {
            "lxc" => "endpoints",
            "ct" | "ct4_global" | "ct6_global" | "ct_any4_global" | "ct_any6_global" => "connections",
            other => other,
        };
        let names: Vec<&'static str> = self.kernel.usage().iter().map(|map| map.name).collect();
        names.iter().copied().find(|name| name.eq_ignore_ascii_case(plain)).ok_or_else(|| {
            Failure::absent(format!("map {text:?} is unknown: there are {}", names.join(", ")))
        })
    }
}

/// What is in a map, or what of the large ones is to be read beside the engine.
pub enum MapContents {
    Rows(Vec<Value>),
    Connections,
    Policy,
}

pub fn values<T: Serialize>(rows: Vec<T>) -> Result<Vec<Value>> {
    Ok(rows.into_iter().map(serde_json::to_value).collect::<Result<_, _>>()?)
}

fn addresses_of(state: &State, filter: &ConnectionFilter) -> Result<Vec<IpAddr>> {
    let Some(text) = &filter.endpoint else { return Ok(Vec::new()) };
    Ok(state.endpoint(&reference(text))?.stored.addresses().iter().collect())
}

/// Reads the whole map.
pub fn connections(
    state: &State,
    maps: &dyn MapReader,
    filter: &ConnectionFilter,
) -> Result<Vec<Connection>> {
    let addresses = addresses_of(state, filter)?;
    let wanted = |row: &ConnectionRow| {
        addresses.is_empty() || addresses.contains(&row.source) || addresses.contains(&row.destination)
    };
    Ok(maps.connections()?.iter().filter(|row| wanted(row)).map(connection).collect())
}

/// The rule sets of one endpoint or of all, as they lie in the kernel.
pub struct PolicyDumps {
    endpoints: Vec<Arc<EndpointRow>>,
    dumps: BTreeMap<u32, PolicyDump>,
}

impl PolicyDumps {
    /// Reads whole maps.
    pub fn read(state: &State, maps: &dyn MapReader, wanted: Option<&EndpointRef>) -> Result<Self> {
        let mut endpoints: Vec<Arc<EndpointRow>> = match wanted {
            Some(wanted) => vec![state.endpoint(wanted)?],
            None => state.endpoints.values().map(Arc::clone).collect(),
        };
        endpoints.retain(|row| row.rule_set != 0);
        let dumps = maps.rule_sets(&endpoints.iter().map(|row| row.rule_set).collect())?;
        Ok(Self { endpoints, dumps })
    }

    /// The numbers of all rules in them.
    pub fn rules(&self) -> BTreeSet<u32> {
        self.dumps.values().flat_map(|dump| &dump.entries).map(|(_, entry)| entry.rule).collect()
    }

    pub fn entries(&self, state: &State, rules: &BTreeMap<u32, RuleView>) -> Vec<PolicyEntry> {
        let of = |row: &Arc<EndpointRow>| {
            let dump = self.dumps.get(&row.rule_set);
            dump.map(|dump| policy_rows(state, row, dump, rules)).unwrap_or_default()
        };
        self.endpoints.iter().flat_map(of).collect()
    }
}

fn policy_rows(
    state: &State,
    row: &EndpointRow,
    dump: &PolicyDump,
    rules: &BTreeMap<u32, RuleView>,
) -> Vec<PolicyEntry> {
    let entry = |(key, value): &(ciliate_abi::PolicyKey, ciliate_abi::PolicyEntry)| {
        let class = key.peer & ciliate_abi::CLASS_BIT != 0;
        let identity = (!class && key.peer != 0).then(|| Identity::new(key.peer));
        let peer = match (class, identity) {
            (true, _) => prefixes_of_class(dump, key.direction, key.peer & !ciliate_abi::CLASS_BIT),
            (false, Some(identity)) => match state.labels(identity).to_string() {
                labels if labels.is_empty() => format!("identity {identity}"),
                labels => labels,
            },
            (false, None) => "ANY".to_owned(),
        };
        Some(PolicyEntry {
            endpoint: Some(row.stored.id),
            rule_set: row.rule_set,
            action: if value.action == ciliate_abi::ENTRY_DENY { "Deny" } else { "Allow" }.to_owned(),
            direction: direction(key.direction),
            peer,
            identity,
            traffic: traffic(key),
            precedence: value.precedence,
            rule: rules.get(&value.rule)?.clone(),
        })
    };
    dump.entries.iter().filter_map(entry).collect()
}

/// How a request names an endpoint; every text is some name.
pub fn reference(text: &str) -> EndpointRef {
    match text.parse() {
        Ok(reference) => reference,
        Err(never) => match never {},
    }
}

fn kind_of_map(name: &str) -> &'static str {
    match name {
        "IPCACHE" | "PREFIXES" => "LpmTrie",
        "CONNECTIONS" | "FRAGMENTS" => "LruHash",
        "EVENTS" => "RingBuf",
        _ => "Hash",
    }
}

fn mac(octets: [u8; 6]) -> String {
    ciliate_net::Mac(octets).to_string().to_uppercase()
}

fn direction(number: u8) -> Direction {
    match number == ciliate_abi::Direction::Ingress as u8 {
        true => Direction::Ingress,
        false => Direction::Egress,
    }
}

/// `80/TCP`, `8000-8191/UDP`, `ICMP 8`, `ANY`.
fn traffic(key: &ciliate_abi::PolicyKey) -> String {
    if u32::from(key.port_bits) == ciliate_abi::ANY_PROTOCOL_SHAPE {
        return "ANY".to_owned();
    }
    let protocol = Protocol::new(key.protocol);
    let prefix = PortPrefix { value: key.port, len: key.port_bits };
    let spread = u16::MAX.checked_shr(prefix.len.into()).unwrap_or(0);
    let last = prefix.value | spread;
    match (protocol.has_ports(), prefix.len) {
        (_, 0) => format!("ANY/{protocol}"),
        (false, _) => format!("{protocol} {}", prefix.value),
        (true, 16) => format!("{}/{protocol}", prefix.value),
        (true, _) => format!("{}-{last}/{protocol}", prefix.value),
    }
}

fn prefixes_of_class(dump: &PolicyDump, direction: u8, class: u32) -> String {
    let prefixes: Vec<String> = dump
        .prefixes
        .iter()
        .filter(|(_, key, number)| key.direction == direction && *number == class)
        .map(|(bits, key, _)| {
            let address = std::net::Ipv6Addr::from(key.address.0).to_canonical();
            let offset = if address.is_ipv4() { ciliate_abi::Address::V4_PREFIX } else { 0 };
            format!("{address}/{}", bits.saturating_sub(offset))
        })
        .collect();
    prefixes.join(",")
}

fn connection(row: &ConnectionRow) -> Connection {
    let flags = [
        (row.answered, "answered"),
        (row.source_closed, "source-closed"),
        (row.destination_closed, "destination-closed"),
        (row.reset, "reset"),
    ];
    let state = match (row.reset, row.source_closed && row.destination_closed, row.answered) {
        _ if row.remaining.is_zero() => "expired",
        (true, _, _) | (_, true, _) => "closed",
        (false, false, true) => "established",
        (false, false, false) => "new",
    };
    Connection {
        tuple: ConnectionTuple {
            protocol: row.protocol,
            source: row.source,
            source_port: row.source_port,
            destination: row.destination,
            destination_port: row.destination_port,
        },
        state: state.to_owned(),
        expires_seconds: row.remaining.as_secs(),
        source_identity: Some(row.source_identity),
        destination_identity: Some(row.destination_identity),
        egress_rule: (row.egress_rule != 0).then_some(row.egress_rule),
        ingress_rule: (row.ingress_rule != 0).then_some(row.ingress_rule),
        sent: carried(row.sent),
        received: carried(row.received),
        flags: flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect::<Vec<_>>().join(","),
    }
}

fn carried(traffic: Traffic) -> Carried {
    Carried { packets: traffic.packets, bytes: traffic.bytes }
}
