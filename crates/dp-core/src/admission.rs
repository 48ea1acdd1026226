//! Whether a packet may pass: by its connection if that is still allowed, else by policy.

use crate::{
    connection::{self, Sender},
    flow::{self, FlowKind, Packet},
    policy,
    scene::Scene,
    tables::Tables,
};
use ciliate_abi::{
    Address, Config, Connection, Direction, DropReason, Endpoint, Outcome, config_flags, connection_flags,
    endpoint_flags, event_flags,
};

/// One side of a packet: an endpoint of this node, or somebody else.
#[derive(Clone, Copy)]
pub enum Party<'a> {
    Endpoint(&'a Endpoint),
    Elsewhere,
}

impl<'a> Party<'a> {
    #[inline(always)]
    pub fn find<T: Tables>(tables: &'a T, address: &Address) -> Self {
        match tables.endpoint(address) {
            Some(endpoint) => Self::Endpoint(endpoint),
            None => Self::Elsewhere,
        }
    }

    #[inline(always)]
    fn epoch(&self, config: &Config) -> u32 {
        match self {
            Self::Endpoint(endpoint) => endpoint.epoch,
            Self::Elsewhere => config.peers_epoch,
        }
    }

    #[inline(always)]
    fn identity<T: Tables>(&self, tables: &T, config: &Config, address: &Address) -> u32 {
        match self {
            Self::Endpoint(endpoint) => endpoint.identity,
            Self::Elsewhere => policy::peer_identity(tables, config, address),
        }
    }
}

/// Whether to tell user space about a packet that may pass.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    Trace,
    Silent,
}

/// What the row of a packet's connection said.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    sender: Sender,
    report: Report,
}

impl Known {
    pub const NOTHING: Self = Self { sender: Sender::Originator, report: Report::Trace };
}

/// How a packet relates to the row of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tracked {
    /// There is none, or it is about an earlier connection.
    New,
    /// Nothing has changed since it was allowed.
    Current,
    /// Somebody's policy or identity has changed since.
    Stale,
}

/// Epochs of the sender's and the receiver's side of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Epochs {
    sender: u32,
    receiver: u32,
}

impl Epochs {
    pub const NONE: Self = Self { sender: 0, receiver: 0 };

    #[inline(always)]
    pub fn reverse(&mut self) {
        core::mem::swap(&mut self.sender, &mut self.receiver);
    }
}

/// A decision in the making: the tables it reads and the scene it fills.
pub struct Decision<'a, T> {
    pub tables: &'a T,
    pub config: &'a Config,
    pub scene: &'a mut Scene,
}

impl<T: Tables> Decision<'_, T> {
    /// Lets a packet pass or names the reason why not.
    #[inline(always)]
    pub fn admit<P: Packet>(
        &mut self,
        packet: &P,
        source: Party<'_>,
        destination: Party<'_>,
    ) -> Result<Report, DropReason> {
        let kind = self.scene.flow.kind;
        match kind {
            FlowKind::Connection | FlowKind::AnswerOnly | FlowKind::LaterFragment => {}
            FlowKind::IcmpError if self.is_related(packet) => {
                self.identify(source, destination);
                self.scene.set_flag(event_flags::RELATED);
                return Ok(Report::Trace);
            }
            FlowKind::IcmpError | FlowKind::Single => {
                self.identify(source, destination);
                return self.judge_both(source, destination).map(|()| Report::Trace);
            }
        }
        self.scene.epochs =
            Epochs { sender: source.epoch(self.config), receiver: destination.epoch(self.config) };
        match self.track() {
            Tracked::Current => Ok(self.pass_known()),
            Tracked::Stale => self.judge_again(source, destination),
            // Its first fragment would have opened the connection.
            Tracked::New if matches!(kind, FlowKind::LaterFragment) => Err(DropReason::FragmentNotFound),
            Tracked::New => {
                self.identify(source, destination);
                self.judge_both(source, destination)?;
                // An echo reply that nobody asked for opens nothing, even where policy lets it through.
                if matches!(kind, FlowKind::AnswerOnly) || self.open() {
                    Ok(Report::Trace)
                } else {
                    Err(DropReason::ConnectionInsert)
                }
            }
        }
    }

    /// Finds the row of the packet's connection, follows the packet in it, and notes what it says.
    #[inline(never)]
    fn track(&mut self) -> Tracked {
        let Scene {
            flow,
            key,
            known,
            epochs,
            source_identity,
            destination_identity,
            egress_rule,
            ingress_rule,
            proxied,
            ..
        } = &mut *self.scene;
        let config = self.config;
        let now = self.tables.now();
        let end = connection::key(flow, key);
        let tracked = self.tables.with_connection(key, |row| {
            let sender = connection::sender(row, end);
            if !connection::is_live(row, now) || connection::opens_anew(row, flow, sender) {
                return Tracked::New;
            }
            known.sender = sender;
            *proxied = row.flags & connection_flags::PROXIED != 0;
            if !is_current(row, sender, *epochs) {
                return Tracked::Stale;
            }
            let before = row.flags;
            connection::advance(row, flow, sender, now, &config.lifetimes);
            connection::count(row, flow, sender);
            known.report = match connection::is_reportable(row, flow, sender, before, now, config) {
                true => Report::Trace,
                false => Report::Silent,
            };
            (*source_identity, *destination_identity) = match sender {
                Sender::Originator => (row.source_identity, row.destination_identity),
                Sender::Responder => (row.destination_identity, row.source_identity),
            };
            (*egress_rule, *ingress_rule) = (row.egress_rule, row.ingress_rule);
            Tracked::Current
        });
        tracked.unwrap_or(Tracked::New)
    }

    /// Writes the row of a connection that was just allowed; returns whether there was room.
    #[inline(never)]
    fn open(&mut self) -> bool {
        let Scene {
            flow,
            key,
            epochs,
            source_identity,
            destination_identity,
            egress_rule,
            ingress_rule,
            proxied,
            ..
        } = &mut *self.scene;
        let end = connection::key(flow, key);
        let mut row = connection::open(flow, end, self.tables.now(), &self.config.lifetimes);
        (row.source_epoch, row.destination_epoch) = (epochs.sender, epochs.receiver);
        (row.source_identity, row.destination_identity) = (*source_identity, *destination_identity);
        (row.egress_rule, row.ingress_rule) = (*egress_rule, *ingress_rule);
        if *proxied {
            row.flags |= connection_flags::PROXIED;
        }
        self.tables.put_connection(key, &row)
    }

    /// A packet of a connection that is still allowed.
    #[inline(always)]
    fn pass_known(&mut self) -> Report {
        self.scene.set_flag(event_flags::ESTABLISHED);
        if let Sender::Responder = self.scene.known.sender {
            self.scene.set_flag(event_flags::REPLY);
        }
        self.scene.known.report
    }

    /// A packet of a connection that was allowed by what has changed since: judged as its originator opened it.
    #[inline(never)]
    fn judge_again(&mut self, source: Party<'_>, destination: Party<'_>) -> Result<Report, DropReason> {
        self.identify(source, destination);
        self.scene.set_flag(event_flags::ESTABLISHED);
        let icmp_type = self.scene.flow.icmp_type;
        self.scene.flow.icmp_type = self.scene.flow.opening_icmp_type();
        let (originator, responder) = match self.scene.known.sender {
            Sender::Originator => (source, destination),
            Sender::Responder => {
                self.scene.set_flag(event_flags::REPLY);
                self.scene.reverse();
                (destination, source)
            }
        };
        let admitted = self.judge_both(originator, responder);
        let Scene {
            flow,
            key,
            known,
            epochs,
            source_identity,
            destination_identity,
            egress_rule,
            ingress_rule,
            proxied,
            ..
        } = &*self.scene;
        if admitted.is_ok() {
            self.tables.with_connection(key, |row| {
                connection::count(row, flow, known.sender);
                (row.source_epoch, row.destination_epoch) = (epochs.sender, epochs.receiver);
                (row.source_identity, row.destination_identity) = (*source_identity, *destination_identity);
                (row.egress_rule, row.ingress_rule) = (*egress_rule, *ingress_rule);
                if *proxied {
                    row.flags |= connection_flags::PROXIED;
                }
            });
        }
        if let Sender::Responder = self.scene.known.sender {
            self.scene.reverse();
        }
        self.scene.flow.icmp_type = icmp_type;
        admitted.map(|()| Report::Trace)
    }

    /// Whether an ICMP error quotes a packet that its receiver sent on a connection that is still allowed.
    #[inline(never)]
    fn is_related<P: Packet>(&mut self, packet: &P) -> bool {
        let Scene { flow, quoted, key, proxied, .. } = &mut *self.scene;
        if !flow::read_quoted(packet, flow, quoted) || quoted.source != flow.destination {
            return false;
        }
        let now = self.tables.now();
        let epochs = Epochs {
            sender: Party::find(self.tables, &quoted.source).epoch(self.config),
            receiver: Party::find(self.tables, &quoted.destination).epoch(self.config),
        };
        let end = connection::key(quoted, key);
        let current = self.tables.with_connection(key, |row| {
            *proxied = row.flags & connection_flags::PROXIED != 0;
            connection::is_live(row, now) && is_current(row, connection::sender(row, end), epochs)
        });
        current.unwrap_or(false)
    }

    #[inline(always)]
    fn identify(&mut self, source: Party<'_>, destination: Party<'_>) {
        let scene = &mut *self.scene;
        scene.source_identity = source.identity(self.tables, self.config, &scene.flow.source);
        scene.destination_identity = destination.identity(self.tables, self.config, &scene.flow.destination);
    }

    /// Asks the source's egress policy, then the destination's ingress policy.
    #[inline(never)]
    fn judge_both(&mut self, source: Party<'_>, destination: Party<'_>) -> Result<(), DropReason> {
        if let Party::Endpoint(endpoint) = source {
            self.judge(endpoint, Direction::Egress)?;
        }
        if let Party::Endpoint(endpoint) = destination {
            self.judge(endpoint, Direction::Ingress)?;
        }
        Ok(())
    }

    /// Asks one endpoint's policy in one direction; what it said is the scene's.
    #[inline(never)]
    fn judge(&mut self, endpoint: &Endpoint, direction: Direction) -> Result<(), DropReason> {
        let scene = &mut *self.scene;
        scene.direction = direction;
        let (peer, address) = match direction {
            Direction::Ingress => (scene.source_identity, &scene.flow.source),
            Direction::Egress => (scene.destination_identity, &scene.flow.destination),
        };
        let mut judgement = policy::judge(
            self.tables,
            &mut scene.search,
            endpoint.rule_set,
            direction,
            peer,
            address,
            &scene.flow,
        )
        .ok_or(DropReason::NoRuleSet)?;
        let refusal = match judgement.outcome {
            Outcome::Redirected => {
                scene.proxied = true;
                None
            }
            Outcome::Allowed | Outcome::Audited => None,
            Outcome::Denied => Some(DropReason::PolicyDeny),
            Outcome::Unmatched => Some(DropReason::Policy),
        };
        let audit =
            self.config.flags & config_flags::AUDIT != 0 || endpoint.flags & endpoint_flags::AUDIT != 0;
        if refusal.is_some() && audit {
            judgement.outcome = Outcome::Audited;
            scene.set_flag(event_flags::AUDIT);
        }
        scene.note(direction, &judgement);
        match refusal {
            Some(reason) if !audit => Err(reason),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether nothing that decided about the connection has changed since.
#[inline(always)]
fn is_current(row: &Connection, sender: Sender, epochs: Epochs) -> bool {
    let (source, destination) = match sender {
        Sender::Originator => (epochs.sender, epochs.receiver),
        Sender::Responder => (epochs.receiver, epochs.sender),
    };
    row.source_epoch == source && row.destination_epoch == destination
}
