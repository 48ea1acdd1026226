//! Frames of HTTP/2, written and read by hand.

use ciliate_http::{
    Refusal, Request, Settings,
    h1::Decision,
    h2::{ClientNext, Connection, ServerNext},
};
use std::sync::Arc;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// Type, flags, stream, payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(pub u8, pub u8, pub u32, pub Vec<u8>);

pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut out = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

pub fn data(stream: u32, flags: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0, flags, stream, payload)
}

pub fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        pairs.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(4, 0, 0, payload)
}

pub fn window(stream: u32, credit: u32) -> Vec<u8> {
    frame(8, 0, stream, credit.to_be_bytes())
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(3, 0, stream, code.to_be_bytes())
}

/// A block of literals without indexing.
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    headers.iter().flat_map(|(name, value)| literal(0, name, value)).collect()
}

/// `kind`: 0 without indexing, 0x10 never, 0x40 into the table.
pub fn literal(kind: u8, name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![kind];
    for text in [name, value] {
        match u8::try_from(text.len()) {
            Ok(len) if len < 127 => out.push(len),
            _ => {
                let rest = text.len() - 127;
                assert!(rest < 1 << 14, "long enough for tests");
                out.extend([127, 0x80 | (rest & 0x7f) as u8, (rest >> 7) as u8]);
            }
        }
        out.extend(text.bytes());
    }
    out
}

pub fn get(path: &str) -> Vec<u8> {
    block(&[(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a.example")])
}

pub fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(1, flags | END_HEADERS, stream, block)
}

pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let len = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
        out.push(Frame(bytes[3], bytes[4], stream, bytes[9..9 + len].to_vec()));
        bytes = &bytes[9 + len..];
    }
    out
}

/// A client and a server that have greeted each other. Paths that begin with `/allowed` are allowed.
pub struct Talk {
    pub connection: Connection<u32>,
    client_unread: Vec<u8>,
    server_unread: Vec<u8>,
    pub to_server: Vec<u8>,
    pub to_client: Vec<u8>,
    pub refused: Vec<Refusal>,
    pub judged: Vec<String>,
    pub statuses: Vec<(u32, u16)>,
    /// Of calls of gRPC that have ended, by the number of the request.
    pub ended: Vec<(u32, Option<u16>)>,
    pub client_next: ClientNext,
    pub server_next: ServerNext,
}

impl Talk {
    pub fn silent(settings: Settings) -> Self {
        Self {
            connection: Connection::new(Arc::new(settings)),
            client_unread: Vec::new(),
            server_unread: Vec::new(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            refused: Vec::new(),
            judged: Vec::new(),
            statuses: Vec::new(),
            ended: Vec::new(),
            client_next: ClientNext::More,
            server_next: ServerNext::More,
        }
    }

    pub fn new() -> Self {
        let mut talk = Self::silent(Settings::default());
        talk.client([PREFACE, &settings(&[(2, 0)])].concat());
        talk.server(settings(&[(3, 100)]));
        talk.forget();
        talk
    }

    pub fn forget(&mut self) {
        self.to_server.clear();
        self.to_client.clear();
    }

    pub fn client(&mut self, bytes: impl AsRef<[u8]>) {
        self.client_unread.extend_from_slice(bytes.as_ref());
        loop {
            let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
            let judged = &mut self.judged;
            let step =
                self.connection.client(&self.client_unread, &mut to_server, &mut to_client, |request| {
                    judge(judged, request)
                });
            self.to_server.extend_from_slice(&self.client_unread[step.forward.clone()]);
            self.to_server.extend(to_server);
            self.to_client.extend(to_client);
            self.client_unread.drain(..step.consumed);
            self.ended
                .extend(self.connection.ended_early().map(|response| (response.token, response.grpc_status)));
            self.refused.extend(step.refused);
            if !matches!(self.client_next, ClientNext::Close(_)) {
                self.client_next = step.next;
            }
            if step.next != ClientNext::Again {
                break;
            }
        }
    }

    pub fn server(&mut self, bytes: impl AsRef<[u8]>) {
        self.server_unread.extend_from_slice(bytes.as_ref());
        loop {
            let mut to_client = Vec::new();
            let (statuses, ended) = (&mut self.statuses, &mut self.ended);
            let step = self.connection.server(&self.server_unread, &mut to_client, |response| {
                statuses.push((response.token, response.status));
                ended.push((response.token, response.grpc_status));
            });
            self.to_client.extend_from_slice(&self.server_unread[step.forward.clone()]);
            self.to_client.extend(to_client);
            self.connection.write_to_server(&mut self.to_server);
            self.server_unread.drain(..step.consumed);
            self.server_next = step.next;
            if step.next != ServerNext::Again {
                break;
            }
        }
    }
}

fn judge(judged: &mut Vec<String>, request: &Request<'_>) -> Decision<u32> {
    let line = [request.method, b" ", request.path, b" ", request.host].concat();
    judged.push(String::from_utf8(line).unwrap());
    if request.path.starts_with(b"/allowed") {
        Decision::Allow { token: judged.len() as u32, edits: Vec::new() }
    } else {
        Decision::Deny
    }
}
