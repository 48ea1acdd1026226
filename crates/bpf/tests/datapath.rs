//! The datapath in a real kernel with real packets. Needs root.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests state plainly what they expect")]

#[path = "support/node.rs"]
mod node;

use ciliate_abi::DropReason;
use ciliate_policy::rule_set::{Action, Peer, RuleSet};
use node::{NEVER, SURELY, connect, exchange, listen, on_node, only, rules, udp};

#[test]
fn what_no_policy_isolates_may_talk_over_both_families() {
    on_node("open", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let server = listen(&b, 80);
        for address in [b.v4, b.v6] {
            let mut client = connect(&a, address, 80, SURELY).unwrap();
            exchange(&mut client, &mut server.accept().unwrap().0, SURELY).unwrap();
        }
        let (from, to) = (udp(&a, 1000), udp(&b, 2000));
        from.send_to(b"x", (b.v4, 2000)).unwrap();
        let (_, back) = to.recv_from(&mut [0; 8]).unwrap();
        to.send_to(b"y", back).unwrap();
        from.recv_from(&mut [0; 8]).unwrap();
    });
}

#[test]
fn only_the_allowed_identity_reaches_the_allowed_port() {
    on_node("allow", |node| {
        let friend = node.endpoint(10, &RuleSet::default());
        let stranger = node.endpoint(11, &RuleSet::default());
        let server = node.endpoint(12, &only(friend.identity, 80));
        let _http = listen(&server, 80);
        let _other = listen(&server, 81);
        for address in [server.v4, server.v6] {
            connect(&friend, address, 80, SURELY).unwrap();
            connect(&friend, address, 81, NEVER).unwrap_err();
            connect(&stranger, address, 80, NEVER).unwrap_err();
        }
        assert!(node.drops(DropReason::Policy) >= 4);
    });
}

#[test]
fn deny_beats_allow_by_precedence() {
    on_node("deny", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let set = rules([
            (Peer::Any, 80, Action::Allow, 10, 1),
            (Peer::Identity(a.identity), 80, Action::Deny, 20, 2),
        ]);
        let server = node.endpoint(12, &set);
        let _http = listen(&server, 80);
        connect(&a, server.v4, 80, NEVER).unwrap_err();
        connect(&b, server.v4, 80, SURELY).unwrap();
        assert!(node.drops(DropReason::PolicyDeny) >= 1);
    });
}

#[test]
fn a_revoked_connection_stops_at_its_next_packet_and_a_kept_one_goes_on() {
    on_node("revoke", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let mut server = node.endpoint(12, &RuleSet::default());
        let http = listen(&server, 80);
        let mut from_a = connect(&a, server.v4, 80, SURELY).unwrap();
        let mut to_a = http.accept().unwrap().0;
        let mut from_b = connect(&b, server.v4, 80, SURELY).unwrap();
        let mut to_b = http.accept().unwrap().0;
        exchange(&mut from_a, &mut to_a, SURELY).unwrap();
        node.set_rules(&mut server, &only(b.identity, 80));
        exchange(&mut from_a, &mut to_a, NEVER).unwrap_err();
        exchange(&mut from_b, &mut to_b, SURELY).unwrap();
        node.set_rules(&mut server, &RuleSet::default());
        exchange(&mut from_a, &mut to_a, SURELY).unwrap();
    });
}

#[test]
fn the_host_may_enter_unless_it_is_policed() {
    on_node("host", |node| {
        let server = node.endpoint(12, &only(ciliate_types::Identity::new(4711), 80));
        let _http = listen(&server, 80);
        let reach = |address, wait| std::net::TcpStream::connect_timeout(&(address, 80).into(), wait);
        reach(server.v4, SURELY).unwrap();
        reach(server.v6, SURELY).unwrap();
        let mut policed = node.settings.node.clone();
        policed.host = ciliate_bpf::HostPolicing::Police;
        node.datapath.set_node(&policed).unwrap();
        reach(server.v4, NEVER).unwrap_err();
    });
}

#[test]
fn a_spoofed_source_is_dropped_by_name() {
    on_node("spoof", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let to = udp(&b, 2000);
        let status = a
            .netns
            .run(|| {
                std::process::Command::new("ip")
                    .args(["addr", "add", "10.201.0.99/32", "dev", "eth0"])
                    .status()
            })
            .unwrap();
        assert!(status.unwrap().success());
        let spoofing = a.netns.run(|| std::net::UdpSocket::bind("10.201.0.99:9").unwrap()).unwrap();
        spoofing.send_to(b"x", (b.v4, 2000)).unwrap();
        to.set_read_timeout(Some(NEVER)).unwrap();
        to.recv_from(&mut [0; 8]).unwrap_err();
        assert!(node.drops(DropReason::InvalidSourceIp) >= 1);
    });
}

#[test]
fn opening_again_adopts_everything_and_open_connections_go_on() {
    on_node("reopen", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let server = node.endpoint(12, &only(a.identity, 80));
        let http = listen(&server, 80);
        let mut client = connect(&a, server.v4, 80, SURELY).unwrap();
        let mut peer = http.accept().unwrap().0;
        let before = node.datapath.endpoints().unwrap();
        node.datapath = ciliate_bpf::Datapath::open(&node.settings).unwrap();
        assert_eq!(before, node.datapath.endpoints().unwrap());
        assert_eq!(server.rule_set, node.datapath.write_rule_set(&only(a.identity, 80)).unwrap());
        exchange(&mut client, &mut peer, SURELY).unwrap();
        connect(&a, server.v4, 80, SURELY).unwrap();
        connect(&a, server.v4, 81, NEVER).unwrap_err();
        // Another size carries the entries over.
        let mut larger = node.settings.clone();
        larger.sizes.policy = 2048;
        larger.sizes.connections = 8192;
        node.datapath = ciliate_bpf::Datapath::open(&larger).unwrap();
        exchange(&mut client, &mut peer, SURELY).unwrap();
        connect(&a, server.v4, 80, SURELY).unwrap();
        connect(&a, server.v4, 81, NEVER).unwrap_err();
    });
}
