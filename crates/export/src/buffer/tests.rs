#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]

use super::*;
use ciliate_flow::Time;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn flow(second: u64) -> Flow {
    let mut flow = Flow::from_message(&Default::default()).unwrap_or_else(|error| unreachable!("{error}"));
    flow.time = Time(second);
    flow
}

fn buffer(flows: usize) -> Buffer {
    Buffer::new(Bounds { flows, bytes: usize::MAX })
}

fn times(buffer: &Buffer) -> Vec<Result<u64, u64>> {
    let time = |entry: &Entry| match entry {
        Entry::Flow(flow) => Ok(flow.time.0),
        Entry::Lost(lost) => Err(lost.count),
    };
    buffer.waiting().map(time).collect()
}

#[test]
fn an_outage_leaves_one_gap_at_its_place() {
    let mut buffer = buffer(2);
    let pushed: Vec<_> = (0..5).map(|second| buffer.push(&flow(second))).collect();
    assert_eq!(pushed, [Pushed::Kept, Pushed::Kept, Pushed::Refused, Pushed::Refused, Pushed::Refused]);
    buffer.depart(1);
    buffer.arrive();
    assert_eq!(buffer.take_delivered(), 1);
    assert_eq!(buffer.push(&flow(5)), Pushed::Kept);
    assert_eq!(times(&buffer), [Ok(1), Err(3), Ok(5)]);
    let Some(Entry::Lost(lost)) = buffer.waiting().nth(1) else { unreachable!("a gap") };
    assert_eq!(*lost, Lost { count: 3, first: Some(Time(2)), last: Some(Time(4)) });
}

#[test]
fn what_was_written_comes_again_after_a_fault_unless_newer_ones_needed_the_room() {
    let mut buffer = buffer(3);
    for second in 0..3 {
        assert_eq!(buffer.push(&flow(second)), Pushed::Kept);
    }
    buffer.depart(3);
    assert_eq!(buffer.write(), 3);
    assert_eq!(times(&buffer), []);
    assert_eq!(buffer.push(&flow(3)), Pushed::Kept);
    assert_eq!((buffer.rewind(), times(&buffer)), (2, vec![Ok(1), Ok(2), Ok(3)]));
    assert_eq!(buffer.push(&flow(4)), Pushed::Refused);
    buffer.depart(3);
    assert_eq!(buffer.write(), 4);
    buffer.settle_to(3);
    assert_eq!((buffer.take_delivered(), buffer.rewind(), times(&buffer)), (3, 1, vec![Ok(3), Err(1)]));
}

#[test]
fn bytes_are_bounded_too() {
    let mut buffer = Buffer::new(Bounds { flows: 100, bytes: weight(&flow(0)) * 3 });
    let kept = (0..10).filter(|second| buffer.push(&flow(*second)) == Pushed::Kept).count();
    assert_eq!(kept, 3);
}

proptest! {
    /// Whatever happens: each flow arrives, once and in order, or is in a gap's count.
    #[test]
    fn every_flow_arrives_or_is_counted(steps in prop::collection::vec((0_u8..4, 1_usize..5), 0..200), room in 1_usize..8) {
        let mut buffer = buffer(room);
        let (mut pushed, mut arrived, mut lost) = (0_u64, Vec::new(), 0_u64);
        let mut take = |buffer: &mut Buffer, most: usize, arrived: &mut Vec<u64>| {
            let entries: Vec<_> = buffer.waiting().take(most).cloned().collect();
            buffer.depart(entries.len());
            buffer.arrive();
            for entry in entries {
                match entry {
                    Entry::Flow(flow) => arrived.push(flow.time.0),
                    Entry::Lost(gap) => lost += gap.count,
                }
            }
        };
        for (step, count) in steps {
            match step {
                0 | 1 => for _ in 0..count {
                    let _ = buffer.push(&flow(pushed));
                    pushed += 1;
                },
                2 => take(&mut buffer, count, &mut arrived),
                _ => {
                    buffer.depart(count);
                    prop_assert_eq!(buffer.rewind(), 0);
                }
            }
        }
        while !buffer.is_empty() {
            buffer.close_gap();
            take(&mut buffer, 3, &mut arrived);
        }
        prop_assert!(arrived.is_sorted());
        let unique: BTreeSet<_> = arrived.iter().collect();
        prop_assert_eq!(unique.len(), arrived.len());
        prop_assert_eq!(arrived.len() as u64 + lost, pushed);
        prop_assert_eq!(buffer.flows(), 0);
    }
}
