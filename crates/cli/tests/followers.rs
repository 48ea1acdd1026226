//! An agent whose flows many want, and some who have no right to them. Needs root.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests state plainly what they expect")]

#[path = "relay/certificates.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod certificates;
#[path = "end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;

use certificates::Certificates;
use ciliate_hubble::observer::{GetFlowsRequest, GetFlowsResponse, observer_client::ObserverClient};
use ciliate_transport::{Address, ClientFiles, ClientTls, HTTP2, Trust, connect};
use hyper_util::rt::TokioIo;
use stage::{Stage, eventually, inside, said, shell, text};
use std::{
    fs,
    io::Read as _,
    net::TcpStream,
    process::{Command, Output},
    sync::Arc,
    time::{Duration, Instant},
};
use tonic::{Streaming, transport::Endpoint};

const SERVER: &str = "127.0.0.1:4244";
const NAME: &str = "node-1.default.hubble-grpc.cilium.io";
/// As many as the agent is told to let in.
const FOLLOWERS: usize = 100;
/// Bytes that a follower who reads nothing may take of the agent: what waits for it, and its connection.
const EACH: u64 = 300 << 10;
/// And of the kernel.
const EACH_OF_KERNEL: u64 = 100 << 10;

fn up(stage: &Stage, certificates: &Certificates) {
    stage.done(&[
        "up",
        "--node-name=node-1",
        &format!("--hubble-listen-address={SERVER}"),
        &format!("--hubble-tls-cert-file={}", certificates.path("node.pem")),
        &format!("--hubble-tls-key-file={}", certificates.path("node.key")),
        &format!("--hubble-tls-client-ca-files={}", certificates.path("ca.pem")),
        &format!("--hubble-max-clients={FOLLOWERS}"),
    ]);
}

/// Over TCP, with the certificate of a pair of files or with none.
fn asked(stage: &Stage, certificates: &Certificates, pair: Option<&str>, verb: &[&str]) -> Output {
    let mut command = stage.ciliate(verb);
    command
        .arg(format!("--server=tls://{SERVER}"))
        .arg(format!("--tls-server-name={NAME}"))
        .arg(format!("--tls-ca-cert-files={}", certificates.path("ca.pem")));
    if let Some(pair) = pair {
        command
            .arg(format!("--tls-client-cert-file={}", certificates.path(&format!("{pair}.pem"))))
            .arg(format!("--tls-client-key-file={}", certificates.path(&format!("{pair}.key"))));
    }
    command.output().unwrap()
}

/// Bytes of the agent's process.
fn memory(stage: &Stage) -> u64 {
    let pid = &stage.json(&["status"])["pid"];
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn log(stage: &Stage) -> String {
    fs::read_to_string(stage.folder.join("run/ciliate/agent.log")).unwrap()
}

/// Bytes that the kernel keeps of what is to be sent over the agent's connections, with all that it takes for that.
fn kernel_memory() -> u64 {
    let sockets = shell("ss -Htmn state established sport = :4244");
    let queued = sockets.split("skmem:(").skip(1).filter_map(|memory| {
        let field = memory.split(',').find_map(|field| field.strip_prefix('w'))?;
        field.trim_end_matches(')').parse::<u64>().ok()
    });
    queued.sum()
}

/// Connects and asks for everything that is kept and that comes.
async fn follow(tls: &Arc<ClientTls>) -> Result<Streaming<GetFlowsResponse>, Box<dyn std::error::Error>> {
    let tls = Arc::clone(tls);
    let dial = tower::service_fn(move |_| {
        let tls = Arc::clone(&tls);
        async move {
            let address = Address::parse(SERVER, 0).map_err(std::io::Error::other)?;
            connect(&address, Some((&tls, NAME))).await.map(TokioIo::new)
        }
    });
    let channel = Endpoint::from_static("http://node").connect_with_connector(dial).await?;
    let all = GetFlowsRequest { number: 16_383, follow: true, ..GetFlowsRequest::default() };
    Ok(ObserverClient::new(channel).get_flows(all).await?.into_inner())
}

fn flows_of_a_pod(stage: &Stage, count: u32) {
    let all = format!("for i in $(seq {count}); do echo x >/dev/udp/192.0.2.1/9; done");
    stage.done(&["exec", "pod", "--", "bash", "-c", &all]);
}

#[test]
fn a_hundred_followers_that_never_read_and_half_open_handshakes() {
    inside("a_hundred_followers_that_never_read_and_half_open_handshakes", |stage| {
        shell(
            "ip link add out type veth peer name there; ip addr add 192.0.2.1/24 dev out; ip link set out up; ip link set there up",
        );
        // What followers do not read stays with the agent, not with their side of the connection.
        shell("sysctl -qw net.ipv4.tcp_rmem='4096 4096 4096'");
        let certificates = Certificates::new(&stage.folder.join("tls"));
        up(stage, &certificates);
        stage.done(&["run", "--detach", "--name", "pod", "--", "sleep", "infinity"]);
        flows_of_a_pod(stage, 1000);
        let before = memory(stage);

        let files = ClientFiles {
            identity: Some((certificates.path("me.pem").into(), certificates.path("me.key").into())),
            trust: Trust::Authorities(vec![certificates.path("ca.pem").into()]),
        };
        let tls = Arc::new(ClientTls::new(files, &[HTTP2]).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut followers = Vec::new();
        runtime.block_on(async {
            for _ in 0..FOLLOWERS {
                followers.push(follow(&tls).await.unwrap());
            }
        });
        // From here on nobody runs what would read from their sockets. All of them have what they are going to get.
        flows_of_a_pod(stage, 8000);
        let each = |bytes: u64| bytes / FOLLOWERS as u64;
        let (taken, queued) = (each(memory(stage).saturating_sub(before)), each(kernel_memory()));
        eprintln!(
            "a follower that reads nothing takes {} KiB of the agent and {} of the kernel",
            taken >> 10,
            queued >> 10
        );
        assert!(
            taken < EACH && queued < EACH_OF_KERNEL,
            "each takes {taken} bytes and {queued} of the kernel"
        );

        // One more is turned away, and whoever comes by the socket is served as ever.
        let refused = asked(stage, &certificates, Some("me"), &["hubble", "status"]);
        assert!(!refused.status.success(), "{}", said(&refused));
        eventually("the log names who was turned away", || {
            log(stage).contains(&format!("{FOLLOWERS} clients are connected, which is the most"))
        });
        let begun = Instant::now();
        let all = stage.done(&["observe", "--last", "1000", "--from-pod", "default/pod", "-o", "json"]);
        assert!(all.lines().count() >= 1000, "{}", all.lines().count());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());

        // Their places are free when they go.
        drop(followers);
        drop(runtime);
        eventually("places are free again", || {
            asked(stage, &certificates, Some("me"), &["hubble", "status"]).status.success()
        });

        // Connections that never say anything keep nobody out, and the log says that they were there.
        let mut silent: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(SERVER).unwrap()).collect();
        let status = asked(stage, &certificates, Some("me"), &["hubble", "status"]);
        assert!(status.status.success(), "{}", said(&status));
        silent[0].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert!(!matches!(silent[0].read(&mut [0; 1]), Ok(1..)), "nobody speaks to who says nothing");
        eventually("the log names who was given up for another", || {
            log(stage).contains("64 TLS handshakes are under way and this is the oldest")
        });
        stage.done(&["down"]);
    });
}

#[test]
fn nobody_without_the_right_reads_flows() {
    inside("nobody_without_the_right_reads_flows", |stage| {
        let certificates = Certificates::new(&stage.folder.join("tls"));
        up(stage, &certificates);
        let right = asked(stage, &certificates, Some("me"), &["hubble", "status"]);
        assert!(right.status.success(), "{}", said(&right));
        for pair in [None, Some("stranger")] {
            for verb in [&["hubble", "status"][..], &["observe", "--last", "1"]] {
                let output = asked(stage, &certificates, pair, verb);
                assert!(!output.status.success() && output.stdout.is_empty(), "{pair:?}: {}", said(&output));
            }
        }
        let recorded =
            asked(stage, &certificates, Some("me"), &["hubble", "record", "0.0.0.0/0 0 0.0.0.0/0 80 TCP"]);
        assert_eq!(recorded.status.code(), Some(4), "{}", said(&recorded));
        assert!(text(&recorded.stderr).contains("on the node itself"), "{}", said(&recorded));

        // The socket is for root and one group.
        let socket = stage.folder.join("run/ciliate/hubble.sock");
        // Where the binary lies nobody else may be able to look.
        let binary = stage.file("ciliate", "");
        shell(&format!("mount --bind {} {binary}", env!("CARGO_BIN_EXE_ciliate")));
        let as_nobody = |groups: &str| {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=65534", "--regid=65534", groups])
                .arg(&binary)
                .args(["hubble", "status"])
                .arg(format!("--server=unix://{}", socket.display()))
                .env("XDG_CONFIG_HOME", "/nonexistent");
            command.output().unwrap()
        };
        let output = as_nobody("--clear-groups");
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(text(&output.stderr).contains("join the group that owns the socket"), "{}", said(&output));
        let output = as_nobody("--groups=0");
        assert!(output.status.success(), "root's group owns it here: {}", said(&output));
        stage.done(&["down"]);
    });
}
