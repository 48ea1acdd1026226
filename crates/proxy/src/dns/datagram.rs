//! Datagrams in the name of others: queries that were redirected, their way on, and answers on their way back.

use crate::socket::{self, Family, transparent};
use ciliate_abi::mark;
use nix::{
    cmsg_space,
    errno::Errno,
    libc,
    sys::socket::{
        AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType,
        SockaddrStorage, bind, connect, recv, recvmsg, send, sendmsg, setsockopt, sockopt,
    },
};
use std::{
    io::{self, IoSlice, IoSliceMut},
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

/// Reads queries, with who asks and who is meant to answer.
pub struct Receiver {
    control: Vec<u8>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self { control: cmsg_space!(libc::sockaddr_in6) }
    }
}

impl Receiver {
    /// The length of a query, who asks, and who is meant to answer; none if there is none. One that was cut off is longer
    /// than the buffer.
    pub fn receive(
        &mut self,
        listener: impl AsFd,
        buffer: &mut [u8],
    ) -> io::Result<Option<(usize, SocketAddr, SocketAddr)>> {
        let mut parts = [IoSliceMut::new(buffer)];
        let fd = listener.as_fd().as_raw_fd();
        let received =
            recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut self.control), MsgFlags::MSG_TRUNC);
        let message = match received {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let from = message.address.as_ref().and_then(socket::plain);
        let to = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4OrigDstAddr(v4) => {
                let ip = std::net::Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddr::new(ip.into(), u16::from_be(v4.sin_port)))
            }
            ControlMessageOwned::Ipv6OrigDstAddr(v6) => {
                let ip = std::net::Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Some(SocketAddr::new(ip.into(), u16::from_be(v6.sin6_port)))
            }
            _ => None,
        });
        match (from, to) {
            (Some(from), Some(to)) => Ok(Some((message.bytes, from, to))),
            _ => Err(io::Error::other("a datagram without its addresses")),
        }
    }
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

/// What became of a datagram that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Yes,
    /// The kernel has no room now: it is lost, as datagrams may be.
    Lost,
}

pub fn pass_on(fd: impl AsFd, message: &[u8]) -> io::Result<Sent> {
    match send(fd.as_fd().as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL) {
        Ok(_) => Ok(Sent::Yes),
        Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => Ok(Sent::Lost),
        Err(error) => Err(error.into()),
    }
}

/// The next answer of a server; none if there is none. One that was cut off is longer than the buffer.
pub fn take(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match recv(fd.as_fd().as_raw_fd(), buffer, MsgFlags::MSG_TRUNC) {
        Ok(count) => Ok(Some(count)),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Answers clients with the address and port of whom they asked, without a socket that is bound to it: a server of the
/// host's may be.
pub struct Speaker {
    v4: OwnedFd,
    v6: OwnedFd,
    datagram: Vec<u8>,
}

impl Speaker {
    pub fn new() -> io::Result<Self> {
        Ok(Self { v4: raw(Family::V4)?, v6: raw(Family::V6)?, datagram: Vec::new() })
    }

    pub fn say(&mut self, from: SocketAddr, to: SocketAddr, message: &[u8]) -> io::Result<Sent> {
        let length = u16::try_from(message.len()).ok().and_then(|length| length.checked_add(UDP_HEADER));
        let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.datagram.clear();
        for number in [from.port(), to.port(), length, 0] {
            self.datagram.extend_from_slice(&number.to_be_bytes());
        }
        self.datagram.extend_from_slice(message);
        let target = SockaddrStorage::from(SocketAddr::new(to.ip(), 0));
        let sent = match (from.ip(), to.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let sum = checksum(source.octets(), destination.octets(), &self.datagram, length);
                if let Some(place) = self.datagram.get_mut(6..8) {
                    place.copy_from_slice(&sum.to_be_bytes());
                }
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(source.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                let parts = [IoSlice::new(&self.datagram)];
                sendmsg(self.v4.as_raw_fd(), &parts, &control, MsgFlags::empty(), Some(&target))
            }
            (IpAddr::V6(source), IpAddr::V6(_)) => {
                // The kernel puts the sum in.
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
                    ipi6_ifindex: 0,
                };
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                let parts = [IoSlice::new(&self.datagram)];
                sendmsg(self.v6.as_raw_fd(), &parts, &control, MsgFlags::empty(), Some(&target))
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        match sent {
            Ok(_) => Ok(Sent::Yes),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => Ok(Sent::Lost),
            Err(error) => Err(error.into()),
        }
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
