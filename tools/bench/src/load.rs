//! The tools that make load, and what they report.

pub mod crr;
pub mod grpc;
pub mod paced;
pub mod resolve;
pub mod rr;
pub mod serve;
pub mod strangers;
pub mod udp;

use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where `serve` answers
    pub to: SocketAddr,
    /// Seconds to measure
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
}

/// What a tool measured; on standard output as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub count: u64,
    pub seconds: f64,
    pub per_second: f64,
    /// Of one round trip, in microseconds; absent where none is made.
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    /// What went wrong, by its text; empty in an undisturbed run.
    pub failures: Vec<String>,
}

/// Failures that are kept; the rest is only counted.
const MOST_FAILURES: usize = 20;

/// Collects round trips until the time is over.
pub struct Timings {
    start: Instant,
    length: Duration,
    nanoseconds: Vec<u32>,
    failures: Vec<String>,
}

impl Timings {
    pub fn start(seconds: f64) -> Self {
        let length = Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0));
        Self { start: Instant::now(), length, nanoseconds: Vec::with_capacity(1 << 20), failures: Vec::new() }
    }

    pub fn is_over(&self) -> bool {
        self.start.elapsed() >= self.length
    }

    pub fn round_trip(&mut self, since: Instant) {
        self.nanoseconds.push(u32::try_from(since.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }

    pub fn failure(&mut self, text: String) {
        if self.failures.len() < MOST_FAILURES {
            self.failures.push(format!("{:.6} s: {text}", self.start.elapsed().as_secs_f64()));
        }
    }

    /// All of them as one, from the first one's start on.
    pub fn merge(all: Vec<Self>) -> Self {
        let mut all = all.into_iter();
        let mut merged = all.next().unwrap_or_else(|| Self::start(0.0));
        for one in all {
            merged.nanoseconds.extend(one.nanoseconds);
            merged.failures.extend(one.failures);
        }
        merged
    }

    pub fn finish(mut self) -> Outcome {
        let seconds = self.start.elapsed().as_secs_f64();
        self.nanoseconds.sort_unstable();
        let quantile = |share: f64| {
            let at = (self.nanoseconds.len() as f64 * share) as usize;
            self.nanoseconds.get(at).map(|time| f64::from(*time) / 1e3)
        };
        Outcome {
            count: self.nanoseconds.len() as u64,
            seconds,
            per_second: self.nanoseconds.len() as f64 / seconds,
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            failures: self.failures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    /// A server of every tool on free ports, for as long as the test process lives.
    fn server(host: &str) -> SocketAddr {
        let listener = TcpListener::bind((host, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || serve::answer(&listener));
        address
    }

    #[test]
    fn round_trips_are_counted_over_both_families() {
        for host in ["127.0.0.1", "::1"] {
            let args = Args { to: server(host), seconds: 0.2 };
            for outcome in [rr::run(&args).expect("rr"), crr::run(&args).expect("crr")] {
                assert!(outcome.count > 10, "{outcome:?}");
                assert_eq!(outcome.failures, Vec::<String>::new());
                assert!(outcome.p50_us <= outcome.p99_us, "{outcome:?}");
            }
        }
    }

    #[test]
    fn a_missing_server_is_an_error() {
        let gone = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("an address");
        let args = Args { to: gone, seconds: 0.1 };
        assert!(rr::run(&args).is_err());
        assert!(!crr::run(&args).expect("counts failures").failures.is_empty());
    }
}
