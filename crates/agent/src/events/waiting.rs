//! Requests among the packets that brought them.

use ciliate_proxy::message::Access;
use std::{collections::VecDeque, vec};

/// Accesses that are told of when the packets before them were. The proxy and the kernel report on ways of their own, and clients are
/// shown flows in the order in which they are kept.
#[derive(Default)]
pub struct Waiting {
    /// As they came, each by time.
    pieces: VecDeque<vec::IntoIter<Access>>,
    count: usize,
}

/// Accesses that wait at most: with more, they are told of whatever the packets before them are.
const MOST: usize = 4096;

impl Waiting {
    pub fn put(&mut self, piece: Vec<Access>) {
        self.count = self.count.saturating_add(piece.len());
        self.pieces.push_back(piece.into_iter());
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The kernel's numbers of the rules that they are about.
    pub fn rules(&self) -> impl Iterator<Item = u32> {
        let all = self.pieces.iter().flat_map(vec::IntoIter::as_slice);
        all.flat_map(|access| access.closed_by.iter().copied().chain([access.rule]))
    }

    /// The next, if it is from before a moment, in nanoseconds since 1970, or too many wait.
    pub fn before(&mut self, moment: u64) -> Option<Access> {
        loop {
            let piece = self.pieces.front_mut()?;
            match piece.as_slice().first() {
                None => drop(self.pieces.pop_front()),
                Some(first) if first.time < moment || self.count > MOST => {
                    self.count = self.count.saturating_sub(1);
                    return piece.next();
                }
                Some(_) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_proxy::message::{Message, Side, Verdict, What};
    use ciliate_types::Identity;

    fn at(time: u64) -> Access {
        Access {
            time,
            message: Message::Request,
            client: "10.0.0.1:4000".parse().unwrap(),
            server: "10.0.0.2:80".parse().unwrap(),
            client_identity: Identity::new(1),
            server_identity: Identity::new(2),
            client_endpoint: None,
            server_endpoint: None,
            transport: 6,
            verdict: Verdict::Forwarded,
            direction: Side::Ingress,
            rule: u32::try_from(time).unwrap(),
            closed_by: vec![7],
            latency: None,
            what: What::Malformed { reason: String::new() },
        }
    }

    #[test]
    fn requests_come_when_the_packets_before_them_were() {
        let mut waiting = Waiting::default();
        waiting.put(vec![at(1), at(3)]);
        waiting.put(Vec::new());
        waiting.put(vec![at(3), at(9)]);
        assert_eq!(waiting.rules().collect::<Vec<_>>(), [7, 1, 7, 3, 7, 3, 7, 9]);
        let mut until =
            |moment| std::iter::from_fn(|| waiting.before(moment)).map(|one| one.time).collect::<Vec<_>>();
        assert_eq!(until(1), [0; 0]);
        assert_eq!(until(3), [1]);
        assert_eq!(until(4), [3, 3]);
        assert_eq!(until(u64::MAX), [9]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn no_more_than_so_many_wait() {
        let mut waiting = Waiting::default();
        waiting.put((0..MOST as u64 + 3).map(|time| at(100 + time)).collect());
        let told: Vec<u64> = std::iter::from_fn(|| waiting.before(0)).map(|one| one.time).collect();
        assert_eq!(told, [100, 101, 102]);
    }
}
