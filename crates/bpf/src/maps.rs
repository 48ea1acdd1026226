//! The maps by name, their sizes and how full they are.

use crate::{batch, error::Error, pins::Pins};
use aya::maps::{Array, HashMap, IterableMap, LpmTrie, Map, MapData, MapError, PerCpuArray, lpm_trie::Key};
use ciliate_abi::{
    Address, Config, Connection, ConnectionKey, Endpoint, IpcacheKey, Metric, PolicyEntry, PolicyKey,
    PrefixKey, RuleSet,
};
use std::io;

/// How many entries each map has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapSizes {
    /// Addresses of endpoints.
    pub endpoints: u32,
    /// Address prefixes with an identity.
    pub ipcache: u32,
    pub rule_sets: u32,
    /// Entries of all rule sets together.
    pub policy: u32,
    /// Address prefixes of all rule sets together.
    pub prefixes: u32,
    pub connections: u32,
    pub fragments: u32,
    /// Bytes; a power of two and a multiple of the page size.
    pub events: u32,
    /// Bytes of recorded packets that wait to be written, as for events.
    pub records: u32,
}

impl Default for MapSizes {
    fn default() -> Self {
        Self {
            endpoints: 65_536,
            ipcache: 512_000,
            rule_sets: 16_384,
            policy: 1_048_576,
            prefixes: 65_536,
            connections: 262_144,
            fragments: 8_192,
            events: 1 << 20,
            records: 4 << 20,
        }
    }
}

/// Names of maps in the object, and of their pins.
pub const NAMES: [&str; 20] = [
    "CONFIG",
    "ENDPOINTS",
    "IPCACHE",
    "RULE_SETS",
    "POLICY",
    "PREFIXES",
    "CONNECTIONS",
    "FRAGMENTS",
    "METRICS",
    "EVENTS",
    "WATCH",
    "EVENT_LIMITS",
    "SUPPRESSED",
    "LOST",
    "SCENE",
    "PROXY_LISTENERS",
    "RECORDER",
    "RECORDS",
    "RECORD_TALLIES",
    "RECORD_WISH",
];

impl MapSizes {
    /// Maps whose size is a setting.
    pub fn by_name(&self) -> [(&'static str, u32); 9] {
        [
            ("ENDPOINTS", self.endpoints),
            ("IPCACHE", self.ipcache),
            ("RULE_SETS", self.rule_sets),
            ("POLICY", self.policy),
            ("PREFIXES", self.prefixes),
            ("CONNECTIONS", self.connections),
            ("FRAGMENTS", self.fragments),
            ("EVENTS", self.events),
            ("RECORDS", self.records),
        ]
    }
}

/// The setting that is the size of a map.
pub fn setting(map: &str) -> &'static str {
    match map {
        "ENDPOINTS" => "map-size-endpoints",
        "IPCACHE" => "map-size-ipcache",
        "RULE_SETS" => "map-size-rule-sets",
        "POLICY" => "map-size-policy",
        "PREFIXES" => "map-size-prefixes",
        "CONNECTIONS" => "map-size-conntrack",
        "FRAGMENTS" => "map-size-fragments",
        "EVENTS" => "map-size-events",
        "RECORDS" => "map-size-records",
        _ => "its size",
    }
}

/// How full a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapUsage {
    pub name: &'static str,
    pub entries: u32,
    pub max: u32,
}

/// Handles to the maps, typed.
pub struct Maps {
    pub config: Array<MapData, Config>,
    pub endpoints: HashMap<MapData, Address, Endpoint>,
    pub ipcache: LpmTrie<MapData, IpcacheKey, u32>,
    pub rule_sets: HashMap<MapData, u32, RuleSet>,
    /// Written in batches only.
    pub policy: MapData,
    pub prefixes: LpmTrie<MapData, PrefixKey, u32>,
    pub connections: MapData,
    pub metrics: PerCpuArray<MapData, Metric>,
    pub lost: PerCpuArray<MapData, u64>,
    pub suppressed: PerCpuArray<MapData, u64>,
}

/// Whether every map of this layout is there.
pub fn pinned(pins: &Pins) -> bool {
    NAMES.iter().all(|name| pins.map(name).exists())
}

/// A map by its pin.
pub fn open(pins: &Pins, name: &'static str) -> Result<Map, Error> {
    MapData::from_pin(pins.map(name)).and_then(Map::from_map_data).map_err(operation("open", name))
}

fn typed<T: TryFrom<Map, Error = MapError>>(pins: &Pins, name: &'static str) -> Result<T, Error> {
    T::try_from(open(pins, name)?).map_err(operation("use", name))
}

fn raw(pins: &Pins, name: &'static str) -> Result<MapData, Error> {
    MapData::from_pin(pins.map(name)).map_err(operation("open", name))
}

impl Maps {
    pub fn open(pins: &Pins) -> Result<Self, Error> {
        Ok(Self {
            config: typed(pins, "CONFIG")?,
            endpoints: typed(pins, "ENDPOINTS")?,
            ipcache: typed(pins, "IPCACHE")?,
            rule_sets: typed(pins, "RULE_SETS")?,
            policy: raw(pins, "POLICY")?,
            prefixes: typed(pins, "PREFIXES")?,
            connections: raw(pins, "CONNECTIONS")?,
            metrics: typed(pins, "METRICS")?,
            lost: typed(pins, "LOST")?,
            suppressed: typed(pins, "SUPPRESSED")?,
        })
    }

    pub fn policy_entries(&self) -> Result<Vec<(PolicyKey, PolicyEntry)>, Error> {
        batch::entries(&self.policy).map_err(call("read", "POLICY"))
    }

    pub fn connection_entries(&self) -> Result<Vec<(ConnectionKey, Connection)>, Error> {
        batch::entries(&self.connections).map_err(call("read", "CONNECTIONS"))
    }

    pub fn endpoint_entries(&self) -> Result<Vec<(Address, Endpoint)>, Error> {
        batch::entries(self.endpoints.map()).map_err(call("read", "ENDPOINTS"))
    }

    pub fn rule_set_entries(&self) -> Result<Vec<(u32, RuleSet)>, Error> {
        batch::entries(self.rule_sets.map()).map_err(call("read", "RULE_SETS"))
    }

    pub fn ipcache_entries(&self) -> Result<Vec<(Key<IpcacheKey>, u32)>, Error> {
        batch::entries(self.ipcache.map()).map_err(call("read", "IPCACHE"))
    }

    pub fn prefix_entries(&self) -> Result<Vec<(Key<PrefixKey>, u32)>, Error> {
        batch::entries(self.prefixes.map()).map_err(call("read", "PREFIXES"))
    }
}

/// Names a failed system call on a map.
pub fn call(what: &'static str, map: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Call { what, map, source }
}

/// Names a failed operation on a map.
pub fn operation(what: &'static str, map: &'static str) -> impl Fn(aya::maps::MapError) -> Error {
    move |source| Error::Map { what, map, source }
}
