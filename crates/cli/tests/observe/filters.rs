//! Every filter through the command line: which flows pass, and that `--not` turns it round.
//!
//! The expected numbers are Hubble's own: `make test-hubble` asks its command line the same.

use crate::{ciliate, done, text};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Output,
    thread,
};

const ROWS: &str = include_str!("filters.txt");
const FLOWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/observe/every.json");
/// Where rows begin that have several flags.
const COMBINED: &str = "# Combined";

/// Arguments, and the numbers of the flows that pass.
struct Row {
    line: &'static str,
    arguments: Vec<&'static str>,
    expected: Vec<usize>,
}

fn rows(text: &'static str) -> Vec<Row> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &'static str| {
        let (arguments, numbers) = line.trim_start_matches('+').split_once(" =>").expect("` => ` in a row");
        Row {
            line,
            arguments: arguments.split(" | ").collect(),
            expected: numbers.split_whitespace().map(|number| number.parse().expect("a number")).collect(),
        }
    };
    lines.map(row).collect()
}

/// The flows of the file by their UUIDs, counted from 1.
fn numbers() -> BTreeMap<String, usize> {
    let file = std::fs::read_to_string(FLOWS).expect("flows");
    let uuid = |line: &str| {
        let answer: Value = serde_json::from_str(line).expect("JSON");
        answer["flow"]["uuid"].as_str().map(str::to_owned)
    };
    file.lines().filter_map(uuid).zip(1..).collect()
}

fn asked(arguments: &[&str]) -> Output {
    done(ciliate().args(["observe", "--input-file", FLOWS, "-o", "json", "-s"]).args(arguments))
}

fn passing(arguments: &[&str], numbers: &BTreeMap<String, usize>) -> Vec<usize> {
    let output = asked(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    let answers = text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON"));
    answers.filter_map(|answer: Value| Some(numbers[answer["flow"]["uuid"].as_str()?])).collect()
}

/// Asks for each in a few threads: a process each takes time.
fn all(rows: &[Row], check: impl Fn(&Row, &BTreeMap<String, usize>) + Sync) {
    let numbers = numbers();
    thread::scope(|scope| {
        for part in rows.chunks(rows.len().div_ceil(4)) {
            let (numbers, check) = (&numbers, &check);
            scope.spawn(move || part.iter().for_each(|row| check(row, numbers)));
        }
    });
}

#[test]
fn every_filter_lets_pass_what_it_lets_pass_in_hubble() {
    all(&rows(ROWS), |row, numbers| {
        assert_eq!(passing(&row.arguments, numbers), row.expected, "{}", row.line);
    });
}

#[test]
fn not_lets_pass_the_others() {
    let (simple, _) = ROWS.split_once(COMBINED).expect("rows with several flags");
    let mut alone = rows(simple);
    alone.retain(|row| {
        let mut flags = row.arguments.iter().filter(|argument| argument.starts_with('-'));
        let first = flags.next().expect("a flag");
        flags.all(|flag| flag == first) && !first.ends_with("list")
    });
    all(&alone, |row, numbers| {
        let turned: Vec<&str> = row
            .arguments
            .iter()
            .flat_map(|argument| argument.starts_with('-').then_some("--not").into_iter().chain([*argument]))
            .collect();
        let others: Vec<usize> = numbers
            .values()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|n| !row.expected.contains(n))
            .collect();
        assert_eq!(passing(&turned, numbers), others, "{turned:?}");
    });
}

/// The flags are those that the program has: a new one needs a row in which some flow passes and some other does not.
#[test]
fn every_filter_has_a_row() {
    let command = ciliate_cli::command();
    let observe = command.find_subcommand("observe").expect("the verb");
    let filters: Vec<&clap::Arg> =
        observe.get_arguments().filter(|arg| arg.get_help_heading() == Some("Filters")).collect();
    assert!(filters.len() >= 60, "{}", filters.len());
    let (rows, flows) = (rows(ROWS), numbers().len());
    for arg in filters {
        let long = format!("--{}", arg.get_long().expect("a long name"));
        let short = arg.get_short().map(|letter| format!("-{letter}"));
        let asks = |row: &&Row| {
            let tells = !row.expected.is_empty() && row.expected.len() < flows;
            tells && row.arguments.iter().any(|one| *one == long || Some(*one) == short.as_deref())
        };
        assert!(rows.iter().any(|row| asks(&row)), "{long} has no row in filters.txt that tells flows apart");
    }
}
