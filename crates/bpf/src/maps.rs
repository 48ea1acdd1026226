//! The maps by name, their sizes and how full they are.

use crate::{batch, error::Error};
use aya::{
    Ebpf,
    maps::{Array, HashMap, LpmTrie, Map, MapData, PerCpuArray, lpm_trie::Key},
};
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
        }
    }
}

/// Names of maps in the object, and of their pins.
pub const NAMES: [&str; 12] = [
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
    "LOST",
    "SCENE",
];

impl MapSizes {
    /// Maps whose size is a setting.
    pub fn by_name(&self) -> [(&'static str, u32); 8] {
        [
            ("ENDPOINTS", self.endpoints),
            ("IPCACHE", self.ipcache),
            ("RULE_SETS", self.rule_sets),
            ("POLICY", self.policy),
            ("PREFIXES", self.prefixes),
            ("CONNECTIONS", self.connections),
            ("FRAGMENTS", self.fragments),
            ("EVENTS", self.events),
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
}

macro_rules! take {
    ($ebpf:ident, $name:literal) => {
        $ebpf.take_map($name).ok_or(Error::Missing($name))?.try_into().map_err(|source| Error::Map {
            what: "use",
            map: $name,
            source,
        })?
    };
}

impl Maps {
    pub fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        Ok(Self {
            config: take!(ebpf, "CONFIG"),
            endpoints: take!(ebpf, "ENDPOINTS"),
            ipcache: take!(ebpf, "IPCACHE"),
            rule_sets: take!(ebpf, "RULE_SETS"),
            policy: raw(ebpf, "POLICY")?,
            prefixes: take!(ebpf, "PREFIXES"),
            connections: raw(ebpf, "CONNECTIONS")?,
            metrics: take!(ebpf, "METRICS"),
            lost: take!(ebpf, "LOST"),
        })
    }

    pub fn policy_entries(&self) -> Result<Vec<(PolicyKey, PolicyEntry)>, Error> {
        batch::entries(&self.policy).map_err(call("read", "POLICY"))
    }

    pub fn connection_entries(&self) -> Result<Vec<(ConnectionKey, Connection)>, Error> {
        batch::entries(&self.connections).map_err(call("read", "CONNECTIONS"))
    }

    pub fn prefix_entries(&self) -> Result<Vec<(Key<PrefixKey>, u32)>, Error> {
        self.prefixes.iter().collect::<Result<_, _>>().map_err(|source| Error::Map {
            what: "read",
            map: "PREFIXES",
            source,
        })
    }
}

fn raw(ebpf: &mut Ebpf, name: &'static str) -> Result<MapData, Error> {
    match ebpf.take_map(name).ok_or(Error::Missing(name))? {
        Map::HashMap(data) | Map::LruHashMap(data) => Ok(data),
        _ => Err(Error::Missing(name)),
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
