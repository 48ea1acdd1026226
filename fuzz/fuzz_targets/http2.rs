//! Any bytes as the frames of a client, and of a server: no panic, and what goes on is read by another reader as exactly what was allowed.
#![no_main]

use ciliate_http::{
    Settings,
    h1::Decision,
    h2::{ClientNext, Connection, ServerNext},
};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

const START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

struct Run {
    connection: Connection<()>,
    server: Vec<u8>,
    /// Method, path, host and headers of what was allowed.
    allowed: Vec<String>,
    refused: usize,
    end: ClientNext,
}

fn run(input: &[u8]) -> Run {
    let mut run = Run {
        connection: Connection::new(Arc::new(Settings::default())),
        server: Vec::new(),
        allowed: Vec::new(),
        refused: 0,
        end: ClientNext::More,
    };
    let mut rest = input;
    loop {
        let (mut written, mut to_client) = (Vec::new(), Vec::new());
        let allowed = &mut run.allowed;
        let step = run.connection.client(rest, &mut written, &mut to_client, |request| {
            if request.path.contains(&b'd') {
                return Decision::Deny;
            }
            allowed.push(format!("{request:?}"));
            Decision::Allow { token: (), edits: Vec::new() }
        });
        run.server.extend_from_slice(&rest[step.forward.clone()]);
        run.server.extend(written);
        run.refused += usize::from(step.refused.is_some());
        rest = &rest[step.consumed..];
        if !matches!(run.end, ClientNext::Close(_)) {
            run.end = step.next;
        }
        if step.next != ClientNext::Again {
            return run;
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let (client, server) = input.split_at(input.len() / 3 * 2);
    let mut first = run(&[START, client].concat());
    let second = run(&first.server);
    assert_eq!(first.allowed, second.allowed);
    if !matches!(first.end, ClientNext::Close(_)) && second.refused == 0 {
        assert!(!matches!(second.end, ClientNext::Close(_)));
    }
    let bytes = [SETTINGS, server].concat();
    let mut rest = &bytes[..];
    loop {
        let mut to_client = Vec::new();
        let step = first.connection.server(rest, &mut to_client, |_| {});
        rest = &rest[step.consumed..];
        if step.next != ServerNext::Again {
            break;
        }
    }
});
