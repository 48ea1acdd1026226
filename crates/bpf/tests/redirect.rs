//! Connections that policy sends through a proxy, with a proxy that passes bytes on. Needs root.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests state plainly what they expect")]

#[path = "support/node.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod node;

use ciliate_abi::{DropReason, Listener, mark};
use ciliate_bpf::{Listeners, Ruling, View};
use ciliate_policy::rule_set::{Action, Peer, RuleSet};
use ciliate_types::Protocol;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, connect as connect_socket,
    listen as listen_on, setsockopt, socket, sockopt,
};
use node::{NEVER, Node, SURELY, connect, exchange, listen, on_node, only, rules};
use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd as _, OwnedFd},
    sync::mpsc,
};

fn transparent(family: AddressFamily, marked: u32) -> OwnedFd {
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    // One flag of the socket serves both families.
    setsockopt(&fd, sockopt::IpTransparent, &true).unwrap();
    setsockopt(&fd, sockopt::Mark, &marked).unwrap();
    setsockopt(&fd, sockopt::ReuseAddr, &true).unwrap();
    fd
}

/// Accepts what the programs redirect, connects on from the client's address, and tells who spoke to whom.
fn proxy(node: &Node, family: AddressFamily, kind: Listener) -> mpsc::Receiver<(SocketAddr, SocketAddr)> {
    let fd = transparent(family, mark::BACK);
    let any: SocketAddr = if family == AddressFamily::Inet { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &SockaddrStorage::from(any)).unwrap();
    listen_on(&fd, Backlog::new(16).unwrap()).unwrap();
    Listeners::open(&node.settings.root).unwrap().set(kind, fd.as_fd()).unwrap();
    let view = View::open(&node.settings.root).unwrap();
    let (seen, told) = mpsc::channel();
    // The thread works in the node's namespace: sockets belong to where they were made.
    std::thread::spawn(move || {
        let listener = TcpListener::from(fd);
        while let Ok((client, from)) = listener.accept() {
            let to = client.local_addr().unwrap();
            if seen.send((from, to)).is_err() {
                return;
            }
            let upstream = transparent(family, mark::FORWARD);
            let raw = std::os::fd::AsRawFd::as_raw_fd(&upstream);
            bind(raw, &SockaddrStorage::from(SocketAddr::new(from.ip(), 0))).unwrap();
            let upstream = TcpStream::from(upstream);
            view.announce(Protocol::TCP, upstream.local_addr().unwrap(), to).unwrap();
            if connect_socket(raw, &SockaddrStorage::from(to)).is_err() {
                continue;
            }
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), upstream.try_clone().unwrap()), (upstream, client)]
            {
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(count) = from.read(&mut buffer) {
                        if count == 0 || to.write_all(buffer.get(..count).unwrap()).is_err() {
                            break;
                        }
                    }
                    let _closed = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    told
}

fn through_proxy(peer: Peer, port: u16) -> RuleSet {
    rules([(peer, port, Action::Redirect, 5, 7)])
}

#[test]
fn a_redirected_connection_passes_the_proxy_under_the_clients_address() {
    on_node("redirect", |node| {
        let client = node.endpoint(10, &RuleSet::default());
        let stranger = node.endpoint(11, &RuleSet::default());
        let server = node.endpoint(12, &through_proxy(Peer::Identity(client.identity), 80));
        let told = [
            proxy(node, AddressFamily::Inet, Listener::TcpV4),
            proxy(node, AddressFamily::Inet6, Listener::TcpV6),
        ];
        let http = listen(&server, 80);
        for (address, told) in [server.v4, server.v6].into_iter().zip(&told) {
            let mut stream = connect(&client, address, 80, SURELY).unwrap();
            let (mut accepted, from) = http.accept().unwrap();
            let own: IpAddr = if address.is_ipv4() { client.v4 } else { client.v6 };
            assert_eq!(from.ip().to_canonical(), own, "the server sees the client");
            exchange(&mut stream, &mut accepted, SURELY).unwrap();
            let (seen_from, seen_to) = told.recv_timeout(SURELY).unwrap();
            assert_eq!((seen_from, seen_to), (stream.local_addr().unwrap(), SocketAddr::new(address, 80)));
            connect(&stranger, address, 80, NEVER).unwrap_err();
        }
        assert!(node.drops(DropReason::Policy) >= 2);
    });
}

#[test]
fn the_proxy_learns_which_filters_apply() {
    on_node("filters", |node| {
        let client = node.endpoint(10, &RuleSet::default());
        let set = rules([
            (Peer::Identity(client.identity), 80, Action::Redirect, 5, 7),
            (Peer::Any, 80, Action::Redirect, 5, 8),
            (Peer::Any, 81, Action::Redirect, 5, 8),
            (Peer::Identity(client.identity), 81, Action::Allow, 10, 9),
        ]);
        let server = node.endpoint(12, &set);
        let view = View::open(&node.settings.root).unwrap();
        let ask = |port| view.judge(Protocol::TCP, client.v4, SocketAddr::new(server.v4, port)).unwrap();
        let judged = ask(80);
        assert_eq!(judged.client.identity, client.identity);
        assert_eq!(judged.client.ruling, Ruling::Open);
        assert_eq!(
            judged.server.ruling,
            Ruling::Filtered { rule: 7, filters: vec![7 << 32 | 1, 8 << 32 | 1] }
        );
        assert_eq!(ask(81).server.ruling, Ruling::Allowed { rule: 9 });
        assert_eq!(ask(82).server.ruling, Ruling::Refused { rule: 0 });
    });
}

#[test]
fn a_connection_waits_for_a_proxy_that_is_not_there_yet() {
    on_node("noproxy", |node| {
        let client = node.endpoint(10, &RuleSet::default());
        let server = node.endpoint(12, &through_proxy(Peer::Identity(client.identity), 80));
        let _http = listen(&server, 80);
        let early = std::thread::spawn({
            let netns = client.netns.clone();
            let to = SocketAddr::new(server.v4, 80);
            move || netns.run(move || TcpStream::connect_timeout(&to, SURELY)).unwrap()
        });
        std::thread::sleep(NEVER);
        assert!(!early.is_finished(), "nobody answers in the proxy's place");
        let told = proxy(node, AddressFamily::Inet, Listener::TcpV4);
        let stream = early.join().unwrap().unwrap();
        assert_eq!(told.recv_timeout(SURELY).unwrap().0, stream.local_addr().unwrap());
    });
}

#[test]
fn a_plain_connection_that_policy_sends_to_the_proxy_later_ends() {
    on_node("later", |node| {
        let client = node.endpoint(10, &RuleSet::default());
        let mut server = node.endpoint(12, &only(client.identity, 80));
        let _told = proxy(node, AddressFamily::Inet, Listener::TcpV4);
        let http = listen(&server, 80);
        let mut stream = connect(&client, server.v4, 80, SURELY).unwrap();
        let mut accepted = http.accept().unwrap().0;
        exchange(&mut stream, &mut accepted, SURELY).unwrap();
        node.set_rules(&mut server, &through_proxy(Peer::Identity(client.identity), 80));
        stream.write_all(b"x").unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        accepted.set_read_timeout(Some(NEVER)).unwrap();
        accepted.read(&mut [0]).unwrap_err();
    });
}

#[test]
fn packets_from_the_hosts_stack_reach_the_proxy_too() {
    on_node("host", |node| {
        assert!(
            std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success()
        );
        let server = node.endpoint(12, &through_proxy(Peer::Any, 80));
        let told = proxy(node, AddressFamily::Inet, Listener::TcpV4);
        let http = listen(&server, 80);
        let mut stream = TcpStream::connect_timeout(&SocketAddr::new(server.v4, 80), SURELY).unwrap();
        let (mut accepted, from) = http.accept().unwrap();
        exchange(&mut stream, &mut accepted, SURELY).unwrap();
        let (seen, _) = told.recv_timeout(SURELY).unwrap();
        assert_eq!(seen, stream.local_addr().unwrap());
        assert_eq!(from.ip().to_canonical(), seen.ip());
    });
}
