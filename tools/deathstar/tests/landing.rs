//! The server and the client as processes, over real sockets.
#![expect(clippy::expect_used, reason = "what fails here fails the test")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

struct Station {
    process: Child,
    port: u16,
}

impl Station {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_deathstar"))
            .args(["serve", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok()).expect(&line);
        Self { process, port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        stream
    }

    /// Sends bytes, closes the sending side, and reads all that comes.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("half closed");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn request(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_deathstar"))
        .arg("request")
        .args(arguments)
        .output()
        .expect("the client runs")
}

#[test]
fn ships_land_and_the_port_explodes_over_both_families() {
    let station = Station::start();
    for host in ["127.0.0.1", "[::1]"] {
        let base = format!("http://{host}:{}", station.port);
        let landed = request(&["POST", &format!("{base}/v1/request-landing")]);
        assert_eq!(String::from_utf8_lossy(&landed.stdout), "Ship landed\n");
        assert_eq!(landed.status.code(), Some(0));
        let exploded = request(&["PUT", &format!("{base}/v1/exhaust-port")]);
        assert!(String::from_utf8_lossy(&exploded.stdout).starts_with("Panic: deathstar exploded\n"));
        assert_eq!(exploded.status.code(), Some(22));
    }
}

#[test]
fn a_connection_carries_many_requests_and_ends_when_asked() {
    let station = Station::start();
    let answer = station.raw(
        b"POST /v1/request-landing HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\n\r\nshipHEAD /v1/ HTTP/1.1\r\nHost: d\r\n\r\n\
          GET /v1/request-landing HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\nPOST /v1/request-landing HTTP/1.1\r\n\r\n",
    );
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 3, "{answer}");
    assert_eq!(answer.matches("Ship landed").count(), 1, "{answer}");
    assert!(!answer.contains("battle station"), "HEAD has no body: {answer}");
    assert!(answer.contains("405 Method Not Allowed") && answer.contains("Allow: POST"), "{answer}");
}

#[test]
fn bad_requests_are_answered_and_leave_the_server_alive() {
    let station = Station::start();
    for (bytes, status) in [
        (b"nonsense\r\n\r\n".to_vec(), "400"),
        (b"GET /v1/ HTTP/3.0\r\n\r\n".to_vec(), "400"),
        (b"GET /v1/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), "400"),
        (b"GET /v1/ HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n".to_vec(), "413"),
        ([b"GET /".as_slice(), &[b'a'; 8200], b" HTTP/1.1\r\n\r\n"].concat(), "413"),
        (vec![0xff, 0xfe, b'\n'], "400"),
    ] {
        let answer = station.raw(&bytes);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{bytes:?}: {answer}");
    }
    assert!(station.raw(b"GET /v1/ HTTP/1.0\r\n\r\n").contains("battle station"));
}

#[test]
fn the_client_tells_refused_from_silent_from_unknown() {
    let closed =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
    let refused = request(&["GET", &format!("http://{closed}/")]);
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");

    let silent = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = silent.local_addr().expect("an address");
    let start = Instant::now();
    let late = request(&["GET", &format!("http://{address}/"), "--timeout", "0.3"]);
    assert_eq!(late.status.code(), Some(28), "{late:?}");
    assert!(start.elapsed() >= Duration::from_millis(300));

    let unknown = request(&["GET", "http://no-such-host.invalid/", "--timeout", "5"]);
    assert_eq!(unknown.status.code(), Some(6), "{unknown:?}");
}
