//! What watchers want of the kernel and of the proxy, summed up.

use ciliate_abi::watched;
use ciliate_api::{EventKind, MonitorFilter};

/// What one watcher wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Of the kernel: [`watched`].
    pub kinds: u32,
    /// Whether with the first bytes of each packet.
    pub bytes: bool,
    /// Whether what the proxy reads.
    pub requests: bool,
}

impl Wish {
    pub fn of(filter: &MonitorFilter) -> Self {
        let kinds = match filter.types.is_empty() {
            true => watched::ALL,
            false => filter.types.iter().fold(0, |kinds, kind| kinds | bits(*kind)),
        };
        let requests = filter.types.is_empty() || filter.types.contains(&EventKind::L7);
        Self { kinds, bytes: filter.hex && kinds != 0, requests }
    }
}

fn bits(kind: EventKind) -> u32 {
    match kind {
        EventKind::Drop => watched::DROPS,
        EventKind::Trace => watched::TRACES,
        EventKind::PolicyVerdict => watched::VERDICTS,
        EventKind::L7 | EventKind::Agent | EventKind::Lost => 0,
    }
}

/// Of all watchers.
#[derive(Debug, Default)]
pub struct Wishes(Vec<Wish>);

impl Wishes {
    pub fn add(&mut self, wish: Wish) {
        self.0.push(wish);
    }

    pub fn remove(&mut self, wish: Wish) {
        if let Some(at) = self.0.iter().position(|held| *held == wish) {
            self.0.swap_remove(at);
        }
    }

    pub fn sum(&self) -> Wish {
        self.0.iter().fold(Wish::default(), |sum, wish| Wish {
            kinds: sum.kinds | wish.kinds,
            bytes: sum.bytes || wish.bytes,
            requests: sum.requests || wish.requests,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_for_is_what_somebody_still_wants() {
        let wish = |types: &[EventKind], hex| {
            Wish::of(&MonitorFilter { types: types.to_vec(), hex, ..MonitorFilter::default() })
        };
        let sum = |kinds, bytes, requests| Wish { kinds, bytes, requests };
        let mut wishes = Wishes::default();
        assert_eq!(wishes.sum(), Wish::default());
        let (drops, everything) = (wish(&[EventKind::Drop], false), wish(&[], true));
        let agent = wish(&[EventKind::Agent, EventKind::Lost], true);
        let requests = wish(&[EventKind::L7], true);
        for added in [drops, agent, everything, requests, drops] {
            wishes.add(added);
        }
        assert_eq!(wishes.sum(), sum(watched::ALL, true, true));
        wishes.remove(everything);
        assert_eq!(wishes.sum(), sum(watched::DROPS, false, true));
        wishes.remove(requests);
        assert_eq!(wishes.sum(), sum(watched::DROPS, false, false));
        wishes.remove(drops);
        assert_eq!(wishes.sum(), sum(watched::DROPS, false, false));
        wishes.remove(drops);
        assert_eq!(wishes.sum(), Wish::default());
    }
}
