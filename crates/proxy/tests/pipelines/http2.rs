//! Streams of HTTP/2: another implementation gets exactly the requests that were allowed, whole and in order.

use crate::{
    Rule, allowed, cases, configure,
    frames::{END_HEADERS, END_STREAM, PREFACE, block, data, frame, get, headers, settings},
    node::{Endpoint, SURELY, connect, listen, on_node},
    place,
    proxy::Proxy,
    rule,
};
use proptest::{prelude::*, sample::select, strategy::ValueTree as _, test_runner::TestRunner};
use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
};

/// A request as a server got it: method, path, body.
type Seen = (String, String, Vec<u8>);

#[derive(Clone, Debug)]
struct Stream {
    method: &'static str,
    /// As it is sent, and as the server is to get it.
    path: (&'static str, &'static str),
    how: Indexing,
    /// None: the head is all there is.
    body: Option<Vec<u8>>,
    /// The body comes behind all other streams' heads.
    late: bool,
    /// The head comes in pieces of so many bytes.
    piece: usize,
    trailers: bool,
    /// What makes a request bad: refused, and the connection goes on.
    wrong: Option<(&'static str, &'static str)>,
}

/// How a client says a path.
#[derive(Clone, Copy, Debug)]
enum Indexing {
    Plain,
    /// Both ends remember it.
    Remembered,
    /// By its place among those that were remembered; plain if there is none.
    Named(usize),
}

fn stream() -> impl Strategy<Value = Stream> {
    let same = |path| (path, path);
    let paths = ["/", "/a", "/a/b", "/a/b?x=1", "/api"].map(same);
    // What a careless reader would take for a request of its own.
    let secret = headers(1, END_STREAM, &get("/secret"));
    let bodies = [
        b"abc".to_vec(),
        Vec::new(),
        secret.clone(),
        [&[0; 9][..], &secret, PREFACE, &settings(&[]), &secret].concat(),
        b"PUT /secret HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        vec![7; 5_000],
    ];
    let wrong = [
        ("X-A", "upper case"),
        ("connection", "close"),
        ("te", "gzip"),
        ("x", "a\r\n:path: /secret"),
        ("transfer-encoding", "chunked"),
        ("host", "other"),
        (":path", "/secret"),
    ];
    let how = prop_oneof![
        Just(Indexing::Plain),
        Just(Indexing::Remembered),
        (0_usize..4).prop_map(Indexing::Named)
    ];
    (
        select(vec!["GET", "POST", "PUT"]),
        select([&paths[..], &[("/%61", "/a")]].concat()),
        how,
        prop::option::of(select(bodies.to_vec())),
        any::<(bool, bool)>(),
        4_usize..60,
        prop::option::weighted(0.1, select(wrong.to_vec())),
    )
        .prop_map(|(method, path, how, body, (late, trailers), piece, wrong)| Stream {
            method,
            path,
            how,
            body,
            late,
            piece,
            trailers,
            wrong,
        })
}

/// A client's side of a connection.
#[derive(Default)]
struct Client {
    bytes: Vec<u8>,
    late: Vec<u8>,
    /// Paths in the table, the newest first.
    remembered: Vec<(&'static str, &'static str)>,
    /// What the server is to get.
    expected: Vec<Seen>,
}

impl Client {
    fn add(&mut self, id: u32, stream: &Stream, rules: &[Rule]) {
        let text = |first: u8, value: &str| {
            [&[first, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
        };
        let mut path = stream.path;
        let said = match stream.how {
            Indexing::Named(at) if at < self.remembered.len() => {
                path = self.remembered[at];
                vec![0x80 | u8::try_from(62 + at).unwrap()]
            }
            Indexing::Plain | Indexing::Named(_) => text(0x04, path.0),
            Indexing::Remembered => {
                self.remembered.insert(0, path);
                text(0x44, path.0)
            }
        };
        let mut head = [text(0x02, stream.method), vec![0x86], said, text(0x01, "h")].concat();
        head.extend(stream.wrong.iter().flat_map(|header| block(&[*header])));
        let ends = if stream.body.is_none() { END_STREAM } else { 0 };
        let last = head.len().div_ceil(stream.piece) - 1;
        for (number, piece) in head.chunks(stream.piece).enumerate() {
            let kind = if number == 0 { 1 } else { 9 };
            let flags = if number == 0 { ends } else { 0 } | if number == last { END_HEADERS } else { 0 };
            self.bytes.extend(frame(kind, flags, id, piece));
        }
        let out = if stream.late { &mut self.late } else { &mut self.bytes };
        if let Some(body) = &stream.body {
            for piece in body.chunks(2_000) {
                out.extend(data(id, 0, piece));
            }
            match stream.trailers {
                true => out.extend(headers(id, END_STREAM, &block(&[("x-sum", "7")]))),
                false => out.extend(data(id, END_STREAM, "")),
            }
        }
        if stream.wrong.is_none() && allowed(rules, stream.method, path.1) {
            let body = stream.body.clone().unwrap_or_default();
            self.expected.push((stream.method.to_owned(), path.1.to_owned(), body));
        }
    }
}

/// A server of another implementation; it tells of each connection what it got on it.
fn record(station: &Endpoint) -> Receiver<Vec<Seen>> {
    let listener = listen(station, 80);
    let (record, recorded) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for stream in listener.incoming().map_while(Result::ok) {
            stream.set_nonblocking(true).unwrap();
            record.send(runtime.block_on(serve(stream))).unwrap();
        }
    });
    recorded
}

async fn serve(stream: TcpStream) -> Vec<Seen> {
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    // A connection that was refused at once says nothing.
    let Ok(mut connection) = h2::server::handshake(stream).await else { return Vec::new() };
    let mut reading = tokio::task::JoinSet::new();
    let mut count = 0_usize;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let number = count;
        count += 1;
        reading.spawn(async move {
            let line = (request.method().to_string(), request.uri().path_and_query().unwrap().to_string());
            let (mut body, mut all) = (request.into_body(), Vec::new());
            while let Some(Ok(piece)) = body.data().await {
                body.flow_control().release_capacity(piece.len()).unwrap();
                all.extend(piece);
            }
            let _trailers = body.trailers().await;
            let _gone = respond.send_response(http::Response::new(()), true);
            (number, (line.0, line.1, all))
        });
    }
    let mut seen = reading.join_all().await;
    seen.sort();
    seen.into_iter().map(|(_, seen)| seen).collect()
}

/// Reads until each of these streams has come to its end.
fn answers(stream: &mut TcpStream, mut open: BTreeSet<u32>) {
    const RST_STREAM: u8 = 3;
    stream.set_read_timeout(Some(SURELY)).unwrap();
    while !open.is_empty() {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap_or_else(|error| panic!("{error}: no answer on {open:?}"));
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).unwrap();
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if head[3] == RST_STREAM || (head[3] <= 1 && head[4] & END_STREAM != 0) {
            open.remove(&id);
        }
    }
}

/// What ends a connection, and is followed by requests that are not to reach the server.
fn farewell() -> impl Strategy<Value = Vec<u8>> {
    let good = |id| headers(id, END_STREAM, &get("/a"));
    let bad = [
        Vec::new(),
        headers(2, END_STREAM, &get("/a")),
        frame(9, END_HEADERS, 901, get("/a")),
        [frame(1, 0, 901, &get("/a")[..3]), data(901, 0, &get("/a")[3..])].concat(),
        data(1001, 0, good(1001)),
        frame(5, END_HEADERS, 901, [0, 0, 3, 135]),
        b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        headers(901, END_STREAM, &[0xff, 0xff, 0xff, 0xff, 0xff]),
    ];
    let behind = move |bad: Vec<u8>| if bad.is_empty() { bad } else { [bad, good(903)].concat() };
    select(bad.map(behind).to_vec())
}

#[test]
fn what_the_server_got_was_allowed() {
    on_node("proxystreams", |node| {
        let (tie, deathstar) = place(node);
        let recorded = record(&deathstar);
        let proxy = Proxy::start(node, 1);
        let mut runner = TestRunner::default();
        let strategy = (
            prop::collection::vec(rule(), 1..4),
            prop::collection::vec(stream(), 1..8),
            prop::collection::vec(1_usize..200, 1..6),
            farewell(),
        );
        let (mut forwarded, mut sent) = (0, 0);
        for _ in 0..cases() {
            let (rules, streams, pieces, farewell) = strategy.new_tree(&mut runner).unwrap().current();
            configure(&proxy, &rules);
            let mut said = Client { bytes: [PREFACE, &settings(&[])].concat(), ..Client::default() };
            let ids: Vec<u32> = (1..).step_by(2).take(streams.len()).collect();
            for (id, stream) in ids.iter().zip(&streams) {
                said.add(*id, stream, &rules);
            }
            let mut client = connect(&tie, deathstar.v4, 80, SURELY).unwrap();
            client.set_nodelay(true).unwrap();
            let bytes = [said.bytes, said.late].concat();
            let (mut rest, mut sizes) = (&bytes[..], pieces.iter().cycle());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                client.write_all(piece).unwrap();
                rest = behind;
            }
            answers(&mut client, ids.into_iter().collect());
            let _refused = client.write_all(&farewell).and_then(|()| client.shutdown(Shutdown::Write));
            let got = recorded.recv_timeout(SURELY).expect("a connection of the server");
            assert_eq!(got, said.expected, "by {rules:?}\nof {streams:#?}\nthen {farewell:?}");
            (forwarded, sent) = (forwarded + got.len(), sent + streams.len());
        }
        eprintln!("{forwarded} of {sent} requests reached the server");
        assert!(forwarded > 0 && forwarded < sent, "the test lets something through, and not everything");
    });
}
