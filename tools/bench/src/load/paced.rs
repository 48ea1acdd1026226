//! HTTP requests at a given rate, on connections that stay open: how long an answer takes when nothing is overloaded.

use super::{Outcome, Timings};
use anyhow::{Context, Result, bail, ensure};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        prctl::set_timerslack,
        resource::{Resource, getrlimit, setrlimit},
        time::TimeSpec,
    },
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::AsFd as _,
    thread,
    time::{Duration, Instant},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the server answers
    to: SocketAddr,
    #[arg(long, default_value = "/")]
    path: String,
    /// Requests a second, over all connections
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// Connections at once
    #[arg(long, default_value_t = 16)]
    connections: u16,
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

#[derive(Debug, clap::Args)]
pub struct IdleArgs {
    /// Where the server answers
    to: SocketAddr,
    #[arg(long, default_value = "/")]
    path: String,
    /// Connections at once
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
}

struct Line {
    stream: TcpStream,
    request: Vec<u8>,
    /// What came of the answer.
    answer: Vec<u8>,
}

impl Line {
    fn open(to: SocketAddr, path: &str) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))
            .with_context(|| format!("cannot connect to {to}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\n\r\n").into_bytes();
        Ok(Self { stream, request, answer: Vec::new() })
    }

    fn request(&mut self) -> Result<()> {
        self.answer.clear();
        Ok(self.stream.write_all(&self.request)?)
    }

    /// Reads once; whether all of the answer is there, which must be 200 and say its length.
    fn answered(&mut self) -> Result<bool> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer)?;
        ensure!(count > 0, "the connection ends before its answer");
        self.answer.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let Some(end) = self.answer.windows(4).position(|end| end == b"\r\n\r\n") else {
            return Ok(false);
        };
        let head = str::from_utf8(self.answer.get(..end).unwrap_or_default())?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "the answer is {head:?}");
        let lengths = head.lines().filter_map(|line| line.split_once(':'));
        let mut lengths = lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = lengths.next().context("the answer does not say how long it is")?.1;
        let whole = end.saturating_add(4).saturating_add(length.trim().parse::<usize>()?);
        ensure!(self.answer.len() <= whole, "the answer is longer than it says");
        Ok(self.answer.len() == whole)
    }

    fn ask(&mut self) -> Result<()> {
        self.request()?;
        while !self.answered()? {}
        Ok(())
    }
}

/// One thread serves all connections, so that it takes little from what it measures.
pub fn run(args: &Args) -> Result<Outcome> {
    // Else the kernel may wake us 50 microseconds late.
    set_timerslack(1)?;
    let pause = f64::from(args.connections) / args.rate.max(1.0);
    let mut callers = (0..args.connections)
        .map(|number| {
            let offset = pause * f64::from(number) / f64::from(args.connections);
            Ok(Caller {
                line: Line::open(args.to, &args.path)?,
                offset,
                turn: 0,
                free: Duration::ZERO,
                since: None,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut timings = Timings::start(args.seconds);
    let start = Instant::now();
    loop {
        for caller in &mut callers {
            if let Err(error) = caller.begin(start, pause, args.seconds) {
                timings.failure(format!("{error:#}"));
            }
        }
        let next = callers.iter().filter_map(|caller| caller.next(pause, args.seconds)).reduce(f64::min);
        let waiting = callers.iter().any(|caller| caller.since.is_some());
        if next.is_none() && !waiting {
            return Ok(timings.finish());
        }
        let pause = next.map(|next| Duration::from_secs_f64(next).saturating_sub(start.elapsed()));
        for index in readable(&callers, pause.unwrap_or(PATIENCE))? {
            let Some(caller) = callers.get_mut(index) else { continue };
            match caller.line.answered() {
                Ok(false) => {}
                Ok(true) => {
                    timings.round_trip(caller.since.take().unwrap_or(start));
                    caller.free = start.elapsed();
                }
                Err(error) => {
                    timings.failure(format!("{error:#}"));
                    (caller.since, caller.turn) = (None, u32::MAX);
                }
            }
        }
    }
}

/// Whoever has not answered by then never will.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection and when it asks.
struct Caller {
    line: Line,
    /// Seconds after the start.
    offset: f64,
    turn: u32,
    /// When the last answer came, after the start.
    free: Duration,
    /// When the request was due that waits for its answer.
    since: Option<Instant>,
}

impl Caller {
    /// Seconds after the start when it asks next; none if it waits or has done so for the last time.
    fn next(&self, pause: f64, seconds: f64) -> Option<f64> {
        let due = self.offset + pause * f64::from(self.turn);
        (self.since.is_none() && due < seconds).then_some(due)
    }

    /// Asks if it is time to.
    fn begin(&mut self, start: Instant, pause: f64, seconds: f64) -> Result<()> {
        let Some(due) = self.next(pause, seconds) else { return Ok(()) };
        let (due, now) = (Duration::from_secs_f64(due), start.elapsed());
        if due > now {
            return Ok(());
        }
        // An answer that came too late makes the next request late, which counts; that the clock wakes us late does not.
        self.since =
            Some(if self.free > due { start.checked_add(due).unwrap_or(start) } else { Instant::now() });
        self.turn = self.turn.saturating_add(1);
        self.line.request()
    }
}

/// Which of those that wait have something to read, at the latest after the pause.
fn readable(callers: &[Caller], pause: Duration) -> Result<Vec<usize>> {
    let waiting: Vec<(usize, &Caller)> =
        callers.iter().enumerate().filter(|(_, caller)| caller.since.is_some()).collect();
    let mut polled: Vec<PollFd<'_>> = waiting
        .iter()
        .map(|(_, caller)| PollFd::new(caller.line.stream.as_fd(), PollFlags::POLLIN))
        .collect();
    match ppoll(&mut polled, Some(TimeSpec::from_duration(pause)), None) {
        Ok(0) if pause == PATIENCE => bail!("there is no answer after {} s", PATIENCE.as_secs()),
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error).context("cannot wait for answers"),
    }
    let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
    Ok(waiting.iter().zip(&polled).filter(|(_, fd)| ready(fd)).map(|((index, _), _)| *index).collect())
}

/// Opens connections, makes one request on each, says `ready` and holds them until it is killed.
pub fn idle(args: &IdleArgs) -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let mut lines = Vec::with_capacity(args.connections);
    for _ in 0..args.connections {
        let mut line = Line::open(args.to, &args.path)?;
        line.ask()?;
        lines.push(line);
    }
    println!("ready");
    loop {
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{BufRead as _, BufReader},
        net::TcpListener,
    };

    #[test]
    fn requests_come_at_their_rate() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    let mut line = String::new();
                    while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
                        if line == "\r\n"
                            && reader
                                .get_mut()
                                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                                .is_err()
                        {
                            return;
                        }
                        line.clear();
                    }
                });
            }
        });
        let args = Args { to, path: "/".into(), rate: 200.0, connections: 4, seconds: 0.5 };
        let outcome = run(&args).expect("answers");
        assert_eq!(outcome.failures, Vec::<String>::new());
        assert_eq!(outcome.count, 100);
    }
}
