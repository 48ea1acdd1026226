//! One client's connection and the one to its server.

mod carry;

use crate::{
    gate::Gate,
    half::Half,
    message::ConnectionInfo,
    pipe::Pipes,
    protocol::{Protocol, Release},
    shared::Shared,
    socket,
};
use carry::Origin;
use ciliate_http::Scratch;
use ciliate_types::Protocol as Transport;
use std::{io, net::SocketAddr, os::fd::OwnedFd, time::Instant};

/// What a worker lends to the session that it works on.
pub struct Workbench {
    pub buffer: Vec<u8>,
    pub scratch: Scratch,
    pipes: Pipes,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

/// Read at once.
const BUFFER: usize = 64 << 10;

impl Default for Workbench {
    fn default() -> Self {
        Self {
            buffer: vec![0; BUFFER],
            scratch: Scratch::default(),
            pipes: Pipes::default(),
            to_server: Vec::new(),
            to_client: Vec::new(),
        }
    }
}

#[derive(Debug)]
pub struct Session {
    pub client: Half,
    pub server: Half,
    from: SocketAddr,
    to: SocketAddr,
    protocol: Protocol,
    gate: Gate,
    /// Of the gate.
    generation: u64,
    stage: Stage,
    /// The client is not read from until the server has come forward.
    client_waits: bool,
    /// And the other way round.
    server_waits: bool,
    /// Nothing more is taken from the client.
    deaf: bool,
    /// Both are closed once the client has what there is for it.
    finishing: bool,
    requests: u64,
    born: Instant,
    /// When something last moved.
    moved: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    Open,
}

/// Why a session is over.
#[derive(Debug)]
pub enum Over {
    /// Both ends have what they were to get.
    Closed,
    /// Cut, for the named reason.
    Cut(&'static str),
    Failed(io::Error),
}

impl From<io::Error> for Over {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Session {
    /// Begins to connect to where the client wanted to go. None if policy does not let it.
    pub fn open(
        shared: &Shared,
        client: OwnedFd,
        from: SocketAddr,
        to: SocketAddr,
        now: Instant,
    ) -> io::Result<Option<Self>> {
        let (generation, ready) = shared.ready();
        let found = Gate::find(&shared.view, &ready, Transport::TCP, from, to).map_err(io::Error::other)?;
        let client = Half::new(client)?;
        let Some(gate) = found else { return Ok(None) };
        let Some(protocol) = Protocol::new(&gate, shared, (from, to)) else { return Ok(None) };
        let server = socket::in_the_name_of(from)?;
        shared.view.announce(Transport::TCP, socket::local(&server)?, to).map_err(io::Error::other)?;
        socket::begin_connect(&server, to)?;
        Ok(Some(Self {
            client,
            server: Half::new(server)?,
            from,
            to,
            protocol,
            gate,
            generation,
            stage: Stage::Connecting,
            client_waits: false,
            server_waits: false,
            deaf: false,
            finishing: false,
            requests: 0,
            born: now,
            moved: now,
        }))
    }

    /// The server's socket has become writable: it is connected, or will never be.
    pub fn server_writable(&mut self, bench: &mut Workbench) -> Result<(), Over> {
        if self.stage == Stage::Open {
            self.server.mark_writable();
            return Ok(());
        }
        match socket::outcome(&self.server) {
            Ok(()) => {
                self.stage = Stage::Open;
                self.server.mark_writable();
                Ok(())
            }
            Err(error) => {
                bench.to_client.clear();
                self.protocol.unreachable(&mut bench.to_client);
                if bench.to_client.is_empty() {
                    return Err(error.into());
                }
                self.finishing = true;
                self.deaf = true;
                Ok(self.client.send(&bench.to_client)?)
            }
        }
    }

    /// Moves whatever can be moved.
    pub fn pump(&mut self, shared: &Shared, bench: &mut Workbench, now: Instant) -> Result<(), Over> {
        if self.generation != shared.generation() {
            self.judge_anew(shared, bench)?;
        }
        self.release(shared, bench, Release::Due)?;
        let limit = shared.settings.limits.backlog;
        loop {
            let mut moved = self.client.flush()?;
            if self.stage == Stage::Open {
                moved |= self.server.flush()?;
            }
            if self.client.may_read() && !self.client_waits && !self.deaf && self.server.backlog() < limit {
                moved |= self.carry(Origin::Client, shared, bench)?;
            }
            if self.stage == Stage::Open
                && self.server.may_read()
                && !self.server_waits
                && self.client.backlog() < limit
            {
                moved |= self.carry(Origin::Server, shared, bench)?;
            }
            if !moved {
                break;
            }
            self.moved = now;
        }
        for origin in [Origin::Client, Origin::Server] {
            self.give_pipe_back(origin);
        }
        self.conclude()
    }

    #[must_use]
    pub fn waits_for_names(&self) -> bool {
        matches!(&self.protocol, Protocol::Dns(dns) if dns.is_waiting())
    }

    /// Gives the client answers that have waited.
    fn release(&mut self, shared: &Shared, bench: &mut Workbench, which: Release) -> Result<(), Over> {
        if let Protocol::Dns(dns) = &mut self.protocol {
            bench.to_client.clear();
            dns.release(shared, which, &mut bench.to_client);
            if !bench.to_client.is_empty() {
                self.client.send(&bench.to_client)?;
            }
        }
        Ok(())
    }

    /// Whether it has come to its end.
    fn conclude(&mut self) -> Result<(), Over> {
        if self.finishing {
            self.client.finish();
            self.client.flush()?;
            if self.client.finished() {
                return Err(Over::Closed);
            }
        }
        if self.client.finished() && self.server.finished() {
            return Err(Over::Closed);
        }
        Ok(())
    }

    /// Policy has changed: what is under way has to be allowed still.
    fn judge_anew(&mut self, shared: &Shared, bench: &mut Workbench) -> Result<(), Over> {
        let (generation, ready) = shared.ready();
        let found = Gate::find(&shared.view, &ready, Transport::TCP, self.from, self.to);
        let gate = found.map_err(io::Error::other)?.ok_or(Over::Cut("policy"))?;
        bench.to_server.clear();
        bench.to_client.clear();
        let out = (&mut bench.to_server, &mut bench.to_client);
        if !self.protocol.still_allowed(&gate, &mut bench.scratch, out) {
            return Err(Over::Cut("policy"));
        }
        self.server.send(&bench.to_server)?;
        self.client.send(&bench.to_client)?;
        (self.gate, self.generation) = (gate, generation);
        Ok(())
    }

    /// Why it has waited too long, if it has.
    pub fn overdue(&self, shared: &Shared, now: Instant) -> Option<&'static str> {
        let limits = &shared.settings.limits;
        let (limit, name) = match self.stage {
            Stage::Connecting => (limits.connect, "proxy-connect-timeout"),
            Stage::Open => (limits.idle, "proxy-idle-timeout"),
        };
        (now.saturating_duration_since(self.moved) > limit).then_some(name)
    }

    #[must_use]
    pub fn info(&self, now: Instant) -> ConnectionInfo {
        ConnectionInfo {
            client: self.from,
            server: self.to,
            client_identity: self.gate.client_identity,
            server_identity: self.gate.server_identity,
            protocol: self.protocol.parser(),
            age: now.saturating_duration_since(self.born).as_secs(),
            requests: self.requests,
        }
    }

    /// Lets go of both ends: in order after [`Over::Closed`], with a reset else.
    pub fn end(mut self, shared: &Shared, over: &Over) {
        let ends = (self.from, self.to);
        self.protocol.abandon(&mut |asked| shared.note_response(&self.gate, ends, asked));
        if let Over::Closed = over {
            let Self { client, server, .. } = self;
            for half in [client, server] {
                if let Err(error) = half.close() {
                    tracing::debug!(%error, "cannot close a connection in order");
                }
            }
        }
    }
}
