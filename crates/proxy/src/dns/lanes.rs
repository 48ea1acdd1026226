//! Sockets towards servers: one for each client and server, with the client's address and a port of its own.

use super::datagram;
use crate::{shared::Shared, socket};
use ciliate_types::Protocol;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use slab::Slab;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

/// A lane that nobody has used for so long is closed; longer than any answer is waited for.
const IDLE: Duration = Duration::from_secs(60);
/// The kernel's row of a lane is written again when it is so old, or half of its lifetime.
const RENEW: Duration = Duration::from_secs(5);

pub struct Lanes {
    lanes: Slab<Lane>,
    by_pair: HashMap<(IpAddr, SocketAddr), usize>,
    renew: Duration,
}

pub struct Lane {
    pub fd: OwnedFd,
    pub server: SocketAddr,
    client: IpAddr,
    local: SocketAddr,
    announced: Instant,
    used: Instant,
}

impl Lanes {
    pub fn new(shared: &Shared) -> Self {
        let lifetime = shared.view.lifetime(Protocol::UDP).unwrap_or(RENEW);
        Self { lanes: Slab::new(), by_pair: HashMap::new(), renew: RENEW.min(lifetime.div_f32(2.0)) }
    }

    pub fn get(&self, number: usize) -> Option<&Lane> {
        self.lanes.get(number)
    }

    pub fn is_full(&self, shared: &Shared) -> bool {
        self.lanes.len() >= shared.settings.dns.max_sockets
    }

    /// The lane from a client to a server, whose answers the kernel lets find back.
    pub fn between(
        &mut self,
        shared: &Shared,
        epoll: &Epoll,
        (client, server): (IpAddr, SocketAddr),
        token: impl Fn(usize) -> u64,
        now: Instant,
    ) -> io::Result<usize> {
        if let Some(number) = self.by_pair.get(&(client, server)).copied()
            && let Some(lane) = self.lanes.get_mut(number)
        {
            lane.used = now;
            if now.saturating_duration_since(lane.announced) >= self.renew {
                lane.announced = now;
                announce(shared, lane.local, server)?;
            }
            return Ok(number);
        }
        if self.is_full(shared) {
            return Err(io::Error::other("dns-max-sockets"));
        }
        let fd = datagram::in_the_name_of(client)?;
        let local = socket::local(&fd)?;
        announce(shared, local, server)?;
        datagram::connect_to(&fd, server)?;
        let entry = self.lanes.vacant_entry();
        let number = entry.key();
        epoll.add(&fd, EpollEvent::new(EpollFlags::EPOLLIN, token(number)))?;
        entry.insert(Lane { fd, server, client, local, announced: now, used: now });
        self.by_pair.insert((client, server), number);
        Ok(number)
    }

    /// Closes what is idle; `closed` is told of each.
    pub fn sweep(&mut self, now: Instant, mut closed: impl FnMut(usize)) {
        let idle = |lane: &Lane| now.saturating_duration_since(lane.used) >= IDLE;
        let numbers: Vec<usize> =
            self.lanes.iter().filter(|(_, lane)| idle(lane)).map(|(number, _)| number).collect();
        for number in numbers {
            self.close(number);
            closed(number);
        }
    }

    pub fn close(&mut self, number: usize) {
        if let Some(lane) = self.lanes.try_remove(number) {
            self.by_pair.remove(&(lane.client, lane.server));
        }
    }
}

fn announce(shared: &Shared, local: SocketAddr, server: SocketAddr) -> io::Result<()> {
    shared.view.announce(Protocol::UDP, local, server).map_err(io::Error::other)
}
