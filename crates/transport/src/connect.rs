//! A connection to a server.

use crate::{Address, ClientTls};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    task,
};
use tokio_rustls::{client::TlsStream, rustls::pki_types::ServerName};

/// What carries a question to a server.
pub enum Dialed {
    Socket(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects; over TCP with TLS if it is given, where the server's certificate must have the name.
///
/// # Errors
/// Of the socket or of TLS, which says what is wrong with the certificate.
pub async fn connect(address: &Address, tls: Option<(&Arc<ClientTls>, &str)>) -> io::Result<Dialed> {
    let target = match address {
        Address::Socket(path) => return UnixStream::connect(path).await.map(Dialed::Socket),
        Address::Tcp(address) => address.target(),
    };
    let Some((tls, name)) = tls else {
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        return Ok(Dialed::Tcp(stream));
    };
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| io::Error::other(format!("{name:?} is no name that a certificate can have")))?;
    let tls = Arc::clone(tls);
    let connector = task::spawn_blocking(move || tls.connector()).await.map_err(io::Error::other)?;
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(Dialed::Tls(Box::new(connector.connect(name, stream).await?)))
}

impl AsyncRead for Dialed {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Dialed {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_flush(context),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
