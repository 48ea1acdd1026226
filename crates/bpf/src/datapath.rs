//! Opening, adopting and leaving the node's programs and maps.

use crate::{
    Error, EventReader, EventWatch, Events, MapSizes, MapUsage, NodeSettings, Records,
    census::Census,
    grace::Expedited,
    maps::{self, Maps, operation},
    outgrown,
    pins::{self, Found, Pins},
    programs::{Programs, Reuse},
    release::{self, Attachment},
    rule_sets::Registry,
    sockets,
};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, RingBuf},
};
use ciliate_types::Identity;
use ipnet::IpNet;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ciliate-datapath"));

/// What decides how the kernel side is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directory on a BPF file system; created if absent.
    pub root: PathBuf,
    pub sizes: MapSizes,
    pub node: NodeSettings,
}

/// The node's datapath. Dropping it leaves everything in place; [`Datapath::unload`] removes it.
pub struct Datapath {
    pub(crate) programs: Programs,
    pub(crate) maps: Maps,
    pub(crate) pins: Pins,
    pub(crate) sizes: MapSizes,
    pub(crate) attachment: Attachment,
    pub(crate) rule_sets: Registry,
    /// What the kernel's map of the same name holds.
    pub(crate) ipcache: BTreeMap<IpNet, Identity>,
    pub(crate) census: Census,
    root: PathBuf,
    node: NodeSettings,
    peers_epoch: u32,
    last_epoch: u32,
    reserved_epoch: u32,
    events: Option<Events>,
}

/// Epochs are reserved in blocks, so that most changes write one row.
const EPOCH_BLOCK: u32 = 1024;

impl Datapath {
    /// Loads the programs. Maps of an earlier process are adopted, programs on devices replaced in place.
    ///
    /// # Errors
    /// No BPF file system, missing rights, a kernel that is too old, a map that would shrink below its contents.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let attachment = check_kernel(&settings.root)?;
        let pins = Pins::new(&settings.root);
        let found = pins.found();
        let opened = pins.create().and_then(|()| Self::open_pinned(settings, pins, attachment));
        if let (Err(_), Found::Nothing) = (&opened, found) {
            // The failure that led here is the one to report.
            let _ = Pins::new(&settings.root).remove();
        }
        opened
    }

    fn open_pinned(settings: &Settings, pins: Pins, attachment: Attachment) -> Result<Self, Error> {
        let outgrown = outgrown::set_aside(&pins, &settings.sizes)?;
        Expedited::recover(pins.expedited());
        // All is there unless this is the first start, another build, or one with other sizes; reading the object and
        // the running kernel's types would cost a restart more than everything else.
        if !(outgrown.is_empty() && maps::pinned(&pins) && Programs::pinned(OBJECT, &pins)) {
            let mut ebpf = load(&pins, &settings.sizes)?;
            for name in &outgrown {
                outgrown::carry_over(&pins, name, &settings.sizes)?;
            }
            let reuse = if outgrown.is_empty() { Reuse::SameObject } else { Reuse::Never };
            Programs::verify(&mut ebpf, OBJECT, &pins, reuse)?;
        }
        let programs = Programs::open(OBJECT, &pins)?;
        let maps = Maps::open(&pins)?;
        let ring = RingBuf::try_from(maps::open(&pins, "EVENTS")?).map_err(operation("use", "EVENTS"))?;
        let watch = Array::try_from(maps::open(&pins, "WATCH")?).map_err(operation("use", "WATCH"))?;
        let limits = maps::open(&pins, "EVENT_LIMITS")?;
        let limits = Array::try_from(limits).map_err(operation("use", "EVENT_LIMITS"))?;
        let events = Events {
            reader: EventReader::new(ring),
            watch: EventWatch::new(watch, limits, settings.sizes.events),
            records: Records::open(&pins, settings.sizes.records)?,
        };
        let old = maps.config.get(&0, 0).map_err(operation("read", "CONFIG"))?;
        let mut datapath = Self {
            programs,
            maps,
            pins,
            sizes: settings.sizes,
            attachment,
            rule_sets: Registry::default(),
            ipcache: BTreeMap::new(),
            census: Census::NEW,
            root: settings.root.clone(),
            node: settings.node.clone(),
            peers_epoch: old.peers_epoch,
            last_epoch: old.last_epoch,
            reserved_epoch: old.last_epoch,
            events: Some(events),
        };
        datapath.adopt_rule_sets()?;
        datapath.read_ipcache()?;
        datapath.apply_node(&settings.node, old.flags)?;
        datapath.replace_programs()?;
        sockets::attach(&mut datapath.programs.sockets, &datapath.pins)?;
        Programs::forget_others(OBJECT, &datapath.pins)?;
        for name in outgrown {
            let path = datapath.pins.outgrown(name);
            fs::remove_file(&path).map_err(|source| Error::Pin { what: "remove", path, source })?;
        }
        Ok(datapath)
    }

    /// Changes the node's settings while the programs run.
    pub fn set_node(&mut self, node: &NodeSettings) -> Result<(), Error> {
        let old = self.node.config(0, 0).flags;
        self.apply_node(node, old)
    }

    #[must_use]
    pub fn node(&self) -> &NodeSettings {
        &self.node
    }

    /// How full the maps are that can fill up.
    #[must_use]
    pub fn usage(&self) -> Vec<MapUsage> {
        let (policy, prefixes) = self.rule_sets.usage();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let entries = |name: &str| match name {
            "ENDPOINTS" => self.maps.endpoint_entries().ok().map(|rows| count(rows.len())),
            "IPCACHE" => Some(count(self.ipcache.len())),
            "RULE_SETS" => Some(self.rule_sets.len()),
            "POLICY" => Some(policy),
            "PREFIXES" => Some(prefixes),
            "CONNECTIONS" => Some(self.census.count()),
            _ => None,
        };
        let by_name = self.sizes.by_name();
        by_name
            .into_iter()
            .filter_map(|(name, max)| Some(MapUsage { name, entries: entries(name)?, max }))
            .collect()
    }

    /// The events of all programs; can be taken once.
    pub fn events(&mut self) -> Result<Events, Error> {
        self.events.take().ok_or(Error::EventsTaken)
    }

    /// Takes the programs off all devices and removes every pin.
    pub fn unload(mut self) -> Result<(), Error> {
        for device in self.attached()? {
            self.detach(&device)?;
        }
        pins::cleanup(&self.root)
    }

    /// An epoch that no connection remembers.
    pub(crate) fn next_epoch(&mut self) -> Result<u32, Error> {
        if self.last_epoch == self.reserved_epoch {
            self.reserved_epoch = self.reserved_epoch.wrapping_add(EPOCH_BLOCK);
            self.write_config()?;
        }
        self.last_epoch = self.last_epoch.wrapping_add(1);
        Ok(self.last_epoch)
    }

    /// Has connections with peers outside of this node judged again.
    pub(crate) fn renew_peers_epoch(&mut self) -> Result<(), Error> {
        self.peers_epoch = self.next_epoch()?;
        self.write_config()
    }

    fn apply_node(&mut self, node: &NodeSettings, old_flags: u32) -> Result<(), Error> {
        use ciliate_abi::config_flags::AUDIT;
        self.node = node.clone();
        self.write_config()?;
        let flags = node.config(0, 0).flags;
        match (flags ^ old_flags) & AUDIT {
            0 => Ok(()),
            _ => self.renew_all_epochs(),
        }
    }

    fn write_config(&mut self) -> Result<(), Error> {
        let config = self.node.config(self.peers_epoch, self.reserved_epoch);
        self.maps.config.set(0, config, 0).map_err(operation("write", "CONFIG"))
    }
}

/// Checks, without changing anything, that the kernel is recent enough and `root` lies on a BPF file system.
pub fn check_kernel(root: &Path) -> Result<Attachment, Error> {
    let attachment = release::attachment()?;
    pins::check_bpffs(root)?;
    Ok(attachment)
}

fn load(pins: &Pins, sizes: &MapSizes) -> Result<Ebpf, Error> {
    let mut loader = EbpfLoader::new();
    // The programs use no types of the running kernel.
    loader.btf(None);
    for (name, max) in sizes.by_name() {
        loader.map_max_entries(name, max);
    }
    for name in maps::NAMES {
        loader.map_pin_path(name, pins.map(name));
    }
    loader.load(OBJECT).map_err(|error| match permission(&error) {
        true => Error::NotPermitted,
        false => Error::Load(error),
    })
}

/// Whether a chain of errors ends in "not permitted".
fn permission(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::PermissionDenied;
        }
        next = error.source();
    }
    false
}
