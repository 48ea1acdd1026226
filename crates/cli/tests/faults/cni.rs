//! The plug-in and the agent together, called as no runtime should.

use super::{
    held, names,
    stage::{Stage, eventually, inside, shell, text},
};
use serde_json::{Value, json};
use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

/// Exit code and what is printed.
fn call(stage: &Stage, command: &str, container: &str, netns: &str, input: &str) -> (i32, Value) {
    let mut child = Command::new(stage.program("ciliate-cni"))
        .env_clear()
        .env("CNI_COMMAND", command)
        .envs([("CNI_CONTAINERID", container), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", netns)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read what it cannot use.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let printed = text(&output.stdout);
    let value = if printed.is_empty() { Value::Null } else { serde_json::from_str(&printed).unwrap() };
    (output.status.code().unwrap(), value)
}

fn network(stage: &Stage) -> String {
    let socket = stage.folder.join("run/ciliate/ciliate.sock");
    json!({"cniVersion": "1.1.0", "name": "pods", "type": "ciliate-cni", "socket": socket}).to_string()
}

fn namespace(stage: &Stage, name: &str) -> String {
    let netns = stage.file(name, "");
    shell(&format!("unshare --net={netns} true"));
    netns
}

#[test]
fn an_addition_called_twice_is_one_endpoint_and_garbage_is_none() {
    inside("cni::an_addition_called_twice_is_one_endpoint_and_garbage_is_none", |stage| {
        let netns = namespace(stage, "a");
        let config = network(stage);
        let add = |container: &str, netns: &str, input: &str| call(stage, "ADD", container, netns, input);

        let (code, error) = add("c1", &netns, &config);
        assert_eq!((code, &error["code"]), (1, &json!(11)), "the agent is down: try again later: {error}");
        assert!(error["msg"].as_str().unwrap().contains("ciliate up"), "{error}");
        stage.done(&["up"]);
        let before = held(stage);

        let (code, first) = add("c1", &netns, &config);
        assert_eq!(code, 0, "{first}");
        assert_eq!(add("c1", &netns, &config), (0, first), "the same again");
        assert_eq!(names(stage), ["c1"]);
        let (code, error) = add("c2", &netns, &config);
        assert_eq!(code, 1);
        assert!(error["msg"].as_str().unwrap().contains("delete that first"), "{error}");
        for (container, netns, input, code) in [
            ("c3", "/nowhere", config.as_str(), 4),
            ("c3", netns.as_str(), "{", 6),
            ("c3", netns.as_str(), "\u{0}\u{1}\u{fffd}", 6),
            ("../../c3", netns.as_str(), config.as_str(), 4),
            ("", netns.as_str(), config.as_str(), 4),
            ("c3", "", config.as_str(), 4),
        ] {
            let (exit, error) = add(container, netns, input);
            assert_eq!((exit, &error["code"]), (1, &json!(code)), "{container:?} {netns:?}: {error}");
            assert!(!error["msg"].as_str().unwrap().is_empty());
        }
        assert_eq!(names(stage), ["c1"], "what was refused left nothing");
        for _ in 0..2 {
            assert_eq!(call(stage, "DEL", "c1", &netns, &config), (0, Value::Null));
        }
        assert_eq!(names(stage), Vec::<String>::new());
        assert_eq!(held(stage), before);
        stage.done(&["down"]);
    });
}

#[test]
fn calls_for_many_containers_in_parallel_are_all_answered() {
    inside("cni::calls_for_many_containers_in_parallel_are_all_answered", |stage| {
        stage.done(&["up"]);
        let config = network(stage);
        let containers: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
        let spaces: Vec<String> = containers.iter().map(|name| namespace(stage, name)).collect();
        let all = |command: &str, times: usize| -> Vec<(i32, Value)> {
            thread::scope(|scope| {
                let pairs = containers.iter().zip(&spaces);
                let calls = pairs.flat_map(|pair| std::iter::repeat_n(pair, times));
                let calls: Vec<_> = calls
                    .map(|(container, netns)| {
                        let config = &config;
                        scope.spawn(move || call(stage, command, container, netns, config))
                    })
                    .collect();
                calls.into_iter().map(|call| call.join().unwrap()).collect()
            })
        };
        // Each container by two calls at once: both get the same answer.
        let answers = all("ADD", 2);
        for pair in answers.chunks(2) {
            assert_eq!(pair[0].0, 0, "{}", pair[0].1);
            assert_eq!(pair[0], pair[1]);
        }
        let mut addresses: Vec<String> =
            answers.iter().map(|(_, result)| result["ips"].to_string()).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), containers.len(), "each has addresses of its own");
        assert_eq!(names(stage).len(), containers.len());
        assert!(all("DEL", 2).iter().all(|answer| *answer == (0, Value::Null)));
        eventually("none is left", || names(stage).is_empty());
        stage.done(&["down"]);
    });
}
