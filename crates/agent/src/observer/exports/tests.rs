use super::*;
use ciliate_api::settings::resolve;
use ciliate_flow::{Run, Verdict};
use ciliate_observer::log;
use std::{collections::BTreeMap, fs};

fn config(pairs: &[(&str, &str)]) -> Config {
    let flags: BTreeMap<String, String> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    resolve(&flags, |_| None, None).unwrap().1
}

#[test]
fn the_settings_are_one_exporter() {
    let folder = std::env::temp_dir().join(format!("cil-test-exports-{}", std::process::id()));
    let path = folder.join("events.log");
    let config = config(&[
        ("hubble-export-file-path", path.to_str().unwrap()),
        ("hubble-export-allowlist", "{\"verdict\":[\"DROPPED\"]}"),
        ("hubble-export-fieldmask", "verdict,uuid"),
    ]);
    let (mut writer, log) = log::log::<Flow>(Run::new(1), 100);
    let node = Arc::new(Node { name: "n".to_owned(), labels: Vec::new() });
    let service = start(&config, node, &log).unwrap();
    for verdict in [Verdict::Dropped, Verdict::Forwarded, Verdict::Dropped] {
        let mut flow = Flow::from_message(&Default::default()).unwrap();
        flow.verdict = verdict;
        writer.append(flow);
    }
    writer.ring();
    let reports = service.reports();
    drop(service);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    let first = text.lines().next().unwrap();
    assert!(
        first.starts_with("{\"flow\":{\"uuid\":\"") && first.ends_with("\"verdict\":\"DROPPED\"}}"),
        "{first}"
    );
    let families = families(&reports.report());
    let value = |name| families.iter().find(|family| family.name == name).unwrap().rows.clone();
    assert_eq!(value("hubble_export_flows_total"), [(vec!["static-exporter".to_owned()], 2)]);
    assert_eq!(value("hubble_dynamic_exporter_up"), [(vec!["static-exporter".to_owned()], 1)]);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn mistakes_name_the_setting() {
    for (name, value, message) in [
        (
            "hubble-export-allowlist",
            "{\"verdicts\":[]}",
            "setting hubble-export-allowlist: a filter has no field \"verdicts\"",
        ),
        (
            "hubble-export-denylist",
            "{\"source_ip\":[\"x\"]}",
            "settings hubble-export-allowlist, -denylist and -fieldmask: blacklist[0].source_ip: ",
        ),
        ("hubble-export-fieldmask", "source.pod", "names no field"),
    ] {
        let error = fixed(&config(&[("hubble-export-file-path", "/x"), (name, value)])).unwrap_err();
        assert!(format!("{error:#}").contains(message), "{error:#}");
    }
    assert_eq!(fixed(&config(&[("hubble-export-allowlist", "{")])).unwrap(), None);
}
