//! Connect, request, response, close: what a new connection costs.
//!
//! The server closes first, so that the waiting state after a connection and its limits are on its side and the client
//! finds a free port at once.

use super::{Args, Outcome, Timings};
use anyhow::Result;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

pub fn run(args: &Args) -> Result<Outcome> {
    let mut timings = Timings::start(args.seconds);
    while !timings.is_over() {
        let start = Instant::now();
        match connection(&args.to) {
            Ok(()) => timings.round_trip(start),
            Err(error) => {
                timings.failure(error.to_string());
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
    Ok(timings.finish())
}

fn connection(to: &SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(to, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&[super::serve::ONCE])?;
    let mut byte = [0; 2];
    stream.read_exact(byte.split_at_mut(1).0)?;
    match stream.read(&mut byte)? {
        0 => Ok(()),
        _ => Err(io::Error::other("more than one byte came back")),
    }
}
