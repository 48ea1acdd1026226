//! What watchers want of the kernel, summed up.

use ciliate_abi::watched;
use ciliate_api::{EventKind, MonitorFilter};

/// What one watcher wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// [`watched`].
    pub kinds: u32,
    /// Whether with the first bytes of each packet.
    pub bytes: bool,
}

impl Wish {
    pub fn of(filter: &MonitorFilter) -> Self {
        let kinds = match filter.types.is_empty() {
            true => watched::ALL,
            false => filter.types.iter().fold(0, |kinds, kind| kinds | bits(*kind)),
        };
        Self { kinds, bytes: filter.hex && kinds != 0 }
    }
}

fn bits(kind: EventKind) -> u32 {
    match kind {
        EventKind::Drop => watched::DROPS,
        EventKind::Trace => watched::TRACES,
        EventKind::PolicyVerdict => watched::VERDICTS,
        EventKind::Agent | EventKind::Lost => 0,
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
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_for_what_somebody_still_wants() {
        let wish = |types: &[EventKind], hex| {
            Wish::of(&MonitorFilter { types: types.to_vec(), hex, ..MonitorFilter::default() })
        };
        let mut wishes = Wishes::default();
        assert_eq!(wishes.sum(), Wish { kinds: 0, bytes: false });
        let (drops, everything) = (wish(&[EventKind::Drop], false), wish(&[], true));
        let agent = wish(&[EventKind::Agent, EventKind::Lost], true);
        for added in [drops, agent, everything, drops] {
            wishes.add(added);
        }
        assert_eq!(wishes.sum(), Wish { kinds: watched::ALL, bytes: true });
        wishes.remove(everything);
        assert_eq!(wishes.sum(), Wish { kinds: watched::DROPS, bytes: false });
        wishes.remove(drops);
        assert_eq!(wishes.sum(), Wish { kinds: watched::DROPS, bytes: false });
        wishes.remove(drops);
        assert_eq!(wishes.sum(), Wish { kinds: 0, bytes: false });
    }
}
