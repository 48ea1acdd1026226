//! The program that hands the proxy its connections, and the sockets it hands them to.

use crate::{Error, batch::syscall, maps::call, pins::Pins};
use aya::programs::{ProgramError, SkLookup};
use ciliate_abi::Listener;
use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
    path::Path,
};

/// Name of the link's pin.
const LINK: &str = "sk_lookup";
pub(crate) const PROGRAM: &str = "cil_sk_lookup";
const LISTENERS: &str = "PROXY_LISTENERS";

/// Puts the program on this network namespace, or in the place of an earlier process's.
pub(crate) fn attach(program: &mut SkLookup, pins: &Pins) -> Result<(), Error> {
    let refused = |source: io::Error| Error::Attach {
        device: "this network namespace".into(),
        reason: source.to_string(),
    };
    let failed = |error: ProgramError| Error::Program { name: PROGRAM, reason: error.to_string() };
    let path = pins.sockets().join(LINK);
    if path.exists() {
        let link = syscall::open_pin(&path).map_err(refused)?;
        let fd = program.fd().map_err(failed)?;
        match syscall::update_link(link.as_fd(), fd.as_fd()) {
            Ok(()) => return Ok(()),
            // Its namespace is gone; this one's needs a link of its own.
            Err(_) => {
                fs::remove_file(&path).map_err(|source| Error::Pin {
                    what: "remove",
                    path: path.clone(),
                    source,
                })?;
            }
        }
    }
    let netns = File::open("/proc/thread-self/ns/net").map_err(refused)?;
    let id = program.attach(netns).map_err(failed)?;
    let link = program.take_link(id).map_err(failed)?;
    aya::programs::links::FdLink::from(link).pin(&path).map_err(|e| Error::Pin {
        what: "pin the link as",
        path,
        source: io::Error::other(e),
    })?;
    Ok(())
}

/// Where the proxy registers the sockets it listens on. A socket that is closed is gone from here by itself.
#[derive(Debug)]
pub struct Listeners {
    map: std::os::fd::OwnedFd,
}

impl Listeners {
    /// Opens the map that a datapath below `root` has pinned.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let map = syscall::open_pin(&Pins::new(root).map(LISTENERS)).map_err(call("open", LISTENERS))?;
        Ok(Self { map })
    }

    /// From now on new connections of this kind go to `socket`, or to one of the group it shares its port with.
    pub fn set(&self, listener: Listener, socket: BorrowedFd<'_>) -> Result<(), Error> {
        let key = listener as u32;
        let value = socket.as_raw_fd().cast_unsigned();
        syscall::update(self.map.as_fd(), &key, &value).map_err(call("write", LISTENERS))
    }
}
