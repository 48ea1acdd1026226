//! Small datagrams: how many a path carries. The receiver counts, the sender asks it before and after.

use super::{Args, Outcome};
use anyhow::{Context, Result, bail};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use std::{
    io::{IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Makes a 64 byte frame over IPv4.
const PAYLOAD: [u8; 22] = [b'u'; 22];
const BATCH: usize = 64;

/// The receiving end.
pub struct Sink {
    datagrams: UdpSocket,
    questions: UdpSocket,
}

impl Sink {
    pub fn bind(address: SocketAddr) -> Result<Self> {
        let bind =
            |address| UdpSocket::bind(address).with_context(|| format!("cannot listen on UDP {address}"));
        Ok(Self { datagrams: bind(address)?, questions: bind(question_address(address))? })
    }

    pub fn count(&self) {
        let counted = AtomicU64::new(0);
        let start = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| self.answer(&counted, start));
            self.receive(&counted);
        });
    }

    fn receive(&self, counted: &AtomicU64) {
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
        let mut buffers = [[0_u8; 64]; BATCH];
        loop {
            let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
            let flags = MsgFlags::MSG_WAITFORONE;
            match recvmmsg(self.datagrams.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None) {
                Ok(received) => counted.fetch_add(received.count() as u64, Ordering::Relaxed),
                // An ICMP error of a past answer; the next datagram is not affected.
                Err(_) => continue,
            };
        }
    }

    fn answer(&self, counted: &AtomicU64, start: Instant) {
        let mut question = [0; 16];
        while let Ok((_, from)) = self.questions.recv_from(&mut question) {
            let now = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let answer = [counted.load(Ordering::Relaxed).to_be_bytes(), now.to_be_bytes()].concat();
            // A lost answer is asked for again.
            let _ = self.questions.send_to(&answer, from);
        }
    }
}

fn question_address(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port().saturating_add(1))
}

/// What the sink has seen, and when.
struct Count {
    datagrams: u64,
    nanoseconds: u64,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let local: IpAddr = match args.to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let connected = |to: SocketAddr| -> Result<UdpSocket> {
        let socket = UdpSocket::bind((local, 0))?;
        socket.connect(to).with_context(|| format!("cannot reach {to}"))?;
        Ok(socket)
    };
    let datagrams = connected(args.to)?;
    let questions = connected(question_address(args.to))?;
    let before = ask(&questions)?;
    send(&datagrams, Duration::from_secs_f64(args.seconds.clamp(0.0, 86_400.0)))?;
    let after = ask(&questions)?;
    let count = after.datagrams.saturating_sub(before.datagrams);
    let seconds = after.nanoseconds.saturating_sub(before.nanoseconds) as f64 / 1e9;
    let per_second = count as f64 / seconds;
    Ok(Outcome { count, seconds, per_second, p50_us: None, p99_us: None, failures: Vec::new() })
}

fn send(socket: &UdpSocket, time: Duration) -> Result<()> {
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let slices: Vec<_> = (0..BATCH).map(|_| [IoSlice::new(&PAYLOAD)]).collect();
    let addresses = [None; BATCH];
    let start = Instant::now();
    while start.elapsed() < time {
        let sent =
            sendmmsg(socket.as_raw_fd(), &mut headers, slices.iter(), addresses, [], MsgFlags::empty());
        sent.map(drop).context("cannot send datagrams")?;
    }
    Ok(())
}

/// Asks until an answer comes: the flood before it may have filled every queue.
fn ask(questions: &UdpSocket) -> Result<Count> {
    questions.set_read_timeout(Some(Duration::from_millis(20)))?;
    for _ in 0..250 {
        questions.send(b"how many")?;
        let mut answer = [0; 16];
        if let Ok(16) = questions.recv(&mut answer) {
            let (datagrams, nanoseconds) = u128_halves(answer);
            return Ok(Count { datagrams, nanoseconds });
        }
    }
    bail!("the receiver at {} does not answer", questions.peer_addr()?)
}

fn u128_halves(bytes: [u8; 16]) -> (u64, u64) {
    let both = u128::from_be_bytes(bytes);
    ((both >> 64) as u64, both as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_arrive_and_are_counted() {
        for host in ["127.0.0.1", "::1"] {
            // Two ports in a row are needed; another process may hold the second.
            let (sink, port) = (20_000..30_000)
                .step_by(7)
                .find_map(|port| {
                    let address = SocketAddr::new(host.parse().ok()?, port);
                    Sink::bind(address).ok().map(|sink| (sink, port))
                })
                .expect("two ports");
            thread::spawn(move || sink.count());
            let to = SocketAddr::new(host.parse().expect("an address"), port);
            let outcome = run(&Args { to, seconds: 0.1 }).expect("an outcome");
            assert!(outcome.count > 100, "{outcome:?}");
        }
    }

    #[test]
    fn a_count_is_read_as_it_was_written() {
        let bytes: Vec<u8> = [1_u64.to_be_bytes(), u64::MAX.to_be_bytes()].concat();
        assert_eq!(u128_halves(bytes.try_into().expect("16 bytes")), (1, u64::MAX));
    }
}
