//! The head of an HTTP/1.1 message: first line and headers, read with a bound and nothing beyond it.

use std::io::{self, BufRead, Read};

/// First line and headers together; more is refused.
pub const MOST_HEAD_BYTES: u64 = 8 * 1024;
/// A body the server reads and throws away; more is refused.
pub const MOST_BODY_BYTES: u64 = 64 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub first_line: String,
    headers: Vec<(String, String)>,
}

/// Why no head could be read.
#[derive(Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The peer closed between two messages, as it may.
    Closed,
    TooLong,
    Malformed(&'static str),
    Io(io::ErrorKind),
}

impl From<io::Error> for HeadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

impl Head {
    pub fn read(stream: &mut impl BufRead) -> Result<Self, HeadError> {
        let mut stream = stream.take(MOST_HEAD_BYTES);
        let first_line = match line(&mut stream)? {
            Some(text) if text.is_empty() => return Err(HeadError::Malformed("the first line is empty")),
            Some(text) => text,
            None => return Err(HeadError::Closed),
        };
        let mut headers = Vec::new();
        loop {
            let text =
                line(&mut stream)?.ok_or(HeadError::Malformed("the message ends within its headers"))?;
            if text.is_empty() {
                return Ok(Self { first_line, headers });
            }
            let (name, value) =
                text.split_once(':').ok_or(HeadError::Malformed("a header line holds no colon"))?;
            // A space before the colon hides a header from some readers and not from others (RFC 9112, section 5.1).
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(HeadError::Malformed("a header's name is empty or holds a space"));
            }
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The only value of a header; `name` in lower case. Two different ones are as good as a lie.
    pub fn header(&self, name: &str) -> Result<Option<&str>, HeadError> {
        let mut values =
            self.headers.iter().filter(|(have, _)| have == name).map(|(_, value)| value.as_str());
        let first = values.next();
        match values.all(|value| Some(value) == first) {
            true => Ok(first),
            false => Err(HeadError::Malformed("a header that must be single comes twice")),
        }
    }

    /// Bytes of body that follow, where the message says so.
    pub fn content_length(&self) -> Result<Option<u64>, HeadError> {
        if self.header("transfer-encoding")?.is_some() {
            return Err(HeadError::Malformed("Transfer-Encoding is not supported; send Content-Length"));
        }
        match self.header("content-length")? {
            None => Ok(None),
            Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map(Some).map_err(|_| HeadError::TooLong)
            }
            Some(_) => Err(HeadError::Malformed("Content-Length is not a number")),
        }
    }

    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.headers
            .iter()
            .filter(|(have, _)| have == name)
            .flat_map(|(_, value)| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    }
}

/// One line without its end; `None` where the stream ends before it begins.
fn line(stream: &mut io::Take<impl BufRead>) -> Result<Option<String>, HeadError> {
    let mut bytes = Vec::new();
    if stream.read_until(b'\n', &mut bytes)? == 0 && stream.limit() > 0 {
        return Ok(None);
    }
    if bytes.pop() != Some(b'\n') {
        return Err(match stream.limit() {
            0 => HeadError::TooLong,
            _ => HeadError::Malformed("the message ends within a line"),
        });
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    if bytes.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(HeadError::Malformed("a control character"));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| HeadError::Malformed("bytes that are not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Head, HeadError> {
        Head::read(&mut text.as_bytes())
    }

    #[test]
    fn a_head_ends_at_the_empty_line() {
        let mut stream = "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET".as_bytes();
        let head = Head::read(&mut stream).expect("a head");
        assert_eq!(head.first_line, "PUT /a HTTP/1.1");
        assert_eq!(head.content_length(), Ok(Some(3)));
        assert_eq!(stream, b"abcGET");
    }

    #[test]
    fn bad_heads_are_refused() {
        for (text, error) in [
            ("", HeadError::Closed),
            ("GET", HeadError::Malformed("the message ends within a line")),
            ("GET / HTTP/1.1\r\n", HeadError::Malformed("the message ends within its headers")),
            ("GET / HTTP/1.1\r\nHost\r\n\r\n", HeadError::Malformed("a header line holds no colon")),
            (
                "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
                HeadError::Malformed("a header's name is empty or holds a space"),
            ),
            ("GET /\0 HTTP/1.1\r\n\r\n", HeadError::Malformed("a control character")),
        ] {
            assert_eq!(read(text).expect_err(text), error, "{text:?}");
        }
        assert_eq!(read(&"a".repeat(9000)).expect_err("long"), HeadError::TooLong);
        assert_eq!(read(&"a: b\r\n".repeat(9000)).expect_err("long"), HeadError::TooLong);
    }

    #[test]
    fn a_body_has_one_length() {
        for (headers, length) in [
            ("", Ok(None)),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Ok(Some(5))),
            (
                "Content-Length: 5\r\nContent-Length: 6\r\n",
                Err(HeadError::Malformed("a header that must be single comes twice")),
            ),
            ("Content-Length: +5\r\n", Err(HeadError::Malformed("Content-Length is not a number"))),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                Err(HeadError::Malformed("Transfer-Encoding is not supported; send Content-Length")),
            ),
        ] {
            let head = read(&format!("GET / HTTP/1.1\r\n{headers}\r\n")).expect(headers);
            assert_eq!(head.content_length(), length, "{headers:?}");
        }
    }
}
