//! What a request costs: nanoseconds to read, judge and pass on, by the number of rules. `cargo run --release -p ciliate-http --example cost`
//!
//! Only ratios within one run mean anything; each number is the best of several rounds.

use ciliate_http::{
    RuleSet, Scratch, Settings,
    h1::{Connection, Decision},
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
    Ok(())
}
