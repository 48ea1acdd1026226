//! Datagrams in the name of others: queries that were redirected, their way on, and answers on their way back.

use super::many::{self, AT_ONCE, Outgoing, Raw, raw_address, source};
use crate::socket::{Family, transparent};
use ciliate_abi::mark;
use nix::{
    errno::Errno,
    libc,
    sys::socket::{
        AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect, setsockopt, sockopt,
    },
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
};

/// Bytes that the kernel keeps of queries that nobody has read yet.
const RECEIVE_BUFFER: usize = 4 << 20;
const UDP_HEADER: u16 = 8;
const UDP: u8 = 17;

/// A socket for redirected queries of one family.
pub fn listener(family: Family) -> io::Result<OwnedFd> {
    let fd = transparent(family, SockType::Datagram, mark::BACK)?;
    match family {
        Family::V4 => setsockopt(&fd, sockopt::Ipv4OrigDstAddr, &true)?,
        Family::V6 => setsockopt(&fd, sockopt::Ipv6OrigDstAddr, &true)?,
    }
    setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(family.any(0)))?;
    Ok(fd)
}

/// A socket with the client's address and a port of its own.
pub fn in_the_name_of(client: IpAddr) -> io::Result<OwnedFd> {
    let own = SocketAddr::new(client, 0);
    let fd = transparent(Family::of(&own), SockType::Datagram, mark::FORWARD)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(own))?;
    Ok(fd)
}

/// From now on the socket speaks to this server alone.
pub fn connect_to(fd: impl AsFd, server: SocketAddr) -> io::Result<()> {
    Ok(connect(fd.as_fd().as_raw_fd(), &SockaddrStorage::from(server))?)
}

/// Answers clients with the address and port of whom they asked, without a socket that is bound to it: a server of the
/// host's may be. What is said goes with the next [flush](Self::flush).
pub struct Speaker {
    v4: Mouth,
    v6: Mouth,
    lost: u64,
}

/// One family's.
struct Mouth {
    fd: OwnedFd,
    /// Of these the first `used` wait; the others keep their room.
    answers: Vec<Said>,
    used: usize,
}

struct Said {
    datagram: Vec<u8>,
    to: (Raw<28>, usize),
    source: (Raw<40>, usize),
}

impl Speaker {
    pub fn new() -> io::Result<Self> {
        Ok(Self { v4: Mouth::new(Family::V4)?, v6: Mouth::new(Family::V6)?, lost: 0 })
    }

    pub fn say(&mut self, from: SocketAddr, to: SocketAddr, message: &[u8]) -> io::Result<()> {
        let length = u16::try_from(message.len()).ok().and_then(|length| length.checked_add(UDP_HEADER));
        let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mouth = if from.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        if mouth.used >= AT_ONCE {
            self.lost = self.lost.saturating_add(mouth.flush());
        }
        let Some(said) = mouth.answers.get_mut(mouth.used) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        said.datagram.clear();
        for number in [from.port(), to.port(), length, 0] {
            said.datagram.extend_from_slice(&number.to_be_bytes());
        }
        said.datagram.extend_from_slice(message);
        match (from.ip(), to.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let sum = checksum(source.octets(), destination.octets(), &said.datagram, length);
                if let Some(place) = said.datagram.get_mut(6..8) {
                    place.copy_from_slice(&sum.to_be_bytes());
                }
            }
            // The kernel puts the sum in.
            (IpAddr::V6(_), IpAddr::V6(_)) => {}
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
        (said.to, said.source) = (raw_address(to.ip()), source(from.ip()));
        mouth.used = mouth.used.saturating_add(1);
        Ok(())
    }

    /// Sends what was said since the last time; how many answers the kernel had no room for, ever since it was last asked.
    pub fn flush(&mut self) -> u64 {
        let lost = [&mut self.v4, &mut self.v6].into_iter().map(Mouth::flush).sum::<u64>();
        std::mem::take(&mut self.lost).saturating_add(lost)
    }
}

impl Mouth {
    fn new(family: Family) -> io::Result<Self> {
        let empty = || Said { datagram: Vec::new(), to: (Raw([0; 28]), 0), source: (Raw([0; 40]), 0) };
        Ok(Self { fd: raw(family)?, answers: std::iter::repeat_with(empty).take(AT_ONCE).collect(), used: 0 })
    }

    fn flush(&mut self) -> u64 {
        let mut rest = self.answers.get(..self.used).unwrap_or_default();
        let mut lost = 0_u64;
        while !rest.is_empty() {
            let outgoing = rest.iter().map(|said| Outgoing {
                bytes: &said.datagram,
                to: said.to.0.0.get(..said.to.1).unwrap_or_default(),
                control: said.source.0.0.get(..said.source.1).unwrap_or_default(),
            });
            let done = match many::send(&self.fd, outgoing) {
                Ok(sent) => sent,
                Err(Errno::EINTR) => 0,
                // It is lost, as datagrams may be; the next one may have another way.
                Err(error) => {
                    tracing::debug!(%error, "cannot answer");
                    lost = lost.saturating_add(1);
                    1
                }
            };
            rest = rest.get(done..).unwrap_or_default();
        }
        self.used = 0;
        lost
    }
}

/// Of RFC 768; never 0, which says that there is none.
fn checksum(source: [u8; 4], destination: [u8; 4], datagram: &[u8], length: u16) -> u16 {
    let words = |bytes: &[u8]| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let last = rest.first().map_or(0, |byte| u32::from(*byte) << 8);
        let sum = pairs.iter().fold(0_u32, |sum, pair| sum.wrapping_add(u16::from_be_bytes(*pair).into()));
        sum.wrapping_add(last)
    };
    let parts = [words(&source), words(&destination), u32::from(UDP), u32::from(length), words(datagram)];
    let mut sum = parts.into_iter().fold(0_u32, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
    }
    match u16::try_from(sum ^ 0xffff) {
        Ok(0) | Err(_) => 0xffff,
        Ok(sum) => sum,
    }
}

/// Sends UDP with headers of our own, and receives nothing.
fn raw(family: Family) -> io::Result<OwnedFd> {
    let number = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = nix::sys::socket::socket(number, SockType::Raw, flags, SockProtocol::Udp)?;
    // Unlike others, a raw socket has the flag of its own family only.
    match family {
        Family::V4 => setsockopt(&fd, sockopt::IpTransparent, &true)?,
        Family::V6 => set(&fd, libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT, &1_i32)?,
    }
    setsockopt(&fd, sockopt::Mark, &mark::BACK)?;
    // Classic BPF: return 0, keep nothing of any packet. Code 6 is BPF_RET | BPF_K.
    let mut program = [libc::sock_filter { code: 6, jt: 0, jf: 0, k: 0 }];
    let filter = libc::sock_fprog { len: 1, filter: program.as_mut_ptr() };
    set(&fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)?;
    if family == Family::V6 {
        // Where the sum stands in the header of UDP.
        set(&fd, libc::IPPROTO_IPV6, libc::IPV6_CHECKSUM, &6_i32)?;
    }
    Ok(fd)
}

#[expect(unsafe_code, reason = "options that nix does not have")]
fn set<T>(fd: &OwnedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the kernel reads `length` bytes of the value, and what a filter program points to, during the call.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), length) };
    Ok(Errno::result(result).map(drop)?)
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn a_sum_over_the_whole_datagram_with_its_sum_is_all_ones() {
        let mut datagram: Vec<u8> = [53_u16, 4711, 11, 0].into_iter().flat_map(u16::to_be_bytes).collect();
        datagram.extend(b"abc");
        let sum = checksum([10, 0, 0, 1], [10, 0, 0, 2], &datagram, 11);
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        // What the receiver computes: zero, which is written as all ones.
        assert_eq!(checksum([10, 0, 0, 1], [10, 0, 0, 2], &datagram, 11), 0xffff);
        assert_ne!(sum, 0xffff);
    }
}
