//! Unary gRPC calls by tonic, a server that answers them, and both without a schema: a message is bytes.

use super::{Outcome, Timings};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use ciliate_transport::ByteCodec;
use std::{
    convert::Infallible,
    net::SocketAddr,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service, http, http::uri::PathAndQuery},
    transport::{Channel, Endpoint, Server},
};

/// The only method there is.
pub const METHOD: &str = "/deathstar.Landing/Request";
const MESSAGE: &[u8] = b"xwing at bay 327";

#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Where to answer
    at: SocketAddr,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the server answers
    to: SocketAddr,
    /// Connections at once
    #[arg(long, default_value_t = 16)]
    connections: u16,
    /// Calls at once on each
    #[arg(long, default_value_t = 4)]
    calls: u16,
    /// Calls a second, over all connections; as many as go if there is none
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// Messages as they are.
type Plain = ByteCodec<Bytes, Bytes>;

/// Gives every message back.
#[derive(Clone, Copy, Debug)]
struct Landing;

impl tonic::server::NamedService for Landing {
    const NAME: &'static str = "deathstar.Landing";
}

impl tonic::server::UnaryService<Bytes> for Landing {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

impl Service<http::Request<Body>> for Landing {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != METHOD {
                return Ok(Status::unimplemented("there is no such method").into_http());
            }
            Ok(tonic::server::Grpc::new(Plain::default()).unary(Self, request).await)
        })
    }
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Answers until it is killed.
pub fn serve(args: &ServeArgs) -> Result<()> {
    let server = Server::builder().add_service(Landing).serve(args.at);
    runtime()?.block_on(server).with_context(|| format!("cannot serve at {}", args.at))
}

pub fn run(args: &Args) -> Result<Outcome> {
    runtime()?.block_on(async {
        let mut calls = JoinSet::new();
        let every = u32::from(args.connections).saturating_mul(u32::from(args.calls));
        // Between two calls of one caller.
        let pause = args.rate.map(|rate| f64::from(every) / rate.max(1.0));
        let mut number = 0_u32;
        for _ in 0..args.connections {
            let endpoint = Endpoint::from_shared(format!("http://{}", args.to))?;
            let channel = endpoint.tcp_nodelay(true).connect_timeout(Duration::from_secs(5)).connect().await;
            let channel = channel.with_context(|| format!("cannot connect to {}", args.to))?;
            for _ in 0..args.calls {
                let offset = pause.unwrap_or_default() * f64::from(number) / f64::from(every);
                number = number.saturating_add(1);
                calls.spawn(keep_calling(channel.clone(), offset, pause, args.seconds));
            }
        }
        let timings = calls.join_all().await;
        ensure!(!timings.is_empty(), "there is nobody to call");
        Ok(Timings::merge(timings).finish())
    })
}

async fn keep_calling(channel: Channel, offset: f64, pause: Option<f64>, seconds: f64) -> Timings {
    let mut client = tonic::client::Grpc::new(channel);
    let mut timings = Timings::start(seconds);
    let start = Instant::now();
    for turn in 0_u32.. {
        let due = pause.map(|pause| Duration::from_secs_f64(offset + pause * f64::from(turn)));
        let over = due.map_or_else(|| timings.is_over(), |due| due.as_secs_f64() >= seconds);
        if over {
            break;
        }
        let since = match due.map(|due| (due, due.checked_sub(start.elapsed()))) {
            None => Instant::now(),
            Some((_, Some(early))) => {
                tokio::time::sleep(early).await;
                Instant::now()
            }
            // It counts that the answer before came too late.
            Some((due, None)) => start.checked_add(due).unwrap_or(start),
        };
        match call(&mut client).await {
            Ok(()) => timings.round_trip(since),
            Err(error) => {
                timings.failure(format!("{error:#}"));
                break;
            }
        }
    }
    timings
}

async fn call(client: &mut tonic::client::Grpc<Channel>) -> Result<()> {
    client.ready().await?;
    let request = Request::new(Bytes::from_static(MESSAGE));
    let answer = client.unary(request, PathAndQuery::from_static(METHOD), Plain::default()).await?;
    ensure!(answer.get_ref() == MESSAGE, "the answer is {:?}", answer.get_ref());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    #[test]
    fn calls_are_answered_and_paced() {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let at = free.expect("a port");
        thread::spawn(move || serve(&ServeArgs { at }));
        let ready = || std::net::TcpStream::connect(at).is_ok();
        while !ready() {
            thread::sleep(Duration::from_millis(10));
        }
        let args = Args { to: at, connections: 2, calls: 2, rate: Some(200.0), seconds: 0.5 };
        let outcome = run(&args).expect("answers");
        assert_eq!((outcome.count, outcome.failures), (100, Vec::new()));
        let outcome = run(&Args { rate: None, ..args }).expect("answers");
        assert!(outcome.count > 100 && outcome.failures.is_empty(), "{outcome:?}");
    }
}
