//! Queries of clients, and whether they go on to their servers.

use super::{
    super::{
        many::{self, Inbox, Outgoing},
        words,
    },
    BATCHES, Passed, Resolver, number, token,
};
use crate::{
    gate::{Decided, Gate},
    message::{Side, Verdict, What},
};
use ciliate_dns::{Full, Malformed, Query, Reply, Route, reply, set_id};
use nix::errno::Errno;
use std::{io, net::SocketAddr, sync::atomic::Ordering::Relaxed};

impl Resolver {
    pub fn read_queries(&mut self, index: usize, inbox: &mut Inbox) {
        for _ in 0..BATCHES {
            let Some(listener) = self.listeners.get(index) else { return };
            let count = match inbox.receive(listener) {
                Ok(count) => count,
                Err(error) => {
                    tracing::warn!(%error, "cannot receive queries");
                    self.shared.counters.fault("dns-receive");
                    return;
                }
            };
            self.shared.counters.queries.fetch_add(u64::try_from(count).unwrap_or_default(), Relaxed);
            let mut asked = std::mem::take(&mut self.asked);
            for at in 0..count {
                let Some((from, to)) = inbox.ends(at) else { continue };
                let Some(message) = inbox.message(at) else { continue };
                match self.query(message, from, to) {
                    Ok(Some(lane)) => asked.push((lane, at)),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(%error, %from, %to, "cannot deal with a query");
                        self.shared.counters.fault("dns-query");
                    }
                }
            }
            for run in asked.chunk_by(|(lane, _), (next, _)| lane == next) {
                self.pass_on(run, inbox);
            }
            asked.clear();
            self.asked = asked;
            if count < many::AT_ONCE {
                return;
            }
        }
    }

    /// Sends queries on, all on one lane, to its server.
    fn pass_on(&mut self, mut run: &[(usize, usize)], inbox: &Inbox) {
        while let Some((lane, _)) = run.first() {
            let Some(row) = self.lanes.get(*lane) else { return };
            let messages = run.iter().filter_map(|(_, at)| inbox.bytes(*at));
            let outgoing = messages.map(|bytes| Outgoing { bytes, to: &[], control: &[] });
            match many::send(&row.fd, outgoing) {
                Ok(sent) => run = run.get(sent..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                // The kernel has no room now: they are lost, as datagrams may be.
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return self.shared.counters.fault("dns-send"),
                Err(error) => {
                    tracing::debug!(%error, server = %row.server, "cannot ask");
                    self.shared.counters.fault("dns-query");
                    return self.lane_failed(*lane);
                }
            }
        }
    }

    /// Deals with one query of a client to a server; the lane to send it on, unless that was all.
    fn query(
        &mut self,
        message: &mut [u8],
        client: SocketAddr,
        server: SocketAddr,
    ) -> io::Result<Option<usize>> {
        let found = self.gates.find(&self.shared, client, server).map_err(io::Error::other)?;
        let Some(gate) = found else {
            self.shared.counters.fault("policy");
            return Ok(None);
        };
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(malformed) => {
                return self.malformed(message, malformed, &gate, (client, server)).map(|()| None);
            }
        };
        let decided = gate.dns(&query.question.name);
        let reject = self.shared.settings.dns.reject;
        let what = self.shared.watched().then(|| words::query(&query.question, decided, reject));
        self.shared.note(&gate, (client, server), decided, what.as_ref());
        if let Verdict::Denied | Verdict::Refused = decided.verdict {
            reply::to_query(&query, reject, &mut self.out);
            return self.say(server, client).map(|()| None);
        }
        let pair = (client.ip(), server);
        let lane = match self.lanes.between(&self.shared, &self.epoll, pair, token, self.now) {
            Ok(lane) => lane,
            Err(error) => {
                tracing::debug!(%error, %client, %server, "cannot ask in the client's name");
                self.shared.counters.fault("dns-max-sockets");
                reply::to_query(&query, Reply::Busy, &mut self.out);
                return self.say(server, client).map(|()| None);
            }
        };
        let route = Route { lane: number(lane), client, server };
        let (clock, random) = (self.clock(), &mut self.random);
        let id = match self.pending.insert(
            clock,
            &mut || random.number(),
            &query,
            route,
            Passed { gate, decided },
        ) {
            Ok(id) => id,
            Err(full) => {
                self.shared.counters.fault(match full {
                    Full::Table(_) => "dns-max-pending",
                    Full::Client(..) => "dns-max-pending-per-client",
                    Full::Ids(_) => "dns-ids",
                });
                reply::to_query(&query, Reply::Busy, &mut self.out);
                return self.say(server, client).map(|()| None);
            }
        };
        set_id(message, id);
        Ok(Some(lane))
    }

    fn malformed(
        &mut self,
        message: &[u8],
        malformed: Malformed,
        gate: &Gate,
        (client, server): (SocketAddr, SocketAddr),
    ) -> io::Result<()> {
        self.shared.counters.fault(malformed.label());
        let decided = Decided { verdict: Verdict::Refused, side: Side::Egress, rule: 0 };
        let what = self.shared.watched().then(|| What::Malformed { reason: malformed.to_string() });
        self.shared.note(gate, (client, server), decided, what.as_ref());
        if reply::to_malformed(message, malformed, &mut self.out) {
            return self.say(server, client);
        }
        Ok(())
    }
}
