//! Headers that are compared with secrets, with curl as the client: a secret comes, changes and goes, and nobody sees it.

use crate::{
    stage::{Stage, eventually, inside, text},
    talk::{endpoint, exec, idle},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const POLICY: &str = r#"
apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata: {name: "tokens"}
spec:
  endpointSelector: {matchLabels: {app: station}}
  ingress:
  - fromEndpoints: [{matchLabels: {app: ship}}]
    toPorts:
    - ports: [{port: "80", protocol: TCP}]
      rules:
        http:
        - path: /v1/request-landing
          headerMatches: [{name: X-Token, secret: {namespace: vault, name: token}}]
"#;

fn secret(values: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: token, namespace: vault}}\n{values}\n")
}

/// What is said to somebody who wants to land with this token.
fn land(stage: &Stage, station: &str, token: &str) -> String {
    let (url, header) = (format!("http://{station}/v1/request-landing"), format!("X-Token: {token}"));
    let command = ["curl", "-s", "--max-time", "10", "-X", "POST", "-H", &header, &url];
    text(&exec(stage, "ship", &command, "").stdout).trim().to_owned()
}

/// What commands that should not know it say.
fn says_nothing(stage: &Stage, value: &str) {
    for command in [
        &["get", "secret", "-n", "vault", "-o", "yaml"][..],
        &["get", "all", "-A", "-o", "json"],
        &["db", "show", "objects"],
        &["proxy", "config", "-o", "json"],
        &["policy", "get", "-o", "json"],
    ] {
        let output = stage.output(command);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
        // Also as JSON writes bytes.
        let bytes: Vec<String> = value.bytes().map(|byte| byte.to_string()).collect();
        assert!(!said.contains(value) && !said.contains(&bytes.join(",")), "{command:?}: {said}");
    }
    for log in ["agent.log", "proxy.log"] {
        let path = stage.folder.join("run/ciliate").join(log);
        assert!(!fs::read_to_string(&path).unwrap().contains(value), "{}", path.display());
    }
}

/// Processes of the proxy in this place.
fn serving() -> Vec<Pid> {
    let of = |process: fs::DirEntry| {
        let line = fs::read(process.path().join("cmdline")).ok()?;
        let pid = process.file_name().to_str()?.parse().ok()?;
        text(&line).contains("\0proxy\0serve").then_some(Pid::from_raw(pid))
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(of).collect()
}

#[test]
fn headers_are_compared_with_secrets() {
    inside("secrets::headers_are_compared_with_secrets", |stage| {
        stage.done(&["up"]);
        let station = endpoint(stage, "station", &["app=station"], &["deathstar", "serve"]);
        idle(stage, "ship", &["app=ship"]);
        eventually("the station listens", || land(stage, &station, "any") == "Ship landed");
        let apply = |name: &str, content: &str| {
            let output = stage.output(&["apply", "-f", &stage.file(name, content)]);
            assert!(output.status.success(), "{}", text(&output.stderr));
            text(&output.stderr)
        };
        let tokens = |expected: &[(&str, bool)]| {
            for (token, lands) in expected {
                let outcome = if *lands { "Ship landed" } else { "Access denied" };
                assert_eq!(land(stage, &station, token), outcome, "{token}");
            }
        };

        // Without the secret nothing matches, and whoever applies the policy is told.
        let warning = apply("policy.yaml", POLICY);
        assert!(warning.contains("header X-Token: secret vault/token does not exist"), "{warning}");
        tokens(&[("opensesame", false), ("", false)]);

        assert_eq!(apply("secret.yaml", &secret("stringData: {key: opensesame}")), "");
        tokens(&[("opensesame", true), ("closesesame", false), ("", false)]);
        says_nothing(stage, "opensesame");
        let file = Path::new(&stage.folder).join("state/proxy.json");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        // "abracadabra" and a line's end, in base64.
        assert_eq!(apply("secret.yaml", &secret("data: {key: YWJyYWNhZGFicmEK}")), "");
        tokens(&[("abracadabra", true), ("opensesame", false)]);
        says_nothing(stage, "abracadabra");

        // A restart of the agent, and of the proxy, finds it again.
        for who in [&["status"][..], &["proxy", "status"]] {
            let pid = stage.json(who)["pid"].as_i64().unwrap();
            kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
            if who == ["status"] {
                stage.done(&["up"]);
            }
            eventually("the token counts", || land(stage, &station, "abracadabra") == "Ship landed");
            tokens(&[("opensesame", false)]);
        }

        let warning = apply("secret.yaml", &secret("stringData: {one: abracadabra, two: opensesame}"));
        assert!(warning.contains("has 2 values, not one: rules of cnp/default/tokens"), "{warning}");
        tokens(&[("abracadabra", false), ("opensesame", false)]);

        // Nor does a value that no header can have; who asks later is told, too.
        let status = || {
            let status = stage.json(&["status"]);
            let all = status["subsystems"].as_array().unwrap();
            let secrets = all.iter().find(|one| one["name"] == "Secrets").unwrap().clone();
            (secrets["health"].as_str().unwrap().to_owned(), secrets["message"].as_str().unwrap().to_owned())
        };
        let lack = "vault/token cannot be compared with a header: its key \"key\" has a value with control characters";
        let warning = apply("secret.yaml", &secret("stringData: {key: \"open\\u0001sesame\"}"));
        assert!(warning.contains(lack) && warning.contains("cnp/default/tokens"), "{warning}");
        let (health, message) = status();
        assert!(health == "warning" && message.contains(lack), "{health}: {message}");
        let log = fs::read_to_string(stage.folder.join("run/ciliate/agent.log")).unwrap();
        assert!(
            log.contains("its key \"key\" has a value") || log.contains("its key \\\"key\\\" has a value"),
            "{log}"
        );
        tokens(&[("open", false), ("", false)]);
        let warning = apply("secret.yaml", &secret("stringData: {key: ''}"));
        assert!(warning.contains("has an empty value"), "{warning}");
        tokens(&[("", false)]);

        assert_eq!(apply("secret.yaml", &secret("stringData: {key: opensesame}")), "");
        assert_eq!(status().0, "ok");
        tokens(&[("opensesame", true)]);

        // The agent is killed, and all of the proxy: nobody may land. With the agent everything is there again.
        kill(
            Pid::from_raw(i32::try_from(stage.json(&["status"])["pid"].as_i64().unwrap()).unwrap()),
            Signal::SIGKILL,
        )
        .unwrap();
        // Each starts another in the place of one that it misses, so one round may not be enough.
        eventually("nothing of the proxy runs", || {
            let left = serving();
            for pid in &left {
                let _gone = kill(*pid, Signal::SIGKILL);
            }
            left.is_empty()
        });
        for token in ["opensesame", "closesesame", ""] {
            assert_eq!(land(stage, &station, token), "", "nobody judges it, so it does not pass");
        }
        stage.done(&["up"]);
        eventually("the token counts again", || land(stage, &station, "opensesame") == "Ship landed");
        tokens(&[("closesesame", false), ("", false)]);
        says_nothing(stage, "opensesame");

        let output = stage.output(&["delete", "secret", "token", "-n", "vault"]);
        let warning = text(&output.stderr);
        assert!(output.status.success() && warning.contains("does not exist any more"), "{warning}");
        tokens(&[("opensesame", false)]);
        assert!(!fs::read_to_string(&file).unwrap().contains("vault/token\":"), "forgotten by the proxy");
        stage.done(&["down"]);
    });
}
