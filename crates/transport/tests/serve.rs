//! Clients that were let in and then say nothing more: they are dropped, and the log names them.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests state plainly what they expect")]

use ciliate_transport::{Bounds, Limits, Listener, Secrecy, accept, serve};
use std::{
    future,
    io::{self, Write},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::timeout,
};
use tonic::service::Routes;

const SOON: Duration = Duration::from_secs(10);
/// What every client of HTTP/2 begins with, and settings without any (RFC 9113, 3.4 and 6.5).
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What the log says.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).expect("text");
        text.lines().map(str::to_owned).collect()
    }
}

/// A server that asks soon and does not wait long, its log and where it listens.
fn server(listener: Listener) -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let limits = Limits { patience: Duration::from_millis(300), ..Limits::default() };
    let moment = Duration::from_millis(200);
    let bounds = Bounds { interval: moment, patience: moment, ..Bounds::default() };
    tokio::spawn(serve(Routes::default(), accept([listener], limits), bounds, future::pending()));
    (log, guard)
}

async fn tcp() -> (Listener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("a port");
    (Listener::Tcp(listener, Secrecy::Plain), address)
}

/// Reads what the server says until it hangs up.
async fn end(mut stream: impl tokio::io::AsyncRead + Unpin) {
    let mut said = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut said)).await.expect("it hangs up");
}

#[tokio::test]
async fn who_does_not_answer_is_dropped_and_named() {
    let (listener, address) = tcp().await;
    let (log, _guard) = server(listener);
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(HELLO).await.expect("a server");
    let client = stream.local_addr().expect("connected");
    end(stream).await;
    let lines = log.lines();
    let expected = format!("from={client} count=1");
    assert!(
        lines.len() == 1
            && lines[0].contains("a client was dropped: it did not answer")
            && lines[0].contains(&expected),
        "{lines:?}"
    );
}

#[tokio::test]
async fn who_does_not_begin_is_dropped_and_named() {
    let (listener, address) = tcp().await;
    let (log, _guard) = server(listener);
    let clients = [TcpStream::connect(address).await, TcpStream::connect(address).await];
    let [first, second] = clients.map(|client| client.expect("a connection"));
    let mut names = [&first, &second].map(|client| client.local_addr().expect("connected").to_string());
    end(first).await;
    end(second).await;
    names.sort();
    let lines = log.lines();
    assert!(
        lines.len() == 1 && lines[0].contains("has not begun to speak HTTP/2 in time"),
        "of many of a kind one is named: {lines:?}"
    );
    assert!(names.iter().any(|name| lines[0].contains(name.as_str())), "{names:?} {lines:?}");
}

#[tokio::test]
async fn who_comes_by_the_socket_is_named_by_its_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let (log, _guard) = server(Listener::Socket(UnixListener::bind(&path).expect("a socket")));
    let mut stream = UnixStream::connect(&path).await.expect("a connection");
    stream.write_all(HELLO).await.expect("a server");
    end(stream).await;
    let lines = log.lines();
    let expected = format!("from=process {} count=1", std::process::id());
    assert!(lines.len() == 1 && lines[0].contains(&expected), "{lines:?}");
}
