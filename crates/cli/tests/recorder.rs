//! Recordings of a real agent with real packets, read back by Wireshark's own reader. Needs root and tshark.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests state plainly what they expect")]

#[path = "recorder/capture.rs"]
mod capture;
#[path = "end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;
#[path = "end_to_end/story.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod story;

use capture::{Frame, Recording, Talker, read};
use stage::{Stage, eventually, inside, shell};
use std::fs;
use story::{LANDING, RULE1, agent, ask, cast, kill_hard};

/// Everything between endpoints, in both families.
const ALL: [&str; 2] = ["0.0.0.0/0 0 0.0.0.0/0 0 ANY", "::/0 0 ::/0 0 ANY"];

fn address(stage: &Stage, endpoint: &str, family: &str) -> String {
    stage.json(&["endpoint", "get", endpoint])[0][family].as_str().unwrap().to_owned()
}

fn has(frame: &Frame, parts: &[&str]) -> bool {
    parts.iter().all(|part| frame.comment.split(' ').any(|word| word == *part))
}

/// The agent's recordings by number.
fn recording(stage: &Stage, id: u64) -> serde_json::Value {
    let all = stage.json(&["recorder", "list"]);
    all.as_array().unwrap().iter().find(|one| one["id"] == id).unwrap().clone()
}

#[test]
fn packets_say_what_became_of_them_and_who_decided() {
    inside("packets_say_what_became_of_them_and_who_decided", |stage| {
        let before = stage.traces();
        stage.done(&["up"]);
        cast(stage);
        stage.done(&["apply", "-f", &stage.file("rule1.yaml", RULE1)]);
        let both = |name| [address(stage, name, "ipv4"), address(stage, name, "ipv6")];
        let (station, tie, xwing) = (both("deathstar"), both("tiefighter"), both("xwing"));
        let filters = [format!("0.0.0.0/0 0 {} 80 TCP", station[0]), format!("::/0 0 {} 80 TCP", station[1])];
        let mut recording = Recording::start(
            stage,
            &[&filters[0], &filters[1], "--both-directions", "--file-prefix", "story"],
        );
        assert_eq!(ask(stage, "tiefighter", LANDING).0, 0);
        assert_eq!(ask(stage, "xwing", LANDING).0, 28);
        // None of these match.
        Talker::new(stage, "tiefighter").send(&station[0], 80, 1);
        let said = recording.stop();
        assert!(said.contains("Ended because it was stopped"), "{said}");
        let frames = read(&recording.path);
        let number = |name: &str| stage.json(&["endpoint", "get", name])[0]["identity"].as_u64().unwrap();
        let (empire, alliance, target) = (number("tiefighter"), number("xwing"), number("deathstar"));

        let asked: Vec<_> = frames.iter().filter(|f| tie.contains(&f.source)).collect();
        let right = |f: &&Frame| station.contains(&f.destination) && f.port == 80;
        assert!(asked.len() >= 3 && asked.iter().all(right), "{frames:#?}");
        let source = format!("source.identity={empire}");
        let destination = format!("destination.identity={target}");
        let rule = "ingress.allowed-by=CiliumNetworkPolicy/default/rule1:spec.ingress[0].toPorts[0]";
        assert!(
            has(
                asked[0],
                &[
                    "verdict=FORWARDED",
                    "connection=new",
                    "to=endpoint",
                    "direction=egress",
                    &source,
                    "source.name=default/tiefighter",
                    &destination,
                    "destination.name=default/deathstar",
                    rule,
                ]
            ),
            "{:?}",
            asked[0]
        );
        assert!(asked[1..].iter().all(|f| has(f, &["verdict=FORWARDED", "connection=established", rule])));
        let answers: Vec<_> = frames.iter().filter(|f| tie.contains(&f.destination)).collect();
        assert!(answers.len() >= 3, "{frames:#?}");
        assert!(answers.iter().all(|f| has(f, &["verdict=FORWARDED", "connection=reply"])), "{answers:?}");

        let denied: Vec<_> = frames.iter().filter(|f| xwing.contains(&f.source)).collect();
        let source = format!("source.identity={alliance}");
        let why = [
            "verdict=DROPPED",
            "reason=POLICY_DENIED",
            "direction=ingress",
            &source,
            "ingress.denied-by=CiliumNetworkPolicy/default/rule1",
        ];
        assert!(!denied.is_empty() && denied.iter().all(|f| has(f, &why)), "{denied:?}");
        assert!(frames.iter().all(|f| !xwing.contains(&f.destination) && f.protocol == 6), "{frames:#?}");
        assert!(frames.iter().any(|f| f.source.contains(':')), "names lead to IPv6 first: {frames:#?}");

        // Times go up, lie within the recording, and have nanoseconds.
        assert!(frames.is_sorted_by(|a, b| a.time <= b.time || a.interface != b.interface));
        assert!(frames.iter().any(|f| !f.time.ends_with("000")), "{frames:?}");
        // A device for each who sent.
        let mut devices: Vec<_> = frames.iter().map(|f| f.interface.as_str()).collect();
        devices.sort_unstable();
        devices.dedup();
        assert_eq!(devices.len(), 3, "{devices:?}");
        let file = fs::read(&recording.path).unwrap();
        assert!(capture::contains(&file, "endpoint default/xwing"));
        assert!(capture::contains(&file, "ended because it was stopped [stopped]; "));

        stage.done(&["down"]);
        // What was recorded stays, and nothing else.
        fs::remove_file(&recording.path).unwrap();
        fs::remove_dir(recording.path.parent().unwrap()).unwrap();
        fs::remove_dir(recording.path.parent().unwrap().parent().unwrap()).unwrap();
        let after = stage.traces();
        assert_eq!(after, before);
    });
}

#[test]
fn limits_end_recordings_and_several_go_on_at_once() {
    inside("limits_end_recordings_and_several_go_on_at_once", |stage| {
        stage.done(&["up"]);
        stage.done(&["run", "--detach", "--name", "a", "--", "sleep", "infinity"]);
        stage.done(&["run", "--detach", "--name", "b", "--", "sleep", "infinity"]);
        let (v4, v6) = (address(stage, "b", "ipv4"), address(stage, "b", "ipv6"));
        let to_v4 = format!("0.0.0.0/0 0 {v4} 9 UDP");
        let to_v6 = format!("::/0 0 {v6} 0 ANY");
        let start = |arguments: &[&str]| {
            let started = stage.json(&[&["recorder", "start"], arguments].concat());
            (started[0]["id"].as_u64().unwrap(), started[0]["path"].as_str().unwrap().to_owned())
        };
        let (packets, by_packets) = start(&[&to_v4, "--packet-limit", "5"]);
        let (bytes, by_bytes) = start(&[&to_v4, "--bytes-limit", "500"]);
        let (time, by_time) = start(&[&to_v6, "--time-limit", "2s", "--max-capture-len", "60"]);
        let (sample, by_sample) = start(&[&to_v4, "--one-of", "4"]);

        let talker = Talker::new(stage, "a");
        talker.send(&v4, 9, 400);
        talker.send(&v6, 9, 7);
        eventually("two have ended", || {
            recording(stage, packets)["end"]["reason"] == "packet-limit"
                && recording(stage, bytes)["end"]["reason"] == "byte-limit"
        });
        assert_eq!(read(&by_packets.into()).len(), 5);
        // 100 bytes and the headers each.
        assert_eq!(read(&by_bytes.into()).len(), 4);
        eventually("the third has ended", || recording(stage, time)["end"]["reason"] == "time-limit");
        let frames = read(&by_time.into());
        let sent: Vec<_> = frames.iter().filter(|f| f.protocol == 17).collect();
        assert_eq!(sent.len(), 7, "{frames:#?}");
        assert!(sent.iter().all(|f| f.destination == v6 && (f.captured, f.length) == (60, 162)), "{sent:?}");

        let stopped = stage.json(&["recorder", "stop", &sample.to_string()]);
        assert_eq!(stopped[0]["end"]["reason"], "stopped");
        assert_eq!(stopped[0]["packetsMatched"], 400);
        let taken = read(&by_sample.into()).len();
        // Nine standard deviations of 100.
        assert!((22..=178).contains(&taken), "{taken} of 400");
        assert_eq!(stopped[0]["packets"], taken);

        // As many as there may be, and not one more.
        let started: Vec<u64> = (0..8).map(|_| start(&ALL).0).collect();
        let (code, error) = stage.fails(&[&["recorder", "start"], &ALL[..]].concat());
        assert!(code != 0 && error.contains("room for 8 recordings"), "{error}");
        assert_eq!(stage.json(&["recorder", "stop", "--all"]).as_array().unwrap().len(), started.len());
        start(&ALL[..1]);
        let (_, error) = stage.fails(&["recorder", "stop", "999"]);
        assert!(error.contains("there is no recording 999"), "{error}");
        let (code, error) = stage.fails(&["recorder", "start", "10.0.0.0/8 0 ::/0 0 TCP"]);
        assert!(code == 2 && error.contains("two families"), "{error}");
    });
}

#[test]
fn an_agent_that_ends_completes_its_files_and_one_that_is_killed_leaves_whole_packets() {
    inside("an_agent_that_ends_completes_its_files_and_one_that_is_killed_leaves_whole_packets", |stage| {
        stage.done(&["up"]);
        stage.done(&["run", "--detach", "--name", "a", "--", "sleep", "infinity"]);
        stage.done(&["run", "--detach", "--name", "b", "--", "sleep", "infinity"]);
        let v4 = address(stage, "b", "ipv4");
        let filter = format!("0.0.0.0/0 0 {v4} 9 UDP");
        let talker = Talker::new(stage, "a");
        let mut recording = Recording::start(stage, &[&filter]);
        talker.send(&v4, 9, 3);
        shell(&format!("kill -TERM {}", agent(stage)));
        let said = recording.wait();
        assert!(said.contains("Ended because the agent ended"), "{said}");
        assert_eq!(read(&recording.path).len(), 3);
        assert!(capture::contains(&fs::read(&recording.path).unwrap(), "[agent-ends]; "));

        eventually("the agent has ended", || !stage.output(&["status"]).status.success());
        stage.done(&["up"]);
        let mut recording = Recording::start(stage, &[&filter]);
        talker.send(&v4, 9, 4);
        eventually("they are written", || read(&recording.path).len() == 4);
        kill_hard(agent(stage));
        recording.fails();
        assert_eq!(read(&recording.path).len(), 4, "what was written is whole");
        // The programs go on without an agent, and nobody is recorded for by the next.
        talker.send(&v4, 9, 2);
        stage.done(&["up"]);
        assert_eq!(stage.json(&["recorder", "list"]), serde_json::json!([]));
        talker.send(&v4, 9, 2);
        let started = stage.json(&["recorder", "start", &filter]);
        talker.send(&v4, 9, 1);
        stage.done(&["recorder", "stop", "--all"]);
        let path = started[0]["path"].as_str().unwrap();
        assert_eq!(read(&path.into()).len(), 1, "only what came since its start");
    });
}
