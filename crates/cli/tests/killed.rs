//! The agent is killed again and again while policies and endpoints change; probers watch every packet. Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests state plainly what they expect"
)]

#[path = "end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;

use ciliate_net::Netns;
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::Pid,
};
use stage::{Stage, inside};
use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const POLICY: &str = r#"
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: server}
spec:
  endpointSelector: {matchLabels: {app: server}}
  ingress:
  - fromEndpoints: [{matchLabels: {app: client}}]
    toPorts:
    - ports: [{port: "80", protocol: TCP}, {port: "53", protocol: UDP}]
"#;

/// How long to go on; `CILIATE_KILL_SECONDS` for more.
const SECONDS: u64 = 15;
/// A SYN that was lost is sent again after a second.
const LOST_SYN: Duration = Duration::from_millis(900);

struct Place {
    netns: Netns,
    address: IpAddr,
}

fn place(stage: &Stage, name: &str) -> Place {
    stage.done(&["run", "--detach", "--name", name, "-l", &format!("app={name}"), "--", "sleep", "infinity"]);
    let endpoint = stage.json(&["endpoint", "get", name]);
    let endpoint = &endpoint[0];
    Place {
        netns: Netns::open(Path::new(endpoint["device"]["netns"].as_str().unwrap())).unwrap(),
        address: endpoint["ipv4"].as_str().unwrap().parse().unwrap(),
    }
}

/// Sends every byte back.
fn serve(server: &Place, port: u16) {
    let listener = server.netns.run(move || TcpListener::bind(("0.0.0.0", port)).unwrap()).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut byte = [0];
                while stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte)).is_ok() {}
            });
        }
    });
}

fn connect(client: &Place, to: SocketAddr, wait: Duration) -> std::io::Result<TcpStream> {
    client.netns.run(move || TcpStream::connect_timeout(&to, wait)).unwrap()
}

#[derive(Default)]
struct Watch {
    over: AtomicBool,
    exchanges: AtomicU64,
    connections: AtomicU64,
    refusals: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Watch {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn count(&self, of: impl Fn(&Self) -> &AtomicU64) {
        of(self).fetch_add(1, Ordering::Relaxed);
    }
}

/// One connection that must never stall.
fn keep_talking(watch: &Watch, client: &Place, to: SocketAddr) {
    let mut stream = connect(client, to, Duration::from_secs(5)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    while watch.goes_on() {
        let mut byte = [7];
        stream.write_all(&byte).unwrap();
        stream.read_exact(&mut byte).expect("the open connection was cut");
        watch.count(|w| &w.exchanges);
        thread::sleep(Duration::from_millis(1));
    }
}

/// New connections that must all succeed, with their first SYN.
fn keep_connecting(watch: &Watch, client: &Place, to: SocketAddr) {
    while watch.goes_on() {
        let start = Instant::now();
        let mut stream =
            connect(client, to, Duration::from_secs(5)).expect("an allowed connection was refused");
        assert!(start.elapsed() < LOST_SYN, "the first packet of an allowed connection was dropped");
        stream.write_all(&[1]).and_then(|()| stream.read_exact(&mut [0])).unwrap();
        watch.count(|w| &w.connections);
    }
}

/// New connections that must all fail.
fn keep_trying(watch: &Watch, client: &Place, to: SocketAddr) {
    while watch.goes_on() {
        let error =
            connect(client, to, Duration::from_millis(30)).expect_err("a denied connection was let in");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        watch.count(|w| &w.refusals);
    }
}

/// Numbered datagrams, of which none may be missing.
fn keep_sending(watch: &Watch, client: &Place, server: &Place) {
    let receiver = server.netns.run(|| UdpSocket::bind("0.0.0.0:53").unwrap()).unwrap();
    let sender = client.netns.run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let to = SocketAddr::new(server.address, 53);
    while watch.goes_on() {
        sender.send_to(&[0; 64], to).unwrap();
        watch.count(|w| &w.sent);
        receiver.recv_from(&mut [0; 64]).expect("an allowed datagram was dropped");
        watch.count(|w| &w.received);
        thread::sleep(Duration::from_micros(500));
    }
}

fn kill_agent(stage: &Stage) {
    let pid = stage.json(&["status"])["pid"].as_i64().unwrap();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap());
    kill(pid, Signal::SIGKILL).unwrap();
    // This process is the first one of its namespace, and so the one that buries orphans.
    waitpid(pid, None).unwrap();
}

/// Ends the probers, also when the test fails.
struct Over<'a>(&'a Watch);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Changes that have nothing to do with what the probers do, each with its own chance of being cut in half.
fn change(stage: &Stage, number: u64) {
    let other = stage.file(
        "other.yaml",
        &format!(
            "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: other-{}}}\nspec:\n  \
             endpointSelector: {{matchLabels: {{app: client}}}}\n  egress: [{{toCIDR: [10.{}.0.0/16]}}, {{toEntities: [all]}}]\n",
            number % 3,
            number % 200,
        ),
    );
    // The agent may be gone in the middle of any of these.
    let _cut = match number % 4 {
        0 => stage.output(&["apply", "-f", &other]),
        1 => stage.output(&["delete", "-f", &other]),
        2 => stage.output(&["run", "--detach", "--name", "passing", "-l", "app=client", "--", "sleep", "1"]),
        _ => stage.output(&["endpoint", "delete", "passing"]),
    };
}

#[test]
fn no_packet_notices_that_the_agent_is_killed() {
    inside("no_packet_notices_that_the_agent_is_killed", |stage| {
        stage.done(&["up"]);
        let (server, client, stranger) =
            (place(stage, "server"), place(stage, "client"), place(stage, "stranger"));
        for port in [80, 81] {
            serve(&server, port);
        }
        stage.done(&["apply", "-f", &stage.file("policy.yaml", POLICY)]);
        let seconds =
            std::env::var("CILIATE_KILL_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(SECONDS);
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut random = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into();
        println!("seed {random}");
        let (open, closed) = (SocketAddr::new(server.address, 80), SocketAddr::new(server.address, 81));
        let watch = Watch::default();
        let mut kills = 0;
        thread::scope(|scope| {
            let probers = [
                scope.spawn(|| keep_talking(&watch, &client, open)),
                scope.spawn(|| keep_connecting(&watch, &client, open)),
                scope.spawn(|| keep_trying(&watch, &client, closed)),
                scope.spawn(|| keep_trying(&watch, &stranger, open)),
                scope.spawn(|| keep_sending(&watch, &client, &server)),
            ];
            let over = Over(&watch);
            while Instant::now() < end && probers.iter().all(|prober| !prober.is_finished()) {
                // Linear congruence (Knuth's MMIX constants) is random enough for moments.
                random = u64::wrapping_add(
                    u64::wrapping_mul(random, 6_364_136_223_846_793_005),
                    1_442_695_040_888_963_407,
                );
                thread::scope(|meanwhile| {
                    meanwhile.spawn(|| change(stage, random >> 33));
                    thread::sleep(Duration::from_micros((random >> 40) % 60_000));
                    kill_agent(stage);
                });
                stage.done(&["up"]);
                kills += 1;
            }
            drop(over);
            // Reported here, before a panic in a prober would end the scope without a word.
            println!("{kills} kills");
            for prober in probers {
                prober.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        });
        let [exchanges, connections, refusals, sent, received] =
            [&watch.exchanges, &watch.connections, &watch.refusals, &watch.sent, &watch.received]
                .map(|count| count.load(Ordering::Relaxed));
        println!(
            "{kills} kills, {exchanges} exchanges, {connections} connections, {refusals} refusals, {received} of {sent} datagrams"
        );
        assert!(kills > 2 && exchanges > 100 && connections > 50 && refusals > 50 && sent == received);
        stage.done(&["down"]);
    });
}
