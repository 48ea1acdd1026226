//! Programs come onto devices, are replaced there and go, as the kernel itself tells it: by TCX where it is, as clsact
//! filters below kernel 6.6. Needs root.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests state plainly what they expect")]

#[path = "support/node.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod node;

use aya::programs::{SchedClassifier, tc::TcAttachType};
use ciliate_bpf::{Attachment, Datapath, check_kernel};
use ciliate_policy::rule_set::RuleSet;
use node::{Node, SURELY, connect, exchange, listen, on_node};
use std::{fs, path::PathBuf, process::Command, time::Instant};

fn shell(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Name and number of every program on one side of a device, in the order in which they run.
fn programs(node: &Node, device: &str, side: TcAttachType) -> Vec<(String, u32)> {
    match check_kernel(&node.settings.root).unwrap() {
        Attachment::Tcx => {
            let (_, found) = SchedClassifier::query_tcx(device, side).unwrap();
            found.iter().map(|program| (program.name_as_str().unwrap().to_owned(), program.id())).collect()
        }
        Attachment::Clsact => {
            let side = if side == TcAttachType::Ingress { "ingress" } else { "egress" };
            let listed = shell(&format!("tc filter show dev {device} {side}"));
            let after = |line: &str, word: &str| {
                let mut words = line.split_whitespace().skip_while(|w| *w != word);
                words.nth(1).map(str::to_owned)
            };
            let programs = listed.lines().filter_map(|line| Some((after(line, "name")?, after(line, "id")?)));
            programs.map(|(name, id)| (name, id.parse().unwrap())).collect()
        }
    }
}

/// The numbers of our two programs, each of which must be there exactly once.
fn ours(node: &Node, device: &str) -> [u32; 2] {
    [(TcAttachType::Ingress, "cil_from_endpoi"), (TcAttachType::Egress, "cil_to_endpoint")].map(
        |(side, name)| {
            let found = programs(node, device, side);
            assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [name], "{device}");
            found.first().unwrap().1
        },
    )
}

fn links(node: &Node) -> PathBuf {
    node.settings.root.join(format!("v{}/links", ciliate_abi::VERSION))
}

#[test]
fn programs_are_attached_once_replaced_in_place_and_taken_off() {
    on_node("attach", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let server = listen(&b, 80);
        let mut client = connect(&a, b.v4, 80, SURELY).unwrap();
        let mut peer = server.accept().unwrap().0;
        let device = a.device.as_str();

        let first = ours(node, device);
        node.datapath.attach(device).unwrap();
        assert_eq!(ours(node, device), first);
        assert_eq!(node.datapath.attached().unwrap(), [a.device.as_str(), b.device.as_str()]);

        // A map of another size needs programs of its own: they take the place of the old ones.
        node.settings.sizes.policy = 2048;
        node.datapath = Datapath::open(&node.settings).unwrap();
        let second = ours(node, device);
        assert!(first.iter().all(|id| !second.contains(id)), "{first:?} {second:?}");
        exchange(&mut client, &mut peer, SURELY).unwrap();

        // An agent that was killed between adding a filter and noting it; a TCX link goes with its process.
        if check_kernel(&node.settings.root).unwrap() == Attachment::Clsact {
            for entry in fs::read_dir(links(node)).unwrap() {
                fs::remove_dir(entry.unwrap().path()).unwrap();
            }
            for device in [&a.device, &b.device] {
                node.datapath.attach(device).unwrap();
                ours(node, device);
            }
            exchange(&mut client, &mut peer, SURELY).unwrap();
        }

        node.datapath.detach(device).unwrap();
        node.datapath.detach(device).unwrap();
        for side in [TcAttachType::Ingress, TcAttachType::Egress] {
            // The kernel lets go of a link a little after its last name is gone.
            let start = Instant::now();
            while !programs(node, device, side).is_empty() {
                assert!(start.elapsed() < SURELY, "{:?}", programs(node, device, side));
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        assert_eq!(node.datapath.attached().unwrap(), [b.device.as_str()]);
    });
}

/// The note of a device outlives it; another one of that name gets its programs all the same.
#[test]
fn a_device_that_came_back_under_its_name_gets_programs() {
    on_node("again", |node| {
        let device = node.endpoint(10, &RuleSet::default()).device;
        shell(&format!("ip link del {device} && ip link add {device} type veth peer name other"));
        node.datapath.attach(&device).unwrap();
        ours(node, &device);
        // And one that is gone for good is forgotten at the next start.
        shell(&format!("ip link del {device}"));
        node.datapath = Datapath::open(&node.settings).unwrap();
        assert_eq!(node.datapath.attached().unwrap(), Vec::<String>::new());
        assert_eq!(fs::read_dir(links(node)).unwrap().count(), 0);
    });
}

/// Others may use the qdisc of a device that clsact filters need, at places of their own.
#[test]
fn filters_of_others_stay() {
    on_node("others", |node| {
        let device = node.endpoint(10, &RuleSet::default()).device;
        let clsact = check_kernel(&node.settings.root).unwrap() == Attachment::Clsact;
        if !clsact {
            shell(&format!("tc qdisc add dev {device} clsact"));
        }
        let program =
            node.settings.root.join(format!("v{}/programs/cil_to_endpoint-*", ciliate_abi::VERSION));
        shell(&format!(
            "tc filter add dev {device} ingress pref 7 bpf direct-action object-pinned {}",
            program.display()
        ));
        let places = || {
            let listed = shell(&format!("tc filter show dev {device} ingress"));
            let lines = listed.lines().filter(|line| line.contains(" handle "));
            let places =
                lines.filter_map(|line| line.split(" pref ").nth(1)?.split(' ').next().map(str::to_owned));
            places.collect::<Vec<_>>()
        };
        node.datapath.attach(&device).unwrap();
        assert_eq!(places(), if clsact { vec!["1", "7"] } else { vec!["7"] });
        node.datapath.detach(&device).unwrap();
        assert_eq!(places(), ["7"]);
    });
}
