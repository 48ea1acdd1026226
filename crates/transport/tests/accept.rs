//! Clients at the door: who is let in, who is not, and what is bounded.

#![expect(clippy::expect_used, reason = "tests state plainly what they expect")]

use ciliate_transport::{
    Address, ClientFiles, ClientTls, Connection, HTTP2, Incoming, Limits, Listener, Secrecy, ServerFiles,
    ServerTls, Trust, accept, connect,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_stream::StreamExt as _;

const SOON: Duration = Duration::from_secs(10);

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }
}

/// A server with its files.
struct Place {
    folder: tempfile::TempDir,
    address: SocketAddr,
    incoming: Incoming,
}

impl Place {
    async fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        let place = Files(folder.path().to_owned());
        place.write_authority("ca.pem", &authority);
        place.write_pair("server", "server.test", &authority);
        place.write_pair("client", "client.test", &authority);
        let tls = ServerTls::new(ServerFiles {
            certificate: place.path("server.pem"),
            key: place.path("server.key"),
            client_authorities: vec![place.path("ca.pem")],
        });
        let secrecy = Secrecy::Tls(Arc::new(tls.expect("right files")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a port");
        let incoming = accept([Listener::Tcp(listener, secrecy)], limits);
        Self { folder, address, incoming }
    }

    fn files(&self) -> Files {
        Files(self.folder.path().to_owned())
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

struct Files(PathBuf);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write_authority(&self, name: &str, authority: &Authority) {
        fs::write(self.path(name), authority.0.pem()).expect("a file");
    }

    fn write_pair(&self, file: &str, name: &str, authority: &Authority) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &authority.0).expect("a certificate");
        fs::write(self.path(&format!("{file}.pem")), certificate.pem()).expect("a file");
        fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).expect("a file");
    }

    fn client(&self, pair: Option<&str>) -> Arc<ClientTls> {
        let identity =
            pair.map(|pair| (self.path(&format!("{pair}.pem")), self.path(&format!("{pair}.key"))));
        let files = ClientFiles { identity, trust: Trust::Authorities(vec![self.path("ca.pem")]) };
        Arc::new(ClientTls::new(files, &[HTTP2]).expect("right files"))
    }
}

#[tokio::test]
async fn who_has_the_right_certificate_is_let_in_until_it_is_replaced() {
    let mut place = Place::new(Limits::default()).await;
    let files = place.files();
    let client = files.client(Some("client"));
    assert!(place.serves(&client, "server.test").await);
    assert!(!place.serves(&client, "other.test").await, "the name is another");
    assert!(!place.serves(&files.client(None), "server.test").await, "it shows nothing");

    let other = Authority::new();
    files.write_pair("stranger", "client.test", &other);
    let stranger = files.client(Some("stranger"));
    assert!(!place.serves(&stranger, "server.test").await, "another authority signed it");

    // Everything is replaced while the server runs; the client's value is made from the same files.
    files.write_authority("ca.pem", &other);
    files.write_pair("server", "server.test", &other);
    assert!(place.serves(&stranger, "server.test").await, "its authority is believed now");
    assert!(!place.serves(&client, "server.test").await, "its authority is believed no more");
    files.write_pair("client", "client.test", &other);
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
    let client = place.files().client(Some("client"));
    assert!(place.serves(&client, "server.test").await);
    for other in others {
        assert!(ended(other).await);
    }
}

#[tokio::test]
async fn clients_beyond_the_most_are_turned_away_and_silent_ones_leave() {
    let limits = Limits { clients: 1, patience: Duration::from_millis(500), ..Limits::default() };
    let mut place = Place::new(limits).await;
    let client = place.files().client(Some("client"));
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
