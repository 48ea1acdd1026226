//! Flows to a real rsyslog over UDP, TCP and TLS, which is stopped and started meanwhile.

#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test")]

#[path = "support/outage.rs"]
mod outage;
#[path = "support/place.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod place;
#[path = "support/receiver.rs"]
mod receiver;

use ciliate_certificates::{Authority, Folder};
use ciliate_export::Sources;
use outage::{Case, survives};
use place::{Place, second, until};
use receiver::{Receiver, free_port};
use std::{collections::BTreeSet, fs, path::Path};

/// Its settings: it writes what it understood of each message.
fn rsyslog(folder: &Path, input: &str) -> Receiver {
    let out = folder.join("messages");
    let config = format!(
        r#"global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imudp") module(load="imtcp")
template(name="all" type="string" string="%hostname%|%app-name%|%msgid%|%syslogfacility-text%.%syslogseverity-text%|%structured-data%|%msg%\n")
{input}
action(type="omfile" file="{out}" template="all")
"#,
        folder = folder.display(),
        out = out.display(),
    );
    fs::write(folder.join("rsyslog.conf"), config).unwrap();
    let arguments = [
        "-n".to_owned(),
        "-f".to_owned(),
        folder.join("rsyslog.conf").display().to_string(),
        "-i".to_owned(),
        folder.join("pid").display().to_string(),
    ];
    Receiver::new("/usr/sbin/rsyslogd", &arguments)
}

/// The lines that it wrote.
fn lines(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("messages")).unwrap_or_default();
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// Seconds of all flows in it, each once.
fn seconds(folder: &Path) -> BTreeSet<u64> {
    let json = |line: &String| {
        line.rsplit_once("|-| ")
            .or_else(|| line.rsplit_once("|-|"))
            .map(|(_, json)| serde_json::from_str(json).unwrap())
    };
    lines(folder).iter().filter_map(json).filter_map(|value: serde_json::Value| second(&value)).collect()
}

fn survives_an_outage(folder: &Path, receiver: Receiver, rest: &str) {
    let config = format!("flowLogs:\n- name: siem\n  buffer: 500\n  fieldMask: [time]\n  syslog:\n{rest}");
    survives(Case { folder, receiver, config: &config, read: &|| seconds(folder) });
    assert!(
        lines(folder)
            .iter()
            .any(|line| line.contains("|lost|") && line.contains(r#""num_events_lost":"300""#))
    );
}

#[test]
fn udp() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let receiver = rsyslog(
        folder.path(),
        &format!(r#"input(type="imudp" address="127.0.0.1" port="{port}" rcvbufSize="4m")"#),
    );
    survives_an_outage(folder.path(), receiver, &format!("    address: udp://127.0.0.1:{port}\n"));
}

#[test]
fn tcp_with_octet_counting() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let receiver =
        rsyslog(folder.path(), &format!(r#"input(type="imtcp" address="127.0.0.1" port="{port}")"#));
    survives_an_outage(folder.path(), receiver, &format!("    address: tcp://127.0.0.1:{port}\n"));
    let first = lines(folder.path()).remove(0);
    assert!(first.starts_with(r#"node-1|ciliate|flow|local0.warning|-|"#), "{first}");
}

#[test]
fn tls_with_certificates_of_both() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let (files, authority) = (Folder::new(folder.path()), Authority::new().unwrap());
    files.put_authority("ca.pem", &authority).unwrap();
    for name in ["server", "client"] {
        files.put_pair(name, "localhost", &authority).unwrap();
    }
    let path = |name: &str| files.path(name).display().to_string();
    let ca = path("ca.pem");
    let input = format!(
        r#"global(defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{}" defaultNetstreamDriverKeyFile="{}")
input(type="imtcp" address="127.0.0.1" port="{port}" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")"#,
        path("server.pem"),
        path("server.key")
    );
    let receiver = rsyslog(folder.path(), &input);
    survives_an_outage(
        folder.path(),
        receiver,
        &format!(
            "    address: tls://127.0.0.1:{port}\n    tls: {{caFile: {ca}, certFile: {}, keyFile: {}, serverName: localhost}}\n",
            path("client.pem"),
            path("client.key")
        ),
    );
}

#[test]
fn structured_data_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut receiver =
        rsyslog(folder.path(), &format!(r#"input(type="imtcp" address="127.0.0.1" port="{port}")"#));
    let rest = format!(
        "    address: tcp://127.0.0.1:{port}\n    form: structured-data\n    facility: local3\n    appName: net\n"
    );
    let file = folder.path().join("flowlogs.yaml");
    fs::write(&file, format!("flowLogs:\n- name: siem\n  syslog:\n{rest}")).unwrap();
    receiver.start();
    let mut place = Place::new(100);
    let service = place.start(Sources { fixed: None, file: Some(file) });
    place.see(0..2);
    until("flows arrive", || lines(folder.path()).len() == 2);
    let lines = lines(folder.path());
    assert!(lines[0].starts_with("node-1|net|flow|local3.warning|[flow@32473 uuid=\""), "{lines:?}");
    assert!(
        lines[1].contains(r#" verdict="FORWARDED" protocol="TCP" source_address="10.0.0.1" source_port="4000" destination_address="10.0.0.2" destination_port="80"]|"#),
        "{lines:?}"
    );
    assert!(lines[1].ends_with("10.0.0.1:4000 -> 10.0.0.2:80 TCP FORWARDED"), "{lines:?}");
    drop(service);
}
