//! Any bytes as what a client sends over HTTP/1: no panic, and what goes on is read by another reader as exactly what was allowed.
#![no_main]

use ciliate_http::{
    Request, Settings,
    h1::{ClientNext, Connection, Decision},
};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

/// Method, path, host.
type Seen = (Vec<u8>, Vec<u8>, Vec<u8>);

fn denied(request: &Request<'_>) -> bool {
    request.path.contains(&b'd')
}

/// What the server gets of `input`, in pieces of `piece` bytes; what was allowed; how it ended.
fn run(input: &[u8], piece: usize) -> (Vec<u8>, Vec<Seen>, ClientNext) {
    let mut connection = Connection::<()>::new(Arc::new(Settings::default()));
    let (mut server, mut allowed, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    let mut end = ClientNext::More;
    for bytes in input.chunks(piece.max(1)) {
        unread.extend_from_slice(bytes);
        loop {
            let (mut written, mut to_client) = (Vec::new(), Vec::new());
            let step = connection.client(&unread, &mut written, &mut to_client, |request| {
                if denied(request) {
                    return Decision::Deny;
                }
                allowed.push((request.method.to_vec(), request.path.to_vec(), request.host.to_vec()));
                Decision::Allow { token: (), edits: Vec::new() }
            });
            server.extend_from_slice(&unread[step.forward.clone()]);
            server.extend(written);
            unread.drain(..step.consumed);
            if !matches!(end, ClientNext::Refused(_) | ClientNext::Abort(_)) {
                end = step.next;
            }
            if step.next != ClientNext::Again {
                break;
            }
        }
    }
    (server, allowed, end)
}

fuzz_target!(|input: &[u8]| {
    let (server, allowed, end) = run(input, input.len());
    let (again, same, second_end) = run(&server, server.len());
    assert_eq!(allowed, same);
    assert_eq!(server, again);
    assert!(!matches!(second_end, ClientNext::Refused(_)));
    let (pieces, still, piecewise) = run(input, 3);
    assert_eq!((&allowed, end), (&still, piecewise));
    if !matches!(end, ClientNext::Abort(_)) {
        assert_eq!(server, pieces);
    }
});
