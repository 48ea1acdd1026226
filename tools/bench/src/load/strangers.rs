//! Datagrams each of which belongs to another connection: what is seen of them is new each time.

use super::Outcome;
use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

/// Ports that are sent to, one after the other.
pub const PORTS: u16 = 90;
/// Sockets that are sent from; these times the ports are all the connections there are.
const SOCKETS: usize = 4096;
/// How often some are sent.
const BEAT: Duration = Duration::from_millis(2);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first of the ports on which `deaf` takes them
    to: SocketAddr,
    /// Datagrams a second
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

#[derive(Debug, clap::Args)]
pub struct DeafArgs {
    /// The first port
    #[arg(long, default_value_t = 5305)]
    port: u16,
}

/// Sends at an even pace; what it missed because it was not woken in time it makes up for.
pub fn run(args: &Args) -> Result<Outcome> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let local: IpAddr = match args.to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let bind = |_| UdpSocket::bind((local, 0)).context("cannot have another socket");
    let sockets = (0..SOCKETS).map(bind).collect::<Result<Vec<_>>>()?;
    let connections = (0..PORTS).flat_map(|port| sockets.iter().map(move |socket| (socket, port)));
    let start = Instant::now();
    let (mut count, mut failures) = (0_u64, Vec::new());
    for (socket, port) in connections {
        let to = SocketAddr::new(args.to.ip(), args.to.port().saturating_add(port));
        if let Err(error) = socket.send_to(b"stranger", to) {
            failures.push(format!("{to}: {error}"));
        }
        count = count.saturating_add(1);
        while count as f64 >= start.elapsed().as_secs_f64() * args.rate {
            thread::sleep(BEAT);
        }
        if start.elapsed().as_secs_f64() >= args.seconds {
            break;
        }
    }
    failures.truncate(super::MOST_FAILURES);
    let seconds = start.elapsed().as_secs_f64();
    Ok(Outcome { count, seconds, per_second: count as f64 / seconds, p50_us: None, p99_us: None, failures })
}

/// Takes datagrams and says nothing, until it is killed.
pub fn deaf(args: &DeafArgs) -> Result<()> {
    let bind = |port: u16| {
        let port = args.port.saturating_add(port);
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port))
            .with_context(|| format!("cannot listen on port {port}"))
    };
    let _sockets = (0..PORTS).map(bind).collect::<Result<Vec<_>>>()?;
    println!("ready");
    loop {
        thread::park();
    }
}
