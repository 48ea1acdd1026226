use super::*;
use proptest::prelude::*;

const DRAIN: Duration = Duration::from_secs(1);
const LATE: Moment = Moment { seconds: i64::MAX, nanos: 0 };

fn answer(seconds: i64) -> Answer {
    Answer { bytes: Default::default(), time: Moment { seconds, nanos: 0 } }
}

fn answers(seconds: &[i64]) -> Vec<Answer> {
    seconds.iter().copied().map(answer).collect()
}

fn merge(pace: Pace, most: usize) -> Merge {
    Merge::new(Sorting { most, drain: DRAIN }, pace)
}

fn taken(merge: &mut Merge, now: Instant) -> Vec<i64> {
    let mut seconds = Vec::new();
    merge.take(now, usize::MAX, |_, answer| seconds.push(answer.time.seconds));
    seconds
}

#[test]
fn the_earliest_goes_on_once_all_have_spoken() {
    let now = Instant::now();
    let mut merge = merge(Pace::Follow, 100);
    let (a, b) = (merge.add(now), merge.add(now));
    merge.put(a, answers(&[1, 3, 5]), now, LATE);
    assert_eq!(taken(&mut merge, now), [0_i64; 0]);
    merge.put(b, answers(&[2, 4]), now, LATE);
    assert_eq!(taken(&mut merge, now), [1, 2, 3, 4]);
    merge.set_open(b, false, now);
    assert_eq!(taken(&mut merge, now), [5]);
}

#[test]
fn silence_holds_up_for_the_drain_time_only() {
    let now = Instant::now();
    let mut merge = merge(Pace::Follow, 100);
    let (a, b) = (merge.add(now), merge.add(now));
    merge.put(a, answers(&[1, 2]), now, LATE);
    merge.put(a, answers(&[3]), now + DRAIN / 2, LATE);
    assert_eq!(merge.wakes(), Some(now + DRAIN));
    assert_eq!(taken(&mut merge, now + DRAIN), [1, 2]);
    // It comes after all, too late for what has gone and in time for what waits.
    merge.put(b, answers(&[2, 4]), now + DRAIN, LATE);
    assert_eq!(taken(&mut merge, now + DRAIN), [2, 3]);
    assert_eq!(taken(&mut merge, now + DRAIN * 2), [4]);
    assert_eq!(merge.wakes(), None);
}

#[test]
fn who_is_silent_about_the_past_is_not_waited_for_twice() {
    let now = Instant::now();
    let mut merge = merge(Pace::Past, 100);
    let (a, _silent) = (merge.add(now), merge.add(now));
    merge.put(a, answers(&[1, 2]), now, LATE);
    assert_eq!(taken(&mut merge, now), [0_i64; 0]);
    assert_eq!(taken(&mut merge, now + DRAIN), [1, 2]);
    merge.put(a, answers(&[3]), now + DRAIN, LATE);
    assert_eq!(taken(&mut merge, now + DRAIN), [3]);
}

#[test]
fn no_more_wait_than_may() {
    let now = Instant::now();
    let mut merge = merge(Pace::Follow, 3);
    let (a, _silent) = (merge.add(now), merge.add(now));
    merge.put(a, answers(&[5, 4, 3, 2, 1]), now, LATE);
    assert_eq!(taken(&mut merge, now), [1, 2]);
}

#[test]
fn a_clock_that_is_ahead_disorders_only_its_own() {
    let now = Instant::now();
    let mut merge = merge(Pace::Follow, 100);
    let (ahead, b) = (merge.add(now), merge.add(now));
    let clock = |seconds| Moment { seconds, nanos: 0 };
    merge.put(ahead, answers(&[1000]), now, clock(10));
    merge.put(b, answers(&[9]), now, clock(10));
    assert_eq!(taken(&mut merge, now), [9]);
    assert_eq!(taken(&mut merge, now + DRAIN), [1000]);
    // What comes now is sorted as ever.
    merge.put(b, answers(&[12]), now + DRAIN, clock(12));
    assert_eq!(taken(&mut merge, now + DRAIN), [0_i64; 0]);
    merge.put(ahead, answers(&[1001]), now + DRAIN, clock(11));
    assert_eq!(taken(&mut merge, now + DRAIN), [1001]);
    assert_eq!(taken(&mut merge, now + DRAIN * 2), [12]);
}

proptest! {
    /// Streams that are in order by themselves come out in order, all of them, however they arrive.
    #[test]
    fn order_and_completeness(streams in prop::collection::vec(prop::collection::vec(0_i64..50, 0..20), 1..6), turns: Vec<usize>) {
        let now = Instant::now();
        let mut merge = merge(Pace::Past, usize::MAX);
        let mut sources: Vec<(Lane, std::vec::IntoIter<i64>)> = streams
            .iter()
            .map(|stream| {
                let mut sorted = stream.clone();
                sorted.sort_unstable();
                (merge.add(now), sorted.into_iter())
            })
            .collect();
        let mut out = Vec::new();
        for turn in turns.into_iter().chain(0..10_000) {
            if sources.is_empty() {
                break;
            }
            let at = turn.checked_rem(sources.len()).unwrap_or_default();
            match sources[at].1.next() {
                Some(seconds) => merge.put(sources[at].0, answers(&[seconds]), now, LATE),
                None => merge.set_open(sources.remove(at).0, false, now),
            }
            out.extend(taken(&mut merge, now));
        }
        let mut all: Vec<i64> = streams.concat();
        all.sort_unstable();
        prop_assert_eq!(out, all);
    }
}
