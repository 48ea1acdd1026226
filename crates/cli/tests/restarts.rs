//! Agents and proxies are killed and replaced while requests and queries are under way. Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests state plainly what they expect"
)]

#[path = "end_to_end/outside.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod outside;
#[path = "end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;
#[path = "end_to_end/story.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod story;

use outside::{BY_PATTERN, Bot, resolver};
use stage::{Stage, eventually, inside, said};
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};
use story::{EXHAUST, LANDING, RULE1_L7, Ship, agent, ask, cast, denied, kill_hard, landed, proxy};

/// A SYN that was lost is sent again after a second.
const LOST_SYN: Duration = Duration::from_millis(900);
/// Within which a killed proxy's successor has to answer.
const SUCCESSOR: Duration = Duration::from_millis(100);

/// Ships, a station that says what it lets be asked, a robot and its resolver.
struct World {
    ship: Ship,
    bot: Bot,
}

impl World {
    fn new(stage: &Stage) -> Self {
        cast(stage);
        resolver(stage);
        let (ship, bot) = (Ship::new(stage, "tiefighter"), Bot::new(stage));
        eventually("the resolver answers", || bot.asks("api.twitter.com"));
        for (name, policy) in [("rule1.yaml", RULE1_L7), ("fqdn.yaml", BY_PATTERN)] {
            stage.done(&["apply", "-f", &stage.file(name, policy)]);
        }
        Self { ship, bot }
    }

    /// Lands by a connection of its own and gives how long that took.
    fn land(&self) -> Duration {
        let start = Instant::now();
        assert_eq!(self.ship.call().and_then(|mut line| line.ask(LANDING)).expect("an answer"), landed());
        start.elapsed()
    }
}

/// What clients have seen all the while.
#[derive(Debug, Default)]
struct Seen {
    over: AtomicBool,
    /// Requests on one connection.
    kept: AtomicU64,
    /// Connections of their own.
    fresh: AtomicU64,
    /// Of those, cut after they were accepted.
    cut: AtomicU64,
    queries: AtomicU64,
    /// Of those, not answered.
    lost: AtomicU64,
}

impl Seen {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn count(&self, of: impl Fn(&Self) -> &AtomicU64) -> u64 {
        of(self).fetch_add(1, Ordering::Relaxed)
    }

    fn get(&self, of: impl Fn(&Self) -> &AtomicU64) -> u64 {
        of(self).load(Ordering::Relaxed)
    }

    /// Requests on one connection, allowed and denied ones, that must all be answered.
    fn keep_asking(&self, world: &World) {
        let mut line = world.ship.call().unwrap();
        while self.goes_on() {
            assert_eq!(line.ask(LANDING).expect("the open connection goes on"), landed());
            assert_eq!(line.ask(EXHAUST).expect("the open connection goes on"), denied());
            self.count(|seen| &seen.kept);
        }
    }

    /// Connections that must all succeed with their first SYN, and be answered or reset.
    fn keep_calling(&self, world: &World) {
        while self.goes_on() {
            let start = Instant::now();
            let called = world.ship.call();
            assert!(start.elapsed() < LOST_SYN, "a SYN was lost");
            match called.and_then(|mut line| line.ask(LANDING)) {
                Ok(answer) => assert_eq!(answer, landed()),
                Err(error) => {
                    // A connection is never refused; one that was accepted may be reset before the client looks.
                    assert!(
                        matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
                        "it ends with a reset: {error}"
                    );
                    self.count(|seen| &seen.cut);
                }
            }
            self.count(|seen| &seen.fresh);
        }
    }

    fn keep_resolving(&self, world: &World) {
        while self.goes_on() {
            if !world.bot.asks("www.twitter.com") {
                self.count(|seen| &seen.lost);
            }
            self.count(|seen| &seen.queries);
        }
    }
}

/// Lets the clients end, also when the test fails.
struct Over<'a>(&'a Seen);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Runs `body` while clients are at work, and gives what they have seen.
fn meanwhile(world: &World, probers: &[fn(&Seen, &World)], body: impl FnOnce(&Seen)) -> Seen {
    let seen = Seen::default();
    thread::scope(|scope| {
        let over = Over(&seen);
        let clients: Vec<_> = probers.iter().map(|prober| scope.spawn(|| prober(&seen, world))).collect();
        body(&seen);
        // Reported here, before a panic in a client would end the scope without a word.
        drop(over);
        for client in clients {
            client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    eprintln!("{seen:?}");
    seen
}

/// The agent is killed and comes back; nobody who asks or resolves notices.
#[test]
fn requests_and_queries_go_on_without_the_agent() {
    inside("requests_and_queries_go_on_without_the_agent", |stage| {
        stage.done(&["up"]);
        let world = World::new(stage);
        let carrier = proxy(stage);
        let probers = [Seen::keep_asking, Seen::keep_calling, Seen::keep_resolving];
        let seen = meanwhile(&world, &probers, |seen| {
            for _ in 0..3 {
                kill_hard(agent(stage));
                let counts = || [seen.get(|s| &s.kept), seen.get(|s| &s.fresh), seen.get(|s| &s.queries)];
                let before = counts();
                let go_on = || counts().iter().zip(before).all(|(now, before)| *now > before + 10);
                eventually("requests and queries go on", go_on);
                stage.done(&["up"]);
                assert_eq!(proxy(stage), carrier, "the same process");
            }
        });
        assert_eq!((seen.get(|s| &s.cut), seen.get(|s| &s.lost)), (0, 0));
        stage.done(&["down"]);
    });
}

/// A killed proxy has a successor at once, with an agent or without; what it carried ends with a reset, what waited does not.
#[test]
fn a_killed_proxy_loses_nothing_that_waits() {
    const KILLS: usize = 5;
    inside("a_killed_proxy_loses_nothing_that_waits", |stage| {
        stage.done(&["up"]);
        let world = World::new(stage);
        let mut took = Vec::new();
        let probers = [Seen::keep_calling, Seen::keep_calling, Seen::keep_resolving];
        let seen = meanwhile(&world, &probers, |_| {
            for round in 0..2 * KILLS {
                if round == KILLS {
                    kill_hard(agent(stage));
                }
                let mut idle = world.ship.call().unwrap();
                assert_eq!(idle.ask(LANDING).unwrap(), landed());
                let mut halfway = world.ship.call().unwrap();
                halfway.0.get_mut().write_all(b"POST /v1/request-landing HTTP/1.1\r\nHost: d").unwrap();
                thread::sleep(Duration::from_millis(30));
                let carrier = proxy(stage);
                let killed = Instant::now();
                kill_hard(carrier);
                world.land();
                took.push(killed.elapsed());
                for line in [&mut idle, &mut halfway] {
                    let end = line.0.read(&mut [0; 64]).map_err(|error| error.kind());
                    assert_eq!(end, Err(ErrorKind::ConnectionReset));
                }
                assert_ne!(proxy(stage), carrier);
                assert_eq!(world.ship.call().unwrap().ask(EXHAUST).unwrap(), denied());
            }
        });
        took.sort();
        eprintln!("from the kill until a new connection's request was answered: {took:?}");
        let kills = u64::try_from(2 * KILLS).unwrap();
        // The quarter of the quickest: the others tell how busy the machine is.
        assert!(took[KILLS / 2] <= SUCCESSOR && took[2 * KILLS - 1] < LOST_SYN, "{took:?}");
        // A client can lose one each time, no more: the one that was under way.
        assert!(seen.get(|s| &s.cut) <= 2 * kills && seen.get(|s| &s.lost) <= kills, "{seen:?}");
        stage.done(&["up"]);
        world.land();
        assert_eq!(ask(stage, "xwing", LANDING).0, 28, "not for the alliance");
        stage.done(&["down"]);
    });
}

/// Who holds the sockets is killed: who carries connections goes on, and has another take over.
#[test]
fn a_killed_guardian_is_replaced_without_the_agent() {
    inside("a_killed_guardian_is_replaced_without_the_agent", |stage| {
        stage.done(&["up"]);
        let world = World::new(stage);
        kill_hard(agent(stage));
        let guardian = || story::pid_of(stage, &["proxy", "status"], "guardian");
        let probers = [Seen::keep_asking, Seen::keep_calling, Seen::keep_resolving];
        let seen = meanwhile(&world, &probers, |_| {
            let (before, carrier) = (guardian(), proxy(stage));
            kill_hard(before);
            eventually("another guardian", || guardian() != before && proxy(stage) != carrier);
        });
        assert_eq!((seen.get(|s| &s.cut), seen.get(|s| &s.lost)), (0, 0), "{seen:?}");
        let carrier = proxy(stage);
        kill_hard(carrier);
        assert!(world.land() < LOST_SYN);
        assert_ne!(proxy(stage), carrier);
        stage.done(&["down"]);
    });
}

/// Another build of the agent brings another proxy: nothing is reset, refused or lost. Then the agent is killed, and `down`
/// still ends all of them, also the old proxy with its open connection.
#[test]
fn another_build_takes_over_and_down_leaves_nothing() {
    inside("another_build_takes_over_and_down_leaves_nothing", |stage| {
        let before = stage.traces();
        let next = stage.folder.join("next");
        fs::copy(env!("CARGO_BIN_EXE_ciliate"), &next).unwrap();
        let run = |program: &Path, arguments: &[&str]| {
            let output = stage.build(program, arguments).stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
        };
        stage.done(&["up"]);
        let world = World::new(stage);
        let carrier = proxy(stage);
        let probers = [Seen::keep_asking, Seen::keep_calling, Seen::keep_resolving];
        let seen = meanwhile(&world, &probers, |seen| {
            stage.done(&["down", "--keep"]);
            run(&next, &["up"]);
            assert_ne!(proxy(stage), carrier, "a proxy of the new build");
            let reached = seen.get(|s| &s.kept);
            eventually("the old connection goes on", || seen.get(|s| &s.kept) > reached + 10);
        });
        assert_eq!((seen.get(|s| &s.cut), seen.get(|s| &s.lost)), (0, 0), "{seen:?}");

        let mut open = world.ship.call().unwrap();
        assert_eq!(open.ask(LANDING).unwrap(), landed());
        // The first build again, so that a proxy with an open connection has a successor.
        kill_hard(agent(stage));
        stage.done(&["up"]);
        assert_eq!(open.ask(LANDING).unwrap(), landed());
        kill_hard(agent(stage));
        world.land();
        stage.done(&["down"]);
        let serve = |line: &String| line.contains(" proxy serve");
        assert!(!story::processes().iter().any(serve), "{:?}", story::processes());
        // The station went first, and the old proxy told the ship in its own way.
        assert_eq!(open.0.read(&mut [0; 64]).unwrap_or(0), 0);
        fs::remove_file(next).unwrap();
        assert_eq!(stage.traces(), before);
    });
}
