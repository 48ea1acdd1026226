//! The other end of every tool: TCP answers byte for byte, UDP is counted.

use super::udp;
use anyhow::{Context, Result};
use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on
    #[arg(long, default_value = "::")]
    pub address: IpAddr,
    /// TCP port, and UDP port of the counted datagrams; the next one answers how many came
    #[arg(long, default_value_t = 5300)]
    pub port: u16,
}

/// A request after whose answer the server closes.
pub const ONCE: u8 = b'1';

pub fn run(args: &Args) -> Result<()> {
    let address = SocketAddr::new(args.address, args.port);
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let sink = udp::Sink::bind(address)?;
    thread::spawn(move || sink.count());
    println!("ready");
    answer(&listener);
    Ok(())
}

/// One connection after another: a thread for each would be what is measured.
pub fn answer(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // A peer that breaks off ends its own measurement, not this one.
        let _ = converse(stream);
    }
}

fn converse(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut byte = [0];
    loop {
        match stream.read_exact(&mut byte) {
            Ok(()) => stream.write_all(&byte)?,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        if byte == [ONCE] {
            return Ok(());
        }
    }
}
