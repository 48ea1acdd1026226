#![expect(clippy::arithmetic_side_effects, reason = "the oracle states the arithmetic plainly")]

use super::*;
use crate::{Malformed, reply, reply::Reply, set_id};
use proptest::prelude::*;

const SERVER: &str = "10.0.0.53:53";

fn query(id: u16, name: &str) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label.as_bytes());
    }
    // HTTPS is 65, which is the letter A.
    message.extend_from_slice(&[0, 0, 65, 0, 1]);
    message
}

fn answer(id: u16, name: &str) -> Vec<u8> {
    let mut message = query(id, name);
    message[2] |= 0x80;
    message
}

fn route(client: &str, lane: u32) -> Route {
    Route { lane, client: client.parse().unwrap(), server: SERVER.parse().unwrap() }
}

fn second(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn insert(pending: &mut Pending<&'static str>, id: u16, name: &str, client: &str) -> Result<u16, Full> {
    let bytes = query(7, name);
    pending.insert(second(0), &mut || id, &Query::parse(&bytes).unwrap(), route(client, 1), "tag")
}

#[test]
fn only_the_very_answer_is_taken() {
    let mut pending = Pending::new(PendingSettings::default());
    assert_eq!(insert(&mut pending, 500, "wWw.a", "10.0.0.1:4000"), Ok(500));
    let server: SocketAddr = SERVER.parse().unwrap();
    let mut take = |lane, from: &str, bytes: &[u8]| {
        let taken = pending.take(lane, from.parse().unwrap(), &Answer::parse(bytes).unwrap());
        taken.map(|asked| (asked.client_id, asked.tag, asked.question().name.to_string()))
    };
    assert_eq!(take(1, SERVER, &answer(501, "wWw.a")), Err(Stray::Unknown));
    assert_eq!(take(2, SERVER, &answer(500, "wWw.a")), Err(Stray::Unknown));
    assert_eq!(take(1, "10.0.0.54:53", &answer(500, "wWw.a")), Err(Stray::Server));
    assert_eq!(take(1, "10.0.0.53:54", &answer(500, "wWw.a")), Err(Stray::Server));
    assert_eq!(take(1, SERVER, &answer(500, "www.a")), Err(Stray::Question));
    assert_eq!(take(1, SERVER, &answer(500, "wWw.b")), Err(Stray::Question));
    assert_eq!(take(1, SERVER, &answer(500, "wWw.a")), Ok((7, "tag", "www.a".into())));
    assert_eq!(take(1, SERVER, &answer(500, "wWw.a")), Err(Stray::Unknown), "a second time");
    assert!(pending.is_empty() && pending.next_deadline().is_none() && server.port() == 53);
}

#[test]
fn case_may_be_ignored_but_not_the_type() {
    let settings = PendingSettings { case: QuestionCase::Ignored, ..PendingSettings::default() };
    let mut pending = Pending::new(settings);
    insert(&mut pending, 500, "wWw.a", "10.0.0.1:4000").unwrap();
    let mut other_type = answer(500, "wWw.a");
    let kind = other_type.len() - 3;
    other_type[kind] = 97;
    let mut take =
        |bytes: &[u8]| pending.take(1, SERVER.parse().unwrap(), &Answer::parse(bytes).unwrap()).map(|_| ());
    assert_eq!(take(&other_type), Err(Stray::Question));
    assert_eq!(take(&answer(500, "WWW.A")), Ok(()));
}

#[test]
fn an_error_without_its_question_is_taken_too() {
    let mut pending = Pending::new(PendingSettings::default());
    insert(&mut pending, 500, "a", "10.0.0.1:4000").unwrap();
    let header = [1, 0xf4, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(pending.take(1, SERVER.parse().unwrap(), &Answer::parse(&header).unwrap()).is_ok());
    let fine = [1, 0xf4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(Answer::parse(&fine).map(|_| ()).unwrap_err(), Malformed::QuestionCount);
}

#[test]
fn limits_are_named() {
    let settings = PendingSettings { max: 3, max_per_client: 2, ..PendingSettings::default() };
    let mut pending = Pending::new(settings);
    insert(&mut pending, 1, "a", "10.0.0.1:4000").unwrap();
    assert_eq!(
        insert(&mut pending, 1, "b", "10.0.0.1:4001"),
        Err(Full::Ids(1)),
        "an id is used once on a lane"
    );
    insert(&mut pending, 2, "b", "10.0.0.1:4001").unwrap();
    let full = insert(&mut pending, 3, "c", "10.0.0.1:4002").unwrap_err();
    assert_eq!(
        full.to_string(),
        "2 DNS queries of 10.0.0.1 are under way (setting dns-max-pending-per-client)"
    );
    insert(&mut pending, 3, "c", "10.0.0.2:4002").unwrap();
    let full = insert(&mut pending, 4, "d", "10.0.0.3:4002").unwrap_err();
    assert_eq!(full.to_string(), "3 DNS queries are under way (setting dns-max-pending)");
}

#[test]
fn what_is_late_is_answered_with_servfail() {
    let mut pending = Pending::new(PendingSettings::default());
    insert(&mut pending, 1, "a", "10.0.0.1:4000").unwrap();
    assert_eq!(pending.next_deadline(), Some(second(5)));
    let mut out = Vec::new();
    pending.expire(second(4), &mut |_| panic!("too early"));
    pending.expire(second(5), &mut |asked| reply::to_asked(asked, Reply::ServFail, &mut out));
    let mut expected = answer(7, "a");
    expected[3] = 0x82;
    assert_eq!(out, expected);
    set_id(&mut out, 1);
    assert_eq!(
        pending.take(1, SERVER.parse().unwrap(), &Answer::parse(&out).unwrap()).map(|_| ()),
        Err(Stray::Unknown)
    );
}

#[derive(Clone, Debug)]
enum Step {
    Insert { id: u8, client: u8, lane: u32 },
    Take { id: u8, lane: u32 },
    Wait(u64),
    CloseLane(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<u8>(), 0..4_u8, 0..3_u32).prop_map(|(id, client, lane)| Step::Insert { id: id % 32, client, lane }),
        3 => (any::<u8>(), 0..3_u32).prop_map(|(id, lane)| Step::Take { id: id % 32, lane }),
        2 => (0..4_u64).prop_map(Step::Wait),
        1 => (0..3_u32).prop_map(Step::CloseLane),
    ]
}

proptest! {
    /// Against a list that is searched.
    #[test]
    fn the_table_is_a_list(steps in prop::collection::vec(step(), 0..200)) {
        let settings = PendingSettings { max: 20, max_per_client: 8, ..PendingSettings::default() };
        let (mut pending, mut list, mut now) = (Pending::new(settings), Vec::<(u32, u16, u8, u64)>::new(), 0);
        for step in steps {
            match step {
                Step::Insert { id, client, lane } => {
                    let bytes = query(9, "a");
                    let route = Route { lane, ..route(&format!("10.0.0.{client}:1"), lane) };
                    let done = pending.insert(second(now), &mut || id.into(), &Query::parse(&bytes).unwrap(), route, client);
                    let mine = list.iter().filter(|one| one.2 == client).count();
                    let free = !list.iter().any(|one| (one.0, one.1) == (lane, id.into()));
                    prop_assert_eq!(done.is_ok(), list.len() < 20 && mine < 8 && free);
                    if done.is_ok() {
                        list.push((lane, id.into(), client, now));
                    }
                }
                Step::Take { id, lane } => {
                    let bytes = answer(id.into(), "a");
                    let taken = pending.take(lane, SERVER.parse().unwrap(), &Answer::parse(&bytes).unwrap()).map(|asked| asked.tag).ok();
                    let at = list.iter().position(|one| (one.0, one.1) == (lane, id.into()));
                    prop_assert_eq!(taken, at.map(|at| list.remove(at).2));
                }
                Step::Wait(seconds) => {
                    now += seconds;
                    let mut late = Vec::new();
                    pending.expire(second(now), &mut |asked| late.push(asked.id));
                    let (gone, kept) = list.iter().partition(|one| one.3 + 5 <= now);
                    list = kept;
                    let gone: Vec<(u32, u16, u8, u64)> = gone;
                    prop_assert_eq!(late, gone.iter().map(|one| one.1).collect::<Vec<_>>());
                }
                Step::CloseLane(lane) => {
                    let mut closed = 0;
                    pending.close_lane(lane, &mut |_| closed += 1);
                    let before = list.len();
                    list.retain(|one| one.0 != lane);
                    prop_assert_eq!(closed, before - list.len());
                }
            }
            prop_assert_eq!(pending.len(), list.len());
            prop_assert_eq!(pending.next_deadline(), list.first().map(|one| second(one.3 + 5)));
        }
    }
}
