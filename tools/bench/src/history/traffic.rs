//! Flows as a busy node sees them: three hundred pods of a hundred workloads, each of which calls six others, resolves names
//! and goes outside. Most connections make six flows, some are denied, some are looked into. The same seed gives the same flows.

use ciliate_flow::{
    Answer, Content, Dns, DropReason, End, Event, Flow, FlowId, Http, Interface, Judgement, MatchType, Node,
    Outcome, Party, PolicyRef, Request, Run, Stage, TcpFlags, Time, TraceObservationPoint, TraceReason,
    TrafficDirection, Transport, Verdict, Workload,
};
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

const SECOND: u64 = 1_000_000_000;
const PODS: u64 = 300;
/// Of the node; a flow is seen at its source's.
const DEVICES: u32 = 64;
/// Of each workload.
const REPLICAS: u64 = 3;
/// Workloads that each workload calls.
const CALLED: u64 = 6;
const NAMESPACES: u64 = 20;
const SITES: u64 = 200;

/// Never ends.
pub struct Traffic {
    chance: Chance,
    now: u64,
    /// Mean nanoseconds between two connections.
    gap: u64,
    sequence: u64,
    run: Run,
    node: Arc<Node>,
    pods: Vec<End>,
    devices: Vec<Arc<Interface>>,
    sites: Vec<End>,
    allowed: Vec<Arc<Judgement>>,
    denied: Vec<Arc<Judgement>>,
    /// What is to come, by time; then by number, so that it is the same each time.
    due: BinaryHeap<Reverse<(u64, u64)>>,
    flows: std::collections::HashMap<u64, Flow>,
    planned: u64,
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Below a bound.
    fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// Below a bound, small ones far more often.
    fn skewed(&mut self, bound: u64) -> u64 {
        let (left, right, third) = (self.below(bound), self.below(bound), self.below(bound));
        left.min(right).min(third)
    }

    /// Around a mean, as between independent events.
    fn wait(&mut self, mean: u64) -> u64 {
        // -ln(u) by the bits of u: a geometric number of halvings, and evenly in between.
        let bits = self.next();
        let halvings = u64::from(bits.leading_zeros());
        let part = self.below(1 << 16);
        (halvings << 16 | part).saturating_mul(mean) >> 17
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }
}

impl Traffic {
    /// About so many flows a second, from a moment on.
    pub fn new(seed: u64, start: Time, rate: u64) -> Self {
        let pods = (0..PODS).map(pod).collect();
        let sites = (0..SITES).map(site).collect();
        let judgement = |outcome, kind: &str, name: String| {
            let section = "spec.egress[0].toPorts[0]".to_owned();
            let by = PolicyRef {
                kind: kind.to_owned(),
                namespace: "team-1".to_owned(),
                labels: vec![format!("k8s:io.cilium.k8s.policy.name={name}")],
                name,
                revision: 7,
                section,
            };
            Arc::new(Judgement { outcome, by: vec![by] })
        };
        Self {
            chance: Chance(seed),
            now: start.0,
            gap: SECOND.saturating_mul(6).checked_div(rate).unwrap_or(SECOND),
            sequence: 0,
            run: Run::begun("node-1", start.0),
            node: Arc::new(Node {
                name: "node-1".to_owned(),
                labels: vec!["kubernetes.io/os=linux".to_owned()],
            }),
            devices: (0..DEVICES)
                .map(|index| Arc::new(Interface { index, name: format!("cil{index:012x}") }))
                .collect(),
            pods,
            sites,
            allowed: (0..40)
                .map(|n| judgement(Outcome::Allowed, "CiliumNetworkPolicy", format!("allow-{n}")))
                .collect(),
            denied: (0..20)
                .map(|n| judgement(Outcome::Denied, "NetworkPolicy", format!("isolate-{n}")))
                .collect(),
            due: BinaryHeap::new(),
            flows: std::collections::HashMap::new(),
            planned: 0,
        }
    }

    fn plan(&mut self, at: u64, flow: Flow) {
        self.due.push(Reverse((at, self.planned)));
        self.flows.insert(self.planned, flow);
        self.planned = self.planned.saturating_add(1);
    }

    fn pick<T: Clone>(&mut self, of: fn(&Self) -> &Vec<T>) -> Option<T> {
        let count = u64::try_from(of(self).len()).unwrap_or(0);
        let number = self.chance.skewed(count);
        of(self).get(usize::try_from(number).unwrap_or(0)).cloned()
    }

    /// A pod of one of the workloads that the client's workload calls.
    fn callee(&mut self, client: &End) -> Option<End> {
        let which = self.chance.skewed(CALLED);
        let workload =
            Chance(u64::from(client.party.identity).wrapping_shl(8) | which).below(PODS / REPLICAS);
        let replica = self.chance.below(REPLICAS);
        let number = workload.saturating_mul(REPLICAS).saturating_add(replica);
        self.pods.get(usize::try_from(number).ok()?).cloned()
    }

    /// One connection, or one query and its answer.
    fn connect(&mut self) -> Option<()> {
        let client = self.pick(|traffic| &traffic.pods)?;
        let port = u16::try_from(self.chance.below(28_000).saturating_add(32_768)).unwrap_or(u16::MAX);
        match self.chance.below(20) {
            0 => self.resolve(&client, port),
            1 => {
                let site = self.pick(|traffic| &traffic.sites)?;
                self.call(&client, &site, port, 443)
            }
            _ => {
                let server = self.callee(&client)?;
                let service = match server.party.identity % 5 {
                    0 => 8080,
                    1 => 80,
                    2 => 9090,
                    3 => 5432,
                    _ => 6379,
                };
                self.call(&client, &server, port, service)
            }
        }
    }

    fn bare(&self, source: &End, destination: &End, transport: Transport) -> Flow {
        Flow {
            id: FlowId::default(),
            time: Time(0),
            node: self.node.clone(),
            source: source.clone(),
            destination: destination.clone(),
            event: Event::Request,
            verdict: Verdict::Forwarded,
            direction: TrafficDirection::Egress,
            answer: Answer::No,
            transport,
            interface: usize::try_from(source.party.endpoint)
                .ok()
                .and_then(|endpoint| self.devices.get(endpoint.checked_rem(self.devices.len())?))
                .cloned(),
            egress: None,
            ingress: None,
            match_type: MatchType::None,
            request: None,
            rare: None,
        }
    }

    fn call(&mut self, client: &End, server: &End, source: u16, destination: u16) -> Option<()> {
        use TraceObservationPoint::{ToEndpoint, ToStack};
        let there = |bits| Transport::Tcp { source, destination, flags: TcpFlags(bits) };
        let back = |bits| Transport::Tcp { source: destination, destination: source, flags: TcpFlags(bits) };
        let start = self.now;
        let verdict = Flow {
            event: Event::PolicyVerdict(None),
            match_type: MatchType::L3L4,
            ..self.bare(client, server, there(2))
        };
        if self.chance.one_in(8) {
            let egress = self.pick(|traffic| &traffic.denied);
            let reason = DropReason::PolicyDenied;
            let denied = Flow { verdict: Verdict::Dropped, egress, match_type: MatchType::None, ..verdict };
            self.plan(start, Flow { event: Event::PolicyVerdict(Some(reason)), ..denied.clone() });
            self.plan(start.saturating_add(900), Flow { event: Event::Drop(reason), ..denied });
            return Some(());
        }
        let egress = self.pick(|traffic| &traffic.allowed);
        self.plan(start, Flow { egress, ..verdict });
        let point = if server.party.endpoint == 0 { ToStack } else { ToEndpoint };
        let forth = |flow: Flow, reason| Flow { event: Event::Trace(point, reason), ..flow };
        let reply = |flow: Flow, reason| Flow {
            event: Event::Trace(ToEndpoint, reason),
            answer: Answer::Yes,
            direction: TrafficDirection::Ingress,
            ..flow
        };
        let round = self.chance.wait(300_000).saturating_add(40_000);
        let after = |times: u64| start.saturating_add(round.saturating_mul(times));
        let length = self.chance.wait(20_000_000);
        self.plan(start.saturating_add(2_500), forth(self.bare(client, server, there(2)), TraceReason::New));
        self.plan(after(1), reply(self.bare(server, client, back(0x12)), TraceReason::Reply));
        self.plan(after(2), forth(self.bare(client, server, there(0x18)), TraceReason::Established));
        if self.chance.one_in(10) {
            self.request(client, server, (source, destination), after(3), length);
        }
        let end = after(4).saturating_add(length);
        self.plan(end, forth(self.bare(client, server, there(0x11)), TraceReason::Established));
        self.plan(
            end.saturating_add(round),
            reply(self.bare(server, client, back(0x11)), TraceReason::Reply),
        );
        Some(())
    }

    fn request(
        &mut self,
        client: &End,
        server: &End,
        (source, destination): (u16, u16),
        at: u64,
        latency: u64,
    ) {
        let flags = TcpFlags::default();
        let url =
            format!("http://{}:{destination}/api/v1/items/{}", server.party.pod, self.chance.skewed(400));
        let code = if self.chance.one_in(20) { 503 } else { 200 };
        let content = |code| {
            let (method, protocol) = ("GET".to_owned(), "HTTP/1.1".to_owned());
            Content::Http(Http { code, method, url: url.clone(), protocol, headers: Vec::new() })
        };
        let asked = Request { stage: Stage::Request, latency: 0, content: content(0) };
        let told = Request { stage: Stage::Response, latency, content: content(code) };
        let there = self.bare(client, server, Transport::Tcp { source, destination, flags });
        let back =
            self.bare(server, client, Transport::Tcp { source: destination, destination: source, flags });
        self.plan(at, Flow { request: Some(Box::new(asked)), ..there });
        self.plan(
            at.saturating_add(latency),
            Flow { request: Some(Box::new(told)), answer: Answer::Yes, ..back },
        );
    }

    fn resolve(&mut self, client: &End, source: u16) -> Option<()> {
        let server = self.pods.first()?.clone();
        let site = self.pick(|traffic| &traffic.sites)?;
        let name = site.names.as_deref().and_then(|names| names.first())?.clone();
        let question = |stage, latency, addresses| Request {
            stage,
            latency,
            content: Content::Dns(Dns {
                query: format!("{name}."),
                addresses,
                ttl: 30,
                observer: "proxy".to_owned(),
                query_types: vec!["A".to_owned()],
                ..Dns::default()
            }),
        };
        let latency = self.chance.wait(2_000_000);
        let there = self.bare(client, &server, Transport::Udp { source, destination: 53 });
        let back = self.bare(&server, client, Transport::Udp { source: 53, destination: source });
        let found = site.address.map(|address| address.to_string()).into_iter().collect();
        let start = self.now;
        self.plan(start, Flow { request: Some(Box::new(question(Stage::Request, 0, Vec::new()))), ..there });
        let answer = Some(Box::new(question(Stage::Response, latency, found)));
        self.plan(start.saturating_add(latency), Flow { request: answer, answer: Answer::Yes, ..back });
        Some(())
    }
}

fn pod(number: u64) -> End {
    let low = |number: u64| u8::try_from(number % 250).unwrap_or(0);
    let workload = number / REPLICAS;
    let namespace = format!("team-{}", workload % NAMESPACES);
    let app = format!("service-{workload}");
    let identity = u32::try_from(workload).unwrap_or(0).saturating_add(1000);
    let labels = vec![
        format!("k8s:app={app}"),
        "k8s:io.cilium.k8s.policy.cluster=default".to_owned(),
        "k8s:io.cilium.k8s.policy.serviceaccount=default".to_owned(),
        format!("k8s:io.kubernetes.pod.namespace={namespace}"),
        format!("k8s:tier={}", workload % 4),
    ];
    let party = Party {
        endpoint: u32::try_from(number).unwrap_or(0).saturating_add(100),
        identity,
        cluster: "default".to_owned(),
        namespace,
        pod: format!("{app}-{:010x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24),
        labels,
        workloads: vec![Workload { name: app, kind: "Deployment".to_owned() }],
    };
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, low(number / 250), low(number).saturating_add(1)));
    End { address: Some(address), party: Arc::new(party), names: None }
}

fn site(number: u64) -> End {
    let low = u8::try_from(number % 250).unwrap_or(0);
    let party = Party { identity: 2, labels: vec!["reserved:world".to_owned()], ..Party::default() };
    let names = vec![format!("api-{number}.example.com")];
    let address = IpAddr::V4(Ipv4Addr::new(198, 51, 100, low));
    End { address: Some(address), party: Arc::new(party), names: Some(names.into()) }
}

impl Iterator for Traffic {
    type Item = Flow;

    fn next(&mut self) -> Option<Flow> {
        // A connection's first flow is due at once, so what is due before the next connection is known.
        while self.due.peek().is_none_or(|Reverse((at, _))| *at > self.now) {
            self.now = self.now.saturating_add(self.chance.wait(self.gap));
            self.connect()?;
        }
        let Reverse((at, number)) = self.due.pop()?;
        let mut flow = self.flows.remove(&number)?;
        flow.time = Time(at);
        flow.id = FlowId { run: self.run, sequence: self.sequence };
        self.sequence = self.sequence.saturating_add(1);
        Some(flow)
    }
}
