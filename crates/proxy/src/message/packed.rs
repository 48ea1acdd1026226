//! Accesses in frames between the lines: a zero, which no line begins with, the version of their form, four bytes of length
//! (big-endian), and so many bytes of accesses.

use super::Access;
use serde::Serialize;
use std::io::{self, Read};

/// What no JSON begins with.
const MARK: u8 = 0;
/// Of [`Access`] and what it consists of.
const VERSION: u8 = 2;
const HEAD: usize = 6;
/// Room that is kept after a rush.
const KEPT: usize = 1 << 20;
/// Of the accesses in one frame.
const LONGEST: usize = 64 << 20;

/// Accesses on their way.
#[derive(Debug)]
pub struct Frame(Vec<u8>);

impl Default for Frame {
    fn default() -> Self {
        Self(vec![MARK, VERSION, 0, 0, 0, 0])
    }
}

impl Frame {
    /// Bytes of accesses.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len().saturating_sub(HEAD)
    }

    /// Adds an access.
    pub fn put<W: Serialize>(&mut self, access: &Access<W>) -> io::Result<()> {
        let before = self.0.len();
        postcard::to_io(access, &mut self.0).map(drop).map_err(|error| {
            self.0.truncate(before);
            io::Error::other(error)
        })
    }

    /// Forgets the accesses and keeps the room.
    pub fn clear(&mut self) {
        self.0.truncate(HEAD);
        self.0.shrink_to(KEPT);
    }

    /// The whole frame.
    pub fn bytes(&mut self) -> io::Result<&[u8]> {
        let length = u32::try_from(self.len()).map_err(io::Error::other)?;
        if let Some(place) = self.0.get_mut(2..HEAD) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        Ok(&self.0)
    }
}

/// The accesses of the frame that the bytes begin with; none if they begin with a line.
pub fn read_frame(first: u8, from: &mut impl Read) -> io::Result<Option<Vec<Access>>> {
    if first != MARK {
        return Ok(None);
    }
    let mut head = [0; HEAD];
    from.read_exact(&mut head)?;
    let [_, version, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    if version != VERSION || length > LONGEST {
        let reason = format!("accesses of version {version} in {length} bytes: another build's");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    let mut rest = bytes.as_slice();
    let mut accesses = Vec::new();
    while !rest.is_empty() {
        let (access, after) = postcard::take_from_bytes(rest).map_err(io::Error::other)?;
        accesses.push(access);
        rest = after;
    }
    Ok(Some(accesses))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{DnsAnswer, HttpVersion, Message, Side, TraceId, Verdict, What};
    use ciliate_types::{EndpointId, Identity};

    fn access(what: What) -> Access {
        Access {
            time: 1_700_000_000_000_000_000,
            message: Message::Response,
            client: "[fd00::1]:4000".parse().unwrap(),
            server: "10.0.0.2:80".parse().unwrap(),
            client_identity: Identity::new(1001),
            server_identity: Identity::new(1002),
            client_endpoint: EndpointId::new(7),
            server_endpoint: None,
            transport: 6,
            verdict: Verdict::Denied,
            direction: Side::Ingress,
            rule: 0,
            closed_by: vec![3, 400],
            latency: Some(1_000_000),
            what,
        }
    }

    fn all() -> Vec<Access> {
        let text = str::to_owned;
        [
            What::Http {
                version: HttpVersion::Http2,
                method: text("GET"),
                path: text("/a?b"),
                authority: text("x:80"),
                status: Some(403),
                grpc_status: None,
                headers: vec![(text("a"), text("b"))],
                trace: TraceId::of_header(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            },
            What::Malformed { reason: text("bare-lf") },
            What::Kafka {
                api: text("Produce"),
                version: 9,
                correlation_id: -1,
                client_id: None,
                topics: vec![text("t")],
                error: Some(29),
            },
            What::Tls { server_name: Some(text("x")) },
            What::Dns {
                name: text("x."),
                kind: text("A"),
                answer: Some(DnsAnswer {
                    code: 3,
                    addresses: vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
                    ttl: 60,
                    aliases: vec![text("y.")],
                    kinds: vec![text("CNAME"), text("A")],
                }),
            },
        ]
        .map(access)
        .to_vec()
    }

    #[test]
    fn accesses_arrive_as_they_were_sent() {
        let mut frame = Frame::default();
        for round in 0..2 {
            frame.clear();
            for access in &all() {
                frame.put(access).unwrap();
            }
            let bytes = frame.bytes().unwrap();
            let read = read_frame(bytes[0], &mut &bytes[..]).unwrap();
            assert_eq!(read, Some(all()), "round {round}");
        }
        // Much shorter than words.
        assert!(frame.len() < 500, "{}", frame.len());
    }

    #[test]
    fn what_is_no_frame_of_ours_is_said_to_be_none() {
        assert_eq!(read_frame(b'"', &mut &b"\"done\"\n"[..]).unwrap(), None);
        let mut frame = Frame::default();
        frame.put(&all()[0]).unwrap();
        let bytes = frame.bytes().unwrap().to_vec();
        let mut other = bytes.clone();
        other[1] = VERSION + 1;
        let error = read_frame(0, &mut &other[..]).unwrap_err();
        assert!(error.to_string().contains("another build's"), "{error}");
        assert!(read_frame(0, &mut &bytes[..bytes.len() - 1]).is_err());
        let mut short = bytes;
        short[5] -= 1;
        assert!(read_frame(0, &mut &short[..]).is_err());
    }
}
