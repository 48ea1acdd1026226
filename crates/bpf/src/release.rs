//! Which kernel this is, and what it can do for us.

use crate::Error;
use std::ffi::CStr;

/// `major.minor` of a kernel's release; what follows says nothing about features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Release(u32, u32);

/// The first with all that the programs use.
const OLDEST: Release = Release(5, 15);
/// The first with TCX (kernel commit e420bed02507).
const WITH_TCX: Release = Release(6, 6);

/// How programs are put on devices: by TCX links from kernel 6.6 on, by clsact filters before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    Tcx,
    Clsact,
}

/// How the running kernel takes programs.
///
/// # Errors
/// [`Error::OldKernel`] with the release as `uname -r` prints it.
pub fn attachment() -> Result<Attachment, Error> {
    let mut found = std::mem::MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: uname(2) fills the structure with strings that end in NUL; where it fails they are empty.
    let found = unsafe {
        libc::uname(found.as_mut_ptr());
        found.assume_init()
    };
    // SAFETY: the array is initialised and ends in NUL, and outlives the borrow.
    let release = unsafe { CStr::from_ptr(found.release.as_ptr()) };
    attachment_of(&release.to_string_lossy())
}

fn attachment_of(release: &str) -> Result<Attachment, Error> {
    match parse(release) {
        Some(release) if release >= WITH_TCX => Ok(Attachment::Tcx),
        Some(release) if release >= OLDEST => Ok(Attachment::Clsact),
        Some(_) | None => Err(Error::OldKernel(release.to_owned())),
    }
}

/// Reads `6.1.0-41-amd64`.
fn parse(release: &str) -> Option<Release> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some(Release(major, minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_says_how_programs_are_attached_or_that_it_is_too_old() {
        for (release, wanted) in [
            ("6.18.44", Some(Attachment::Tcx)),
            ("6.6.0-rc1", Some(Attachment::Tcx)),
            ("7.0", Some(Attachment::Tcx)),
            ("6.5.13-generic", Some(Attachment::Clsact)),
            ("6.1.0-41-amd64", Some(Attachment::Clsact)),
            ("5.15.0-1034-azure", Some(Attachment::Clsact)),
            ("5.14.0-427.el9.x86_64", None),
            ("5.4.300", None),
            ("4.19.0", None),
            ("", None),
            ("linux", None),
        ] {
            match (attachment_of(release), wanted) {
                (Ok(found), Some(wanted)) => assert_eq!(found, wanted, "{release}"),
                (Err(error), None) => {
                    let text = error.to_string();
                    assert!(text.contains(release) && text.contains("5.15"), "{text}");
                }
                (found, _) => panic!("{release}: {found:?} instead of {wanted:?}"),
            }
        }
    }
}
