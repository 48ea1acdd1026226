//! Clients at the door: who is let in, who is not, and what is bounded.

#![expect(clippy::expect_used, reason = "tests state plainly what they expect")]

use ciliate_certificates::{Authority, Folder};
use ciliate_transport::{
    Address, ClientFiles, ClientTls, Connection, HTTP2, Incoming, Limits, Listener, Secrecy, ServerFiles,
    ServerTls, Trust, accept, connect,
};
use std::{fs, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_stream::StreamExt as _;

const SOON: Duration = Duration::from_secs(10);

/// A server with its files.
struct Place {
    folder: tempfile::TempDir,
    address: SocketAddr,
    incoming: Incoming,
}

impl Place {
    async fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new().expect("an authority");
        let files = Folder::new(folder.path());
        files.put_authority("ca.pem", &authority).expect("a file");
        files.put_pair("server", "server.test", &authority).expect("files");
        files.put_pair("client", "client.test", &authority).expect("files");
        let (certificate, key) = files.pair("server");
        let client_authorities = vec![files.path("ca.pem")];
        let tls = ServerTls::new(ServerFiles { certificate, key, client_authorities });
        let secrecy = Secrecy::Tls(Arc::new(tls.expect("right files")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a port");
        let incoming = accept([Listener::Tcp(listener, secrecy)], limits);
        Self { folder, address, incoming }
    }

    fn files(&self) -> Folder {
        Folder::new(self.folder.path())
    }

    async fn next(&mut self) -> Connection {
        let next = timeout(SOON, self.incoming.next()).await.expect("a client in time");
        next.expect("a client").expect("a client")
    }

    /// Whether a client gets an answer.
    async fn serves(&mut self, tls: &Arc<ClientTls>, name: &str) -> bool {
        let address = Address::from(self.address);
        let client = async {
            let mut stream = connect(&address, Some((tls, name))).await.ok()?;
            stream.write_all(b"hello").await.ok()?;
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).await.ok().map(|_| answer)
        };
        let server = async {
            let mut connection = self.next().await;
            let mut said = [0; 5];
            connection.read_exact(&mut said).await.expect("a word");
            connection.write_all(&said).await.expect("a client");
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = client => answer == Some(*b"hello"),
            () = server => false,
        }
    }
}

/// Of a client that shows this pair.
fn tls(files: &Folder, pair: Option<&str>) -> Arc<ClientTls> {
    let identity = pair.map(|pair| files.pair(pair));
    let files = ClientFiles { identity, trust: Trust::Authorities(vec![files.path("ca.pem")]) };
    Arc::new(ClientTls::new(files, &[HTTP2]).expect("right files"))
}

#[tokio::test]
async fn who_has_the_right_certificate_is_let_in_until_it_is_replaced() {
    let mut place = Place::new(Limits::default()).await;
    let files = place.files();
    let client = tls(&files, Some("client"));
    assert!(place.serves(&client, "server.test").await);
    assert!(!place.serves(&client, "other.test").await, "the name is another");
    assert!(!place.serves(&tls(&files, None), "server.test").await, "it shows nothing");

    let other = Authority::new().expect("an authority");
    files.put_pair("stranger", "client.test", &other).expect("files");
    let stranger = tls(&files, Some("stranger"));
    assert!(!place.serves(&stranger, "server.test").await, "another authority signed it");

    // Everything is replaced while the server runs; the client's value is made from the same files.
    files.put_authority("ca.pem", &other).expect("a file");
    files.put_pair("server", "server.test", &other).expect("files");
    assert!(place.serves(&stranger, "server.test").await, "its authority is believed now");
    assert!(!place.serves(&client, "server.test").await, "its authority is believed no more");
    files.put_pair("client", "client.test", &other).expect("files");
    assert!(place.serves(&client, "server.test").await, "it has a new certificate");
    // Half of a change: the server goes on with what it has.
    fs::write(files.path("server.key"), "nonsense").expect("a file");
    assert!(place.serves(&client, "server.test").await);
}

#[tokio::test]
async fn half_open_handshakes_end_and_keep_nobody_out() {
    let limits = Limits { handshakes: 3, patience: Duration::from_millis(300), ..Limits::default() };
    let mut place = Place::new(limits).await;
    let address = place.address;
    let silent = || async move { TcpStream::connect(address).await.expect("a connection") };
    let mut oldest = silent().await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(silent().await);
    }
    // It is told to go as soon as there is no more room, and the others when their time is over.
    let ended = |stream: TcpStream| async move {
        let mut stream = stream;
        !matches!(timeout(SOON, stream.read(&mut [0; 1])).await, Ok(Ok(1..)) | Err(_))
    };
    assert_eq!(timeout(SOON, oldest.read(&mut [0; 1])).await.expect("an end").unwrap_or(0), 0);
    let client = tls(&place.files(), Some("client"));
    assert!(place.serves(&client, "server.test").await);
    for other in others {
        assert!(ended(other).await);
    }
}

#[tokio::test]
async fn clients_beyond_the_most_are_turned_away_and_silent_ones_leave() {
    let limits = Limits { clients: 1, patience: Duration::from_millis(500), ..Limits::default() };
    let mut place = Place::new(limits).await;
    let client = tls(&place.files(), Some("client"));
    let address = Address::from(place.address);
    let dial = || connect(&address, Some((&client, "server.test")));
    let _first = dial().await.expect("a connection");
    let mut served = place.next().await;
    // With TLS 1.3 a client learns from its first read that it is not wanted.
    let mut second = dial().await.expect("a handshake");
    assert!(!matches!(timeout(SOON, second.read(&mut [0; 1])).await, Ok(Ok(1..)) | Err(_)));
    // The first is let in and never says what HTTP/2 begins with.
    let error = timeout(SOON, served.read(&mut [0; 1])).await.expect("an end").expect_err("too late");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    drop(served);
    let _third = dial().await.expect("a connection");
    place.next().await;
}
