//! Sets of selectors, each kept once.

use super::table::{Row, Table};
use crate::matcher::SelectorId;
use std::sync::Arc;

/// Ascending, each once.
pub type SelectorSet = Arc<[SelectorId]>;

/// The number of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SetId(u32);

impl SetId {
    pub const EMPTY: Self = Self(0);
}

#[derive(Debug)]
struct SetRow {
    members: SelectorSet,
    /// How many names and addresses have this set.
    uses: u32,
}

impl Row for SetRow {
    type Key<'a> = &'a [SelectorId];

    fn key(&self) -> &[SelectorId] {
        &self.members
    }
}

#[derive(Debug)]
pub(super) struct Sets {
    rows: Table<SetRow>,
    empty: SelectorSet,
}

impl Default for Sets {
    fn default() -> Self {
        let empty = SelectorSet::from([]);
        let mut rows = Table::default();
        // Number 0, never given back.
        rows.insert(SetRow { members: empty.clone(), uses: 1 });
        Self { rows, empty }
    }
}

impl Sets {
    pub fn members(&self, set: SetId) -> &SelectorSet {
        self.rows.get(set.0).map_or(&self.empty, |row| &row.members)
    }

    /// The set with these members, ascending, for one more user.
    pub fn acquire(&mut self, members: &[SelectorId]) -> SetId {
        let at = self
            .rows
            .find(members)
            .unwrap_or_else(|| self.rows.insert(SetRow { members: members.into(), uses: 0 }));
        self.acquire_again(SetId(at))
    }

    pub fn acquire_again(&mut self, set: SetId) -> SetId {
        if let Some(row) = self.rows.get_mut(set.0).filter(|_| set != SetId::EMPTY) {
            row.uses = row.uses.saturating_add(1);
        }
        set
    }

    pub fn release(&mut self, set: SetId) {
        let Some(row) = self.rows.get_mut(set.0).filter(|_| set != SetId::EMPTY) else { return };
        row.uses = row.uses.saturating_sub(1);
        if row.uses == 0 {
            self.rows.remove(set.0);
        }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }
}
