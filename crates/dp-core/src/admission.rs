//! Whether a packet may pass: by its connection if that is still allowed, else by policy.

use crate::{
    connection::{self, Sender},
    flow::{self, Flow, FlowKind, Packet},
    policy::{self, Judgement, identity},
    scene::Scene,
    tables::Tables,
};
use ciliate_abi::{
    Address, Config, Connection, Direction, DropReason, Endpoint, Outcome, config_flags, endpoint_flags, event_flags,
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
struct Known {
    sender: Sender,
    current: bool,
    identities: (u32, u32),
    rules: (u32, u32),
    report: bool,
}

/// Lets a packet pass or names the reason why not. `scene` gets identities, rule and flags.
#[inline(always)]
pub fn admit<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    config: &Config,
    scene: &mut Scene,
    source: Party<'_>,
    destination: Party<'_>,
) -> Result<Report, DropReason> {
    let flow = scene.flow;
    match flow.kind {
        FlowKind::Single => return admit_single(tables, config, scene, &flow, source, destination),
        FlowKind::IcmpError => {
            return match is_related(packet, tables, config, &flow) {
                true => {
                    scene.set_flag(event_flags::RELATED);
                    scene.source_identity = source.identity(tables, config, &flow.source);
                    scene.destination_identity = destination.identity(tables, config, &flow.destination);
                    Ok(Report::Trace)
                }
                false => admit_single(tables, config, scene, &flow, source, destination),
            };
        }
        FlowKind::Connection | FlowKind::AnswerOnly | FlowKind::LaterFragment => {}
    }
    let now = tables.now();
    let (key, end) = connection::key(&flow);
    let epochs = (source.epoch(config), destination.epoch(config));
    let known = tables.with_connection(&key, |row| follow(row, &flow, connection::sender(row, end), now, epochs, config));
    if let Some(Some(known)) = known {
        scene.set_flag(event_flags::ESTABLISHED);
        let reply = matches!(known.sender, Sender::Responder);
        if reply {
            scene.set_flag(event_flags::REPLY);
        }
        if known.current {
            let (originator, responder) = known.identities;
            (scene.source_identity, scene.destination_identity) =
                if reply { (responder, originator) } else { (originator, responder) };
            scene.rule = match known.rules {
                (0, ingress) => ingress,
                (egress, _) => egress,
            };
            return Ok(if known.report { Report::Trace } else { Report::Silent });
        }
        // Somebody's policy or identity changed since: judge the connection again, as its originator opened it.
        let (opening, originator, responder) =
            if reply { (flow.reversed(), destination, source) } else { (flow, source, destination) };
        let admitted = judge_both(tables, config, scene, &opening.opening(), originator, responder);
        if reply {
            (scene.source_identity, scene.destination_identity) = (scene.destination_identity, scene.source_identity);
        }
        let rules = admitted?;
        let identities = if reply {
            (scene.destination_identity, scene.source_identity)
        } else {
            (scene.source_identity, scene.destination_identity)
        };
        let epochs = if reply { (epochs.1, epochs.0) } else { epochs };
        tables.with_connection(&key, |row| remember(row, epochs, identities, rules));
        return Ok(Report::Trace);
    }
    if let FlowKind::LaterFragment = flow.kind {
        // Its first fragment would have opened the connection.
        return Err(DropReason::FragmentNotFound);
    }
    let rules = judge_both(tables, config, scene, &flow, source, destination)?;
    if let FlowKind::AnswerOnly = flow.kind {
        return Ok(Report::Trace);
    }
    let mut row = connection::open(&flow, end, now, &config.lifetimes);
    remember(&mut row, epochs, (scene.source_identity, scene.destination_identity), rules);
    match tables.put_connection(&key, &row) {
        true => Ok(Report::Trace),
        false => Err(DropReason::ConnectionInsert),
    }
}

/// Follows the packet if the row is about its connection; `None` if it opens another one.
#[inline(always)]
fn follow(
    row: &mut Connection,
    flow: &Flow,
    sender: Sender,
    now: u32,
    epochs: (u32, u32),
    config: &Config,
) -> Option<Known> {
    if !connection::is_live(row, now) || connection::opens_anew(row, flow, sender) {
        return None;
    }
    let (source, destination) = match sender {
        Sender::Originator => epochs,
        Sender::Responder => (epochs.1, epochs.0),
    };
    let current = row.source_epoch == source && row.destination_epoch == destination;
    let before = row.flags;
    let mut report = true;
    if current {
        connection::advance(row, flow, sender, now, &config.lifetimes);
        report = connection::is_reportable(row, flow, sender, before, now, config);
    }
    Some(Known {
        sender,
        current,
        identities: (row.source_identity, row.destination_identity),
        rules: (row.egress_rule, row.ingress_rule),
        report,
    })
}

#[inline(always)]
fn remember(row: &mut Connection, epochs: (u32, u32), identities: (u32, u32), rules: (u32, u32)) {
    (row.source_epoch, row.destination_epoch) = epochs;
    (row.source_identity, row.destination_identity) = identities;
    (row.egress_rule, row.ingress_rule) = rules;
}

/// ICMP that opens nothing: judged each time.
#[inline(always)]
fn admit_single<T: Tables>(
    tables: &T,
    config: &Config,
    scene: &mut Scene,
    flow: &Flow,
    source: Party<'_>,
    destination: Party<'_>,
) -> Result<Report, DropReason> {
    judge_both(tables, config, scene, flow, source, destination).map(|_| Report::Trace)
}

/// Whether an ICMP error quotes a packet that its receiver sent on a connection that is still allowed.
#[inline(always)]
fn is_related<P: Packet, T: Tables>(packet: &P, tables: &T, config: &Config, error: &Flow) -> bool {
    let Some(quoted) = flow::read_quoted(packet, error) else { return false };
    if quoted.source != error.destination {
        return false;
    }
    let now = tables.now();
    let epochs = (
        Party::find(tables, &quoted.source).epoch(config),
        Party::find(tables, &quoted.destination).epoch(config),
    );
    let (key, end) = connection::key(&quoted);
    let current = tables.with_connection(&key, |row| {
        let (source, destination) = match connection::sender(row, end) {
            Sender::Originator => epochs,
            Sender::Responder => (epochs.1, epochs.0),
        };
        connection::is_live(row, now) && row.source_epoch == source && row.destination_epoch == destination
    });
    current.unwrap_or(false)
}

/// Asks the source's egress policy, then the destination's ingress policy; returns the rules that allowed.
#[inline(always)]
fn judge_both<T: Tables>(
    tables: &T,
    config: &Config,
    scene: &mut Scene,
    flow: &Flow,
    source: Party<'_>,
    destination: Party<'_>,
) -> Result<(u32, u32), DropReason> {
    scene.source_identity = source.identity(tables, config, &flow.source);
    scene.destination_identity = destination.identity(tables, config, &flow.destination);
    let mut egress = 0;
    if let Party::Endpoint(endpoint) = source {
        let peer = (scene.destination_identity, &flow.destination);
        egress = judge_one(tables, config, scene, flow, endpoint, Direction::Egress, peer)?;
    }
    let mut ingress = 0;
    if let Party::Endpoint(endpoint) = destination {
        let from_host = matches!(source, Party::Elsewhere) && scene.source_identity == identity::HOST;
        if !from_host || config.flags & config_flags::POLICE_HOST != 0 {
            let peer = (scene.source_identity, &flow.source);
            ingress = judge_one(tables, config, scene, flow, endpoint, Direction::Ingress, peer)?;
        }
    }
    scene.rule = if egress == 0 { ingress } else { egress };
    Ok((egress, ingress))
}

#[inline(always)]
fn judge_one<T: Tables>(
    tables: &T,
    config: &Config,
    scene: &mut Scene,
    flow: &Flow,
    endpoint: &Endpoint,
    direction: Direction,
    (peer, peer_address): (u32, &Address),
) -> Result<u32, DropReason> {
    scene.direction = direction;
    let mut judgement =
        policy::judge(tables, endpoint.rule_set, direction, peer, peer_address, flow).ok_or(DropReason::NoRuleSet)?;
    let audit = config.flags & config_flags::AUDIT != 0 || endpoint.flags & endpoint_flags::AUDIT != 0;
    let refusal = match judgement.outcome {
        Outcome::Allowed | Outcome::Audited => None,
        Outcome::Denied => Some(DropReason::PolicyDeny),
        Outcome::Unmatched => Some(DropReason::Policy),
    };
    scene.rule = judgement.rule;
    if refusal.is_some() && audit {
        judgement.outcome = Outcome::Audited;
        scene.set_flag(event_flags::AUDIT);
    }
    scene.report_verdict(tables, config, endpoint.id, &judgement);
    match (refusal, judgement) {
        (Some(reason), Judgement { outcome: Outcome::Denied | Outcome::Unmatched, .. }) => Err(reason),
        (_, Judgement { rule, .. }) => Ok(rule),
    }
}
