//! Listening, and the life of a connection.

use crate::{
    head::{Head, HeadError, MOST_BODY_BYTES},
    routes::{self, Answer, Status},
};
use anyhow::{Context, Result};
use std::{
    convert::Infallible,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Connections at once, a thread each; one more is told to come back later.
const MOST_CONNECTIONS: usize = 512;
/// A peer that says nothing, or takes nothing, for so long is let go.
const PATIENCE: Duration = Duration::from_secs(30);
/// For bytes that a peer still sends after its last answer.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Threads do little; the default of 2 MiB each would only be reserved.
const STACK_BYTES: usize = 128 * 1024;

pub fn run(port: u16) -> Result<Infallible> {
    let listener = listen(port)?;
    let address = listener.local_addr().context("the listening socket has no address")?;
    // Whoever started this may have closed its end; serving does not depend on being heard.
    let _ = writeln!(io::stdout(), "deathstar: listening on {address}");
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        match listener.accept() {
            Ok((stream, _)) => admit(stream, &open),
            // Out of descriptors or memory: the waiting connection stays in the queue until some are back.
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Both families through one socket; IPv4 alone where the kernel has no IPv6.
fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
        .or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
            _ => TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
        })
        .with_context(|| {
            format!("cannot listen on port {port}; a port below 1024 needs root, and --port takes another")
        })
}

/// Counts a connection for as long as it is alive.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(open));
        match open.fetch_add(1, Ordering::Relaxed) < MOST_CONNECTIONS {
            true => Some(place),
            false => None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn admit(mut stream: TcpStream, open: &Arc<AtomicUsize>) {
    let full = routes::plain(Status::Unavailable, "every docking bay is taken; come back later\n");
    // An answer that fits no buffer, or a peer that is gone: nothing is left to do for it.
    let Some(place) = Place::take(open) else {
        let _ = stream.set_nonblocking(true).and_then(|()| write(&mut stream, full, Body::Sent, Then::Close));
        return;
    };
    let spawned = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let _place = place;
        let _ = serve(stream);
    });
    if let Err(error) = spawned {
        eprintln!("deathstar: no thread for a connection: {error}");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    KeepOpen,
    Close,
}

#[derive(Clone, Copy)]
enum Body {
    Sent,
    /// `HEAD` wants the headers only.
    Left,
}

fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut output = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    loop {
        let then = match exchange(&mut input, &mut output) {
            Ok(then) => then,
            Err(HeadError::Closed | HeadError::Io(_)) => return Ok(()),
            Err(HeadError::TooLong) => {
                let refusal = routes::plain(Status::TooLarge, "the request is too large\n");
                write(&mut output, refusal, Body::Sent, Then::Close)?;
                Then::Close
            }
            Err(HeadError::Malformed(what)) => {
                let refusal = routes::plain(Status::BadRequest, "the request is malformed\n");
                write(&mut output, refusal, Body::Sent, Then::Close)?;
                eprintln!("deathstar: malformed request: {what}");
                Then::Close
            }
        };
        if then == Then::Close {
            return leave(&output, &mut input);
        }
    }
}

/// Closing with unread bytes makes the kernel send a reset, which can overtake the answer: read some of them first.
fn leave(output: &TcpStream, input: &mut impl Read) -> io::Result<()> {
    output.shutdown(Shutdown::Write)?;
    output.set_read_timeout(Some(LAST_WORDS))?;
    io::copy(&mut input.take(MOST_BODY_BYTES), &mut io::sink())?;
    Ok(())
}

/// One request and its answer.
fn exchange(input: &mut impl BufRead, output: &mut impl Write) -> Result<Then, HeadError> {
    let head = Head::read(input)?;
    let mut words = head.first_line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(HeadError::Malformed("the first line is not METHOD TARGET VERSION"));
    };
    let keeps_open = match version {
        "HTTP/1.1" => !head.has_token("connection", "close"),
        "HTTP/1.0" => head.has_token("connection", "keep-alive"),
        _ => return Err(HeadError::Malformed("the version is neither HTTP/1.1 nor HTTP/1.0")),
    };
    let length = head.content_length()?.unwrap_or(0);
    if length > MOST_BODY_BYTES {
        return Err(HeadError::TooLong);
    }
    if length > 0 && head.has_token("expect", "100-continue") {
        output.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if io::copy(&mut input.take(length), &mut io::sink())? < length {
        return Err(HeadError::Closed);
    }
    let then = if keeps_open { Then::KeepOpen } else { Then::Close };
    let body = if method == "HEAD" { Body::Left } else { Body::Sent };
    write(output, routes::answer(method, target), body, then)?;
    Ok(then)
}

fn write(output: &mut impl Write, answer: Answer, body: Body, then: Then) -> io::Result<()> {
    let Answer { status, content_type, body: text, allow } = answer;
    let mut message = format!(
        "HTTP/1.1 {}\r\nServer: deathstar\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n",
        status.line(),
        text.len(),
    );
    if let Some(methods) = allow {
        message.push_str(&format!("Allow: {methods}\r\n"));
    }
    message.push_str(match then {
        Then::KeepOpen => "Connection: keep-alive\r\n\r\n",
        Then::Close => "Connection: close\r\n\r\n",
    });
    match body {
        Body::Sent => message.push_str(text),
        Body::Left => {}
    }
    output.write_all(message.as_bytes())
}
