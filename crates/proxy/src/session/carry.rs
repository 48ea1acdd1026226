//! What one end sends goes on to the other, shown to the protocol on its way where that has to see it.

use super::{Over, Session, Stage, Workbench};
use crate::{
    gate::Decided,
    half::{Half, Read},
    message::What,
    pipe::WORTH,
    protocol::{Asked, End, Next, Release, Step, Surroundings},
    shared::Shared,
};

/// Which end something came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Client,
    Server,
}

impl Session {
    /// Moves something from an end to the other; returns whether anything came.
    pub(super) fn carry(
        &mut self,
        origin: Origin,
        shared: &Shared,
        bench: &mut Workbench,
    ) -> Result<bool, Over> {
        if self.may_splice(origin) && self.lend_pipe(origin, bench) {
            self.splice(origin, shared, bench)
        } else {
            self.read(origin, shared, bench)
        }
    }

    /// Whether there is much to come that nobody has to look at, and nothing before it.
    fn may_splice(&self, origin: Origin) -> bool {
        let (from, to) = match origin {
            Origin::Client => (&self.client, &self.server),
            Origin::Server => (&self.server, &self.client),
        };
        let waits = self.client_waits || self.server_waits;
        from.input.is_empty() && to.backlog() == 0 && !waits && self.is_worth_it(origin)
    }

    fn is_worth_it(&self, origin: Origin) -> bool {
        // What has no end of its own may trickle for days.
        (WORTH..u64::MAX).contains(&self.opaque(origin))
    }

    fn opaque(&self, origin: Origin) -> u64 {
        match origin {
            Origin::Client => self.protocol.client_opaque(),
            Origin::Server => self.protocol.server_opaque(),
        }
    }

    fn lend_pipe(&mut self, origin: Origin, bench: &Workbench) -> bool {
        let to = match origin {
            Origin::Client => &mut self.server,
            Origin::Server => &mut self.client,
        };
        to.pipe = to.pipe.take().or_else(|| bench.pipes.lend());
        to.pipe.is_some()
    }

    /// Lets go of the pipe from an end if nothing is worth it any more.
    pub(super) fn give_pipe_back(&mut self, origin: Origin) {
        let to = match origin {
            Origin::Client => &self.server,
            Origin::Server => &self.client,
        };
        if to.pipe.as_ref().is_some_and(|pipe| pipe.held() == 0) && !self.is_worth_it(origin) {
            match origin {
                Origin::Client => self.server.pipe = None,
                Origin::Server => self.client.pipe = None,
            }
        }
    }

    fn splice(&mut self, origin: Origin, shared: &Shared, bench: &mut Workbench) -> Result<bool, Over> {
        let most = self.opaque(origin);
        let (from, to) = match origin {
            Origin::Client => (&mut self.client, &mut self.server),
            Origin::Server => (&mut self.server, &mut self.client),
        };
        match from.splice(to, most)? {
            Read::Nothing => Ok(false),
            Read::End => self.ended(origin).map(|()| true),
            Read::Bytes(count) => {
                let count = u64::try_from(count).unwrap_or_default();
                match origin {
                    Origin::Client => self.protocol.client_spliced(count),
                    Origin::Server => self.protocol.server_spliced(count),
                }
                self.take(origin, &[], shared, bench).map(|_nothing| true)
            }
        }
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

    /// Shows bytes to the protocol until it wants no more of them, and sends what comes of it. Returns how many it took.
    fn take(
        &mut self,
        origin: Origin,
        input: &[u8],
        shared: &Shared,
        bench: &mut Workbench,
    ) -> Result<usize, Over> {
        let taken = self.take_steps(origin, input, shared, bench)?;
        self.client.flush()?;
        if self.stage == Stage::Open {
            self.server.flush()?;
        }
        Ok(taken)
    }

    fn take_steps(
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
            let (for_client, for_server) = match origin {
                Origin::Client => ([&[], bench.to_client.as_slice()], [forward, &bench.to_server]),
                Origin::Server => ([forward, &bench.to_client], [&[], bench.to_server.as_slice()]),
            };
            taken = taken.saturating_add(step.consumed);
            // What several steps have to say goes out together.
            let last = step.next != Next::Again || taken >= input.len();
            for (half, pieces) in [(client, for_client), (server, for_server)] {
                for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
                    if last { half.send(piece)? } else { half.keep(piece) }
                }
            }
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
        let watched = shared.watched();
        let mut tell = |decided: Decided, what: Option<&What>| {
            *requests = requests.saturating_add(1);
            shared.note(gate, (*from, *to), decided, what);
        };
        let mut answered = |asked: &Asked| shared.note_response(gate, (*from, *to), asked);
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
}
