//! One connection of a client, whatever carries it.

use std::{
    fmt,
    future::Future as _,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};
use tokio_rustls::server::TlsStream;

/// Bytes with which every client of HTTP/2 begins (RFC 9113, 3.4).
const PREFACE: usize = 24;

/// Bytes of plain text that wait to be encrypted and sent: a record, so that little is kept for a client that does not read.
const UNENCRYPTED: usize = 16 << 10;

/// A client that was let in.
pub struct Connection {
    carrier: Carrier,
    client: Client,
    greeting: Greeting,
    /// Its place among those that may be there at once.
    _place: Option<OwnedSemaphorePermit>,
}

/// By which way a client came; a request's extensions have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A socket of this machine, by whoever may open it.
    Socket,
    /// TCP, with TLS or without, also of this machine.
    Network,
}

/// Who it is, as the log names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// By a socket of this machine; none where the kernel does not say, or from another namespace of processes.
    Process(Option<i32>),
    Address(SocketAddr),
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(Some(pid)) => write!(f, "process {pid}"),
            Self::Process(None) => f.write_str("the socket"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

enum Carrier {
    Socket(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Who says nothing keeps its place only so long.
enum Greeting {
    Awaited { until: Pin<Box<Sleep>>, read: usize },
    Said,
}

impl Connection {
    /// Over a socket of this machine; whoever may open it has no bounds.
    #[must_use]
    pub fn socket(stream: UnixStream) -> Self {
        let pid = stream.peer_cred().ok().and_then(|credentials| credentials.pid()).filter(|pid| *pid != 0);
        let client = Client::Process(pid);
        Self { carrier: Carrier::Socket(stream), client, greeting: Greeting::Said, _place: None }
    }

    pub(crate) fn tcp(
        stream: TcpStream,
        from: SocketAddr,
        patience: Duration,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self::network(Carrier::Tcp(stream), from, patience, place)
    }

    pub(crate) fn tls(
        mut stream: TlsStream<TcpStream>,
        from: SocketAddr,
        patience: Duration,
        place: OwnedSemaphorePermit,
    ) -> Self {
        stream.get_mut().1.set_buffer_limit(Some(UNENCRYPTED));
        Self::network(Carrier::Tls(Box::new(stream)), from, patience, place)
    }

    fn network(carrier: Carrier, from: SocketAddr, patience: Duration, place: OwnedSemaphorePermit) -> Self {
        let client = Client::Address(from);
        Self { carrier, client, greeting: Greeting::within(patience), _place: Some(place) }
    }

    /// Who it is.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client
    }

    /// By which way it came.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self.carrier {
            Carrier::Socket(_) => Origin::Socket,
            Carrier::Tcp(_) | Carrier::Tls(_) => Origin::Network,
        }
    }
}

impl Greeting {
    fn within(patience: Duration) -> Self {
        Self::Awaited { until: Box::pin(sleep(patience)), read: 0 }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { carrier, greeting, .. } = self.get_mut();
        let before = buffer.filled().len();
        let polled = match carrier {
            Carrier::Socket(stream) => Pin::new(stream).poll_read(context, buffer),
            Carrier::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Carrier::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if let Greeting::Awaited { until, read } = greeting {
            *read = read.saturating_add(buffer.filled().len().saturating_sub(before));
            if *read >= PREFACE {
                *greeting = Greeting::Said;
            } else if polled.is_pending() && until.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client has not begun to speak HTTP/2 in time",
                )));
            }
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().carrier {
            Carrier::Socket(stream) => Pin::new(stream).poll_write(context, bytes),
            Carrier::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Carrier::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().carrier {
            Carrier::Socket(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Carrier::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Carrier::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.carrier {
            Carrier::Socket(stream) => stream.is_write_vectored(),
            Carrier::Tcp(stream) => stream.is_write_vectored(),
            Carrier::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().carrier {
            Carrier::Socket(stream) => Pin::new(stream).poll_flush(context),
            Carrier::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Carrier::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().carrier {
            Carrier::Socket(stream) => Pin::new(stream).poll_shutdown(context),
            Carrier::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Carrier::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
