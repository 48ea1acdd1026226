//! Sockets that speak in the name of others.

use ciliate_abi::mark;
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, accept4, bind, connect, getsockname,
        listen, setsockopt, socket, sockopt,
    },
};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// Connections that wait to be accepted, at one listener.
const BACKLOG: i32 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    fn number(self) -> AddressFamily {
        match self {
            Self::V4 => AddressFamily::Inet,
            Self::V6 => AddressFamily::Inet6,
        }
    }

    pub fn of(address: &SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub fn any(self, port: u16) -> SocketAddr {
        match self {
            Self::V4 => (Ipv4Addr::UNSPECIFIED, port).into(),
            Self::V6 => (Ipv6Addr::UNSPECIFIED, port).into(),
        }
    }
}

/// A socket that may have any address; what it sends is marked.
pub fn transparent(family: Family, kind: SockType, marked: u32) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family.number(), kind, flags, None)?;
    // One flag of the socket serves both families.
    setsockopt(&fd, sockopt::IpTransparent, &true)?;
    setsockopt(&fd, sockopt::Mark, &marked)?;
    if family == Family::V6 {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    Ok(fd)
}

/// Listens for redirected connections, beside other workers on the same port. Port 0 takes a free one.
pub fn listener(family: Family, port: u16) -> io::Result<OwnedFd> {
    let fd = transparent(family, SockType::Stream, mark::BACK)?;
    setsockopt(&fd, sockopt::ReusePort, &true)?;
    setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(family.any(port)))?;
    listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok(fd)
}

/// The next connection, its client and where the client wanted to go; none if nobody waits.
pub fn accept(listener: impl AsFd) -> io::Result<Option<(OwnedFd, SocketAddr, SocketAddr)>> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = match accept4(listener.as_fd().as_raw_fd(), flags) {
        Ok(fd) => owned(fd),
        Err(Errno::EAGAIN) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let client = address(nix::sys::socket::getpeername(fd.as_raw_fd()))?;
    let wanted = local(&fd)?;
    Ok(Some((fd, client, wanted)))
}

#[expect(unsafe_code, reason = "accept4 returns a number")]
fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel just made it for us and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

pub fn local(fd: impl AsFd) -> io::Result<SocketAddr> {
    address(getsockname(fd.as_fd().as_raw_fd()))
}

fn address(found: nix::Result<SockaddrStorage>) -> io::Result<SocketAddr> {
    plain(&found?).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// The address in the standard library's form, if it is of the internet.
pub fn plain(found: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = found.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| found.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

/// A socket with the client's address and a port of its own, not connected yet.
pub fn in_the_name_of(client: SocketAddr) -> io::Result<OwnedFd> {
    let fd = transparent(Family::of(&client), SockType::Stream, mark::FORWARD)?;
    setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(client.ip(), 0)))?;
    Ok(fd)
}

/// Begins to connect; becoming writable tells the outcome.
pub fn begin_connect(fd: impl AsFd, to: SocketAddr) -> io::Result<()> {
    match connect(fd.as_fd().as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What became of connecting.
pub fn outcome(fd: impl AsFd) -> io::Result<()> {
    match nix::sys::socket::getsockopt(&fd, sockopt::SocketError)? {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// From now on closing the socket resets the connection. So does the end of the process.
pub fn cut_on_close(fd: impl AsFd, cut: Cut) -> io::Result<()> {
    let linger = nix::libc::linger { l_onoff: i32::from(cut == Cut::Yes), l_linger: 0 };
    Ok(setsockopt(&fd, sockopt::Linger, &linger)?)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Yes,
    No,
}
