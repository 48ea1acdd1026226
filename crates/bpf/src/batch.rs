//! Many map entries in one system call, which `aya` does not offer.

use aya::maps::MapData;
use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

/// `union bpf_attr` as the batch commands read it.
#[repr(C)]
#[derive(Default)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

const LOOKUP: libc::c_long = 24;
const UPDATE: libc::c_long = 26;
const DELETE: libc::c_long = 27;

fn call(command: libc::c_long, attr: &mut BatchAttr) -> io::Result<()> {
    // SAFETY: the kernel reads and writes what the attribute points to; callers keep those buffers alive and
    // large enough for `count` entries.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), std::mem::size_of::<BatchAttr>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn attr(map: BorrowedFd<'_>, count: usize) -> io::Result<BatchAttr> {
    let too_many = |_| io::Error::from(io::ErrorKind::InvalidInput);
    Ok(BatchAttr {
        map_fd: u32::try_from(map.as_raw_fd()).map_err(too_many)?,
        count: u32::try_from(count).map_err(too_many)?,
        ..BatchAttr::default()
    })
}

/// Writes all entries. On failure the first `Err.0` of them are written.
pub fn update<K: aya::Pod, V: aya::Pod>(
    map: &MapData,
    keys: &[K],
    values: &[V],
) -> Result<(), (usize, io::Error)> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut attr = attr(map.fd().as_fd(), keys.len().min(values.len())).map_err(|e| (0, e))?;
    attr.keys = keys.as_ptr() as u64;
    attr.values = values.as_ptr() as u64;
    call(UPDATE, &mut attr).map_err(|e| (attr.count as usize, e))
}

/// Deletes all entries; absent ones are skipped.
pub fn delete<K: aya::Pod>(map: &MapData, keys: &[K]) -> io::Result<()> {
    let mut rest = keys;
    while !rest.is_empty() {
        let mut attr = attr(map.fd().as_fd(), rest.len())?;
        attr.keys = rest.as_ptr() as u64;
        match call(DELETE, &mut attr) {
            Ok(()) => return Ok(()),
            // The entry behind those that were deleted is absent.
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {
                rest = rest.get((attr.count as usize).saturating_add(1)..).unwrap_or_default();
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Where reading a map piece by piece has come to.
pub struct Cursor {
    /// What the kernel wants back to go on; none at the start.
    position: Option<[u8; 64]>,
    /// Entries of a piece.
    size: usize,
}

/// Whether a piece was the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    Middle,
    End,
}

impl Cursor {
    pub const START: Self = Self { position: None, size: 4096 };

    /// Reads on. Entries that come or go meanwhile may be missed or seen. After the end it starts again.
    pub fn read<K: aya::Pod, V: aya::Pod>(&mut self, map: &MapData) -> io::Result<(Vec<(K, V)>, Reached)> {
        self.read_at(map.fd().as_fd())
    }

    /// The same for a map that did not come from an object. `K` and `V` are the map's own types.
    pub fn read_at<K: aya::Pod, V: aya::Pod>(
        &mut self,
        map: BorrowedFd<'_>,
    ) -> io::Result<(Vec<(K, V)>, Reached)> {
        loop {
            let mut keys = Vec::<MaybeUninit<K>>::with_capacity(self.size);
            let mut values = Vec::<MaybeUninit<V>>::with_capacity(self.size);
            let mut next = [0_u8; 64];
            let mut attr = attr(map, self.size)?;
            attr.in_batch = self.position.as_ref().map_or(0, |position| position.as_ptr() as u64);
            attr.out_batch = next.as_mut_ptr() as u64;
            attr.keys = keys.as_mut_ptr() as u64;
            attr.values = values.as_mut_ptr() as u64;
            let reached = match call(LOOKUP, &mut attr) {
                Ok(()) => Reached::Middle,
                Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Reached::End,
                // A bucket holds more than the buffer.
                Err(e) if e.raw_os_error() == Some(libc::ENOSPC) => {
                    self.size = self.size.saturating_mul(2);
                    continue;
                }
                Err(e) => return Err(e),
            };
            let count = (attr.count as usize).min(self.size);
            // SAFETY: the kernel filled `count` entries of both buffers, which have that capacity; both are plain data.
            let (keys, values) = unsafe {
                keys.set_len(count);
                values.set_len(count);
                (keys.into_iter().map(|k| k.assume_init()), values.into_iter().map(|v| v.assume_init()))
            };
            self.position = match reached {
                Reached::Middle => Some(next),
                Reached::End => None,
            };
            return Ok((keys.zip(values).collect(), reached));
        }
    }
}

/// Reads every entry of a map. Entries that come or go meanwhile may be missed or seen.
pub fn entries<K: aya::Pod, V: aya::Pod>(map: &MapData) -> io::Result<Vec<(K, V)>> {
    let mut cursor = Cursor::START;
    let mut all = Vec::new();
    loop {
        let (piece, reached) = cursor.read(map)?;
        all.extend(piece);
        if reached == Reached::End {
            return Ok(all);
        }
    }
}

/// Single calls on descriptors that did not come from an object.
pub(crate) mod syscall {
    use std::{
        ffi::CString,
        io,
        os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        path::Path,
    };

    const LOOKUP_ELEM: libc::c_long = 1;
    const UPDATE_ELEM: libc::c_long = 2;
    const DELETE_ELEM: libc::c_long = 3;
    const OBJ_GET: libc::c_long = 7;
    const LINK_UPDATE: libc::c_long = 29;

    #[repr(C)]
    struct Element {
        map: u32,
        pad: u32,
        key: u64,
        value: u64,
        flags: u64,
    }

    fn call<T>(command: libc::c_long, attr: &mut T) -> io::Result<libc::c_long> {
        // SAFETY: the kernel reads the attribute and what it points to, which callers keep alive.
        match unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) } {
            failed if failed < 0 => Err(io::Error::last_os_error()),
            done => Ok(done),
        }
    }

    fn number(fd: BorrowedFd<'_>) -> u32 {
        fd.as_raw_fd().cast_unsigned()
    }

    /// Opens a pinned map, program or link.
    pub fn open_pin(path: &Path) -> io::Result<OwnedFd> {
        #[repr(C)]
        struct Get {
            path: u64,
            fd: u32,
            flags: u32,
        }
        let path = CString::new(path.as_os_str().as_encoded_bytes())?;
        let fd = call(OBJ_GET, &mut Get { path: path.as_ptr() as u64, fd: 0, flags: 0 })?;
        let fd = i32::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: the kernel just made it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Puts another program in the place of a link's.
    pub fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
        #[repr(C)]
        struct Update {
            link: u32,
            program: u32,
            flags: u32,
            old: u32,
        }
        let mut attr = Update { link: number(link), program: number(program), flags: 0, old: 0 };
        call(LINK_UPDATE, &mut attr).map(drop)
    }

    /// Writes an entry. `K` and `V` are the map's own types.
    pub fn update<K, V>(map: BorrowedFd<'_>, key: &K, value: &V) -> io::Result<()> {
        write(map, key, value, 0)
    }

    /// Writes over an entry; an absent one stays absent and is no error. `K` and `V` are the map's own types.
    pub fn replace<K, V>(map: BorrowedFd<'_>, key: &K, value: &V) -> io::Result<()> {
        /// Of `BPF_MAP_UPDATE_ELEM`: only if it is there.
        const BPF_EXIST: u64 = 2;
        match write(map, key, value, BPF_EXIST) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            done => done,
        }
    }

    fn write<K, V>(map: BorrowedFd<'_>, key: &K, value: &V, flags: u64) -> io::Result<()> {
        let mut attr = Element {
            map: number(map),
            pad: 0,
            key: std::ptr::from_ref(key) as u64,
            value: std::ptr::from_ref(value) as u64,
            flags,
        };
        call(UPDATE_ELEM, &mut attr).map(drop)
    }

    /// Removes an entry; an absent one is no error. `K` is the map's own type.
    pub fn delete<K>(map: BorrowedFd<'_>, key: &K) -> io::Result<()> {
        let mut attr =
            Element { map: number(map), pad: 0, key: std::ptr::from_ref(key) as u64, value: 0, flags: 0 };
        match call(DELETE_ELEM, &mut attr) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            done => done.map(drop),
        }
    }

    /// Reads an entry. `K` and `V` are the map's own types, plain data.
    pub fn look_up<K: aya::Pod, V: aya::Pod>(map: BorrowedFd<'_>, key: &K) -> io::Result<Option<V>> {
        let mut value = std::mem::MaybeUninit::<V>::uninit();
        let mut attr = Element {
            map: number(map),
            pad: 0,
            key: std::ptr::from_ref(key) as u64,
            value: value.as_mut_ptr() as u64,
            flags: 0,
        };
        match call(LOOKUP_ELEM, &mut attr) {
            // SAFETY: the kernel filled it.
            Ok(_) => Ok(Some(unsafe { value.assume_init() })),
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }
}
