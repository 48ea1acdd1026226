//! The corpus of bypass attempts against a recording server: what it got is byte for byte what it was to get.

use crate::{
    corpus::{Case, cases, unescape},
    http1::record,
    node::{SURELY, connect, on_node},
    place,
    proxy::{Proxy, filter},
};
use ciliate_http::h2::{Spoken, spoken};
use ciliate_types::{HttpRule, L7Rules};
use std::{collections::BTreeMap, io::Write as _, net::Shutdown, time::Duration};

/// Mostly the client's end ends the server's connection, too; not while an answer is owed to a client that was refused more.
const SILENCE: Duration = Duration::from_millis(400);

fn check(case: &Case, got: &[u8]) {
    let text = String::from_utf8_lossy(got);
    if let Some(whole) = case.expects("server") {
        assert_eq!(text, String::from_utf8_lossy(&unescape(whole)), "{}", case.name);
    }
    // Of what is cut off more or less may have arrived, but nothing that was never to.
    if let Some(begins) = case.expects("server-begins") {
        let begins = unescape(begins);
        assert!(got.starts_with(&begins) || begins.starts_with(got), "{}: {text}", case.name);
        assert!(!text.ends_with("0\r\n\r\n") && !text.contains("GET"), "{}: {text}", case.name);
    }
}

#[test]
fn nothing_gets_past() {
    on_node("proxybypass", |node| {
        let (tie, deathstar) = place(node);
        let recorded = record(&deathstar, SILENCE);
        let mut by_settings: BTreeMap<_, Vec<Case>> = BTreeMap::new();
        // What begins as HTTP/2 is read as that, and is another test's.
        for case in cases().into_iter().filter(|case| spoken(&case.bytes) != Spoken::Http2) {
            by_settings.entry(case.expects("settings").map(str::to_owned)).or_default().push(case);
        }
        for cases in by_settings.values() {
            let http = cases[0].settings();
            // It takes over from the one before.
            let proxy = Proxy::start_as(node, 1, |settings| settings.http = http);
            let allowed = HttpRule { path: Some("/allowed.*".into()), ..HttpRule::default() };
            proxy.configure([filter(7, L7Rules::Http(vec![allowed]))]);
            for (case, piece) in cases.iter().zip([usize::MAX, 1, 7].into_iter().cycle()) {
                let mut client = connect(&tie, deathstar.v4, 80, SURELY).unwrap();
                client.set_nodelay(true).unwrap();
                // It may have been refused already.
                let _refused = case.bytes.chunks(piece).try_for_each(|piece| client.write_all(piece));
                let _refused = client.shutdown(Shutdown::Write);
                let got = recorded.recv_timeout(SURELY).expect("a connection of the server");
                check(case, &got);
            }
        }
    });
}
