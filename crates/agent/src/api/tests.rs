//! The server and the table of routes say the same.

use super::{App, routes};
use crate::{
    engine,
    kernel::{KernelError, MapReader},
    node::Node,
    notice::Notices,
    shutdown::Shutdown,
    state::State,
};
use ciliate_api::{ROUTES, Route};
use ciliate_bpf::{ConnectionRow, PolicyDump};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    sync::Arc,
    thread,
};
use tokio::sync::watch;

struct NoMaps;

impl MapReader for NoMaps {
    fn connections(&self) -> Result<Vec<ConnectionRow>, KernelError> {
        Err(KernelError::TakenDown)
    }

    fn rule_sets(&self, _: &BTreeSet<u32>) -> Result<BTreeMap<u32, PolicyDump>, KernelError> {
        Err(KernelError::TakenDown)
    }
}

#[test]
fn the_server_answers_on_every_path_of_the_table_and_on_no_other() {
    let served: BTreeSet<&str> = routes().into_iter().map(|(path, _)| path).collect();
    let known: BTreeSet<&str> = ROUTES.iter().map(|route| route.path).collect();
    assert_eq!(served, known);
}

#[test]
fn every_path_takes_the_methods_of_the_table_and_no_other() {
    let folder = std::env::temp_dir().join(format!("cil-test-api-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("s");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let (_, config) = ciliate_api::settings::resolve(&BTreeMap::new(), |_| None, None).unwrap();
    // Nobody works on requests: what reaches the engine is answered with 503.
    let (requests, _) = engine::channel();
    let (published, state) = watch::channel(Arc::new(State::new()));
    let app = App {
        requests,
        state,
        maps: Arc::new(NoMaps),
        notices: Notices::new(None, 0, crate::proxy::Attention::default()),
        recorder: ciliate_recorder::Recorder::channel().0,
        node: Node::new(&config),
        shutdown: Shutdown::default(),
        exports: Default::default(),
    };
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            axum::serve(listener, super::router(app)).await
        })
    });

    let status = |method: &str, path: &str| -> u16 {
        let mut stream = UnixStream::connect(&socket).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    };
    let paths: BTreeSet<&str> = ROUTES.iter().map(|route| route.path).collect();
    for path in paths {
        let methods: BTreeSet<String> =
            ROUTES.iter().filter(|route: &&Route| route.path == path).map(|r| r.method.to_string()).collect();
        let filled = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
        let filled = filled.collect::<Vec<_>>().join("/");
        for method in ["GET", "POST", "PATCH", "DELETE", "PUT"] {
            let refused = status(method, &filled) == 405;
            assert_eq!(refused, !methods.contains(method), "{method} {path}");
        }
    }
    assert_eq!(status("GET", "/v1/nonsense"), 404);
    drop(published);
    std::fs::remove_dir_all(&folder).unwrap();
}
