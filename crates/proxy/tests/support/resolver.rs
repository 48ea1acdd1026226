//! A name server that says what a test wants, and clients that ask it, byte by byte.

use crate::node::{Endpoint, NEVER, SURELY};
use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::mpsc::{Receiver, channel},
};

pub const NOERROR: u8 = 0;
pub const SERVFAIL: u8 = 2;
pub const REFUSED: u8 = 5;

/// A query for addresses of the family of `kind`: 1 = A, 28 = AAAA.
pub fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut out: Vec<u8> = [id, 0x0100, 1, 0, 0, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.push(0);
    out.extend(kind.to_be_bytes().into_iter().chain(1_u16.to_be_bytes()));
    out
}

/// The name in a query's question, as text.
pub fn name_of(message: &[u8]) -> String {
    let (mut at, mut labels) = (12, Vec::new());
    while message[at] != 0 {
        let end = at + 1 + usize::from(message[at]);
        labels.push(String::from_utf8(message[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    labels.join(".")
}

/// An answer to `query`: each address under the name of the question.
pub fn answer(query: &[u8], addresses: &[IpAddr], ttl: u32) -> Vec<u8> {
    let mut out = query.to_vec();
    (out[2], out[3]) = (0x81, 0x80);
    out[7] = u8::try_from(addresses.len()).unwrap();
    for address in addresses {
        out.extend([0xc0, 0x0c, 0]);
        let octets = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        out.extend([if octets.len() == 4 { 1 } else { 28 }, 0, 1]);
        out.extend(ttl.to_be_bytes());
        out.extend([0, u8::try_from(octets.len()).unwrap()]);
        out.extend(octets);
    }
    out
}

/// Serves UDP and TCP at port 53 of an endpoint. `answers` gives the datagrams or frames that a query is answered with.
pub fn serve(
    endpoint: &Endpoint,
    answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Clone + Send + 'static,
) -> Receiver<(SocketAddr, String)> {
    serve_each(endpoint, answers.clone(), answers)
}

/// The same with other answers by TCP.
pub fn serve_each(
    endpoint: &Endpoint,
    by_udp: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    by_tcp: impl Fn(&[u8]) -> Vec<Vec<u8>> + Clone + Send + 'static,
) -> Receiver<(SocketAddr, String)> {
    let (seen, told) = channel();
    let udp = endpoint.netns.run(|| UdpSocket::bind(("::", 53)).unwrap()).unwrap();
    let tcp = endpoint.netns.run(|| TcpListener::bind(("::", 53)).unwrap()).unwrap();
    std::thread::spawn({
        let seen = seen.clone();
        move || {
            let mut buffer = [0; 4096];
            while let Ok((count, from)) = udp.recv_from(&mut buffer) {
                let query = &buffer[..count];
                let _nobody = seen.send((from, name_of(query)));
                for one in by_udp(query) {
                    let _sent = udp.send_to(&one, from);
                }
            }
        }
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().map_while(Result::ok) {
            let (answers, seen) = (by_tcp.clone(), seen.clone());
            std::thread::spawn(move || {
                while let Some(query) = frame(&mut stream) {
                    let _nobody = seen.send((stream.peer_addr().unwrap(), name_of(&query)));
                    for one in answers(&query) {
                        let _sent = stream.write_all(&framed(&one));
                    }
                }
            });
        }
    });
    told
}

pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    length.into_iter().chain(message.iter().copied()).collect()
}

pub fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// Asks by UDP and gives the code of the answer, which has to come from where it was asked, under the same id.
pub fn ask(client: &Endpoint, server: IpAddr, id: u16, name: &str) -> Option<u8> {
    ask_within(client, server, id, name, SURELY)
}

/// The same for what nobody is to answer.
pub fn ask_in_vain(client: &Endpoint, server: IpAddr, id: u16, name: &str) -> Option<u8> {
    ask_within(client, server, id, name, NEVER)
}

fn ask_within(
    client: &Endpoint,
    server: IpAddr,
    id: u16,
    name: &str,
    wait: std::time::Duration,
) -> Option<u8> {
    let socket = towards(client, server, wait);
    socket.send(&query(id, name, if server.is_ipv4() { 1 } else { 28 })).unwrap();
    let mut buffer = [0; 4096];
    let count = socket.recv(&mut buffer).ok()?;
    let message = &buffer[..count];
    assert_eq!(message[..2], id.to_be_bytes());
    assert_eq!(name_of(message), name);
    Some(message[3] & 15)
}

/// A socket that hears nobody but this server.
pub fn towards(client: &Endpoint, server: IpAddr, wait: std::time::Duration) -> UdpSocket {
    let socket = client.netns.run(|| UdpSocket::bind(("::", 0)).unwrap()).unwrap();
    socket.set_read_timeout(Some(wait)).unwrap();
    let server = match server {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), 53),
        IpAddr::V6(_) => SocketAddr::new(server, 53),
    };
    socket.connect(server).unwrap();
    socket
}
