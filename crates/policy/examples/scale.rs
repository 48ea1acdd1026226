//! Measures the engine in the state that the project promises to carry: 1,000 policies, 10,000 identities and
//! 250 endpoints. `cargo run --release -p ciliate-policy --example scale`
#![expect(clippy::unwrap_used, reason = "a tool for developers: a failure may end it")]
#![expect(clippy::arithmetic_side_effects, reason = "small numbers of its own making")]

use ciliate_policy::{
    Change, Engine, IdentityInfo, NamedPorts, Object, Settings, Subject, endpoint_labels, parse,
};
use ciliate_types::{Identity, Label, Labels};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

const POLICIES: u32 = 1_000;
const IDENTITIES: u32 = 10_000;
const ENDPOINTS: u32 = 250;
const NAMESPACES: u32 = 20;

fn main() {
    let bare = resident_kib();
    let mut engine = Engine::new(Settings::default());
    let all = time(|| {
        for number in 0..IDENTITIES {
            let info = IdentityInfo { labels: labels(number), named_ports: NamedPorts::new() };
            engine.put_identity(identity(number), info);
        }
    });
    println!("{IDENTITIES} identities          {all:>12.1?}   +{} KiB", resident_kib() - bare);

    let mut objects: Vec<Object> = Vec::new();
    let parsing = time(|| objects = (0..POLICIES).map(policy).collect());
    println!("{POLICIES} policies parsed       {parsing:>12.1?}");
    let changes = objects.into_iter().map(Change::Put).collect();
    let added = time(|| {
        engine.replace(changes).unwrap();
    });
    println!("{POLICIES} policies added        {added:>12.1?}   +{} KiB", resident_kib() - bare);

    let none = NamedPorts::new();
    let endpoints: Vec<Labels> = (0..ENDPOINTS).map(labels).collect();
    let mut sets = Vec::new();
    let built = time(|| {
        sets = endpoints.iter().map(|labels| engine.rule_set(&Subject::endpoint(labels, &none))).collect();
    });
    println!("{ENDPOINTS} rule sets built        {built:>12.1?}   +{} KiB", resident_kib() - bare);
    let entries: usize = sets.iter().map(|set| set.ingress.entries.len() + set.egress.entries.len()).sum();
    println!("entries of all endpoints  {entries:>12}");

    let ask_all = |engine: &mut Engine| {
        endpoints.iter().for_each(|labels| {
            black_box(engine.rule_set(&Subject::endpoint(labels, &none)));
        });
    };
    let cached = median(|| time(|| ask_all(&mut engine)));
    println!("all rule sets again       {cached:>12.1?}   nothing changed");

    let one = policy(POLICIES);
    let (mut put, mut delete) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        put.push(time(|| {
            let effect = engine.replace(vec![Change::Put(one.clone())]).unwrap();
            black_box(effect);
            ask_all(&mut engine);
        }));
        delete.push(time(|| {
            engine.replace(vec![Change::Delete(one.key())]).unwrap();
            ask_all(&mut engine);
        }));
    }
    println!("one policy added          {:>12.1?}   with the rule sets of all endpoints", middle(put));
    println!("one policy deleted        {:>12.1?}   with the rule sets of all endpoints", middle(delete));

    let wide = policy_for_everybody();
    let (mut put, mut delete) = (Vec::new(), Vec::new());
    for _ in 0..11 {
        put.push(time(|| {
            engine.replace(vec![Change::Put(wide.clone())]).unwrap();
            ask_all(&mut engine);
        }));
        delete.push(time(|| {
            engine.replace(vec![Change::Delete(wide.key())]).unwrap();
            ask_all(&mut engine);
        }));
    }
    println!("one for everybody added   {:>12.1?}   changes all {ENDPOINTS} rule sets", middle(put));
    println!("one for everybody deleted {:>12.1?}", middle(delete));

    let mut churn = Vec::new();
    for number in IDENTITIES..IDENTITIES + 101 {
        let info = IdentityInfo { labels: labels(number), named_ports: NamedPorts::new() };
        churn.push(time(|| {
            engine.put_identity(identity(number), info.clone());
            ask_all(&mut engine);
        }));
        engine.remove_identity(identity(number));
        ask_all(&mut engine);
    }
    println!("one identity added        {:>12.1?}   with the rule sets of all endpoints", middle(churn));
    println!("memory in the end                        +{} KiB", resident_kib() - bare);
    black_box(sets);
}

fn identity(number: u32) -> Identity {
    Identity::new(256 + number)
}

fn labels(number: u32) -> Labels {
    let user = [
        ("app", format!("app-{}", number / 10)),
        ("pod", format!("pod-{number}")),
        ("tier", format!("t{}", number % 3)),
    ];
    let user = user.iter().map(|(key, value)| Label::new("k8s", key, value)).collect();
    let team = [("team".to_owned(), format!("team-{}", number % 5))].into();
    let namespace = format!("ns-{}", number / 10 % NAMESPACES);
    endpoint_labels(&user, &namespace, &team, Some("default"), "default")
}

/// Four in five speak of labels, one of addresses.
fn policy(number: u32) -> Object {
    let namespace = number % NAMESPACES;
    let peers = match number % 5 {
        4 => format!(
            "fromCIDRSet: [{{cidr: 10.{}.0.0/16, except: [10.{}.{}.0/24]}}]",
            number % 200,
            number % 200,
            number % 250
        ),
        _ => format!(
            "fromEndpoints: [{{matchLabels: {{app: app-{}}}}}, {{matchLabels: {{tier: t{}}}}}]",
            (number + 20) % 1000,
            number % 3
        ),
    };
    let text = format!(
        "{{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {{name: p{number}, namespace: ns-{namespace}}}, \
         spec: {{endpointSelector: {{matchLabels: {{app: app-{}}}}}, \
         ingress: [{{{peers}, toPorts: [{{ports: [{{port: '80', protocol: TCP}}, {{port: '443', protocol: TCP}}]}}]}}], \
         egress: [{{toEndpoints: [{{matchLabels: {{app: app-{}}}}}], toPorts: [{{ports: [{{port: '5432', protocol: TCP}}]}}]}}]}}}}",
        number % 1000,
        (number + 40) % 1000,
    );
    object(&text)
}

fn policy_for_everybody() -> Object {
    object(
        "{apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy, metadata: {name: dns}, spec: {endpointSelector: {}, \
         egress: [{toEndpoints: [{matchLabels: {'k8s:io.kubernetes.pod.namespace': ns-3, app: app-3}}], \
         toPorts: [{ports: [{port: '53', protocol: ANY}]}]}]}}",
    )
}

fn object(text: &str) -> Object {
    parse(text, "example", "default").unwrap().pop().map(|parsed| parsed.object).unwrap()
}

fn time(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn median(mut run: impl FnMut() -> Duration) -> Duration {
    middle((0..21).map(|_| run()).collect())
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
