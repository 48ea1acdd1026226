//! Request and response on one connection: what one more packet there and back costs.

use super::{Args, Outcome, Timings};
use anyhow::{Context, Result};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

pub fn run(args: &Args) -> Result<Outcome> {
    let mut stream = TcpStream::connect_timeout(&args.to, Duration::from_secs(5))
        .with_context(|| format!("cannot connect to {}", args.to))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut timings = Timings::start(args.seconds);
    let mut byte = [7];
    while !timings.is_over() {
        let start = Instant::now();
        match stream.write_all(&byte).and_then(|()| stream.read_exact(&mut byte)) {
            Ok(()) => timings.round_trip(start),
            // The connection is what is measured: without it there is nothing left to do.
            Err(error) => {
                timings.failure(error.to_string());
                break;
            }
        }
    }
    Ok(timings.finish())
}
