//! Connections to nodes.

use crate::peer::Peer;
use ciliate_transport::{Address, ClientTls, Dialed, HostPort, connect};
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};

/// Room that one stream has for what nobody has taken yet, in bytes: a client that does not read holds up so much of each node.
const STREAM_WINDOW: u32 = 64 << 10;
/// Of all streams together, so that those who do not read hold up nobody else.
const CONNECTION_WINDOW: u32 = 64 << 20;

/// What nodes are told over TCP.
#[derive(Clone)]
pub enum Encryption {
    Tls(Arc<ClientTls>),
    /// No certificates are there: nodes of this machine alone can be asked.
    Missing,
    /// Plain text is wanted.
    Off,
}

/// How nodes are connected to.
#[derive(Clone)]
pub struct Dialer {
    pub encryption: Encryption,
    /// How long a connection may take to come up.
    pub timeout: Duration,
    /// How often a node is asked whether it is there, and how long it may take to say so.
    pub keep_alive: (Duration, Duration),
}

#[derive(Debug, Error)]
pub enum DialError {
    #[error("{address} is asked only over TLS: name certificates, or set --disable-client-tls")]
    Plain { address: Address },
    #[error("cannot connect to {address}: {source}")]
    Connect { address: Address, source: io::Error },
    #[error("{address} does not speak HTTP/2: {source}")]
    Speak { address: Address, source: tonic::transport::Error },
    #[error("{address} did not answer within {} s", after.as_secs_f32())]
    Late { address: Address, after: Duration },
}

/// Ends when the connection does.
pub struct Ended(oneshot::Receiver<()>);

impl Ended {
    pub async fn wait(self) {
        // The sender is never used, only dropped.
        let _ = self.0.await;
    }
}

impl Dialer {
    /// Whether a node is told things by TLS, and under which name.
    pub fn server_name(&self, peer: &Peer) -> Option<String> {
        match (&self.encryption, &peer.address) {
            (Encryption::Missing | Encryption::Off, _) | (_, Address::Socket(_)) => None,
            (Encryption::Tls(_), Address::Tcp(HostPort { host, .. })) => {
                Some(peer.server_name.clone().unwrap_or_else(|| host.clone()))
            }
        }
    }

    /// # Errors
    /// What is in the way.
    pub async fn open(&self, peer: &Peer) -> Result<(Channel, Ended), DialError> {
        let late = |_| DialError::Late { address: peer.address.clone(), after: self.timeout };
        timeout(self.timeout, self.open_unbounded(peer)).await.map_err(late)?
    }

    async fn open_unbounded(&self, peer: &Peer) -> Result<(Channel, Ended), DialError> {
        let address = || peer.address.clone();
        let name = self.server_name(peer);
        let tls = match (&self.encryption, name.as_deref()) {
            (Encryption::Missing, _) if !peer.address.is_local() => {
                return Err(DialError::Plain { address: address() });
            }
            (Encryption::Tls(tls), Some(name)) => Some((tls, name)),
            _ => None,
        };
        let stream = connect(&peer.address, tls)
            .await
            .map_err(|source| DialError::Connect { address: address(), source })?;
        let (open, ended) = oneshot::channel();
        let mut only = Some(TokioIo::new(Watched { stream, _open: open }));
        // A channel connects again by itself; here that is done by who tells of it.
        let connector = tower::service_fn(move |_| {
            let next = only.take().ok_or_else(|| io::Error::other("the connection has ended"));
            async move { next }
        });
        let (interval, patience) = self.keep_alive;
        let channel = Endpoint::from_static("http://hubble.local")
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(interval)
            .keep_alive_timeout(patience)
            .keep_alive_while_idle(true)
            .connect_with_connector(connector)
            .await
            .map_err(|source| DialError::Speak { address: address(), source })?;
        Ok((channel, Ended(ended)))
    }
}

/// Tells by its end that a connection has ended.
struct Watched {
    stream: Dialed,
    _open: oneshot::Sender<()>,
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
