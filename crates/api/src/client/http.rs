//! One HTTP/1.0 exchange over a unix socket.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// Longest answer that is read into memory.
const LONGEST_BODY: u64 = 256 << 20;
/// Longest head of an answer.
const LONGEST_HEAD: u64 = 64 << 10;

pub struct Request<'a> {
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    pub body: Option<&'a [u8]>,
    pub timeout: Option<Duration>,
}

pub struct Response {
    pub status: u16,
    reader: BufReader<UnixStream>,
}

/// Fails with the error of `connect` alone in the first place, so that the caller can say "not running".
pub fn connect(socket: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(socket)
}

pub fn exchange(mut stream: UnixStream, request: &Request<'_>) -> io::Result<Response> {
    stream.set_read_timeout(request.timeout)?;
    stream.set_write_timeout(request.timeout)?;
    let body = request.body.unwrap_or_default();
    let mut message = format!(
        "{} {} HTTP/1.0\r\nHost: ciliate\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        request.method,
        request.target,
        body.len()
    )
    .into_bytes();
    message.extend_from_slice(body);
    stream.write_all(&message)?;
    let mut reader = BufReader::new(stream);
    let status = read_head(&mut (&mut reader).take(LONGEST_HEAD))?;
    Ok(Response { status, reader })
}

/// Reads up to the empty line and returns the status. With HTTP/1.0 the body ends with the connection.
fn read_head(reader: &mut impl BufRead) -> io::Result<u16> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok())
        .ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("not an HTTP answer: {line:?}"))
    })?;
    loop {
        line.clear();
        match reader.read_line(&mut line)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ if line.trim_end().is_empty() => return Ok(status),
            _ => {}
        }
    }
}

impl Response {
    pub fn body(self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        let read = self.reader.take(LONGEST_BODY.saturating_add(1)).read_to_end(&mut body)?;
        match u64::try_from(read).is_ok_and(|n| n <= LONGEST_BODY) {
            true => Ok(body),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is longer than 256 MiB")),
        }
    }

    pub fn lines(self) -> BufReader<UnixStream> {
        self.reader
    }
}
