//! Maps whose size is not what the settings say: set aside until what they hold is in new ones.

use crate::{
    Error, MapSizes, batch,
    maps::{self, operation},
    pins::Pins,
};
use aya::maps::{MapData, MapInfo};
use ciliate_abi::{
    Address, Connection, ConnectionKey, Endpoint, FragmentKey, FragmentPorts, PolicyEntry, PolicyKey,
};
use std::{fs, path::Path};

/// Sets aside pinned maps whose size is not what the settings say. Returns their names.
pub fn set_aside(pins: &Pins, sizes: &MapSizes) -> Result<Vec<&'static str>, Error> {
    let mut outgrown = Vec::new();
    for (name, max) in sizes.by_name() {
        let (path, aside) = (pins.map(name), pins.outgrown(name));
        if aside.exists() {
            outgrown.push(name);
            continue;
        }
        if !path.exists() {
            continue;
        }
        let info = MapInfo::from_pin(&path).map_err(operation("inspect", name))?;
        if info.max_entries() != max {
            fs::rename(&path, &aside).map_err(|source| Error::Pin { what: "set aside", path, source })?;
            outgrown.push(name);
        }
    }
    Ok(outgrown)
}

/// Copies the entries of a map that has another size now.
pub fn carry_over(pins: &Pins, name: &'static str, sizes: &MapSizes) -> Result<(), Error> {
    let old = pins.outgrown(name);
    let new = pins.map(name);
    match name {
        "ENDPOINTS" => copy::<Address, Endpoint>(&old, &new, name, sizes.endpoints),
        "RULE_SETS" => copy::<u32, ciliate_abi::RuleSet>(&old, &new, name, sizes.rule_sets),
        "POLICY" => copy::<PolicyKey, PolicyEntry>(&old, &new, name, sizes.policy),
        "CONNECTIONS" => copy::<ConnectionKey, Connection>(&old, &new, name, u32::MAX),
        "FRAGMENTS" => copy::<FragmentKey, FragmentPorts>(&old, &new, name, u32::MAX),
        "IPCACHE" => copy::<[u8; 24], u32>(&old, &new, name, sizes.ipcache),
        "PREFIXES" => copy::<[u8; 28], u32>(&old, &new, name, sizes.prefixes),
        // Events that nobody has read yet are not worth more than a note.
        _ => Ok(()),
    }
}

/// `max` = [`u32::MAX`] for maps that evict what does not fit.
fn copy<K: aya::Pod, V: aya::Pod>(old: &Path, new: &Path, name: &'static str, max: u32) -> Result<(), Error> {
    let from = MapData::from_pin(old).map_err(operation("open", name))?;
    let into = MapData::from_pin(new).map_err(operation("open", name))?;
    let entries: Vec<(K, V)> = batch::entries(&from).map_err(maps::call("read", name))?;
    if u32::try_from(entries.len()).is_ok_and(|count| count > max) {
        fs::remove_file(new).and_then(|()| fs::rename(old, new)).map_err(|source| Error::Pin {
            what: "put back",
            path: new.to_owned(),
            source,
        })?;
        let setting = maps::setting(name);
        return Err(Error::TooSmall { map: name, setting, entries: entries.len(), max });
    }
    let (keys, values): (Vec<K>, Vec<V>) = entries.into_iter().unzip();
    batch::update(&into, &keys, &values).map_err(|(_, source)| maps::call("write", name)(source))
}
