//! `hubble config` and its file: what flags and the environment do not say comes from there.

use crate::{ciliate, done, lines, server::Server, text};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A home with Hubble's file.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("hubble/config.yaml")
    }

    fn ciliate(&self) -> Command {
        let mut command = ciliate();
        command.env("XDG_CONFIG_HOME", self.0.path());
        command
    }

    fn config(&self, arguments: &[&str]) -> Output {
        done(self.ciliate().args(["hubble", "config"]).args(arguments))
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("a file")
    }
}

fn said(output: &Output) -> &str {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn settings_are_kept_and_taken_back() {
    let home = Home::new();
    assert_eq!(said(&home.config(&["get", "server"])), "unix:///nonexistent/hubble.sock\n");
    assert_eq!(said(&home.config(&["set", "server", "tls://relay:443"])), "");
    assert_eq!(said(&home.config(&["set", "timeout", "9s"])), "");
    assert_eq!(said(&home.config(&["set", "tls-allow-insecure", "true"])), "");
    assert_eq!(said(&home.config(&["set", "tls-ca-cert-files", "a.pem,b.pem"])), "");
    let whole = "server: tls://relay:443\ntimeout: 9s\ntls-allow-insecure: true\ntls-ca-cert-files:\n- a.pem\n- b.pem\n";
    assert_eq!(home.text(), whole);
    assert_eq!(fs::metadata(home.file()).expect("a file").permissions().mode() & 0o777, 0o600);
    let view = home.config(&["view"]);
    for line in [
        &format!("config: {}", home.file().display()),
        "server: tls://relay:443",
        "timeout: 9s",
        "request-timeout: 12s",
        "tls: false",
        "tls-allow-insecure: true",
        "- b.pem",
        "tls-server-name: \"\"",
    ] {
        assert!(lines(&view).contains(&line), "{line}: {}", text(&view.stdout));
    }
    assert_eq!(said(&home.config(&[])), said(&view));
    assert_eq!(said(&home.config(&["get"])), said(&view));
    assert_eq!(said(&home.config(&["get", "tls-ca-cert-files"])), "- a.pem\n- b.pem\n");
    said(&home.config(&["reset", "tls-ca-cert-files"]));
    said(&home.config(&["set", "timeout"]));
    assert_eq!(home.text(), "server: tls://relay:443\ntls-allow-insecure: true\n");
    said(&home.config(&["reset"]));
    assert_eq!(home.text(), "{}\n");
    for (arguments, code, expected) in [
        (&["set", "sever", "x"][..], 6, "\"sever\" is no setting here"),
        (&["get", "sever"], 6, "\"sever\" is no setting here"),
        (&["set", "timeout", "soon"], 2, "invalid value 'soon' for '--timeout"),
        (&["set", "tls", "maybe"], 2, "invalid value 'maybe' for '--tls"),
    ] {
        let output = home.config(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
    assert_eq!(home.text(), "{}\n", "a mistake changes nothing");
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let (home, server) = (Home::new(), Server::start());
    said(&home.config(&["set", "server", &server.address()]));
    assert_eq!(lines(&done(home.ciliate().args(["observe", "--all"]))).len(), 6);
    assert_eq!(lines(&done(home.ciliate().args(["hubble", "list", "namespaces"]))), ["NAMESPACE", "demo"]);
    let elsewhere = |command: &mut Command| {
        let output = done(command);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stdout));
        text(&output.stderr).to_owned()
    };
    let by_environment = elsewhere(home.ciliate().args(["observe"]).env("HUBBLE_SERVER", "unix:///env"));
    assert!(by_environment.contains("unix:///env"), "{by_environment}");
    let by_flag = ["hubble", "--server", "unix:///flag", "observe"];
    let by_flag = elsewhere(home.ciliate().args(by_flag).env("HUBBLE_SERVER", "unix:///env"));
    assert!(by_flag.contains("unix:///flag"), "{by_flag}");
    let view = done(home.ciliate().args(["hubble", "config", "view"]).env("HUBBLE_TLS_SERVER_NAME", "x"));
    assert!(lines(&view).contains(&"tls-server-name: x"), "{}", text(&view.stdout));
}

/// What `--print-raw-filters` prints is a file that `--config` takes.
#[test]
fn filters_are_kept_in_a_file() {
    let (home, server) = (Home::new(), Server::start());
    let raw = done(ciliate().args([
        "observe",
        "--print-raw-filters",
        "--verdict",
        "DROPPED",
        "--not",
        "-t",
        "drop",
    ]));
    let file = home.0.path().join("filters.yaml");
    fs::write(&file, said(&raw)).expect("a file");
    let observe = |config: &Path| {
        let mut command = home.ciliate();
        command.args(["hubble", "observe", "--server", &server.address(), "--config"]).arg(config);
        done(command.args(["-o", "json"]))
    };
    let output = observe(&file);
    let found = lines(&output);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("\"event_type\":{\"type\":5}") && found[1].contains("lost_events"),
        "{found:?}"
    );
    let missing = observe(Path::new("/nonexistent/filters.yaml"));
    assert!(text(&missing.stderr).contains("/nonexistent/filters.yaml"), "{}", text(&missing.stderr));
    for (content, expected) in
        [("timeout: soon\n", "invalid value 'soon' for '--timeout"), ("- a\n", "filters.yaml: ")]
    {
        fs::write(&file, content).expect("a file");
        let wrong = observe(&file);
        let said = text(&wrong.stderr);
        assert!(
            !wrong.status.success() && said.contains("filters.yaml") && said.contains(expected),
            "{said}"
        );
    }
}
