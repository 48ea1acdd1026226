//! Clients and servers that are slow, or say nothing: what waits for them in the proxy is bounded, the sender feels it, and the limit that ends it
//! is named.

use crate::{
    stage::{Stage, eventually, inside},
    story::{self, LANDING, RULE1_L7, SURELY, Ship, denied, landed, proxy},
};
use ciliate_net::Netns;
use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// What a connection may be silent for.
const IDLE: Duration = Duration::from_secs(3);
/// Of each kind of slow peers.
const PEERS: usize = 20;
/// What the proxy may keep for one of them: 256 KiB that wait, what was read at once, and room to grow.
const KEPT: usize = 768 << 10;
/// What kernels keep of a connection in sockets and pipes, all together.
const IN_SOCKETS: usize = 48 << 20;
/// Longer than any test.
const ENDLESS: &str = "Content-Length: 1099511627776\r\n\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";

/// Memory of the process that carries connections, bytes.
fn resident(stage: &Stage) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/statm", proxy(stage))).unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn faults(stage: &Stage, name: &str) -> u64 {
    stage.json(&["proxy", "status"])["faults"][name].as_u64().unwrap_or_default()
}

/// What a station has sent, all connections together, and those that it leaves alone.
#[derive(Default)]
struct Station {
    sent: AtomicUsize,
    left_alone: Mutex<Vec<TcpStream>>,
}

/// A ship, and a station that does with each connection what the header X-How says.
fn scene(stage: &Stage) -> (Ship, Arc<Station>) {
    for (name, org) in [("deathstar", "empire"), ("tiefighter", "empire")] {
        let labels = [format!("org={org}"), format!("class={name}")];
        let flags = ["run", "--detach", "--name", name, "-l", &labels[0], "-l", &labels[1], "--"];
        stage.done(&[&flags[..], &["sleep", "infinity"]].concat());
    }
    let netns = stage.json(&["endpoint", "get", "deathstar"])[0]["device"]["netns"].clone();
    let netns = Netns::open(Path::new(netns.as_str().unwrap())).unwrap();
    let listener = netns.run(|| TcpListener::bind(("0.0.0.0", 80)).unwrap()).unwrap();
    let station = Arc::new(Station::default());
    let shared = Arc::clone(&station);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let station = Arc::clone(&shared);
            // A connection may end in any way; what came of it is seen at the other end.
            thread::spawn(move || {
                if let Err(error) = serve(stream, &station) {
                    eprintln!("the station: {error}");
                }
            });
        }
    });
    stage.done(&["apply", "-f", &stage.file("rule1.yaml", RULE1_L7)]);
    (Ship::new(stage, "tiefighter"), station)
}

fn serve(stream: TcpStream, station: &Station) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut how, mut line) = (String::new(), String::new());
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(value) = line.strip_prefix("X-How: ") {
            value.trim().clone_into(&mut how);
        }
    }
    let mut stream = stream;
    match how.as_str() {
        "deaf" => station.left_alone.lock().unwrap().push(stream),
        "idle" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nShip landed\n")?;
            station.left_alone.lock().unwrap().push(stream);
        }
        "fountain" => {
            write!(stream, "HTTP/1.1 200 OK\r\n{ENDLESS}")?;
            pour(&mut stream, &[b'x'; 8192], &station.sent)?;
        }
        "fountain in pieces" => {
            write!(stream, "HTTP/1.1 200 OK\r\n{CHUNKED}")?;
            pour(&mut stream, &chunk(), &station.sent)?;
        }
        "trickle" => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {TRICKLE}\r\n\r\n")?;
            for _ in 0..TRICKLE {
                thread::sleep(PAUSE);
                stream.write_all(b"x")?;
            }
        }
        "late" => {
            // The client's end has to arrive first.
            assert_eq!(reader.read(&mut [0; 16])?, 0);
            thread::sleep(PAUSE);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")?;
        }
        "half" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end")?;
            stream.shutdown(Shutdown::Write)?;
            let _end = reader.read(&mut [0; 16]);
        }
        other => return Err(std::io::Error::other(format!("no such way: {other}"))),
    }
    Ok(())
}

const TRICKLE: usize = 6;
/// Between two bytes of a trickle; all of it takes longer than silence may.
const PAUSE: Duration = Duration::from_millis(700);

/// A small piece of a body, which the proxy has to look at.
fn chunk() -> Vec<u8> {
    [b"1f4\r\n".as_slice(), &[b'x'; 500], b"\r\n"].concat().repeat(16)
}

/// Writes without end, as long as anybody takes it.
fn pour(stream: &mut TcpStream, piece: &[u8], sent: &AtomicUsize) -> std::io::Result<()> {
    loop {
        stream.write_all(piece)?;
        sent.fetch_add(piece.len(), Relaxed);
    }
}

fn ask(ship: &Ship, how: &str, rest: &str) -> TcpStream {
    let mut stream = ship.call().unwrap().0.into_inner();
    let (method, path) = LANDING;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: deathstar\r\nX-How: {how}\r\n{rest}").unwrap();
    stream
}

/// Waits until nothing more is taken, and gives how much was.
fn settled(sent: &AtomicUsize) -> usize {
    let (mut last, mut since) = (sent.load(Relaxed), Instant::now());
    while since.elapsed() < Duration::from_millis(800) {
        thread::sleep(Duration::from_millis(50));
        let now = sent.load(Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        assert!(now < 2 * PEERS * IN_SOCKETS, "somebody takes it all: {now} bytes");
    }
    last
}

/// So many connections more were ended by the limit, and it is named.
fn end_with_the_limit(stage: &Stage, before: u64) {
    let count = u64::try_from(2 * PEERS).unwrap();
    eventually("the limit is named", || faults(stage, "proxy-idle-timeout") == before + count);
}

/// All that there is to read goes, and then comes a reset.
fn are_reset(clients: Vec<TcpStream>) {
    for mut client in clients {
        client.set_read_timeout(Some(SURELY)).unwrap();
        let end = loop {
            match client.read(&mut [0; 65536]) {
                Ok(1..) => {}
                Ok(0) => break None,
                Err(error) => break Some(error.kind()),
            }
        };
        assert_eq!(end, Some(ErrorKind::ConnectionReset));
    }
}

#[test]
fn what_nobody_reads_does_not_fill_the_proxy() {
    inside("slow::what_nobody_reads_does_not_fill_the_proxy", |stage| {
        stage.done(&["up", &format!("--proxy-idle-timeout={}s", IDLE.as_secs())]);
        let (ship, station) = scene(stage);
        let mut before = faults(stage, "proxy-idle-timeout");

        // Servers that read nothing.
        let start = resident(stage);
        let sent = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..2 * PEERS)
            .map(|number| {
                let (rest, piece) =
                    if number < PEERS { (ENDLESS, vec![b'x'; 8192]) } else { (CHUNKED, chunk()) };
                let client = ask(&ship, "deaf", rest);
                let (mut writer, sent) = (client.try_clone().unwrap(), Arc::clone(&sent));
                (thread::spawn(move || pour(&mut writer, &piece, &sent)), client)
            })
            .collect();
        let taken = settled(&sent);
        let grown = resident(stage).saturating_sub(start);
        eprintln!(
            "deaf servers: {} KiB of a client taken, {} KiB kept",
            taken / PEERS / 2048,
            grown / PEERS / 2048
        );
        assert!(grown < 2 * PEERS * KEPT, "{grown} bytes more");
        end_with_the_limit(stage, before);
        for (writer, _client) in writers {
            assert_eq!(writer.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
        }

        // Clients that read nothing.
        before = faults(stage, "proxy-idle-timeout");
        let start = resident(stage);
        let how = |number| if number < PEERS { "fountain" } else { "fountain in pieces" };
        let clients: Vec<_> =
            (0..2 * PEERS).map(|number| ask(&ship, how(number), "Content-Length: 0\r\n\r\n")).collect();
        eventually("the fountains run", || station.sent.load(Relaxed) > 2 * PEERS * 8192);
        let taken = settled(&station.sent);
        let grown = resident(stage).saturating_sub(start);
        eprintln!(
            "deaf clients: {} KiB of a server taken, {} KiB kept",
            taken / PEERS / 2048,
            grown / PEERS / 2048
        );
        assert!(grown < 2 * PEERS * KEPT, "{grown} bytes more");
        end_with_the_limit(stage, before);
        are_reset(clients);
        stage.done(&["down"]);
    });
}

#[test]
fn what_trickles_or_is_half_closed_arrives() {
    inside("slow::what_trickles_or_is_half_closed_arrives", |stage| {
        stage.done(&["up", &format!("--proxy-idle-timeout={}s", IDLE.as_secs())]);
        let (ship, _station) = scene(stage);
        let body = |mut stream: TcpStream, length: usize| {
            stream.set_read_timeout(Some(SURELY)).unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            assert!(head.starts_with(b"HTTP/1.1 200 "));
            let start = Instant::now();
            let mut body = vec![0; length];
            let times: Vec<_> = body
                .chunks_mut(1)
                .map(|byte| {
                    stream.read_exact(byte).unwrap();
                    start.elapsed()
                })
                .collect();
            (stream, String::from_utf8(body).unwrap(), times)
        };

        // A byte at a time, each when it comes.
        let (_open, text, times) = body(ask(&ship, "trickle", "Content-Length: 0\r\n\r\n"), TRICKLE);
        assert_eq!(text, "x".repeat(TRICKLE));
        let (first, last) = (times[0], times[TRICKLE - 1]);
        assert!(last > IDLE && last - first > PAUSE * 4, "nothing was kept back: {times:?}");

        // A client that takes its time with a head, and says that it sends no more.
        let mut slow = ship.call().unwrap().0.into_inner();
        let (method, path) = LANDING;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: d\r\nX-How: late\r\nContent-Length: 0\r\n\r\n");
        for byte in head.as_bytes().chunks(4) {
            slow.write_all(byte).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
        slow.shutdown(Shutdown::Write).unwrap();
        let (mut slow, text, _) = body(slow, 4);
        assert_eq!((text.as_str(), slow.read(&mut [0; 8]).unwrap()), ("late", 0));

        // A server that does.
        let (mut half, text, _) = body(ask(&ship, "half", "Content-Length: 0\r\n\r\n"), 10);
        assert_eq!((text.as_str(), half.read(&mut [0; 8]).unwrap()), ("to the end", 0));
        assert_eq!(faults(stage, "proxy-idle-timeout"), 0);
        stage.done(&["down"]);
    });
}

/// `CILIATE_IDLE` says how many; 2,000 unless told, of which a process needs a file each.
#[test]
fn thousands_of_idle_connections_cost_little_and_are_judged() {
    inside("slow::thousands_of_idle_connections_cost_little_and_are_judged", |stage| {
        let count = std::env::var("CILIATE_IDLE").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
        stage.done(&["up"]);
        let (ship, _station) = scene(stage);
        let land = || {
            let stream = ask(&ship, "idle", "Content-Length: 0\r\n\r\n");
            stream.set_read_timeout(Some(SURELY)).unwrap();
            let mut line = story::Line(BufReader::new(stream));
            (line.hear().unwrap(), line)
        };
        assert_eq!(land().0, landed());
        let start = resident(stage);
        let mut lines: Vec<story::Line> = (0..count)
            .map(|_| {
                let (answer, line) = land();
                assert_eq!(answer, landed());
                line
            })
            .collect();
        let each = resident(stage).saturating_sub(start) / count;
        eprintln!("{each} bytes for each of {count} idle connections");
        assert!(each <= 24 << 10, "{each} bytes for each");
        let open = stage.json(&["proxy", "status"])["connections"].as_u64().unwrap();
        assert!(open >= u64::try_from(count).unwrap(), "{open} are open");
        let begun = Instant::now();
        assert_eq!(land().0, landed());
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?} beside them", begun.elapsed());

        // All of them hear of a change.
        let other = RULE1_L7.replace("/v1/request-landing", "/v1/other");
        stage.done(&["apply", "-f", &stage.file("other.yaml", &other)]);
        for line in &mut lines {
            assert_eq!(line.ask(LANDING).unwrap(), denied());
        }
        let alliance = RULE1_L7.replace("{org: empire}}]", "{org: alliance}}]");
        stage.done(&["apply", "-f", &stage.file("alliance.yaml", &alliance)]);
        for line in &mut lines {
            assert_eq!(
                line.0.read(&mut [0; 8]).map_err(|error| error.kind()),
                Err(ErrorKind::ConnectionReset)
            );
        }
        stage.done(&["down"]);
    });
}
