//! What the kernel knows of a connection.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

nix::ioctl_read_bad!(outq, libc::TIOCOUTQ, libc::c_int);

/// Bytes that were written to a TCP socket and that its peer has not acknowledged (tcp(7), SIOCOUTQ).
///
/// # Errors
/// As of `ioctl`.
pub fn unacknowledged(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes = 0;
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel writes one int to where `bytes` is.
    unsafe { outq(socket.as_raw_fd(), &raw mut bytes) }?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        os::fd::AsFd as _,
    };

    #[test]
    fn what_the_peer_has_is_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        stream.write_all(b"hello").unwrap();
        peer.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(unacknowledged(stream.as_fd()).unwrap(), 0);
        // Nobody reads, so that the window closes.
        stream.set_nonblocking(true).unwrap();
        while stream.write(&[0; 65536]).is_ok() {}
        assert!(unacknowledged(stream.as_fd()).unwrap() > 0);
    }
}
