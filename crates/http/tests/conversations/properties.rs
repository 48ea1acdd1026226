//! Random rules, random pipelines: what the server sees was allowed, however the bytes come.

use crate::{driver::Conversation, driver::seen, naive};
use ciliate_http::{RuleSet, Scratch, h1::ClientNext};
use ciliate_types::{HeaderMatch, HeaderValue, HttpRule};
use proptest::{prelude::*, sample::select};

/// Requests, most of them good, some not.
fn request() -> impl Strategy<Value = String> {
    let method = select(vec!["GET", "GET", "POST", "PUT", "HEAD", "get"]);
    let target = select(vec![
        "/",
        "/a",
        "/a/b",
        "/a/b?x=1",
        "/api/v1/users/7",
        "/api/v2",
        "/%61",
        "/a%2fb",
        "/a/../b",
        "//a",
        "/caf%c3%a9",
        "http://a.example/a",
        "http://b.example/a",
        "/static/x.css",
        "/api/v1/users/seven",
    ]);
    let host = select(vec![
        "Host: a.example\r\n",
        "Host: a.example\r\n",
        "host: A.EXAMPLE:8080\r\n",
        "Host: b.example\r\n",
        "",
        "Host: a.example\r\nHost: b\r\n",
    ]);
    let header = select(vec![
        "",
        "",
        "X-Role: admin\r\n",
        "X-Role: user\r\n",
        "x_role: user\r\n",
        "X-Role: admin\r\nX-Role: user\r\n",
        "Connection: X-Role\r\nX-Role: admin\r\n",
        "Connection: close\r\n",
        "Upgrade: h2c\r\n",
        "Accept: */*\r\nUser-Agent: x\r\n",
        " folded\r\n",
    ]);
    let body = select(vec![
        "\r\n",
        "\r\n",
        "\r\n",
        "Content-Length: 3\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nGET\r\na\r\n / HTTP/1.\r\n0\r\nX-Sum: 7\r\n\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nz\r\n",
        "Content-Length: 25\r\n\r\nPUT /a HTTP/1.1\r\nHost: a\r\n",
    ]);
    let version = select(vec!["1.1", "1.1", "1.1", "1.1", "1.0"]);
    (method, target, version, host, header, body)
        .prop_map(|(m, t, v, h, x, b)| format!("{m} {t} HTTP/{v}\r\n{h}{x}{b}"))
}

fn expression(all: Vec<&'static str>) -> impl Strategy<Value = Option<String>> {
    prop::option::of(select(all).prop_map(str::to_owned))
}

pub fn rule() -> impl Strategy<Value = HttpRule> {
    let method = expression(vec!["GET", "POST|PUT", "(?i)get", "P.*", ".*", "[A-Z]+"]);
    let path = expression(vec![
        "/",
        "/a",
        "^/a/b$",
        "/a.*",
        "/a/.*",
        "/api/v[12]",
        "/api/v1/users/[0-9]+",
        ".*",
        "/.*\\.css",
        "/(a|a/b)(\\?.*)?",
        "/a|/",
        "/caf%C3%A9",
        "",
        "/api/.*",
        "/api/v1/.*",
        "/api/v1/users/.*|/static/.*",
        "/a/b\\?x=1",
    ]);
    let host = expression(vec!["a\\.example", "[ab]\\.example", ".*\\.example", "b.*"]);
    let headers = prop::collection::vec(select(vec!["X-Role: admin", "x-role", "X-Role: user"]), 0..2);
    let matches = prop::option::of(select(vec![
        ("X-Role", HeaderValue::Exact("admin".into())),
        ("x-role", HeaderValue::Regex("adm.*|user".into())),
        ("X-Role", HeaderValue::Present),
    ]));
    (method, path, host, headers, matches).prop_map(|(method, path, host, headers, matches)| HttpRule {
        method,
        path,
        host,
        headers: headers.into_iter().map(str::to_owned).collect(),
        header_matches: matches
            .map(|(name, value)| HeaderMatch { name: name.to_owned(), value, mismatch: None })
            .into_iter()
            .collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// What the server saw is what was judged, request for request, and the rules as anybody would read them allow it.
    #[test]
    fn the_server_sees_what_was_allowed(
        requests in prop::collection::vec(request(), 1..6),
        rules in prop::collection::vec(rule(), 1..8),
    ) {
        let compiled = RuleSet::compile(&rules, &|_, _| None).unwrap();
        let mut scratch = Scratch::default();
        let mut talk = Conversation::new();
        talk.client_judged(requests.concat(), |request| {
            let matched = compiled.judge(request, &mut scratch).map(|matched| matched.rule);
            // A variant of a name counts against a request, which the naive reading knows nothing of.
            if !request.headers.iter().any(|(name, _)| name == b"x_role") {
                assert_eq!(matched, naive::judge(&rules, request), "{:?}", seen(request));
            }
            matched.is_some()
        });
        let got = naive::requests(talk.server_bytes());
        prop_assert_eq!(&got[..], talk.judged());
    }

    /// However the bytes are cut, the same comes of them.
    #[test]
    fn pieces_make_no_difference(requests in prop::collection::vec(request(), 1..4), cut in any::<prop::sample::Index>(), piece in 1_usize..40) {
        let bytes = requests.concat().into_bytes();
        let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut talk = Conversation::new();
            for piece in pieces {
                talk.client(piece);
            }
            talk
        };
        let whole = run(&mut std::iter::once(&bytes[..]));
        let (front, back) = bytes.split_at(cut.index(bytes.len()));
        for pieces in [run(&mut [front, back].into_iter()), run(&mut bytes.chunks(piece)), run(&mut bytes.chunks(1))] {
            prop_assert_eq!(pieces.client_next(), whole.client_next());
            prop_assert_eq!(pieces.to_client(), whole.to_client());
            prop_assert_eq!(pieces.judged(), whole.judged());
            // Of a body that is cut off, more or less may have gone.
            if matches!(whole.client_next(), ClientNext::Abort(_)) {
                prop_assert!(pieces.to_server().starts_with(&whole.to_server()));
            } else {
                prop_assert_eq!(pieces.to_server(), whole.to_server());
            }
        }
    }

    /// Responses too.
    #[test]
    fn pieces_of_responses_make_no_difference(which in prop::collection::vec(0_usize..5, 1..5), piece in 1_usize..30) {
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ];
        let bytes = which.iter().map(|at| answers[*at]).collect::<String>().into_bytes();
        let asked = "GET /allowed HTTP/1.1\r\nHost: a\r\n\r\nGET /no HTTP/1.1\r\nHost: a\r\n\r\n".repeat(which.len());
        let run = |piece: usize| {
            let mut talk = Conversation::new();
            talk.client(&asked);
            for piece in bytes.chunks(piece) {
                talk.server(piece);
            }
            (talk.to_client(), talk.statuses(), talk.outstanding(), talk.server_next())
        };
        prop_assert_eq!(run(piece), run(bytes.len()));
    }
}
