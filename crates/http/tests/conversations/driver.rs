//! Drives a connection as a proxy does, and keeps all bytes.

use ciliate_http::{
    ACCESS_DENIED, Request, Settings,
    h1::{ClientEnd, ClientNext, Connection, Decision, ServerEnd, ServerNext},
};
use std::sync::Arc;

/// A request as a recording server saw it: method, path, host.
pub type Seen = (String, String, String);

/// A client, a server and what went between them. Paths that begin with `/allowed` are allowed.
pub struct Conversation {
    connection: Connection<Seen>,
    client_unread: Vec<u8>,
    server_unread: Vec<u8>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    client_next: ClientNext,
    server_next: ServerNext,
    statuses: Vec<u16>,
    judged: Vec<Seen>,
}

/// What a denied client gets.
pub fn denied(connection: &str) -> String {
    format!(
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 15\r\ncontent-type: text/plain\r\nserver: ciliate\r\n{connection}\r\n{ACCESS_DENIED}"
    )
}

pub fn seen(request: &Request<'_>) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(request.method), text(request.path), text(request.host))
}

impl Conversation {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        Self {
            connection: Connection::new(Arc::new(settings)),
            client_unread: Vec::new(),
            server_unread: Vec::new(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            client_next: ClientNext::More,
            server_next: ServerNext::More,
            statuses: Vec::new(),
            judged: Vec::new(),
        }
    }

    pub fn client(&mut self, bytes: impl AsRef<[u8]>) {
        self.client_judged(bytes, |request| request.path.starts_with(b"/allowed"));
    }

    pub fn client_judged(&mut self, bytes: impl AsRef<[u8]>, mut allowed: impl FnMut(&Request<'_>) -> bool) {
        self.client_unread.extend_from_slice(bytes.as_ref());
        loop {
            let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
            let judged = &mut self.judged;
            let step =
                self.connection.client(&self.client_unread, &mut to_server, &mut to_client, |request| {
                    if !allowed(request) {
                        return Decision::Deny;
                    }
                    judged.push(seen(request));
                    Decision::Allow { token: seen(request), edits: Vec::new() }
                });
            self.to_server.extend_from_slice(&self.client_unread[step.forward.clone()]);
            self.to_server.extend(to_server);
            self.to_client.extend(to_client);
            self.client_unread.drain(..step.consumed);
            self.client_next = match (self.client_next, step.next) {
                // The first reason stays.
                (refused @ (ClientNext::Refused(_) | ClientNext::Abort(_)), ClientNext::Last) => refused,
                (_, next) => next,
            };
            if step.next != ClientNext::Again {
                break;
            }
        }
    }

    pub fn server(&mut self, bytes: impl AsRef<[u8]>) {
        self.server_unread.extend_from_slice(bytes.as_ref());
        loop {
            let mut to_client = Vec::new();
            let step = self.connection.server(&self.server_unread, &mut to_client);
            self.to_client.extend_from_slice(&self.server_unread[step.forward.clone()]);
            self.to_client.extend(to_client);
            self.server_unread.drain(..step.consumed);
            self.statuses.extend(step.response.map(|response| response.status));
            self.server_next = step.next;
            if step.next != ServerNext::Again {
                break;
            }
        }
    }

    pub fn connection(&mut self) -> &mut Connection<Seen> {
        &mut self.connection
    }

    pub fn to_server(&self) -> String {
        String::from_utf8_lossy(&self.to_server).into_owned()
    }

    pub fn to_client(&self) -> String {
        String::from_utf8_lossy(&self.to_client).into_owned()
    }

    pub fn server_bytes(&self) -> &[u8] {
        &self.to_server
    }

    pub fn statuses(&self) -> Vec<u16> {
        self.statuses.clone()
    }

    /// What was judged and allowed.
    pub fn judged(&self) -> &[Seen] {
        &self.judged
    }

    pub fn outstanding(&self) -> usize {
        self.connection.outstanding()
    }

    pub fn client_next(&self) -> ClientNext {
        self.client_next
    }

    pub fn server_next(&self) -> ServerNext {
        self.server_next
    }

    pub fn client_end(&mut self) -> ClientEnd {
        self.connection.client_end()
    }

    pub fn server_end(&mut self) -> ServerEnd {
        self.connection.server_end()
    }

    pub fn give_up(&mut self, status: u16) -> String {
        let mut out = Vec::new();
        self.connection.give_up(status, &mut out);
        String::from_utf8(out).unwrap()
    }
}
