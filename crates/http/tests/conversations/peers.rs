//! A client and a server of another implementation of HTTP/2, with a connection in between.

use crate::driver::seen;
use bytes::Bytes;
use ciliate_http::{
    Edit, Request, Settings,
    h1::Decision,
    h2::{ClientNext, Connection, ServerNext},
};
use h2::{Reason, RecvStream, client, server};
use http::{HeaderMap, Response};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// Status, body and trailers.
type Answer = (u16, Vec<u8>, Option<HeaderMap>);
type Seen = Arc<Mutex<Vec<String>>>;

/// Everything that a test looks at.
#[derive(Clone, Default)]
struct Lab {
    /// What the server got: method, path, trace header, length of the body.
    served: Seen,
    /// What went wrong in between.
    trouble: Seen,
    statuses: Arc<Mutex<Vec<u16>>>,
}

/// Allowed unless the path says otherwise; `/edited` gets a header.
fn judge(request: &Request<'_>) -> Decision<String> {
    let (_, path, _) = seen(request);
    if path.starts_with("/denied") {
        return Decision::Deny;
    }
    let edits = match path.starts_with("/edited") {
        true => vec![Edit::Replace { name: "X-Trace".into(), value: (*b"edited").into() }],
        false => Vec::new(),
    };
    Decision::Allow { token: path, edits }
}

/// Carries bytes between both, at most `piece` at a time.
async fn carry(mut client: DuplexStream, mut server: DuplexStream, piece: usize, lab: Lab) {
    let mut connection = Connection::<String>::new(Arc::new(Settings::default()));
    let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
    let (mut one, mut other) = (vec![0; piece], vec![0; piece]);
    loop {
        tokio::select! {
            read = client.read(&mut one) => match read { Ok(len @ 1..) => from_client.extend(&one[..len]), _ => return },
            read = server.read(&mut other) => match read { Ok(len @ 1..) => from_server.extend(&other[..len]), _ => return },
        }
        loop {
            let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
            let a = connection.client(&from_client, &mut to_server, &mut to_client, judge);
            server.write_all(&from_client[a.forward.clone()]).await.unwrap();
            server.write_all(&to_server).await.unwrap();
            client.write_all(&to_client).await.unwrap();
            from_client.drain(..a.consumed);
            let mut to_client = Vec::new();
            let b = connection.server(&from_server, &mut to_client, |response| {
                lab.statuses.lock().unwrap().push(response.status);
            });
            client.write_all(&from_server[b.forward.clone()]).await.unwrap();
            client.write_all(&to_client).await.unwrap();
            from_server.drain(..b.consumed);
            if let ClientNext::Close(refusal) = a.next {
                return lab.trouble.lock().unwrap().push(refusal.to_string());
            }
            if let ServerNext::Abort(fault) = b.next {
                return lab.trouble.lock().unwrap().push(fault.to_string());
            }
            if a.next != ClientNext::Again && b.next != ServerNext::Again && b.next != ServerNext::Wait {
                break;
            }
            if b.next == ServerNext::Wait && a.next == ClientNext::More {
                break;
            }
        }
    }
}

/// Answers with what it got, and a trailer.
async fn serve(io: DuplexStream, lab: Lab) {
    let mut connection = server::Builder::new()
        .initial_window_size(200_000)
        .initial_connection_window_size(300_000)
        .handshake(io)
        .await
        .unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let lab = lab.clone();
        tokio::spawn(async move {
            let line = format!(
                "{} {} {}",
                request.method(),
                request.uri().path(),
                request.headers().get("x-trace").map_or("", |value| value.to_str().unwrap())
            );
            let (body, _) = read(request.into_body()).await;
            lab.served.lock().unwrap().push(format!("{line} {}", body.len()));
            let mut send = respond.send_response(Response::new(()), false).unwrap();
            write(&mut send, Bytes::from(body)).await;
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
            send.send_trailers(trailers).unwrap();
        });
    }
}

async fn read(mut body: RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    let mut all = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        body.flow_control().release_capacity(piece.len()).unwrap();
        all.extend(piece);
    }
    let trailers = body.trailers().await.ok().flatten();
    (all, trailers)
}

async fn write(send: &mut h2::SendStream<Bytes>, mut body: Bytes) {
    while !body.is_empty() {
        send.reserve_capacity(body.len());
        let Some(Ok(room)) = std::future::poll_fn(|context| send.poll_capacity(context)).await else {
            return;
        };
        let piece = body.split_to(room.min(body.len()));
        if send.send_data(piece, false).is_err() {
            return;
        }
    }
}

/// Sends requests of (path, trace, length of the body), `together` at a time, and returns status, body and trailers of each.
async fn ask(requests: Vec<(String, String, usize)>, together: usize, piece: usize, lab: Lab) -> Vec<Answer> {
    let (near, client_io) = duplex(1 << 22);
    let (server_io, far) = duplex(1 << 22);
    tokio::spawn(serve(far, lab.clone()));
    tokio::spawn(carry(client_io, server_io, piece, lab));
    let (mut handle, connection) = client::Builder::new()
        .header_table_size(4096)
        .max_concurrent_reset_streams(100)
        .handshake::<_, Bytes>(near)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut results = Vec::new();
    let mut waiting = VecDeque::new();
    let mut requests = requests.into_iter();
    loop {
        while waiting.len() < together {
            let Some((path, trace, len)) = requests.next() else { break };
            let request = http::Request::builder()
                .method(if len > 0 { "POST" } else { "GET" })
                .uri(format!("http://a.example{path}"))
                .header("x-trace", trace)
                .body(())
                .unwrap();
            handle = handle.ready().await.unwrap();
            let (response, mut send) = handle.send_request(request, len == 0).unwrap();
            waiting.push_back(tokio::spawn(async move {
                if len > 0 {
                    write(&mut send, Bytes::from(vec![b'x'; len])).await;
                    let _ = send.send_data(Bytes::new(), true);
                }
                match response.await {
                    Ok(response) => {
                        let status = response.status().as_u16();
                        let (body, trailers) = read(response.into_body()).await;
                        (status, body, trailers)
                    }
                    Err(error) => {
                        panic!("no response: {error:?} {:?}", error.reason().unwrap_or(Reason::NO_ERROR))
                    }
                }
            }));
        }
        let Some(next) = waiting.pop_front() else { return results };
        results.push(next.await.unwrap());
    }
}

fn run(requests: Vec<(String, String, usize)>, together: usize, piece: usize) -> (Vec<Answer>, Lab) {
    let lab = Lab::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let results = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), ask(requests, together, piece, lab.clone()))
            .await
            .unwrap()
    });
    assert_eq!(*lab.trouble.lock().unwrap(), Vec::<String>::new());
    (results, lab)
}

#[test]
fn other_implementations_understand_each_other_through_it() {
    for (together, piece) in [(1, 1 << 16), (20, 1 << 16), (7, 1), (20, 11)] {
        let kinds = ["/allowed", "/denied", "/edited", "/allowed", "/denied"];
        let requests: Vec<_> = (0..60)
            .map(|n| {
                let len = if n % 3 == 0 { n * 100 } else { 0 };
                (format!("{}/{}", kinds[n * 7 % 5], n % 4), format!("trace-{}", n % 11), len)
            })
            .collect();
        let (results, lab) = run(requests.clone(), together, piece);
        let mut wanted = Vec::new();
        for ((path, trace, len), (status, body, trailers)) in requests.iter().zip(&results) {
            if path.starts_with("/denied") {
                assert_eq!((*status, &body[..]), (403, &b"Access denied\r\n"[..]));
                continue;
            }
            assert_eq!((*status, body.len()), (200, *len), "{path}");
            assert_eq!(trailers.as_ref().unwrap()["grpc-status"], "0");
            let trace = if path.starts_with("/edited") { "edited" } else { trace };
            let method = if *len > 0 { "POST" } else { "GET" };
            wanted.push(format!("{method} {path} {trace} {len}"));
        }
        let mut served = lab.served.lock().unwrap().clone();
        served.sort();
        wanted.sort();
        assert_eq!(served, wanted);
        assert_eq!(lab.statuses.lock().unwrap().len(), wanted.len());
    }
}

#[test]
fn bulk_flows_both_ways_beside_denials() {
    // More than all windows together, and denied bodies that would use the connection's window up if they were not given back.
    let mut requests = Vec::new();
    for n in 0..12 {
        requests.push((format!("/allowed/{n}"), String::new(), 700_000));
        requests.push((format!("/denied/{n}"), String::new(), 150_000));
    }
    let (results, lab) = run(requests, 4, 1 << 14);
    for (n, (status, body, _)) in results.iter().enumerate() {
        assert_eq!((*status, body.len()), if n % 2 == 0 { (200, 700_000) } else { (403, 15) });
    }
    assert_eq!(lab.served.lock().unwrap().len(), 12);
}
