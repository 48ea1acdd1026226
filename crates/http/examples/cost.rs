//! What a request costs: nanoseconds to read, judge and pass on, by the number of rules. `cargo run --release -p ciliate-http --example cost`
//!
//! Only ratios within one run mean anything; each number is the best of several rounds.

use ciliate_http::{
    RuleSet, Scratch, Settings,
    h1::{Connection, Decision},
    h2,
};
use ciliate_types::HttpRule;
use std::{error::Error, hint::black_box, sync::Arc, time::Instant};

const ROUNDS: usize = 500;
const REQUESTS: u32 = 1_000;
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nHello world\n";

fn rules(count: usize, path: impl Fn(usize) -> String) -> Result<RuleSet, Box<dyn Error>> {
    let rule = |at| HttpRule { method: Some("GET".into()), path: Some(path(at)), ..HttpRule::default() };
    let rules: Vec<_> = (0..count).map(rule).collect();
    Ok(RuleSet::compile(&rules, &|_, _| None)?)
}

/// Nanoseconds a request; `answered` with its response.
fn measure(rules: &RuleSet, request: &str, answered: Answered) -> f64 {
    let mut connection = Connection::<()>::new(Arc::new(Settings::default()));
    let mut scratch = Scratch::default();
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..REQUESTS {
            let input = black_box(request.as_bytes());
            let step = connection.client(input, &mut to_server, &mut to_client, |request| {
                match rules.judge(request, &mut scratch) {
                    Some(matched) => Decision::Allow { token: (), edits: matched.edits },
                    None => Decision::Deny,
                }
            });
            let _ = black_box(step);
            match answered {
                Answered::ByServer => {
                    let _ = black_box(connection.server(black_box(RESPONSE), &mut to_client));
                }
                Answered::ByUs => to_client.clear(),
            }
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(REQUESTS));
    }
    best
}

/// Frames of one call over gRPC: what the client sends, what the server sends.
struct Call {
    request: Vec<u8>,
    response: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn literal(name: &str, value: &str) -> Vec<u8> {
    let len = |text: &str| u8::try_from(text.len()).unwrap_or_default();
    [&[0x40, len(name)], name.as_bytes(), &[len(value)], value.as_bytes()].concat()
}

impl Call {
    /// The first call of a connection says its headers, later ones name them by number, but for what is another each time.
    fn new(stream: u32, repeats: Repeats) -> Self {
        let request = [
            &[0x83, 0x86][..],
            &literal(":path", "/package.Service/Method"),
            &literal(":authority", "service:50051"),
            &literal("content-type", "application/grpc"),
            &literal("te", "trailers"),
            &literal("user-agent", "grpc-go/1.70.0"),
        ];
        let response = [&[0x88][..], &literal("content-type", "application/grpc")].concat();
        let trailers = [literal("grpc-status", "0"), literal("grpc-message", "")].concat();
        let (request, response, trailers) = match stream {
            1 => (request.concat(), response, trailers),
            _ => (vec![0x83, 0x86, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe], vec![0x88, 0xc0], vec![0xbf, 0xbe]),
        };
        let (request, response, trailers) = match repeats {
            Repeats::All => (request, response, trailers),
            Repeats::Few => {
                let own = [
                    &[0x83, 0x86][..],
                    &literal(":path", "/package.Service/Method"),
                    &literal(":authority", "service:50051"),
                    &literal("content-type", "application/grpc"),
                    &literal("x-request-id", &format!("{stream:032x}")),
                    &literal("traceparent", &format!("00-{stream:032x}-00f067aa0ba902b7-01")),
                ];
                let head = [&[0x88][..], &literal("x-request-id", &format!("{stream:032x}"))].concat();
                (own.concat(), head, literal("grpc-status", "0"))
            }
        };
        let message = [0; 32];
        Self {
            request: [frame(1, 4, stream, &request), frame(0, 1, stream, &message)].concat(),
            response: [
                frame(1, 4, stream, &response),
                frame(0, 0, stream, &message),
                frame(1, 5, stream, &trailers),
            ]
            .concat(),
        }
    }
}

/// How many headers are those of the last call.
#[derive(Clone, Copy)]
enum Repeats {
    All,
    Few,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    ADenial,
}

/// Nanoseconds a call over HTTP/2.
fn measure_calls(rules: &RuleSet, before: Before, repeats: Repeats) -> f64 {
    let mut scratch = Scratch::default();
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let calls: Vec<_> =
        (0..REQUESTS).map(|n| Call::new(n.saturating_mul(2).saturating_add(1), repeats)).collect();
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let mut connection = h2::Connection::<()>::new(Arc::new(Settings::default()));
        let mut start = Instant::now();
        let greeting =
            [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[0, 2, 0, 0, 0, 0])].concat();
        let settings = frame(4, 0, 0, &[]);
        let greetings = Call { request: greeting, response: settings };
        for (number, call) in std::iter::once(&greetings).chain(&calls).enumerate() {
            if number == 3 {
                start = Instant::now();
            }
            let deny = number == 2 && before == Before::ADenial;
            to_server.clear();
            to_client.clear();
            let input = black_box(&call.request[..]);
            let step = connection.client(input, &mut to_server, &mut to_client, |request| {
                match rules.judge(request, &mut scratch) {
                    Some(matched) if !deny => Decision::Allow { token: (), edits: matched.edits },
                    Some(_) | None => Decision::Deny,
                }
            });
            let _ = black_box(step);
            if !deny {
                let _ = black_box(connection.server(&call.response, &mut to_client, |_| {}));
            }
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(REQUESTS));
    }
    best
}

#[derive(Clone, Copy)]
enum Answered {
    ByServer,
    ByUs,
}

fn main() -> Result<(), Box<dyn Error>> {
    let short = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: 10.0.0.1:8080\r\n\r\n");
    let browser = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n\r\n"
        )
    };
    let literal = |at| format!("/v1/objects/number-{at}");
    let wildcard = |at| format!("/v1/objects/number-{at}/.*");
    let expression = |at| format!("/v1/objects/number-{at}/[0-9]+");
    println!("{:<28}{:>10}{:>14}", "", "1 rule", "500 rules");
    type Row<'a> = (&'a str, &'a dyn Fn(usize) -> String, String, Answered);
    let rows: [Row<'_>; 6] = [
        ("short, literal paths", &literal, short("/v1/objects/number-0"), Answered::ByServer),
        ("browser, literal paths", &literal, browser("/v1/objects/number-0"), Answered::ByServer),
        ("short, open paths", &wildcard, short("/v1/objects/number-0/12345"), Answered::ByServer),
        ("short, expressions", &expression, short("/v1/objects/number-0/12345"), Answered::ByServer),
        ("short, rewritten", &literal, short("/v1/objects/number-%30"), Answered::ByServer),
        ("short, denied", &literal, short("/v1/objects/other"), Answered::ByUs),
    ];
    for (name, path, request, answered) in rows {
        let (one, many) = (rules(1, path)?, rules(500, path)?);
        let few = measure(&one, &request, answered);
        println!("{name:<28}{few:>7.0} ns{:>11.0} ns", measure(&many, &request, answered));
    }
    let method = |at| match at {
        0 => "/package.Service/Method".to_owned(),
        _ => format!("/package.Service/Method{at}"),
    };
    let post = |count: usize| -> Result<RuleSet, Box<dyn Error>> {
        let rule =
            |at| HttpRule { method: Some("POST".into()), path: Some(method(at)), ..HttpRule::default() };
        Ok(RuleSet::compile(&(0..count).map(rule).collect::<Vec<_>>(), &|_, _| None)?)
    };
    let (one, many) = (post(1)?, post(500)?);
    for (name, before, repeats) in [
        ("gRPC call", Before::Nothing, Repeats::All),
        ("gRPC call after a denial", Before::ADenial, Repeats::All),
        ("gRPC call, new headers", Before::Nothing, Repeats::Few),
    ] {
        let few = measure_calls(&one, before, repeats);
        println!("{name:<28}{few:>7.0} ns{:>11.0} ns", measure_calls(&many, before, repeats));
    }
    Ok(())
}
