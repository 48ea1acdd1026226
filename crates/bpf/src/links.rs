//! The programs on devices: attached by TCX links that are pinned under the device's name, or as clsact filters.

use crate::{Datapath, Error, grace::Expedited, programs::Hook, release::Attachment};
use aya::programs::{
    LinkOrder,
    links::{FdLink, PinnedLink},
    tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact},
};
use std::{fs, io, path::PathBuf};

/// Ours comes first and has one place, so that a replacement finds it.
const FILTER: (u16, TcHandle) = (1, TcHandle::new(0, 1));

impl Datapath {
    /// Puts the programs on a device of this network namespace; where they are already, they are replaced in place.
    pub fn attach(&mut self, device: &str) -> Result<(), Error> {
        let new = Hook::ALL.iter().any(|hook| !self.link_path(device, *hook).exists());
        let _expedited = match self.attachment {
            Attachment::Tcx if new => Some(Expedited::begin(self.pins.expedited())),
            // Replacing waits for nothing; clsact waits by itself for a short grace period.
            Attachment::Tcx | Attachment::Clsact => None,
        };
        for hook in Hook::ALL {
            match self.attachment {
                Attachment::Tcx => self.attach_tcx(device, hook)?,
                Attachment::Clsact => self.attach_clsact(device, hook)?,
            }
        }
        Ok(())
    }

    /// Takes the programs off a device; one without them, or a device that is gone, is no error.
    pub fn detach(&mut self, device: &str) -> Result<(), Error> {
        for hook in Hook::ALL {
            let path = self.link_path(device, hook);
            let removed = match self.attachment {
                Attachment::Tcx => fs::remove_file(&path),
                Attachment::Clsact => fs::remove_dir(&path),
            };
            match removed {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Pin { what: "remove", path, source }),
            }
            if let Attachment::Clsact = self.attachment
                && device_exists(device)
            {
                let (priority, handle) = FILTER;
                // Dropping the link takes the filter off.
                drop(SchedClassifierLink::attached(device, hook.attach_type(), priority, handle, None));
            }
        }
        Ok(())
    }

    /// Devices that have been attached to.
    pub fn attached(&self) -> Result<Vec<String>, Error> {
        let path = self.pins.links();
        let names = fs::read_dir(&path).map_err(|source| Error::Pin { what: "list", path, source })?;
        let mut devices: Vec<String> = names
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                name.strip_suffix(&format!("-{}", Hook::FromEndpoint.suffix())).map(str::to_owned)
            })
            .collect();
        devices.sort();
        Ok(devices)
    }

    /// Replaces the programs of an earlier process on all devices; links of devices that are gone are removed.
    pub(crate) fn replace_programs(&mut self) -> Result<(), Error> {
        for device in self.attached()? {
            match device_exists(&device) {
                true => self.attach(&device)?,
                false => self.detach(&device)?,
            }
        }
        Ok(())
    }

    fn link_path(&self, device: &str, hook: Hook) -> PathBuf {
        self.pins.links().join(format!("{device}-{}", hook.suffix()))
    }

    fn attach_tcx(&mut self, device: &str, hook: Hook) -> Result<(), Error> {
        let refused = |reason: String| Error::Attach { device: device.to_owned(), reason };
        let path = self.link_path(device, hook);
        let program = self.programs.get(hook);
        if path.exists() {
            let link = PinnedLink::from_pin(&path).map_err(|e| refused(e.to_string()))?;
            let link =
                SchedClassifierLink::try_from(FdLink::from(link)).map_err(|e| refused(e.to_string()))?;
            match program.attach_to_link(link) {
                Ok(id) => {
                    // The pin keeps the link; the descriptor is not needed.
                    drop(program.take_link(id).map_err(|e| refused(e.to_string()))?);
                    return Ok(());
                }
                // The device it was for is gone and another one has its name: fall through to a new link.
                Err(_) => fs::remove_file(&path).map_err(|source| Error::Pin {
                    what: "remove",
                    path: path.clone(),
                    source,
                })?,
            }
        }
        let order = TcAttachOptions::TcxOrder(LinkOrder::first());
        let id = program
            .attach_with_options(device, hook.attach_type(), order)
            .map_err(|e| refused(explain(&e)))?;
        let link = program.take_link(id).map_err(|e| refused(e.to_string()))?;
        let link = FdLink::try_from(link).map_err(|e| refused(e.to_string()))?;
        link.pin(&path).map_err(|e| refused(e.to_string()))?;
        Ok(())
    }

    fn attach_clsact(&mut self, device: &str, hook: Hook) -> Result<(), Error> {
        let refused = |reason: String| Error::Attach { device: device.to_owned(), reason };
        let path = self.link_path(device, hook);
        let (priority, handle) = FILTER;
        let program = self.programs.get(hook);
        // Also where no directory says so: a process may have ended between the two.
        let link = SchedClassifierLink::attached(device, hook.attach_type(), priority, handle, None)
            .map_err(|e| refused(e.to_string()))?;
        let id = match program.attach_to_link(link) {
            Ok(id) => id,
            Err(_) => {
                match qdisc_add_clsact(device) {
                    Ok(()) | Err(TcError::AlreadyAttached) => {}
                    // One qdisc serves both directions, and other programs' filters.
                    Err(TcError::NetlinkError(e)) if e.raw_os_error() == Some(libc::EEXIST) => {}
                    Err(e) => return Err(refused(e.to_string())),
                }
                let options = TcAttachOptions::Netlink(NlOptions { priority, handle, classid: None });
                program
                    .attach_with_options(device, hook.attach_type(), options)
                    .map_err(|e| refused(explain(&e)))?
            }
        };
        // Dropped, it would take the filter off again.
        std::mem::forget(program.take_link(id).map_err(|e| refused(e.to_string()))?);
        // A filter has nothing to pin; the directory takes its place as the list of devices.
        fs::create_dir_all(&path).map_err(|source| Error::Pin { what: "create", path, source })
    }
}

fn device_exists(device: &str) -> bool {
    std::path::Path::new("/proc/sys/net/ipv4/conf").join(device).exists()
}

/// The reason below a chain of sources.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
