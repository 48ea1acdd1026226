//! HTTP requests at a given rate, on connections that stay open: how long an answer takes when nothing is overloaded.

use super::{Outcome, Recorder};
use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
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
    stream: BufReader<TcpStream>,
    request: Vec<u8>,
}

impl Line {
    fn open(to: SocketAddr, path: &str) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))
            .with_context(|| format!("cannot connect to {to}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\n\r\n").into_bytes();
        Ok(Self { stream: BufReader::with_capacity(1024, stream), request })
    }

    /// The whole answer, which must be 200 and say its length.
    fn ask(&mut self) -> Result<()> {
        self.stream.get_mut().write_all(&self.request)?;
        let (mut line, mut length) = (String::new(), None);
        self.stream.read_line(&mut line)?;
        ensure!(line.starts_with("HTTP/1.1 200 "), "the answer is {line:?}");
        while line != "\r\n" {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "the answer ends in its head");
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse::<u64>()?);
            }
        }
        let length = length.context("the answer does not say how long it is")?;
        let read = std::io::copy(&mut (&mut self.stream).take(length), &mut std::io::sink())?;
        ensure!(read == length, "the answer ends in its body");
        Ok(())
    }
}

pub fn run(args: &Args) -> Result<Outcome> {
    let pause = f64::from(args.connections) / args.rate.max(1.0);
    let lines = (0..args.connections).map(|_| Line::open(args.to, &args.path)).collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let recorders: Vec<Recorder> = thread::scope(|scope| {
        let begin = |(number, line): (u16, Line)| {
            let offset = pause * f64::from(number) / f64::from(args.connections);
            scope.spawn(move || keep_asking(line, start, offset, pause, args.seconds))
        };
        let threads: Vec<_> = (0..).zip(lines).map(begin).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    ensure!(recorders.len() == usize::from(args.connections), "a connection's thread panicked");
    Ok(Recorder::merge(recorders).finish())
}

fn keep_asking(mut line: Line, start: Instant, offset: f64, pause: f64, seconds: f64) -> Recorder {
    let mut recorder = Recorder::start(seconds);
    for turn in 0_u32.. {
        let due = Duration::from_secs_f64(offset + pause * f64::from(turn));
        if due.as_secs_f64() >= seconds {
            break;
        }
        // An answer that came too late makes the next request late, which counts; that the clock wakes us late does not.
        let since = match due.checked_sub(start.elapsed()) {
            Some(early) => {
                thread::sleep(early);
                Instant::now()
            }
            None => start.checked_add(due).unwrap_or(start),
        };
        match line.ask() {
            Ok(()) => recorder.round_trip(since),
            Err(error) => {
                recorder.failure(format!("{error:#}"));
                break;
            }
        }
    }
    recorder
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
    use std::net::TcpListener;

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
