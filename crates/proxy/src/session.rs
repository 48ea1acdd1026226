//! One client's connection and the one to its server.

use crate::{
    gate::{Decided, Gate},
    half::{Half, Read},
    message::{ConnectionInfo, Message, Record, What},
    protocol::{Asked, End, Next, Protocol, Release, Step, Surroundings, Watched},
    shared::Shared,
    socket,
};
use ciliate_http::Scratch;
use ciliate_types::Protocol as Transport;
use std::{io, net::SocketAddr, os::fd::OwnedFd, time::Instant};

/// What a worker lends to the session that it works on.
pub struct Workbench {
    pub buffer: Vec<u8>,
    pub scratch: Scratch,
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

/// Which end something came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Client,
    Server,
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
                moved |= self.read(Origin::Client, shared, bench)?;
            }
            if self.stage == Stage::Open
                && self.server.may_read()
                && !self.server_waits
                && self.client.backlog() < limit
            {
                moved |= self.read(Origin::Server, shared, bench)?;
            }
            if !moved {
                break;
            }
            self.moved = now;
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

    /// Reads once from an end and passes on what came; returns whether anything did.
    fn read(&mut self, origin: Origin, shared: &Shared, bench: &mut Workbench) -> Result<bool, Over> {
        let mut buffer = std::mem::take(&mut bench.buffer);
        let half = self.half(origin);
        let read = half.read(&mut buffer);
        let result = match read {
            Ok(Read::Nothing) => Ok(false),
            Ok(Read::End) => {
                // Nothing may be sent after the end.
                let released = match origin {
                    Origin::Client => Ok(()),
                    Origin::Server => self.release(shared, bench, Release::All),
                };
                released.and_then(|()| self.ended(origin)).map(|()| true)
            }
            Ok(Read::Bytes(count)) => {
                let half = self.half(origin);
                let fresh = buffer.get(..count).unwrap_or_default();
                let passed = if half.input.is_empty() {
                    self.take(origin, fresh, shared, bench).map(|consumed| {
                        let rest = fresh.get(consumed..).unwrap_or_default();
                        self.half(origin).input.extend_from_slice(rest);
                    })
                } else {
                    half.input.extend_from_slice(fresh);
                    self.take_kept(origin, shared, bench)
                };
                passed.map(|()| true)
            }
            Err(error) => Err(error.into()),
        };
        bench.buffer = buffer;
        let moved = result?;
        // One end's step may have made room for what the other had sent already.
        match origin {
            Origin::Server if std::mem::take(&mut self.client_waits) => {
                self.take_kept(Origin::Client, shared, bench)?;
            }
            Origin::Client if std::mem::take(&mut self.server_waits) => {
                self.take_kept(Origin::Server, shared, bench)?;
            }
            Origin::Client | Origin::Server => {}
        }
        Ok(moved)
    }

    fn half(&mut self, origin: Origin) -> &mut Half {
        match origin {
            Origin::Client => &mut self.client,
            Origin::Server => &mut self.server,
        }
    }

    /// Goes on with what was received before.
    fn take_kept(&mut self, origin: Origin, shared: &Shared, bench: &mut Workbench) -> Result<(), Over> {
        let mut kept = std::mem::take(&mut self.half(origin).input);
        let consumed = self.take(origin, &kept, shared, bench)?;
        kept.drain(..consumed.min(kept.len()));
        if kept.is_empty() {
            kept = Vec::new();
        }
        self.half(origin).input = kept;
        Ok(())
    }

    /// Shows bytes to the protocol until it wants no more of them. Returns how many it took.
    fn take(
        &mut self,
        origin: Origin,
        input: &[u8],
        shared: &Shared,
        bench: &mut Workbench,
    ) -> Result<usize, Over> {
        let mut taken = 0_usize;
        loop {
            let rest = input.get(taken..).unwrap_or_default();
            if origin == Origin::Client && self.deaf {
                return Ok(input.len());
            }
            let step = self.step(origin, rest, shared, bench);
            let forward = rest.get(step.forward.clone()).unwrap_or_default();
            let (client, server) = (&mut self.client, &mut self.server);
            match origin {
                Origin::Client => server.send(forward)?,
                Origin::Server => client.send(forward)?,
            }
            if !bench.to_server.is_empty() {
                server.send(&bench.to_server)?;
            }
            if !bench.to_client.is_empty() {
                client.send(&bench.to_client)?;
            }
            taken = taken.saturating_add(step.consumed);
            match step.next {
                Next::More => return Ok(taken),
                Next::Again if taken < input.len() => {}
                Next::Again => return Ok(taken),
                Next::Wait => {
                    match origin {
                        Origin::Client => self.client_waits = true,
                        Origin::Server => self.server_waits = true,
                    }
                    return Ok(taken);
                }
                Next::Deaf => {
                    self.deaf = true;
                    return Ok(input.len());
                }
                Next::Finish => {
                    (self.deaf, self.finishing) = (true, true);
                    return Ok(input.len());
                }
                Next::Cut(reason) => return Err(Over::Cut(reason)),
            }
        }
    }

    fn step(&mut self, origin: Origin, input: &[u8], shared: &Shared, bench: &mut Workbench) -> Step {
        bench.to_server.clear();
        bench.to_client.clear();
        let Self { protocol, gate, from, to, requests, .. } = self;
        let watched = if shared.watchers.wanted() { Watched::Yes } else { Watched::No };
        let mut tell = |decided: Decided, what: &dyn Fn() -> What| {
            *requests = requests.saturating_add(1);
            shared.note(gate, (*from, *to), decided, what);
        };
        let mut answered = |asked: &Asked| {
            let latency = u64::try_from(asked.at.elapsed().as_nanos()).ok();
            let told = gate.record((*from, *to), asked.decided, asked.what.clone());
            shared.watchers.tell(&Record { message: Message::Response, latency, ..told });
        };
        let mut around = Surroundings {
            shared,
            gate,
            scratch: &mut bench.scratch,
            to_server: &mut bench.to_server,
            to_client: &mut bench.to_client,
            tell: &mut tell,
            answered: &mut answered,
            watched,
        };
        match origin {
            Origin::Client => protocol.client(input, &mut around),
            Origin::Server => protocol.server(input, &mut around),
        }
    }

    /// An end sends no more.
    fn ended(&mut self, origin: Origin) -> Result<(), Over> {
        let end = match origin {
            Origin::Client => self.protocol.client_end(),
            Origin::Server => self.protocol.server_end(),
        };
        match (end, origin) {
            (End::Cut, _) => return Err(Over::Cut("truncated")),
            (End::Pass, Origin::Client) => self.server.finish(),
            (End::Pass, Origin::Server) => self.client.finish(),
            (End::Close, _) => {
                self.deaf = true;
                self.server.finish();
                self.finishing = true;
            }
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
    pub fn end(self, over: &Over) {
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
