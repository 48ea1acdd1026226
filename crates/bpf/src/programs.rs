//! The programs: verified once, pinned, and taken up again by every later process of the same build.

use crate::{Error, pins::Pins, sockets};
use aya::{
    Ebpf,
    programs::{Program, ProgramError, SchedClassifier, SkLookup, TcAttachType},
};
use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::PathBuf,
};

/// Names of all programs in the object.
const NAMES: [&str; 3] = [Hook::FromEndpoint.program(), Hook::ToEndpoint.program(), sockets::PROGRAM];

/// Where a program sits on a device, and which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    FromEndpoint,
    ToEndpoint,
}

impl Hook {
    pub const ALL: [Self; 2] = [Self::FromEndpoint, Self::ToEndpoint];

    pub const fn program(self) -> &'static str {
        match self {
            Self::FromEndpoint => "cil_from_endpoint",
            Self::ToEndpoint => "cil_to_endpoint",
        }
    }

    pub fn attach_type(self) -> TcAttachType {
        match self {
            Self::FromEndpoint => TcAttachType::Ingress,
            Self::ToEndpoint => TcAttachType::Egress,
        }
    }

    /// As in the names of pinned links.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::FromEndpoint => "ingress",
            Self::ToEndpoint => "egress",
        }
    }
}

/// Whether the programs of an earlier process do for this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    SameObject,
    /// Their maps are others than ours.
    Never,
}

pub(crate) struct Programs {
    from_endpoint: SchedClassifier,
    to_endpoint: SchedClassifier,
    pub sockets: SkLookup,
}

impl Programs {
    /// Whether the kernel has verified this very object before.
    pub fn pinned(object: &[u8], pins: &Pins) -> bool {
        NAMES.iter().all(|name| path(name, object, pins).exists())
    }

    /// Has the kernel verify what is not pinned yet, and pins it.
    ///
    /// Verifying takes the kernel a hundred milliseconds; a restart of the same build does without.
    pub fn verify(ebpf: &mut Ebpf, object: &[u8], pins: &Pins, reuse: Reuse) -> Result<(), Error> {
        for name in NAMES {
            let path = path(name, object, pins);
            if let Reuse::Never = reuse {
                remove(path.clone())?;
            }
            if path.exists() {
                continue;
            }
            let program = ebpf.program_mut(name).ok_or(Error::Missing(name))?;
            load(program).map_err(|error| refusal(name, &error))?;
            program.pin(&path).map_err(|e| Error::Pin {
                what: "pin the program as",
                path: path.clone(),
                source: io::Error::other(e),
            })?;
        }
        Ok(())
    }

    /// Takes up the pinned programs of this very object.
    pub fn open(object: &[u8], pins: &Pins) -> Result<Self, Error> {
        let open = |hook: Hook| {
            SchedClassifier::from_pin(path(hook.program(), object, pins))
                .map_err(|error| refusal(hook.program(), &error))
        };
        let sockets = SkLookup::from_pin(path(sockets::PROGRAM, object, pins))
            .map_err(|error| refusal(sockets::PROGRAM, &error))?;
        Ok(Self { from_endpoint: open(Hook::FromEndpoint)?, to_endpoint: open(Hook::ToEndpoint)?, sockets })
    }

    pub fn get(&mut self, hook: Hook) -> &mut SchedClassifier {
        match hook {
            Hook::FromEndpoint => &mut self.from_endpoint,
            Hook::ToEndpoint => &mut self.to_endpoint,
        }
    }

    /// Lets go of the programs of other builds, once no device runs them any more.
    pub fn forget_others(object: &[u8], pins: &Pins) -> Result<(), Error> {
        let ours = format!("-{:016x}", digest(object));
        let path = pins.programs();
        let entries = fs::read_dir(&path).map_err(|source| Error::Pin { what: "list", path, source })?;
        for entry in entries.flatten() {
            if !entry.file_name().to_string_lossy().ends_with(&ours) {
                remove(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Has the kernel verify and load a program.
fn load(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::SkLookup(program) => program.load(),
        other => <&mut SchedClassifier>::try_from(other)?.load(),
    }
}

/// Rights are refused with EPERM, programs by the verifier with EACCES among others.
fn refusal(name: &'static str, error: &(dyn std::error::Error + 'static)) -> Error {
    let mut reason = error.to_string();
    let mut next = Some(error);
    while let Some(error) = next {
        let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if code == Some(libc::EPERM) {
            return Error::NotPermitted;
        }
        let text = error.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        next = error.source();
    }
    Error::Program { name, reason }
}

fn digest(object: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.hash(&mut hasher);
    hasher.finish()
}

fn path(name: &str, object: &[u8], pins: &Pins) -> PathBuf {
    pins.programs().join(format!("{name}-{:016x}", digest(object)))
}

fn remove(path: PathBuf) -> Result<(), Error> {
    match fs::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Pin { what: "remove", path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn a_refused_program_is_no_lack_of_rights() {
        let refused = |code| {
            refusal(
                "p",
                &Error::Pin { what: "load", path: "/x".into(), source: io::Error::from_raw_os_error(code) },
            )
        };
        assert!(matches!(refused(libc::EPERM), Error::NotPermitted));
        let error = refused(libc::EACCES);
        assert!(
            matches!(&error, Error::Program { name: "p", reason } if reason.contains("denied")),
            "{error}"
        );
        // What looks for rights along the causes finds none.
        assert!(error.source().is_none());
    }
}
