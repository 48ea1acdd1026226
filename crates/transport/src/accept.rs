//! Clients that connect: how many at once, and how long they may take until they are understood.

use crate::{Connection, ServerTls, refusals::Refusals};
use socket2::SockRef;
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    sync::{Semaphore, mpsc},
    task::{self, AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_stream::Stream;

/// Connections that wait for the server to take them.
const QUEUE: usize = 16;
/// After a failure of the listener itself, mostly too many open files.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes that the kernel takes for a client beyond those that are on their way to it: one that does not read has no more here.
const UNSENT: u32 = 64 << 10;

/// Where clients come from.
pub enum Listener {
    Socket(UnixListener),
    Tcp(TcpListener, Secrecy),
}

/// Whether what is said can be read on the way.
#[derive(Clone)]
pub enum Secrecy {
    Plain,
    Tls(Arc<ServerTls>),
}

/// Of all listeners on TCP together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clients that are connected at once; those beyond are turned away.
    pub clients: usize,
    /// TLS handshakes that are under way at once; one more ends the one that has taken longest.
    pub handshakes: usize,
    /// How long a handshake may take, and then the first words of HTTP/2.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clients: 256, handshakes: 64, patience: Duration::from_secs(10) }
    }
}

/// The clients that were let in, as a stream for a server. Dropping it closes the listeners.
pub struct Incoming {
    connections: mpsc::Receiver<Connection>,
    _acceptors: JoinSet<()>,
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().connections.poll_recv(context).map(|next| next.map(Ok))
    }
}

/// Begins to let clients in. Needs a tokio runtime around it.
#[must_use]
pub fn accept(listeners: impl IntoIterator<Item = Listener>, limits: Limits) -> Incoming {
    let (out, connections) = mpsc::channel(QUEUE);
    let door = Door { out, places: Arc::new(Semaphore::new(limits.clients)), limits };
    let mut acceptors = JoinSet::new();
    for listener in listeners {
        let door = door.clone();
        acceptors.spawn(async move {
            match listener {
                Listener::Socket(listener) => door.sockets(listener).await,
                Listener::Tcp(listener, secrecy) => door.tcp(listener, secrecy).await,
            }
        });
    }
    Incoming { connections, _acceptors: acceptors }
}

#[derive(Clone)]
struct Door {
    out: mpsc::Sender<Connection>,
    places: Arc<Semaphore>,
    limits: Limits,
}

impl Door {
    async fn sockets(self, listener: UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    if self.out.send(Connection::socket(stream)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept clients");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn tcp(self, listener: TcpListener, secrecy: Secrecy) {
        let mut handshakes = Handshakes::default();
        let mut refusals = Refusals::new("a client was turned away");
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(done) = handshakes.tasks.join_next() => {
                    if let Ok(Err(refusal)) = done {
                        refusals.note(refusal.from, &refusal.why);
                    }
                    continue;
                }
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept clients");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            // A failure shows when it is read.
            let _ = stream.set_nodelay(true);
            let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
            match &secrecy {
                Secrecy::Plain => match self.let_in(from, stream).await {
                    Ok(()) => {}
                    Err(refusal) => refusals.note(refusal.from, &refusal.why),
                },
                Secrecy::Tls(tls) => {
                    if let Some(oldest) = handshakes.make_room(self.limits.handshakes) {
                        refusals.note(oldest.from, &oldest.why);
                    }
                    let (door, tls) = (self.clone(), Arc::clone(tls));
                    handshakes.start(from, async move { door.shake_hands(&tls, from, stream).await });
                }
            }
            if self.out.is_closed() {
                return;
            }
        }
    }

    async fn let_in(&self, from: SocketAddr, stream: TcpStream) -> Result<(), Refusal> {
        let place = self.place(from)?;
        self.pass_on(Connection::tcp(stream, from, self.limits.patience, place)).await;
        Ok(())
    }

    async fn shake_hands(
        &self,
        tls: &Arc<ServerTls>,
        from: SocketAddr,
        stream: TcpStream,
    ) -> Result<(), Refusal> {
        let refusal = |why: String| Refusal { from, why };
        let tls = Arc::clone(tls);
        let acceptor = task::spawn_blocking(move || tls.acceptor());
        let acceptor = acceptor.await.map_err(|error| refusal(error.to_string()))?;
        let stream = match timeout(self.limits.patience, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(refusal(format!("the TLS handshake failed: {error}"))),
            Err(_) => {
                let seconds = self.limits.patience.as_secs();
                return Err(refusal(format!("the TLS handshake took more than {seconds} s")));
            }
        };
        // Only who has the right takes a place.
        let place = self.place(from)?;
        self.pass_on(Connection::tls(stream, from, self.limits.patience, place)).await;
        Ok(())
    }

    fn place(&self, from: SocketAddr) -> Result<tokio::sync::OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal {
            from,
            why: format!("{} clients are connected, which is the most", self.limits.clients),
        })
    }

    async fn pass_on(&self, connection: Connection) {
        // Fails when the server ends.
        let _ = self.out.send(connection).await;
    }
}

/// Those that are under way, the oldest first.
#[derive(Default)]
struct Handshakes {
    tasks: JoinSet<Result<(), Refusal>>,
    open: VecDeque<(SocketAddr, AbortHandle)>,
}

impl Handshakes {
    fn start(
        &mut self,
        from: SocketAddr,
        handshake: impl Future<Output = Result<(), Refusal>> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(handshake);
        self.open.push_back((from, handle));
    }

    /// Ends the oldest if there are as many as there may be: who means it is done in milliseconds.
    fn make_room(&mut self, most: usize) -> Option<Refusal> {
        self.open.retain(|(_, handle)| !handle.is_finished());
        if self.open.len() < most {
            return None;
        }
        let (from, handle) = self.open.pop_front()?;
        handle.abort();
        Some(Refusal { from, why: format!("{most} TLS handshakes are under way and this is the oldest") })
    }
}

/// Who was not let in.
struct Refusal {
    from: SocketAddr,
    why: String,
}
