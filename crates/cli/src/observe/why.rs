//! `ciliate observe why`: one flow with both ends, what decided, and what the policies of now say rule by rule.

mod rulebook;

use super::{
    print::{Format, FormatFlags, Hosts, Output, Printer},
    raw_filter::RawFilters,
    request,
    select::Selection,
    server::{self, Server, ServerFlags},
};
use crate::{
    context::Context,
    exit::{Code, Failure},
    output::{Page, View as _, emit},
    policy::trace::answer::Answers,
};
use ciliate_api::{EndpointRef, TracePeer, TraceRequest};
use ciliate_flow::{Content, DropReason, End, Flow, Judgement, Outcome, Party, Time, Transport};
use ciliate_hubble::{
    Timestamp,
    flow::FlowFilter,
    observer::{GetFlowsResponse, get_flows_response::ResponseTypes},
};
use ciliate_types::{EndpointId, Identity};
use rulebook::Rulebook;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The flow, as `ciliate observe -o json` names it
    #[arg(value_name = "UUID")]
    uuid: String,
    #[command(flatten)]
    format: FormatFlags,
    #[command(flatten)]
    server: ServerFlags,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let named = FlowFilter { uuid: vec![self.uuid.clone()], ..FlowFilter::default() };
        let filters = RawFilters { allow: vec![named], deny: Vec::new() };
        filters.compile()?;
        server::run(async {
            let server = self.server.connect(context).await?;
            // First what is at hand, then all that is kept.
            let recent = Selection { number: 1, ..Selection::default() };
            let ever = Selection { since: Some(Timestamp::default()), ..recent.clone() };
            let found = match find(&server, recent, &filters).await? {
                Some(found) => Some(found),
                None => find(&server, ever, &filters).await?,
            };
            let found = found.ok_or_else(|| {
                let message = format!(
                    "{} has no flow {}: it may be older than what is kept",
                    server.address, self.uuid
                );
                Failure::new(Code::NotFound, message)
            })?;
            let mut printer = Printer::new(self.format.clone(), Hosts::Named, &context.page);
            let line = match printer.flows(&found)? {
                Output::Flows(line) | Output::Notice(line) => line + &printer.finish(),
            };
            emit(&line)?;
            if let (Some(ResponseTypes::Flow(message)), true) =
                (&found.response_types, self.format.output != Format::Json)
            {
                let flow = Flow::from_message(message)?;
                emit(&report(&flow, &Rulebook::ask(context)))?;
                emit(&now(&flow, context))?;
            }
            Ok(())
        })
    }
}

async fn find(
    server: &Server,
    selection: Selection,
    filters: &RawFilters,
) -> anyhow::Result<Option<GetFlowsResponse>> {
    let stream = server.observer().get_flows(request(selection, filters.clone(), Vec::new())).await;
    let mut stream = stream.map_err(|status| server.failed(&status))?.into_inner();
    while let Some(answer) = stream.message().await.map_err(|status| server.failed(&status))? {
        if matches!(answer.response_types, Some(ResponseTypes::Flow(_))) {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

/// Both ends and what was decided then.
fn report(flow: &Flow, rules: &Rulebook) -> String {
    let mut text = end("Source", &flow.source) + &end("Destination", &flow.destination);
    if let Some(reason) = flow.drop_reason().filter(|reason| *reason != DropReason::Unknown) {
        text.push_str(&format!("\nReason: {}\n", super::words::of_reason(reason.into())));
    }
    text.push_str(&judgement("Leaving the source", flow.egress.as_deref(), (rules, flow.time)));
    text.push_str(&judgement("Entering the destination", flow.ingress.as_deref(), (rules, flow.time)));
    if flow.egress.is_none() && flow.ingress.is_none() {
        text.push_str("\nNo policy was asked about this packet: it belongs to a known connection, or it never came so far.\n");
    }
    text
}

fn end(name: &str, end: &End) -> String {
    let party = &end.party;
    let mut text = format!("\n{name}:\n");
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("  {name:<10} {value}\n"));
        }
    };
    line("Address:", end.address.map_or_else(String::new, |address| address.to_string()));
    line("Names:", end.names.as_deref().map_or_else(String::new, |names| names.join(", ")));
    if party.endpoint != 0 {
        line("Endpoint:", party.endpoint.to_string());
    }
    if !party.pod.is_empty() {
        line("Pod:", format!("{}/{}", party.namespace, party.pod));
    }
    line("Identity:", party.identity.to_string());
    line("Labels:", party.labels.join("\n             "));
    text
}

fn judgement(what: &str, judgement: Option<&Judgement>, (rules, seen): (&Rulebook, Time)) -> String {
    let Some(Judgement { outcome, by }) = judgement else { return String::new() };
    let outcome = match outcome {
        Outcome::Allowed => "allowed",
        Outcome::Denied => "denied",
    };
    let mut text = format!("\n{what}: {outcome}{}\n", if by.is_empty() { "" } else { " by" });
    for policy in by {
        let name = match policy.namespace.as_str() {
            "" => policy.name.clone(),
            namespace => format!("{namespace}/{}", policy.name),
        };
        text.push_str(&format!("  * {} {name}, revision {}\n", policy.kind, policy.revision));
        text.push_str(&rules.about(policy, seen));
        if !policy.labels.is_empty() {
            text.push_str(&format!("      labels {}\n", policy.labels.join(", ")));
        }
    }
    text
}

/// What the agent here says of the same traffic now, with the rules that nearly matched; or why it cannot say.
fn now(flow: &Flow, context: &Context) -> String {
    let client = context.client();
    // Numbers of endpoints are given again: it is the same one if it has the same labels.
    let is_there = |party: &Party| {
        let id = u16::try_from(party.endpoint).ok().and_then(EndpointId::new);
        let endpoint = id.and_then(|id| client.as_ref().ok()?.endpoint(&EndpointRef::Id(id)).ok());
        endpoint.is_some_and(|endpoint| {
            let labels: Vec<String> = endpoint.labels.iter().map(ToString::to_string).collect();
            labels == party.labels
        })
    };
    let Some(request) = question(flow, is_there) else {
        return "\nPolicies now: traffic of this kind cannot be asked about.\n".to_owned();
    };
    let asked = client.as_ref().map_err(ToString::to_string);
    match asked.and_then(|client| client.trace(&request).map_err(|error| error.to_string())) {
        Ok(answers) => format!("\nPolicies now:\n{}", Answers(answers).text(&Page { ..context.page })),
        Err(error) => format!("\nPolicies now: cannot be asked ({error}).\n"),
    }
}

/// As the connection was opened: an answer is asked about the other way round.
pub fn question(flow: &Flow, is_there: impl Fn(&Party) -> bool) -> Option<TraceRequest> {
    let back = flow.answer == ciliate_flow::Answer::Yes;
    let traffic =
        match (flow.transport, back) {
            (Transport::Tcp { destination, .. }, false)
            | (Transport::Tcp { source: destination, .. }, true) => format!("{destination}/TCP"),
            (Transport::Udp { destination, .. }, false)
            | (Transport::Udp { source: destination, .. }, true) => format!("{destination}/UDP"),
            (Transport::Sctp { destination, .. }, false)
            | (Transport::Sctp { source: destination, .. }, true) => format!("{destination}/SCTP"),
            (Transport::Icmp { kind, .. }, _) => format!("ICMP:{kind}"),
            (Transport::Icmp6 { kind, .. }, _) => format!("ICMPv6:{kind}"),
            (Transport::None | Transport::Other(_), _) => return None,
        };
    let request = flow.request.as_deref().and_then(|request| match &request.content {
        Content::Http(http) => Some(format!("{} {}", http.method, http.url)),
        Content::Dns(dns) => Some(format!("dns:{}", dns.query.trim_end_matches('.'))),
        Content::Tls(Some(name)) => Some(format!("sni:{name}")),
        Content::Kafka(kafka) => Some(format!("kafka:{} topic={}", kafka.api_key, kafka.topic)),
        Content::Tls(None) | Content::Malformed(_) | Content::Other => None,
    });
    let (source, destination) =
        if back { (&flow.destination, &flow.source) } else { (&flow.source, &flow.destination) };
    let peer = |end: &End| peer(end, &is_there);
    Some(TraceRequest { source: peer(source), destination: peer(destination), traffic, request })
}

/// The endpoint if it is still there, or what has its labels; else the address or the identity.
fn peer(end: &End, is_there: &impl Fn(&Party) -> bool) -> TracePeer {
    let party = &end.party;
    let reserved = party.labels.iter().all(|label| label.starts_with("reserved:"));
    match (reserved, end.address) {
        _ if party.endpoint != 0 && is_there(party) => TracePeer::Endpoint(party.endpoint.to_string()),
        (false, _) => TracePeer::Labels(party.labels.clone()),
        (true, Some(address)) => TracePeer::Address(address),
        (true, None) => TracePeer::Identity(Identity::new(party.identity)),
    }
}
