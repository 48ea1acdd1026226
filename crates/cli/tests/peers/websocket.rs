//! WebSockets of a library on both ends: upgrades, denials, the end of what is not allowed any more, and no other upgrade.

use crate::{
    stage::{eventually, inside, text},
    talk::{Talker, endpoint, exec, idle, python},
};

fn policy(path: &str) -> String {
    format!(
        r#"
apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata: {{name: "chat"}}
spec:
  endpointSelector: {{matchLabels: {{app: chat}}}}
  ingress:
  - fromEndpoints: [{{matchLabels: {{app: user}}}}]
    toPorts:
    - ports: [{{port: "8080", protocol: TCP}}]
      rules:
        http: [{{method: GET, path: "{path}"}}]
"#
    )
}

#[test]
fn websockets_pass_until_they_are_not_allowed() {
    inside("websocket::websockets_pass_until_they_are_not_allowed", |stage| {
        stage.done(&["up"]);
        let [serve, call] =
            ["serve", "call"].map(|what| [python("websocket_peer.py"), vec![what.into()]].concat());
        let address = endpoint(stage, "chat", &["app=chat"], &serve);
        idle(stage, "user", &["app=user"]);
        let url = format!("http://{address}:8080/rooms/h2c");
        let curl = |arguments: &[&str]| {
            text(&exec(stage, "user", &[&["curl", "-sS", "-i"], arguments, &[&url]].concat(), "").stdout)
        };
        eventually("the server listens", || curl(&[]).contains("200 OK"));
        // Without the proxy the server hears of it.
        assert!(curl(&["--http2"]).contains("upgrade: h2c"));
        let allow = |path: &str| {
            let path = stage.file("chat.yaml", &policy(path));
            stage.done(&["apply", "-f", &path]);
        };
        let user = || Talker::start(stage, "user", &[&call[..], std::slice::from_ref(&address)].concat());

        allow("/rooms/.*");
        let (mut here, mut there) = (user(), user());
        assert_eq!(here.ask("/rooms/here"), "open");
        assert_eq!(there.ask("/rooms/there"), "open");
        for user in [&mut here, &mut there] {
            assert_eq!(user.ask("hello"), "HELLO");
            let long = "x".repeat(100_000);
            assert_eq!(user.ask(&long), long.to_uppercase());
        }
        assert_eq!(user().ask("/cellar"), "refused 403 Access denied");
        let plain = curl(&["--http2"]);
        assert!(plain.contains("200 OK") && plain.contains("user-agent: curl"), "{plain}");
        assert!(!plain.contains("h2c\r\n") && !plain.contains("http2-settings"), "{plain}");
        assert!(!plain.to_lowercase().contains("upgrade"), "{plain}");

        // Of two that are open only the one that is not allowed any more is closed, while nothing is said.
        there.say("(wait)");
        allow("/rooms/here");
        assert_eq!(there.hear(), "closed None");
        assert_eq!(here.ask("still here"), "STILL HERE");
        assert_eq!(user().ask("/rooms/there"), "refused 403 Access denied");
        stage.done(&["down"]);
    });
}
