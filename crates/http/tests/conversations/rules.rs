//! Rules one by one: what they match, what they change, what is no rule.

use crate::{driver::Conversation, driver::seen};
use ciliate_http::{FieldName, Matched, RuleSet, Scratch, Settings, h1};
use ciliate_types::{HeaderMatch, HeaderValue, HttpRule, Mismatch};
use std::sync::Arc;

fn rule(method: &str, path: &str) -> HttpRule {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    HttpRule { method: some(method), path: some(path), ..HttpRule::default() }
}

fn compile(rules: &[HttpRule]) -> RuleSet {
    RuleSet::compile(rules, &|namespace, name| {
        let value: &[u8] = match (namespace, name) {
            ("prod", "tokens") => b"from the secret\n",
            ("prod", "empty") => b"\n",
            ("prod", "binary") => b"good\0",
            _ => return None,
        };
        Some(value.to_vec())
    })
    .unwrap()
}

/// What rules say to one request, and what the server gets.
fn run(rules: &[HttpRule], request: &str) -> (Option<Matched>, String) {
    let set = compile(rules);
    let mut scratch = Scratch::default();
    let mut connection = h1::Connection::new(Arc::new(Settings::default()));
    let (mut to_server, mut to_client, mut result) = (Vec::new(), Vec::new(), None);
    let step = connection.client(request.as_bytes(), &mut to_server, &mut to_client, |request| {
        result = set.judge(request, &mut scratch);
        match &result {
            Some(matched) => h1::Decision::Allow { token: seen(request), edits: matched.edits.clone() },
            None => h1::Decision::Deny,
        }
    });
    let forwarded = [&request.as_bytes()[step.forward], &to_server].concat();
    (result, String::from_utf8(forwarded).unwrap())
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n")
}

#[test]
fn the_death_star() {
    let rules = [rule("POST", "/v1/request-landing")];
    for (method, path, allowed) in [
        ("POST", "/v1/request-landing", true),
        ("PUT", "/v1/exhaust-port", false),
        ("POST", "/v1/request-landing/", false),
        ("POST", "/v1/request-landing?x", false),
        ("POST", "/x/v1/request-landing", false),
        ("GET", "/v1/request-landing", false),
        ("post", "/v1/request-landing", false),
    ] {
        let (matched, _) = run(&rules, &format!("{method} {path} HTTP/1.1\r\nHost: deathstar\r\n\r\n"));
        assert_eq!(matched.is_some(), allowed, "{method} {path}");
    }
}

#[test]
fn no_rules_allow_nothing_and_an_empty_rule_everything() {
    assert_eq!(run(&[], &get("/", "")).0, None);
    assert_eq!(run(&[HttpRule::default()], &get("/", "")).0.unwrap().rule, 0);
}

#[test]
fn the_first_rule_that_matches_is_named() {
    let mut rules: Vec<_> = (0..500).map(|n| rule("GET", &format!("/path/{n}"))).collect();
    rules.push(rule("", "/path/.*"));
    rules.push(rule("", "/path/4[0-9]+"));
    for (path, wanted) in
        [("/path/0", Some(0)), ("/path/499", Some(499)), ("/path/500", Some(500)), ("/p", None)]
    {
        assert_eq!(run(&rules, &get(path, "")).0.map(|matched| matched.rule), wanted, "{path}");
    }
}

#[test]
fn hosts_are_without_port_and_in_lower_case() {
    let rules = [HttpRule { host: Some("api\\.example|\\[::1\\]".into()), ..HttpRule::default() }];
    for (host, allowed) in [
        ("api.example", true),
        ("API.example:8080", true),
        ("[::1]:80", true),
        ("x.example", false),
        ("api.example.", false),
    ] {
        let (matched, _) = run(&rules, &format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(matched.is_some(), allowed, "{host}");
    }
    assert_eq!(run(&rules, "GET / HTTP/1.0\r\n\r\n").0, None);
    assert!(run(&rules, "GET http://api.example/ HTTP/1.0\r\n\r\n").0.is_some());
}

#[test]
fn every_value_of_a_header_counts() {
    let rules = [HttpRule { headers: vec!["X-Role: admin".into(), "X-Trace".into()], ..HttpRule::default() }];
    for (headers, allowed) in [
        ("X-Role: admin\r\nX-Trace: 1\r\n", true),
        ("x-role:\tadmin \r\nX-TRACE:\r\n", true),
        ("X-Role: admin\r\n", false),
        ("X-Role: Admin\r\nX-Trace: 1\r\n", false),
        ("X-Role: admin\r\nX-Role: admin\r\nX-Trace: 1\r\n", true),
        ("X-Role: admin\r\nX-Role: user\r\nX-Trace: 1\r\n", false),
        ("X-Role: admin, user\r\nX-Trace: 1\r\n", false),
        // Gateways that turn names into variables cannot tell these apart.
        ("X-Role: admin\r\nX_Role: user\r\nX-Trace: 1\r\n", false),
        ("X_Role: admin\r\nX-Trace: 1\r\n", false),
    ] {
        assert_eq!(run(&rules, &get("/", headers)).0.is_some(), allowed, "{headers:?}");
    }
    // Cilium takes a blank as well.
    let rules = [HttpRule { headers: vec!["X-Role admin".into()], ..HttpRule::default() }];
    assert!(run(&rules, &get("/", "X-Role: admin\r\n")).0.is_some());
}

fn matches(value: HeaderValue, mismatch: Option<Mismatch>) -> [HttpRule; 1] {
    let header = HeaderMatch { name: "X-Token".into(), value, mismatch };
    [HttpRule { header_matches: vec![header], ..HttpRule::default() }]
}

#[test]
fn mismatches_do_what_they_say() {
    let exact = || HeaderValue::Exact("good".into());
    let secret = || HeaderValue::Secret {
        namespace: "prod".into(),
        name: "tokens".into(),
        fallback: Some("not used".into()),
    };
    let named = |name: &str, fallback: Option<&str>| HeaderValue::Secret {
        namespace: "prod".into(),
        name: name.into(),
        fallback: fallback.map(str::to_owned),
    };
    let missing = |fallback| named("other", fallback);
    let (good, bad, both) = ("X-Token: good\r\n", "X-Token: bad\r\n", "X-Token: good\r\nx_token: bad\r\n");
    let own = "X-Token: from the secret\r\n";
    use Mismatch::*;
    let cases: &[(HeaderValue, Option<Mismatch>, &str, Option<&str>)] = &[
        (exact(), None, good, Some(good)),
        (exact(), None, bad, None),
        (exact(), Some(Log), bad, Some(bad)),
        (exact(), Some(Add), bad, Some("X-Token: bad\r\nX-Token: good\r\n")),
        (exact(), Some(Add), "", Some(good)),
        (exact(), Some(Delete), bad, Some("")),
        (exact(), Some(Delete), both, Some("")),
        (exact(), Some(Delete), good, Some(good)),
        (exact(), Some(Delete), "", Some("")),
        (exact(), Some(Replace), both, Some(good)),
        (exact(), Some(Replace), "", Some(good)),
        (secret(), None, own, Some(own)),
        (secret(), None, bad, None),
        (secret(), Some(Replace), bad, Some(own)),
        (missing(None), None, "X-Token:\r\n", None),
        (named("empty", None), None, "X-Token:\r\n", None),
        (named("empty", None), Some(Replace), bad, None),
        (named("binary", None), None, good, None),
        (named("binary", Some("good")), None, good, Some(good)),
        (named("binary", Some("good")), None, bad, None),
        (missing(Some("good")), None, good, Some(good)),
        (missing(Some("good")), None, bad, None),
        (missing(None), Some(Replace), bad, None),
        (missing(None), Some(Log), bad, None),
        (HeaderValue::Present, None, bad, Some(bad)),
        (HeaderValue::Present, None, "", None),
        (HeaderValue::Regex("go+d".into()), None, good, Some(good)),
        (HeaderValue::Regex("go".into()), None, good, None),
        (HeaderValue::Regex("go+d".into()), Some(Delete), bad, Some("")),
    ];
    for (value, mismatch, sent, wanted) in cases {
        let (matched, forwarded) = run(&matches(value.clone(), *mismatch), &get("/", sent));
        let wanted_head = wanted.map(|headers| get("/", headers)).unwrap_or_default();
        assert_eq!(forwarded, wanted_head, "{value:?} {mismatch:?} {sent:?}");
        let logged = *mismatch == Some(Log) && wanted.is_some();
        assert_eq!(matched.map(|matched| matched.logged.len()), wanted.map(|_| usize::from(logged)));
    }
}

#[test]
fn errors_name_rule_field_and_place() {
    let error = |rules: &[HttpRule]| RuleSet::compile(rules, &|_, _| None).unwrap_err();
    let found = error(&[rule("GET", "/a"), rule("GET", "/b(")]);
    assert_eq!((found.rule, found.field, found.position), (1, FieldName::Path, Some(2)));
    assert_eq!(
        found.to_string(),
        r#"http rule 1: path "/b(" is no regular expression: at byte 2: unclosed group"#
    );
    let found = error(&[rule("[", "/a")]);
    assert_eq!((found.rule, found.field), (0, FieldName::Method));
    let found = error(&[HttpRule { host: Some("(?=x)".into()), ..HttpRule::default() }]);
    assert_eq!(found.field, FieldName::Host);
    let large = error(&[rule("GET", "/a"), rule("GET", "/([a-z0-9]{500}){500}")]);
    assert_eq!((large.rule, large.field), (1, FieldName::Path));
    assert!(large.to_string().contains("simpler expression"), "{large}");
    for text in ["X Y: z:", "", ": x", "X:", "X: a\u{1}b"] {
        let wanted = text != "X Y: z:";
        let result =
            RuleSet::compile(&[HttpRule { headers: vec![text.into()], ..HttpRule::default() }], &|_, _| None);
        assert_eq!(result.is_err(), wanted, "{text:?}");
    }
    for (value, mismatch) in [
        (HeaderValue::Present, Some(Mismatch::Add)),
        (HeaderValue::Regex("a".into()), Some(Mismatch::Replace)),
        (HeaderValue::Regex("(".into()), None),
        (HeaderValue::Exact("a\r\nb: c".into()), None),
    ] {
        assert_eq!(error(&matches(value, mismatch)).field, FieldName::HeaderMatches(0));
    }
    let fixed = HeaderMatch {
        name: "Content_Length".into(),
        value: HeaderValue::Exact("1".into()),
        mismatch: Some(Mismatch::Replace),
    };
    let found = error(&[HttpRule { header_matches: vec![fixed], ..HttpRule::default() }]);
    assert!(found.to_string().contains("not change"), "{found}");
}

#[test]
fn many_large_expressions_fall_back_and_still_agree() {
    // Together they have far more states than a whole automaton may take.
    let rules: Vec<_> = (0..40).map(|n| rule("", &format!("/.*x{n}.{{12}}y.*"))).collect();
    let set = compile(&rules);
    assert_eq!(set.len(), 40);
    for n in [0, 7, 39] {
        let path = format!("/abc/x{n}{}y/d", "-".repeat(12));
        assert_eq!(run(&rules, &get(&path, "")).0.map(|matched| matched.rule), Some(n));
    }
    assert_eq!(run(&rules, &get("/abc/x7--y", "")).0, None);
}

#[test]
fn the_syntax_is_that_of_cilium() {
    for (expression, path, allowed) in [
        ("/users/{id}", "/users/{id}", true),
        ("/users/{id}", "/users/7", false),
        ("/[[]", "/[", true),
        ("/[a&&b]", "/&", true),
        (r"\Q/a.b\E", "/a.b", true),
        (r"\Q/a.b\E", "/axb", false),
        (r"/\d+/\w*", "/42/x_y", true),
        (r"/\pL+", "/abc", true),
        ("(?i)/abc", "/ABC", true),
        ("/a\\/b", "/a/b", true),
    ] {
        assert_eq!(run(&[rule("", expression)], &get(path, "")).0.is_some(), allowed, "{expression} {path}");
    }
}

#[test]
fn a_denial_leaves_no_trace() {
    let mut talk = Conversation::new();
    talk.client_judged(get("/x", "X: y\r\n"), |_| false);
    assert_eq!((talk.server_bytes(), talk.judged().len()), (&b""[..], 0));
}
