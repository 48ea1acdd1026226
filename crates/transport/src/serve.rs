//! gRPC for clients that were let in, with bounds for what each may take.

use crate::{Connection, Incoming, refusals::Refusals};
use hyper::{Request, body, server::conn::http2, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{
    error::Error as _,
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_stream::StreamExt as _;
use tonic::{codegen::Service as _, service::Routes};

/// Of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Requests that are under way at once.
    pub streams: u32,
    /// Bytes of an answer that wait for the connection; a last message may go beyond. What does not fit waits with whoever
    /// answers.
    pub unsent: usize,
    /// How often a client is asked whether it is still there.
    pub interval: Duration,
    /// How long it may take to answer that; then it is dropped.
    pub patience: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            streams: 256,
            unsent: 32 << 10,
            interval: Duration::from_secs(30),
            patience: Duration::from_secs(20),
        }
    }
}

/// Serves the clients that come in until `end` is there, and then what is under way. Requests have their
/// [`Origin`](crate::Origin) in their extensions. Clients that are dropped are named in the log.
///
/// Unlike tonic's own server, which bounds neither, it keeps what waits for a client that does not read to [`Bounds::unsent`].
pub async fn serve(routes: Routes, mut incoming: Incoming, bounds: Bounds, end: impl Future<Output = ()>) {
    let routes = routes.prepare();
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(bounds.streams)
        .max_send_buf_size(bounds.unsent)
        .keep_alive_interval(bounds.interval)
        .keep_alive_timeout(bounds.patience);
    let dropped = Arc::new(Mutex::new(Refusals::new("a client was dropped")));
    let under_way = GracefulShutdown::new();
    let mut end = pin!(end);
    loop {
        let connection = tokio::select! {
            () = &mut end => break,
            next = incoming.next() => match next {
                Some(Ok(connection)) => connection,
                Some(Err(_)) => continue,
                None => break,
            },
        };
        let (origin, client) = (connection.origin(), connection.client());
        let routes = routes.clone();
        let service = service_fn(move |mut request: Request<body::Incoming>| {
            request.extensions_mut().insert(origin);
            // It is ready at any time.
            routes.clone().call(request)
        });
        let io: TokioIo<Connection> = TokioIo::new(connection);
        let served = under_way.watch(http.serve_connection(io, service));
        let dropped = Arc::clone(&dropped);
        tokio::spawn(async move {
            if let Err(error) = served.await
                && let Some(why) = fault(&error)
            {
                dropped.lock().unwrap_or_else(PoisonError::into_inner).note(client, &why);
            }
        });
    }
    // Nobody else is let in.
    drop(incoming);
    under_way.shutdown().await;
}

/// What a client did not do in time; none where it went, or broke off.
fn fault(error: &hyper::Error) -> Option<String> {
    if error.is_timeout() {
        return Some("it did not answer when it was asked whether it is still there".to_owned());
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return Some(error.to_string());
        }
        cause = error.source();
    }
    None
}
