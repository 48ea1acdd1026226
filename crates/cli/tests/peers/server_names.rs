//! Names of TLS servers, with OpenSSL's server and with curl, OpenSSL and Python as clients.

use crate::{
    stage::{Stage, eventually, inside, shell, text},
    talk::{Monitor, endpoint, exec, idle, python},
};

const POLICY: &str = r#"
apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata: {name: "names"}
spec:
  endpointSelector: {matchLabels: {app: client}}
  egress:
  - toEndpoints: [{matchLabels: {app: site}}]
    toPorts:
    - ports: [{port: "443", protocol: TCP}, {port: "8443", protocol: TCP}]
      serverNames: ["www.example.com", "*.shop.example.com"]
"#;

struct Site<'a> {
    stage: &'a Stage,
    address: String,
}

impl<'a> Site<'a> {
    /// Port 443 takes any group of keys; 8443 one that clients do not send a key for, so it asks for a second hello.
    fn start(stage: &'a Stage) -> Self {
        let folder = stage.folder.display();
        shell(&format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=site \
             -keyout {folder}/key.pem -out {folder}/cert.pem 2>/dev/null"
        ));
        let serve = format!(
            "S='openssl s_server -quiet -www -cert {folder}/cert.pem -key {folder}/key.pem'
             $S -accept 8443 -groups P-384 & exec $S -accept 443"
        );
        let address = endpoint(stage, "site", &["app=site"], &["sh", "-c", &serve]);
        idle(stage, "client", &["app=client"]);
        let site = Self { stage, address };
        eventually("the servers listen", || {
            [443, 8443].iter().all(|port| site.curl("www.example.com", *port, &[]) == (0, true))
        });
        site
    }

    /// Exit code, and whether there was a page.
    fn curl(&self, name: &str, port: u16, more: &[&str]) -> (i32, bool) {
        let to = format!("{name}:{port}:{}", self.address);
        let url = format!("https://{name}:{port}/");
        let command = ["curl", "-sk", "--max-time", "10", "--resolve", &to, &url];
        let output = exec(self.stage, "client", &[&command, more].concat(), "");
        (output.status.code().unwrap_or(-1), text(&output.stdout).contains("Ciphers supported"))
    }

    fn openssl(&self, arguments: &[&str]) -> String {
        let to = format!("{}:443", self.address);
        let command = ["openssl", "s_client", "-connect", &to];
        let output = exec(self.stage, "client", &[&command, arguments].concat(), "");
        text(&output.stdout) + &text(&output.stderr)
    }

    fn python(&self, port: u16, name: &str, how: &str) -> String {
        let arguments = [self.address.clone(), port.to_string(), name.to_owned(), how.to_owned()];
        let output = exec(self.stage, "client", &[python("tls_peer.py"), arguments.to_vec()].concat(), "");
        text(&output.stdout).trim().to_owned()
    }
}

#[test]
fn servers_are_reached_by_the_names_that_rules_have() {
    inside("server_names::servers_are_reached_by_the_names_that_rules_have", |stage| {
        stage.done(&["up"]);
        let site = Site::start(stage);
        // Without a policy a client can name another server in its second hello, and the server answers.
        assert_eq!(site.python(8443, "www.example.com", "swap"), "answered 2");
        let path = stage.file("names.yaml", POLICY);
        stage.done(&["apply", "-f", &path]);

        const REFUSED: (i32, bool) = (35, false);
        for (name, expected) in [
            ("www.example.com", (0, true)),
            ("WWW.Example.com", (0, true)),
            ("a.shop.example.com", (0, true)),
            ("shop.example.com", REFUSED),
            ("mail.example.com", REFUSED),
            ("www.example.com.evil.example", REFUSED),
        ] {
            assert_eq!(site.curl(name, 443, &[]), expected, "{name}");
            assert_eq!(site.curl(name, 443, &["--tls-max", "1.2"]), expected, "{name} with TLS 1.2");
            assert_eq!(site.curl(name, 8443, &[]), expected, "{name} with a second hello");
        }
        let denied = "alert access denied";
        assert!(site.openssl(&["-noservername"]).contains(denied));
        assert!(site.openssl(&["-servername", "mail.example.com"]).contains(denied));
        assert!(site.openssl(&["-servername", "www.example.com"]).contains("CN = site"));
        // An address is no name.
        let url = format!("https://{}/", site.address);
        assert_eq!(exec(stage, "client", &["curl", "-sk", &url], "").status.code(), Some(35));

        let monitor = Monitor::start(stage, || {
            assert_eq!(site.curl("www.example.com", 443, &[]), (0, true));
        });
        for (port, name, how, expected) in [
            (443, "www.example.com", "bytewise", "connected 2"),
            (443, "mail.example.com", "bytewise", "denied 1"),
            (8443, "www.example.com", "bytewise", "connected 3"),
            (8443, "www.example.com", "whole", "connected 3"),
            // Only one name counts, whatever place it has.
            (8443, "www.example.com", "swap", "denied 2"),
            (8443, "www.example.com", "ahead", "denied 1"),
        ] {
            assert_eq!(site.python(port, name, how), expected, "{name} {how} on {port}");
        }
        let seen = monitor.seen();
        let of = |verdict: &str| {
            let of_it = seen.iter().filter(|event| event["verdict"] == verdict);
            of_it
                .map(|event| (event["tls"]["serverName"].clone(), event["malformed"]["reason"].clone()))
                .collect()
        };
        let denied: Vec<_> = of("denied");
        assert_eq!(denied, [("mail.example.com".into(), serde_json::Value::Null)], "{seen:?}");
        let refused: Vec<_> = of("refused");
        assert_eq!(refused.len(), 2, "{seen:?}");
        for (_, reason) in refused {
            let reason = reason.as_str().unwrap();
            assert!(reason.starts_with("a second ClientHello for xxxxxxxxxxxxxxx"), "{reason}");
        }
        stage.done(&["down"]);
    });
}
