//! A Kafka broker, and clients of three makes: librdkafka (kcat), the broker's own in Java, and one in Python.

use crate::{
    stage::{Stage, inside, text},
    talk::{Monitor, Talker, endpoint, exec, idle, python, script},
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// How long the broker may take to start on a busy machine.
const START: Duration = Duration::from_secs(90);

/// `hq` may do what `rules` say, `outpost` may consume the announcements.
fn policy(rules: &str) -> String {
    format!(
        r#"
apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata: {{name: "kafka"}}
spec:
  endpointSelector: {{matchLabels: {{app: kafka}}}}
  ingress:
  - fromEndpoints: [{{matchLabels: {{app: hq}}}}]
    toPorts:
    - ports: [{{port: "9092", protocol: TCP}}]
      rules:
        kafka: {rules}
  - fromEndpoints: [{{matchLabels: {{app: outpost}}}}]
    toPorts:
    - ports: [{{port: "9092", protocol: TCP}}]
      rules:
        kafka: [{{role: consume, topic: announce}}]
"#
    )
}

/// What `hq` may do at first.
const PRODUCE: &str = "[{role: produce, topic: announce}, {role: produce, topic: plans}]";

struct Kafka<'a> {
    stage: &'a Stage,
    /// Address and port.
    broker: String,
}

/// What a client came to.
#[derive(Debug)]
struct Done {
    code: i32,
    output: String,
    complaints: String,
}

impl<'a> Kafka<'a> {
    fn start(stage: &'a Stage) -> Self {
        let folder = stage.folder.join("kafka");
        let command = format!(
            "exec {} run {} $(ip -4 -o addr show scope global | sed -E 's/.* inet ([0-9.]+).*/\\1/')",
            script("kafka-broker"),
            folder.display()
        );
        let address = endpoint(stage, "broker", &["app=kafka"], &["sh", "-c", &command]);
        idle(stage, "hq", &["app=hq"]);
        idle(stage, "outpost", &["app=outpost"]);
        let kafka = Self { stage, broker: format!("{address}:9092") };
        let began = Instant::now();
        while kafka.kcat("hq", &["-L", "-m", "2"], "").code != 0 {
            let log = || std::fs::read_to_string(stage.folder.join("broker.log"));
            assert!(began.elapsed() < START, "the broker does not answer: {:?}", log());
            thread::sleep(Duration::from_millis(200));
        }
        eprintln!("the broker answers after {:?}", began.elapsed());
        kafka
    }

    fn apply(&self, rules: &str) {
        let path = self.stage.file("kafka.yaml", &policy(rules));
        self.stage.done(&["apply", "-f", &path]);
    }

    fn run(&self, endpoint: &str, command: &[&str], input: &str) -> Done {
        let output = exec(self.stage, endpoint, command, input);
        Done {
            code: output.status.code().unwrap_or(-1),
            output: text(&output.stdout),
            complaints: text(&output.stderr),
        }
    }

    fn kcat(&self, endpoint: &str, arguments: &[&str], input: &str) -> Done {
        let head = ["kcat", "-b", &self.broker];
        self.run(endpoint, &[&head, arguments].concat(), input)
    }

    fn java(&self, endpoint: &str, tool: &str, arguments: &[&str], input: &str) -> Done {
        let script = script("kafka-broker");
        let head = [&script, "tool", tool, "--bootstrap-server", &self.broker];
        self.run(endpoint, &[&head, arguments].concat(), input)
    }
}

impl Done {
    fn well(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.output
    }

    fn denied(&self, part: &str) {
        assert!(self.complaints.contains(part), "{self:?}");
    }
}

#[test]
fn topics_are_for_those_whom_rules_name() {
    inside("kafka::topics_are_for_those_whom_rules_name", |stage| {
        stage.done(&["up"]);
        let kafka = Kafka::start(stage);
        for topic in ["announce", "plans", "secret"] {
            kafka.kcat("hq", &["-P", "-t", topic], "first\n").well();
        }
        kafka.apply(PRODUCE);

        librdkafka(&kafka);
        java(&kafka);
        one_connection(&kafka, stage);
        clients_versions_and_requests(&kafka, stage);

        // Nothing that was denied has come to the broker.
        stage.done(&["delete", "cnp", "kafka"]);
        let secret = kafka.kcat("outpost", &["-C", "-t", "secret", "-o", "beginning", "-e"], "").well();
        assert_eq!(secret, "first\n");
        stage.done(&["down"]);
    });
}

fn librdkafka(kafka: &Kafka<'_>) {
    kafka.kcat("hq", &["-P", "-t", "announce"], "by librdkafka\n").well();
    let refused = kafka.kcat("hq", &["-P", "-t", "secret"], "no\n");
    assert_eq!(refused.code, 1, "{refused:?}");
    refused.denied("Topic authorization failed");

    let all = ["-o", "beginning", "-e"];
    let announce = [&["-C", "-t", "announce"], &all[..]].concat();
    assert_eq!(kafka.kcat("outpost", &announce, "").well(), "first\nby librdkafka\n");
    kafka.kcat("hq", &announce, "").denied("Topic authorization failed");
    let plans = kafka.kcat("outpost", &[&["-C", "-t", "plans"], &all[..]].concat(), "");
    assert_eq!((plans.code, plans.output.as_str()), (1, ""));
    plans.denied("Topic authorization failed");
    // What a group does: find its coordinator, join, synchronise, fetch, commit, leave.
    let group = kafka.kcat("outpost", &[&["-G", "outposts", "announce"], &all[..]].concat(), "").well();
    assert_eq!(group, "first\nby librdkafka\n");
    kafka.kcat("outpost", &["-P", "-t", "announce"], "no\n").denied("Topic authorization failed");
}

fn java(kafka: &Kafka<'_>) {
    let denied = "TopicAuthorizationException: Not authorized to access topics";
    kafka.java("hq", "ConsoleProducer", &["--topic", "announce"], "by java\n").well();
    kafka.java("hq", "ConsoleProducer", &["--topic", "secret"], "no\n").denied(denied);
    let consume = |topic, count| {
        let arguments =
            ["--topic", topic, "--from-beginning", "--max-messages", count, "--timeout-ms", "20000"];
        kafka.java("outpost", "consumer.ConsoleConsumer", &arguments, "")
    };
    assert_eq!(consume("announce", "3").well(), "first\nby librdkafka\nby java\n");
    let plans = consume("plans", "1");
    plans.denied(denied);
    assert_eq!(plans.output, "");
}

/// Denials, and a change of the policy, leave a producer's connections as they are.
fn one_connection(kafka: &Kafka<'_>, stage: &Stage) {
    let mut command = python("producer.py");
    command.extend([kafka.broker.clone(), "python".to_owned()]);
    let mut producer = Talker::start(stage, "hq", &command);
    let (sent, denied) = ("sent", "TopicAuthorizationFailedError");
    assert_eq!(producer.ask("announce"), sent);
    let connections = || stage.json(&["proxy", "status"])["accepted"].as_u64().unwrap();
    let before = connections();
    let monitor = Monitor::start(stage, || assert_eq!(producer.ask("announce"), sent));
    for (topic, outcome) in [("secret", denied), ("announce", sent), ("plans", sent), ("secret", denied)] {
        assert_eq!(producer.ask(topic), outcome, "{topic}");
    }
    // The producer knows where the topic's partitions are and goes on producing.
    kafka.apply("[{role: produce, topic: announce}]");
    for (topic, outcome) in [("plans", denied), ("announce", sent)] {
        assert_eq!(producer.ask(topic), outcome, "{topic}");
    }
    kafka.apply(PRODUCE);
    assert_eq!(producer.ask("plans"), sent);
    assert_eq!(connections(), before, "all of it over the same connections");

    let seen = monitor.seen();
    let of = |verdict: &str, api: &str, topic: &str| {
        seen.iter().any(|event| {
            let kafka = &event["kafka"];
            event["verdict"] == verdict
                && kafka["api"] == api
                && kafka["clientID"] == "python"
                && kafka["topics"].as_array().unwrap().contains(&topic.into())
                && event["source"]["name"] == "default/hq"
        })
    };
    for (verdict, api, topic) in [
        ("denied", "Metadata", "secret"),
        ("denied", "Produce", "plans"),
        ("forwarded", "Produce", "announce"),
    ] {
        assert!(of(verdict, api, topic), "{verdict} {api} {topic} is not in {seen:?}");
    }
}

/// Rules about clients' names, single requests and their versions.
fn clients_versions_and_requests(kafka: &Kafka<'_>, stage: &Stage) {
    let produce = |client: &str| {
        let client = format!("client.id={client}");
        kafka.kcat("hq", &["-P", "-t", "plans", "-X", &client], "from a client\n")
    };
    let rest = "{apiKey: metadata}, {apiKey: apiversions}";
    kafka.apply(&format!("[{{apiKey: produce, clientID: trusted, topic: plans}}, {rest}]"));
    let monitor = Monitor::start(stage, || drop(produce("trusted").well()));
    produce("trusted").well();
    produce("other").denied("Topic authorization failed");
    let seen = monitor.seen();
    let produced = |event: &&serde_json::Value| event["kafka"]["api"] == "Produce";
    let version =
        seen.iter().find(produced).expect("a produce request")["kafka"]["version"].as_i64().unwrap();

    let with_version = |version: i64| {
        kafka.apply(&format!("[{{apiKey: produce, apiVersion: \"{version}\", topic: plans}}, {rest}]"));
        produce("any")
    };
    with_version(version).well();
    with_version(version + 1).denied("Topic authorization failed");
    // Without metadata a client learns of no broker; with it alone it produces nothing.
    kafka.apply(&format!("[{rest}]"));
    produce("any").denied("Topic authorization failed");
}
