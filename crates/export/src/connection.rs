//! Connections to receivers, with TLS or without.

use crate::fault::Fault;
use ciliate_transport::{ClientFiles, ClientTls, HostPort, ServerName};
use nix::sys::socket::{setsockopt, sockopt};
use std::{
    io,
    os::fd::AsFd as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time,
};
use tokio_rustls::client::TlsStream;

/// How long a receiver may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long bytes may wait for a receiver that takes none.
const WRITE: Duration = Duration::from_secs(30);
/// How long bytes may stay unacknowledged, in milliseconds: the kernel ends the connection then (tcp(7), TCP_USER_TIMEOUT).
const UNACKNOWLEDGED: u32 = 10_000;

/// Whom to believe, and who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    pub files: ClientFiles,
    /// Name that the receiver's certificate must have; none for its host.
    pub server_name: Option<String>,
}

/// How to get a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub address: HostPort,
    pub tls: Option<Tls>,
}

pub struct Connection {
    stream: Stream,
    to: HostPort,
    /// Bytes that were written, before encryption.
    written: u64,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Route {
    /// Files of TLS are read each time, so that new certificates count from the next connection on.
    pub async fn connect(&self, protocols: &'static [&'static [u8]]) -> Result<Connection, Fault> {
        let fault = |error| Fault::Connect { to: self.address.clone(), error };
        let connecting = async {
            let plain = TcpStream::connect(self.address.target()).await.map_err(fault)?;
            prepare(&plain).map_err(fault)?;
            let stream = match &self.tls {
                None => Stream::Plain(plain),
                Some(tls) => {
                    let (tls, name) = tls.client(&self.address, protocols)?;
                    let stream = tls.connector().connect(name, plain).await.map_err(fault)?;
                    Stream::Tls(Box::new(stream))
                }
            };
            Ok(Connection { stream, to: self.address.clone(), written: 0 })
        };
        time::timeout(CONNECT, connecting)
            .await
            .unwrap_or_else(|_| Err(fault(io::ErrorKind::TimedOut.into())))
    }
}

/// The receiver may vanish without a word.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let fd = stream.as_fd();
    setsockopt(&fd, sockopt::TcpUserTimeout, &UNACKNOWLEDGED)?;
    setsockopt(&fd, sockopt::KeepAlive, &true)?;
    setsockopt(&fd, sockopt::TcpKeepIdle, &30)?;
    setsockopt(&fd, sockopt::TcpKeepInterval, &5)?;
    setsockopt(&fd, sockopt::TcpKeepCount, &3)?;
    Ok(())
}

impl Tls {
    /// Reads files.
    fn client(
        &self,
        to: &HostPort,
        protocols: &'static [&'static [u8]],
    ) -> Result<(ClientTls, ServerName<'static>), Fault> {
        let wrong = |what: String| Fault::Tls { to: to.clone(), what };
        let tls = ClientTls::new(self.files.clone(), protocols).map_err(|error| wrong(error.to_string()))?;
        let name = self.server_name.as_deref().unwrap_or(&to.host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| wrong(error.to_string()))?;
        Ok((tls, name))
    }
}

impl Connection {
    /// All of it, or a fault.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let to = self.to.clone();
        let writing = async {
            AsyncWriteExt::write_all(self, bytes).await?;
            AsyncWriteExt::flush(self).await
        };
        let done =
            time::timeout(WRITE, writing).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        done.map_err(|error| Fault::Connection { to, error })?;
        self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
        Ok(())
    }

    /// Waits for the receiver to hang up; what it says otherwise is of no interest.
    pub async fn hung_up(&mut self) -> Fault {
        let to = self.to.clone();
        let mut scrap = [0; 512];
        loop {
            match self.read(&mut scrap).await {
                Ok(0) => return Fault::HungUp(to),
                Ok(_) => {}
                Err(error) => return Fault::Connection { to, error },
            }
        }
    }

    /// With the words that TLS has for it.
    pub async fn close(mut self) {
        // A receiver that does not care has all there is.
        let _ = time::timeout(Duration::from_secs(1), AsyncWriteExt::shutdown(&mut self)).await;
    }

    /// What went wrong with it by now.
    pub async fn check(&mut self) -> Result<(), Fault> {
        match time::timeout(Duration::ZERO, self.hung_up()).await {
            Ok(fault) => Err(fault),
            Err(_) => Ok(()),
        }
    }

    /// Bytes that were written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that the receiver's kernel has not acknowledged; with TLS more, as they are counted encrypted.
    pub fn unacknowledged(&self) -> u64 {
        let stream = match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        };
        // A connection that cannot be asked has nothing that arrives.
        ciliate_net::unacknowledged(stream.as_fd()).unwrap_or(u64::MAX)
    }

    pub fn to(&self) -> &HostPort {
        &self.to
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
