//! One request, for places that have no curl.

use crate::{
    arguments::Family,
    head::{Head, HeadError},
    url::Url,
};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    process::ExitCode,
    time::{Duration, Instant},
};

/// More of an answer is cut off.
const MOST_ANSWER_BYTES: u64 = 1024 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub url: Url,
    /// For everything together: name, connection, answer.
    pub timeout: Duration,
    pub family: Family,
}

#[derive(Debug)]
enum Failure {
    UnknownName(String),
    NotConnected(SocketAddr, io::Error),
    TimedOut,
    BadAnswer(String),
}

impl Failure {
    /// curl's numbers, which scripts know.
    fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownName(_) => 6,
            Self::NotConnected(..) => 7,
            Self::TimedOut => 28,
            Self::BadAnswer(_) => 56,
        }
    }

    fn explain(&self, request: &Request) -> String {
        let Url { host, port, .. } = &request.url;
        match self {
            Self::UnknownName(why) => format!("no address for {host:?}: {why}"),
            Self::NotConnected(address, error) => format!("no connection to {address}: {error}"),
            Self::TimedOut => format!("no answer from {host} port {port} within {:?}", request.timeout),
            Self::BadAnswer(why) => format!("no valid answer from {host} port {port}: {why}"),
        }
    }
}

pub fn run(request: &Request) -> ExitCode {
    match perform(request) {
        Ok((code, body)) => {
            // A reader that closes early has read enough.
            let _ = io::stdout().write_all(&body);
            if code < 400 { ExitCode::SUCCESS } else { ExitCode::from(22) }
        }
        Err(failure) => {
            eprintln!("deathstar: {}", failure.explain(request));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn perform(request: &Request) -> Result<(u16, Vec<u8>), Failure> {
    let deadline = Deadline::after(request.timeout);
    let mut stream = connect(request, &deadline)?;
    let Request { method, url: Url { path, authority, .. }, .. } = request;
    let message = format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: deathstar\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    deadline.limit(&stream)?;
    stream.write_all(message.as_bytes()).map_err(broken)?;
    let mut input = BufReader::new(DeadlineReader { stream, deadline });
    let head = Head::read(&mut input).map_err(|error| match error {
        HeadError::Closed => Failure::BadAnswer("the connection was closed".into()),
        HeadError::TooLong => Failure::BadAnswer("its head is too long".into()),
        HeadError::Malformed(what) => Failure::BadAnswer(what.into()),
        HeadError::Io(kind) => broken(kind.into()),
    })?;
    let code = status_code(&head.first_line)
        .ok_or_else(|| Failure::BadAnswer(format!("{:?} is no status line", head.first_line)))?;
    Ok((code, body(&head, &mut input)?))
}

fn connect(request: &Request, deadline: &Deadline) -> Result<TcpStream, Failure> {
    let Url { host, port, .. } = &request.url;
    let wanted = |address: &SocketAddr| match request.family {
        Family::Any => true,
        Family::Ipv4 => address.is_ipv4(),
        Family::Ipv6 => address.is_ipv6(),
    };
    let addresses: Vec<SocketAddr> = (host.as_str(), *port)
        .to_socket_addrs()
        .map_err(|error| Failure::UnknownName(error.to_string()))?
        .filter(wanted)
        .collect();
    let mut failure = Failure::UnknownName("it has none of the family asked for".into());
    let mut left = addresses.len();
    for address in addresses {
        // An address that swallows packets must leave time for the next.
        let share = u32::try_from(left).ok().and_then(|parts| deadline.left()?.checked_div(parts));
        let Some(share) = share.filter(|time| !time.is_zero()) else { return Err(Failure::TimedOut) };
        failure = match TcpStream::connect_timeout(&address, share) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Failure::TimedOut,
            Err(error) => Failure::NotConnected(address, error),
        };
        left = left.saturating_sub(1);
    }
    Err(failure)
}

/// `HTTP/1.1 200 OK` -> 200.
fn status_code(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let code = rest.split(' ').nth(1)?.parse().ok()?;
    (100..600).contains(&code).then_some(code)
}

fn body(head: &Head, input: &mut impl BufRead) -> Result<Vec<u8>, Failure> {
    let length =
        head.content_length().map_err(|_| Failure::BadAnswer("its body has no usable length".into()))?;
    let mut body = Vec::new();
    input
        .take(length.unwrap_or(MOST_ANSWER_BYTES).min(MOST_ANSWER_BYTES))
        .read_to_end(&mut body)
        .map_err(broken)?;
    match length {
        Some(length) if u64::try_from(body.len()).is_ok_and(|have| have < length.min(MOST_ANSWER_BYTES)) => {
            Err(Failure::BadAnswer("the connection ended within the body".into()))
        }
        Some(_) | None => Ok(body),
    }
}

fn broken(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Failure::TimedOut,
        _ => Failure::BadAnswer(error.to_string()),
    }
}

struct Deadline(Option<Instant>);

impl Deadline {
    /// A time too far away to be expressed is no limit.
    fn after(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }

    fn left(&self) -> Option<Duration> {
        match self.0 {
            Some(end) => Some(end.saturating_duration_since(Instant::now())),
            None => Some(Duration::MAX),
        }
    }

    fn limit(&self, stream: &TcpStream) -> Result<(), Failure> {
        let left = self.left().filter(|time| !time.is_zero()).ok_or(Failure::TimedOut)?;
        stream
            .set_read_timeout(Some(left))
            .and_then(|()| stream.set_write_timeout(Some(left)))
            .map_err(broken)
    }
}

/// A peer that sends a byte at a time must not stretch the limit.
struct DeadlineReader {
    stream: TcpStream,
    deadline: Deadline,
}

impl Read for DeadlineReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.deadline.limit(&self.stream).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        self.stream.read(buffer)
    }
}
