//! Every way of printing through the command line, as Hubble's own prints the same flows.

use crate::{ciliate, done, lines, text};
use ciliate_hubble::observer::GetFlowsResponse;
use serde_json::Value;
use std::fs;

const FLOWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/observe/every.json");
const OUTPUTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/observe/outputs");

/// A file's first line has the flags, the others what Hubble prints; `make test-hubble` asks it anew.
#[test]
fn every_output_is_that_of_hubble() {
    let mut used = String::new();
    for file in fs::read_dir(OUTPUTS).expect("a folder") {
        let path = file.expect("a file").path();
        let whole = fs::read_to_string(&path).expect("a text");
        let (flags, expected) = whole.split_once('\n').expect("two lines");
        let output = done(ciliate().args(["observe", "--input-file", FLOWS, "-s"]).args(flags.split(' ')));
        assert!(output.status.success(), "{flags}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), expected, "{flags}");
        used.push_str(flags);
        used.push(' ');
    }
    // What the program has for printing, but for JSON, which is compared as such below.
    let command = ciliate_cli::command();
    let observe = command.find_subcommand("observe").expect("the verb");
    for arg in observe.get_arguments().filter(|arg| arg.get_help_heading() == Some("Format")) {
        let long = arg.get_long().expect("a long name");
        let short = arg.get_short().map(|letter| format!("-{letter} "));
        let is_used = used.contains(&format!("--{long}")) || short.is_some_and(|short| used.contains(&short));
        assert!(is_used, "--{long} has no file in outputs");
        for value in arg.get_possible_values().iter().map(|value| value.get_name().to_owned()) {
            let is_used = ["json", "true", "false", "auto"].contains(&value.as_str())
                || used.contains(&format!("{value} "));
            assert!(is_used, "--{long} {value} has no file in outputs");
        }
    }
}

#[test]
fn json_is_what_was_read() {
    let read = |text: &str| -> Vec<GetFlowsResponse> {
        text.lines().map(|line| serde_json::from_str(line).expect("an answer")).collect()
    };
    let mut expected = read(&fs::read_to_string(FLOWS).expect("flows"));
    // About nodes: on standard error.
    let notice = expected.pop().expect("a notice");
    for format in ["json", "jsonpb", "JSON"] {
        let output = done(ciliate().args(["observe", "--input-file", FLOWS, "-o", format]));
        assert!(read(text(&output.stdout)) == expected, "{format}: {}", text(&output.stdout));
        assert_eq!(read(text(&output.stderr)).first(), Some(&notice), "{format}");
    }
    // Names and forms are those of the interface.
    let first = done(ciliate().args(["observe", "--input-file", FLOWS, "-o", "json", "--first", "1"]));
    let file = fs::read_to_string(FLOWS).expect("flows");
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    assert_eq!(json(text(&first.stdout)), json(file.lines().next().expect("a line")));
}

#[test]
fn fields_of_a_mask_are_all_that_is_left() {
    let masked = |mask: &[&str]| {
        let mut command = ciliate();
        done(command.args(["observe", "--input-file", FLOWS, "--first", "1", "-o", "json"]).args(mask))
    };
    let expected = serde_json::json!({
        "verdict": "DROPPED", "source": {"pod_name": "curl-7f"}, "l4": {"TCP": {"destination_port": 443}},
    });
    let fields = "source.pod_name,l4.TCP.destination_port,l7,verdict";
    for flag in ["--field-mask", "--experimental-field-mask"] {
        let answer: Value = serde_json::from_str(lines(&masked(&[flag, fields]))[0]).expect("JSON");
        assert_eq!(answer["flow"], expected);
    }
    let several =
        masked(&["--field-mask", "verdict", "--field-mask", "source.pod_name,l4.TCP.destination_port"]);
    assert_eq!(serde_json::from_str::<Value>(lines(&several)[0]).expect("JSON")["flow"], expected);
    let unknown = masked(&["--field-mask", "source.pod"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("--field-mask: \"source.pod\""), "{}", text(&unknown.stderr));
    let lines = done(ciliate().args(["observe", "--input-file", FLOWS, "--field-mask", "verdict"]));
    assert!(text(&lines.stderr).contains("--field-mask goes with -o json only"), "{}", text(&lines.stderr));
    let needless =
        done(ciliate().args(["observe", "--input-file", FLOWS, "--use-default-field-masks=false"]));
    let usual = done(ciliate().args(["observe", "--input-file", FLOWS]));
    assert_eq!(text(&needless.stdout), text(&usual.stdout));
}
