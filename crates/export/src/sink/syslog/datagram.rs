//! Messages by UDP: nobody says what arrives, but a closed port is answered (ICMP, port unreachable).

use crate::fault::Fault;
use ciliate_transport::HostPort;
use std::{io, time::Duration};
use tokio::{
    net::{UdpSocket, lookup_host},
    time,
};

/// How long the answer of a closed port is waited for, before more than one message is sent.
const DOUBT: Duration = Duration::from_millis(100);
/// Messages that are sent at once, and the rest after them: a receiver's socket has room for about a hundred.
const BURST: usize = 32;
const REST: Duration = Duration::from_millis(5);

pub struct Datagrams {
    to: HostPort,
    socket: Option<UdpSocket>,
    /// It is not known whether anybody listens.
    doubt: bool,
}

impl Datagrams {
    pub fn new(to: HostPort) -> Self {
        Self { to, socket: None, doubt: true }
    }

    /// One for each end.
    pub async fn send(&mut self, bytes: &[u8], ends: &[usize]) -> Result<(), Fault> {
        let sent = self.send_all(bytes, ends).await;
        sent.map_err(|error| self.broke(error))
    }

    async fn send_all(&mut self, bytes: &[u8], ends: &[usize]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open(&self.to).await?,
        };
        let socket = self.socket.insert(socket);
        let mut begin = 0;
        for (number, end) in ends.iter().enumerate() {
            socket.send(bytes.get(begin..*end).unwrap_or_default()).await?;
            begin = *end;
            if self.doubt {
                if let Ok(error) = time::timeout(DOUBT, heard(socket)).await {
                    return Err(error);
                }
                self.doubt = false;
            }
            if number % BURST == BURST.saturating_sub(1) {
                time::sleep(REST).await;
            }
        }
        Ok(())
    }

    /// Waits until it is said that nobody listens.
    pub async fn refused(&mut self) -> Fault {
        let error = match &self.socket {
            Some(socket) => heard(socket).await,
            None => std::future::pending().await,
        };
        self.broke(error)
    }

    fn broke(&mut self, error: io::Error) -> Fault {
        self.socket = None;
        self.doubt = true;
        Fault::Datagram { to: self.to.clone(), error }
    }
}

/// A name is looked up each time.
async fn open(to: &HostPort) -> io::Result<UdpSocket> {
    let target = lookup_host(to.target()).await?.next();
    let target = target.ok_or_else(|| io::Error::other("the name has no address"))?;
    let any = match target {
        std::net::SocketAddr::V4(_) => "0.0.0.0:0",
        std::net::SocketAddr::V6(_) => "[::]:0",
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(target).await?;
    Ok(socket)
}

/// An error; what is sent back otherwise is of no interest.
async fn heard(socket: &UdpSocket) -> io::Error {
    let mut scrap = [0; 64];
    loop {
        if let Err(error) = socket.recv(&mut scrap).await {
            return error;
        }
    }
}
