#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]

use super::*;
use ciliate_flow::{Flow, Time};
use proptest::prelude::*;
use std::{collections::VecDeque, thread};

fn flow(time: u64) -> Flow {
    let mut flow = Flow::from_message(&Default::default()).expect("an empty flow");
    flow.time = Time(time);
    flow
}

proptest! {
    /// Against looking at all of them.
    #[test]
    fn the_latest_time_of_what_has_gone(
        capacity in 1..3000_u64,
        times in proptest::collection::vec(0..1_000_000_u64, 0..5000),
    ) {
        let (mut writer, log) = log(Run::new(7), capacity);
        for time in &times {
            writer.append(flow(*time));
        }
        let gone = times.len().saturating_sub(usize::try_from(capacity).unwrap_or(usize::MAX));
        let latest = times[..gone].iter().max().map(|time| Time(*time));
        prop_assert_eq!(log.departed(), latest);
    }

    /// Against a queue: whoever reads sees each flow that is kept once and in order, and is told of all others.
    #[test]
    fn a_reader_sees_or_misses_every_flow(
        capacity in 1..3000_u64,
        steps in proptest::collection::vec((0..1500_u64, 0..1500_usize), 1..12),
    ) {
        let (mut writer, log) = log(Run::new(7), capacity);
        let mut kept: VecDeque<u64> = VecDeque::new();
        let mut cursor = log.cursor(0);
        let (mut written, mut expected, mut last) = (0, 0, None);
        for (appended, read) in steps {
            for _ in 0..appended {
                writer.append(flow(written * 10));
                kept.push_back(written);
                if kept.len() as u64 > capacity {
                    kept.pop_front();
                }
                written += 1;
            }
            prop_assert_eq!((log.seen(), log.kept()), (written, kept.len() as u64));
            for _ in 0..read {
                match cursor.next() {
                    Step::Entry(flow) => {
                        prop_assert_eq!((flow.id.sequence, flow.time), (expected, Time(expected * 10)));
                        last = Some(flow.time);
                        expected += 1;
                    }
                    Step::Lost(lost) => {
                        let oldest = kept.front().copied().unwrap_or(written);
                        prop_assert_eq!(expected + lost.count, oldest);
                        prop_assert_eq!(lost.last, Some(Time(oldest * 10)));
                        prop_assert_eq!(lost.first, last);
                        expected = oldest;
                    }
                    Step::End => {
                        prop_assert_eq!(expected, written);
                        break;
                    }
                }
            }
        }
        let mut back = log.cursor(log.seen());
        for wanted in kept.iter().rev() {
            prop_assert_eq!(back.previous().map(|flow| flow.id.sequence), Some(*wanted));
        }
        prop_assert!(back.previous().is_none());
    }
}

#[test]
fn readers_keep_up_or_are_told_while_a_writer_runs() {
    const FLOWS: u64 = 200_000;
    let (mut writer, log) = log::<Flow>(Run::new(1), 5000);
    thread::scope(|scope| {
        for _ in 0..3 {
            let log = log.clone();
            scope.spawn(move || {
                let (mut cursor, mut seen, mut missed) = (log.cursor(0), 0, 0);
                while seen + missed < FLOWS {
                    match cursor.next() {
                        Step::Entry(flow) => {
                            assert_eq!(flow.id.sequence, seen + missed);
                            seen += 1;
                        }
                        Step::Lost(lost) => missed += lost.count,
                        Step::End => thread::yield_now(),
                    }
                }
                assert_eq!(cursor.next(), Step::End);
            });
        }
        for time in 0..FLOWS {
            writer.append(flow(time));
        }
    });
    assert!(log.0.chunks.load().len() <= 6, "more chunks than the capacity needs");
}

#[tokio::test]
async fn who_waits_is_woken_once_for_many() {
    let (mut writer, log) = log(Run::new(1), 100);
    let mut bell = log.bell();
    writer.append(flow(1));
    writer.append(flow(2));
    writer.ring();
    bell.changed().await.expect("the writer lives");
    assert_eq!(*bell.borrow_and_update(), 2);
    writer.ring();
    assert!(!bell.has_changed().expect("the writer lives"));
}
