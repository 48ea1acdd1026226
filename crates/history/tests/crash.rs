//! A writer that is killed at any moment loses the last second and nothing else, and leaves nothing that misleads.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../../tools/bench/src/history/traffic.rs"]
mod traffic;

use ciliate_flow::{Flow, Run, Time};
use ciliate_history::{Hints, History, Order, Settings};
use std::{
    io::{BufRead, BufReader},
    ops::ControlFlow,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use traffic::Traffic;

/// Tells this program to be the writer that is killed.
const DIRECTORY: &str = "CILIATE_HISTORY_WRITER";
const START: Time = Time(4_102_480_800_000_000_000);

fn open(directory: &Path) -> History {
    History::open(directory, Run::new(1), Settings { group_rows: 1500, ..Settings::default() }).unwrap()
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Says after each append how far it has come and when.
fn write(directory: &Path) -> ! {
    let mut history = open(directory);
    let mut traffic = Traffic::new(5, START, 1000);
    for round in 0_u64.. {
        let flows: Vec<Flow> = traffic.by_ref().take(20).collect();
        history.append(&flows);
        if round % 50 == 49 {
            history.tick(SystemTime::now());
        }
        println!("wrote {} {}", flows.last().unwrap().id.sequence, now().as_millis());
        sleep(Duration::from_millis(4));
    }
    unreachable!()
}

#[test]
fn a_killed_writer_loses_a_second_at_most() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        write(directory.as_ref());
    }
    for milliseconds in [1300, 2050] {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_writer_loses_a_second_at_most", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut written = Vec::new();
        let mut end = None;
        for line in lines {
            let Some(rest) = line.split_once("wrote ").map(|(_, rest)| rest) else { continue };
            let (sequence, at) = rest.split_once(' ').unwrap();
            let (sequence, at): (u64, u128) = (sequence.parse().unwrap(), at.parse().unwrap());
            written.push((sequence, at));
            let end = *end.get_or_insert(at + milliseconds);
            if at >= end {
                // SIGKILL
                writer.kill().unwrap();
                break;
            }
        }
        writer.wait().unwrap();
        let killed = written.last().unwrap().1;
        // A tenth for a busy machine, which may stop the writer between an append and what it says of it.
        let safe = written.iter().take_while(|(_, at)| at + 1100 < killed).last().unwrap().0;
        let mut history = open(directory.path());
        let mut found = Vec::new();
        let outcome = history
            .reader()
            .query(&Hints::default(), Order::OldestFirst, &mut |flow| {
                found.push(flow);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(outcome.faults.is_empty() && history.notices().is_empty());
        let last = found.last().unwrap().id.sequence;
        assert!(
            last >= safe,
            "{last} is the last that is kept, {safe} was written more than a second before"
        );
        assert!(last > 500, "a file was made before it was killed");
        let expected: Vec<Flow> = Traffic::new(5, START, 1000).take(found.len()).collect();
        assert_eq!(found, expected);
    }
}
