//! Many datagrams in one call of the kernel.

use nix::{errno::Errno, libc};
use std::{
    fmt, io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, AsRawFd as _},
    ptr,
};

/// Datagrams of one call.
pub const AT_ONCE: usize = 32;
/// The longest that UDP carries, and more.
const LONGEST: usize = 1 << 16;

/// Bytes that the kernel reads or writes as a structure.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct Raw<const N: usize>(pub [u8; N]);

/// Room for any address of the internet.
type Address = Raw<28>;
/// Room for where a datagram was to go.
type Control = Raw<64>;

/// Datagrams that were received together.
pub struct Inbox {
    bytes: Vec<u8>,
    senders: Vec<Address>,
    controls: Vec<Control>,
    lengths: Vec<usize>,
    control_lengths: Vec<usize>,
}

/// One datagram to be sent.
pub struct Outgoing<'a> {
    pub bytes: &'a [u8],
    /// A `sockaddr`; empty on a connected socket.
    pub to: &'a [u8],
    /// Control messages with their padding.
    pub control: &'a [u8],
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("lengths", &self.lengths).finish_non_exhaustive()
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            bytes: vec![0; LONGEST.saturating_mul(AT_ONCE)],
            senders: vec![Raw([0; 28]); AT_ONCE],
            controls: vec![Raw([0; 64]); AT_ONCE],
            lengths: Vec::with_capacity(AT_ONCE),
            control_lengths: Vec::with_capacity(AT_ONCE),
        }
    }
}

impl Inbox {
    /// Takes what waits, [`AT_ONCE`] at most, in place of what was here; how many that were.
    pub fn receive(&mut self, fd: impl AsFd) -> io::Result<usize> {
        self.lengths.clear();
        self.control_lengths.clear();
        let (bytes, senders, controls) =
            (self.bytes.as_mut_ptr(), self.senders.as_mut_ptr(), self.controls.as_mut_ptr());
        let mut parts: [libc::iovec; AT_ONCE] = std::array::from_fn(|at| libc::iovec {
            iov_base: bytes.wrapping_add(at.wrapping_mul(LONGEST)).cast(),
            iov_len: LONGEST,
        });
        let parts = parts.as_mut_ptr();
        let mut headers: [libc::mmsghdr; AT_ONCE] = std::array::from_fn(|at| {
            let mut header = empty();
            header.msg_hdr.msg_iov = parts.wrapping_add(at);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = senders.wrapping_add(at).cast();
            header.msg_hdr.msg_namelen = size_of::<Address>() as u32;
            header.msg_hdr.msg_control = controls.wrapping_add(at).cast();
            header.msg_hdr.msg_controllen = size_of::<Control>();
            header
        });
        let fd = fd.as_fd().as_raw_fd();
        #[expect(unsafe_code, reason = "the kernel writes into arrays of ours")]
        // SAFETY: every header points into vectors of `AT_ONCE` places, each as long as its header says, which live through
        // the call and which nobody else looks at.
        let count = unsafe {
            libc::recvmmsg(fd, headers.as_mut_ptr(), AT_ONCE as u32, libc::MSG_DONTWAIT, ptr::null_mut())
        };
        let count = match Errno::result(count) {
            Ok(count) => usize::try_from(count).unwrap_or_default(),
            Err(Errno::EAGAIN | Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for header in headers.iter().take(count) {
            self.lengths.push(usize::try_from(header.msg_len).unwrap_or_default().min(LONGEST));
            self.control_lengths.push(header.msg_hdr.msg_controllen);
        }
        Ok(count)
    }

    /// The bytes of one of them.
    pub fn message(&mut self, at: usize) -> Option<&mut [u8]> {
        let length = *self.lengths.get(at)?;
        self.bytes.get_mut(at.checked_mul(LONGEST)?..)?.get_mut(..length)
    }

    pub fn bytes(&self, at: usize) -> Option<&[u8]> {
        let length = *self.lengths.get(at)?;
        self.bytes.get(at.checked_mul(LONGEST)?..)?.get(..length)
    }

    /// Who sent one of them, and where it was to go before it was redirected.
    pub fn ends(&self, at: usize) -> Option<(SocketAddr, SocketAddr)> {
        let control = self.controls.get(at)?.0.get(..*self.control_lengths.get(at)?)?;
        Some((socket_address(&self.senders.get(at)?.0)?, original_destination(control)?))
    }
}

/// Sends the first [`AT_ONCE`] of these; how many the kernel took, at least one.
pub fn send<'a>(fd: impl AsFd, all: impl Iterator<Item = Outgoing<'a>>) -> Result<usize, Errno> {
    let mut parts = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; AT_ONCE];
    let mut headers: [libc::mmsghdr; AT_ONCE] = std::array::from_fn(|_| empty());
    let mut count = 0_u32;
    for ((part, header), outgoing) in parts.iter_mut().zip(&mut headers).zip(all) {
        // The kernel only reads through these.
        part.iov_base = outgoing.bytes.as_ptr().cast_mut().cast();
        part.iov_len = outgoing.bytes.len();
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        if !outgoing.to.is_empty() {
            header.msg_hdr.msg_name = outgoing.to.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = u32::try_from(outgoing.to.len()).unwrap_or_default();
        }
        if !outgoing.control.is_empty() {
            header.msg_hdr.msg_control = outgoing.control.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_controllen = outgoing.control.len();
        }
        count = count.saturating_add(1);
    }
    let fd = fd.as_fd().as_raw_fd();
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    #[expect(unsafe_code, reason = "the kernel reads what the headers point to")]
    // SAFETY: the first `count` headers point to slices that are borrowed for `'a`, with their lengths, and to `parts`.
    let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count, flags) };
    Errno::result(sent).map(|sent| usize::try_from(sent).unwrap_or_default())
}

fn empty() -> libc::mmsghdr {
    #[expect(unsafe_code, reason = "its padding has no name")]
    // SAFETY: a structure of numbers and pointers, for which zero is a value.
    unsafe {
        mem::zeroed()
    }
}

/// A `sockaddr_in` or `sockaddr_in6`.
fn socket_address(raw: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*raw.first_chunk()?);
    let port = u16::from_be_bytes(*raw.get(2..)?.first_chunk()?);
    let ip: IpAddr = match i32::from(family) {
        libc::AF_INET => Ipv4Addr::from(*raw.get(4..)?.first_chunk::<4>()?).into(),
        libc::AF_INET6 => Ipv6Addr::from(*raw.get(8..)?.first_chunk::<16>()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Of the only control message that these sockets ask for.
fn original_destination(control: &[u8]) -> Option<SocketAddr> {
    let (head, data) = control.split_at_checked(size_of::<libc::cmsghdr>())?;
    let number = |at: usize| head.get(at..)?.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
    let level = number(mem::offset_of!(libc::cmsghdr, cmsg_level))?;
    let kind = number(mem::offset_of!(libc::cmsghdr, cmsg_type))?;
    match (level, kind) {
        (libc::SOL_IP, libc::IP_ORIGDSTADDR) | (libc::SOL_IPV6, libc::IPV6_ORIGDSTADDR) => {
            socket_address(data)
        }
        _ => None,
    }
}

/// The `sockaddr` of an address without a port, and its length.
pub fn raw_address(ip: IpAddr) -> (Raw<28>, usize) {
    let mut raw = [0; 28];
    let (family, at, length) = match ip {
        IpAddr::V4(_) => (libc::AF_INET, 4_usize, 16),
        IpAddr::V6(_) => (libc::AF_INET6, 8, 28),
    };
    fill(&mut raw, 0, &u16::try_from(family).unwrap_or_default().to_ne_bytes());
    match ip {
        IpAddr::V4(v4) => fill(&mut raw, at, &v4.octets()),
        IpAddr::V6(v6) => fill(&mut raw, at, &v6.octets()),
    }
    (Raw(raw), length)
}

/// The control message that gives a datagram its source, and its length.
pub fn source(ip: IpAddr) -> (Raw<40>, usize) {
    let mut raw = [0; 40];
    let head = size_of::<libc::cmsghdr>();
    // `in_pktinfo` is interface, source, destination; `in6_pktinfo` source, interface.
    let (level, kind, at, data) = match ip {
        IpAddr::V4(_) => (libc::SOL_IP, libc::IP_PKTINFO, 4, size_of::<libc::in_pktinfo>()),
        IpAddr::V6(_) => (libc::SOL_IPV6, libc::IPV6_PKTINFO, 0, size_of::<libc::in6_pktinfo>()),
    };
    let length = head.saturating_add(data);
    fill(&mut raw, mem::offset_of!(libc::cmsghdr, cmsg_len), &length.to_ne_bytes());
    fill(&mut raw, mem::offset_of!(libc::cmsghdr, cmsg_level), &level.to_ne_bytes());
    fill(&mut raw, mem::offset_of!(libc::cmsghdr, cmsg_type), &kind.to_ne_bytes());
    match ip {
        IpAddr::V4(v4) => fill(&mut raw, head.saturating_add(at), &v4.octets()),
        IpAddr::V6(v6) => fill(&mut raw, head.saturating_add(at), &v6.octets()),
    }
    (Raw(raw), length.next_multiple_of(size_of::<usize>()))
}

fn fill(raw: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = raw.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len())) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn datagrams_come_as_they_were_sent() {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let (from, to) = (UdpSocket::bind(loopback).unwrap(), UdpSocket::bind(loopback).unwrap());
            from.connect(to.local_addr().unwrap()).unwrap();
            let long = vec![7; 9000];
            let messages: [&[u8]; 3] = [b"one", &long, b""];
            let outgoing = messages.iter().map(|bytes| Outgoing { bytes, to: &[], control: &[] });
            assert_eq!(send(&from, outgoing), Ok(3));
            let mut inbox = Inbox::default();
            assert_eq!(inbox.receive(&to).unwrap(), 3);
            for (at, message) in messages.iter().enumerate() {
                assert_eq!(inbox.bytes(at), Some(*message));
                assert_eq!(socket_address(&inbox.senders.get(at).unwrap().0), from.local_addr().ok());
            }
            assert_eq!(inbox.receive(&to).unwrap(), 0);
            assert_eq!(inbox.bytes(0), None, "nothing is left of those before");
        }
    }
}
