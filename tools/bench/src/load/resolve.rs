//! A DNS server that does next to nothing, so that what is measured is before it: every name has one address, made of the
//! name's sum, and every other type has no record.

use anyhow::{Context, Result};
use std::net::{IpAddr, SocketAddr, UdpSocket};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, default_value = "0.0.0.0")]
    pub address: IpAddr,
    #[arg(long, default_value_t = 53)]
    pub port: u16,
    /// Seconds that the answers are valid
    #[arg(long, default_value_t = 3600)]
    pub ttl: u32,
}

const HEADER: usize = 12;
/// Of type, class.
const FIXED: usize = 4;
const TYPE_A: [u8; 2] = [0, 1];
/// A response, with recursion available.
const ANSWERED: [u8; 2] = [0x80, 0x80];
/// The name in the question.
const POINTER: [u8; 2] = [0xc0, 0x0c];

pub fn run(args: &Args) -> Result<()> {
    let address = SocketAddr::new(args.address, args.port);
    let socket = UdpSocket::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    println!("ready");
    let (mut query, mut answer) = ([0; 1024], Vec::with_capacity(1024));
    loop {
        let (length, from) = socket.recv_from(&mut query)?;
        let whole = query.get(..length).unwrap_or_default();
        if write_answer(whole, args.ttl, &mut answer).is_some() {
            // A client that has gone asks nothing more.
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// None for what is no query.
fn write_answer(query: &[u8], ttl: u32, out: &mut Vec<u8>) -> Option<()> {
    let name_length = query.get(HEADER..)?.iter().position(|byte| *byte == 0)?;
    let end = HEADER.checked_add(name_length)?.checked_add(1)?.checked_add(FIXED)?;
    let question = query.get(HEADER..end)?;
    let (name, fixed) = question.split_last_chunk::<FIXED>()?;
    let has_address = fixed.first_chunk() == Some(&TYPE_A);
    let flags = query.get(2..4)?.iter().zip(ANSWERED);
    out.clear();
    out.extend_from_slice(query.get(..2)?);
    out.extend(flags.map(|(asked, answered)| asked | answered));
    out.extend_from_slice(&[0, 1, 0, u8::from(has_address), 0, 0, 0, 0]);
    out.extend_from_slice(question);
    if has_address {
        let sum = name.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
        let [_, b, c, d] = sum.to_be_bytes();
        out.extend_from_slice(&POINTER);
        out.extend_from_slice(fixed);
        out.extend_from_slice(&ttl.to_be_bytes());
        out.extend_from_slice(&[0, 4, 198, b, c, d]);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_a_name_and_nothing_for_other_types() {
        let query =
            |kind: u8| [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x02bc\0\0", &[kind][..], b"\0\x01"].concat();
        let mut out = Vec::new();
        write_answer(&query(1), 60, &mut out).expect("a query");
        assert!(out.starts_with(b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x02bc\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04"));
        write_answer(&query(28), 60, &mut out).expect("a query");
        assert_eq!(out.get(6..8), Some(&[0, 0][..]));
        assert_eq!(write_answer(b"short", 60, &mut out), None);
    }
}
