//! How connections are read: each protocol takes bytes from either end and says what goes on to the other.

mod dns;
mod http;
mod kafka;
mod tls;

pub use dns::{Dns, Release};
pub use http::Http;
pub use kafka::Kafka;
pub use tls::Tls;

use crate::{
    gate::{Decided, Gate},
    message::{Parser, What},
    shared::Shared,
};
use ciliate_http::Scratch;
use std::{net::SocketAddr, ops::Range, time::Instant};

/// A connection as its protocol reads it.
#[derive(Debug)]
pub enum Protocol {
    Http(Box<Http>),
    Kafka(Box<Kafka>),
    Tls(Box<Tls>),
    Dns(Box<Dns>),
    /// Passed on unread.
    Tcp,
}

/// What a protocol may ask and where it puts what it has to say.
pub struct Surroundings<'a> {
    pub shared: &'a Shared,
    pub gate: &'a Gate,
    pub scratch: &'a mut Scratch,
    pub to_server: &'a mut Vec<u8>,
    pub to_client: &'a mut Vec<u8>,
    /// Told of each request, in words if anybody wants to know.
    pub tell: &'a mut dyn FnMut(Decided, Option<&What>),
    /// Told of responses to requests that were remembered.
    pub answered: &'a mut dyn FnMut(&Asked),
    pub watched: Watched,
}

/// Whether anybody wants to know of requests, so that they are worth remembering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    No,
    Yes,
}

impl Watched {
    /// What is only needed if so.
    pub fn then<T>(self, make: impl FnOnce() -> T) -> Option<T> {
        match self {
            Self::Yes => Some(make()),
            Self::No => None,
        }
    }
}

/// A request that waits for its response.
#[derive(Debug)]
pub struct Asked {
    pub decided: Decided,
    pub what: What,
    pub at: Instant,
}

/// What to do with bytes that came in: first pass on `forward`, then what was put into the buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes that are done with.
    pub consumed: usize,
    /// The part of the input that goes to the other end as it is.
    pub forward: Range<usize>,
    pub next: Next,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// More bytes are needed.
    More,
    /// Call again with the rest.
    Again,
    /// The other end has to come first.
    Wait,
    /// Nothing more is taken from this end.
    Deaf,
    /// Send what there is to the client, then close both.
    Finish,
    /// Cut both, for the named reason.
    Cut(&'static str),
}

/// What the end of one side's bytes means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody waits for anything: close both, after what is on its way.
    Close,
    /// Pass it on.
    Pass,
    Cut,
}

impl Step {
    fn all(len: usize) -> Self {
        Self { consumed: len, forward: 0..len, next: Next::More }
    }

    fn nothing(next: Next) -> Self {
        Self { consumed: 0, forward: 0..0, next }
    }
}

impl Protocol {
    pub fn new(gate: &Gate, shared: &Shared, (client, server): (SocketAddr, SocketAddr)) -> Option<Self> {
        match gate.parser {
            Parser::Http => Some(Self::Http(Box::new(Http::new(&shared.http)))),
            Parser::Kafka => {
                let topics = shared.topics(gate.client_identity, gate.server_identity);
                Some(Self::Kafka(Box::new(Kafka::new(shared.settings.kafka.clone(), topics))))
            }
            Parser::Tls => Some(Self::Tls(Box::default())),
            Parser::Tcp => Some(Self::Tcp),
            Parser::Dns => Some(Self::Dns(Box::new(Dns::new(&shared.settings.dns, client, server)))),
        }
    }

    /// The client has sent `input`, of which nothing was consumed yet.
    pub fn client(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        match self {
            Self::Http(http) => http.client(input, around),
            Self::Kafka(kafka) => kafka.client(input, around),
            Self::Tls(tls) => tls.client(input, around),
            Self::Dns(dns) => dns.client(input, around),
            Self::Tcp => Step::all(input.len()),
        }
    }

    /// The server has.
    pub fn server(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        match self {
            Self::Http(http) => http.server(input, around),
            Self::Kafka(kafka) => kafka.server(input, around),
            Self::Dns(dns) => dns.server(input, around),
            Self::Tls(tls) => tls.server(input),
            Self::Tcp => Step::all(input.len()),
        }
    }

    /// How many of the client's next bytes go to the server whatever they are.
    #[must_use]
    pub fn client_opaque(&self) -> u64 {
        match self {
            Self::Http(http) => http.client_opaque(),
            Self::Kafka(_) | Self::Tls(_) | Self::Dns(_) | Self::Tcp => 0,
        }
    }

    /// How many of the server's next bytes go to the client whatever they are.
    #[must_use]
    pub fn server_opaque(&self) -> u64 {
        match self {
            Self::Http(http) => http.server_opaque(),
            Self::Kafka(_) | Self::Tls(_) | Self::Dns(_) | Self::Tcp => 0,
        }
    }

    /// So many of the client's opaque bytes have gone on.
    pub fn client_spliced(&mut self, len: u64) {
        if let Self::Http(http) = self {
            http.client_spliced(len);
        }
    }

    /// So many of the server's opaque bytes have gone on.
    pub fn server_spliced(&mut self, len: u64) {
        if let Self::Http(http) = self {
            http.server_spliced(len);
        }
    }

    pub fn client_end(&mut self) -> End {
        match self {
            Self::Http(http) => http.client_end(),
            Self::Kafka(_) | Self::Tls(_) | Self::Dns(_) | Self::Tcp => End::Pass,
        }
    }

    pub fn server_end(&mut self) -> End {
        match self {
            Self::Http(http) => http.server_end(),
            Self::Kafka(_) | Self::Tls(_) | Self::Dns(_) | Self::Tcp => End::Pass,
        }
    }

    /// The connection is over: tells of responses that had begun, and that nobody was told of.
    pub fn abandon(&mut self, tell: &mut dyn FnMut(&Asked)) {
        if let Self::Http(http) = self {
            http.abandon(tell);
        }
    }

    /// The server cannot be reached.
    pub fn unreachable(&mut self, to_client: &mut Vec<u8>) {
        match self {
            Self::Http(http) => http.unreachable(to_client),
            Self::Kafka(_) | Self::Tls(_) | Self::Dns(_) | Self::Tcp => {}
        }
    }

    /// Whether the connection may go on under other rules. What `out` gets is for the server and for the client.
    pub fn still_allowed(
        &mut self,
        gate: &Gate,
        scratch: &mut Scratch,
        out: (&mut Vec<u8>, &mut Vec<u8>),
    ) -> bool {
        match self {
            Self::Http(http) => gate.parser == Parser::Tcp || http.still_allowed(gate, scratch, out),
            Self::Kafka(kafka) => {
                kafka.forget_policy();
                matches!(gate.parser, Parser::Tcp | Parser::Kafka)
            }
            Self::Tls(tls) => gate.parser == Parser::Tcp || tls.still_allowed(gate),
            Self::Dns(_) => matches!(gate.parser, Parser::Tcp | Parser::Dns),
            Self::Tcp => gate.parser == Parser::Tcp,
        }
    }

    #[must_use]
    pub fn parser(&self) -> Parser {
        match self {
            Self::Http(_) => Parser::Http,
            Self::Kafka(_) => Parser::Kafka,
            Self::Tls(_) => Parser::Tls,
            Self::Dns(_) => Parser::Dns,
            Self::Tcp => Parser::Tcp,
        }
    }
}
