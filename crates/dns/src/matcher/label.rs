//! Labels with stars in them.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::ops::ControlFlow;

/// A label with stars and something else: what stands before the first star, between stars, and behind the last.
#[derive(Clone, Debug)]
pub(super) struct LabelGlob {
    prefix: Box<[u8]>,
    middles: Box<[Box<[u8]>]>,
    suffix: Box<[u8]>,
    to: u32,
}

/// The steps from one node by labels with stars, grouped by the part that a name's label can be looked up with.
#[derive(Clone, Debug, Default)]
pub(super) struct Globs {
    by_prefix: Parts,
    by_suffix: Parts,
    /// Those that begin and end with a star.
    open: Vec<LabelGlob>,
}

#[derive(Clone, Debug, Default)]
struct Parts {
    /// Bit n: there is a part of n bytes. Labels have at most 63.
    lengths: u64,
    globs: HashMap<Box<[u8]>, Vec<LabelGlob>, RandomState>,
}

impl LabelGlob {
    /// `text` has at least one star.
    pub fn new(text: &[u8], to: u32) -> Self {
        let mut parts = text.split(|byte| *byte == b'*');
        let prefix = parts.next().unwrap_or_default().into();
        let suffix = parts.next_back().unwrap_or_default().into();
        let middles = parts.filter(|part| !part.is_empty()).map(Into::into).collect();
        Self { prefix, middles, suffix, to }
    }

    fn matches(&self, label: &[u8]) -> bool {
        let Some(rest) = label.strip_prefix(&*self.prefix) else { return false };
        let Some(mut rest) = rest.strip_suffix(&*self.suffix) else { return false };
        self.middles.iter().all(|middle| {
            let found = rest.windows(middle.len()).position(|window| window == &**middle);
            let after = found.and_then(|at| rest.get(at.saturating_add(middle.len())..));
            after.map(|after| rest = after).is_some()
        })
    }
}

impl Globs {
    pub fn add(&mut self, glob: LabelGlob) {
        if !glob.prefix.is_empty() {
            self.by_prefix.add(glob.prefix.clone(), glob);
        } else if !glob.suffix.is_empty() {
            self.by_suffix.add(glob.suffix.clone(), glob);
        } else {
            self.open.push(glob);
        }
    }

    /// Calls `step` with where each label that matches leads to, until it breaks off.
    pub fn visit(&self, label: &[u8], step: &mut impl FnMut(u32) -> ControlFlow<()>) -> ControlFlow<()> {
        self.by_prefix.visit(label, |len| label.get(..len), step)?;
        self.by_suffix.visit(label, |len| label.get(label.len().checked_sub(len)?..), step)?;
        step_all(&self.open, label, step)
    }
}

impl Parts {
    fn add(&mut self, part: Box<[u8]>, glob: LabelGlob) {
        let Some(bit) = u32::try_from(part.len()).ok().and_then(|len| 1_u64.checked_shl(len)) else {
            // A part longer than a label can be matches none.
            return;
        };
        self.lengths |= bit;
        self.globs.entry(part).or_default().push(glob);
    }

    fn visit<'a>(
        &self,
        label: &[u8],
        part: impl Fn(usize) -> Option<&'a [u8]>,
        step: &mut impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut lengths = self.lengths;
        while lengths != 0 {
            let len = usize::try_from(lengths.trailing_zeros()).unwrap_or(usize::MAX);
            lengths &= lengths.wrapping_sub(1);
            // Longer parts come later.
            let Some(part) = part(len) else { break };
            if let Some(globs) = self.globs.get(part) {
                step_all(globs, label, step)?;
            }
        }
        ControlFlow::Continue(())
    }
}

fn step_all(
    globs: &[LabelGlob],
    label: &[u8],
    step: &mut impl FnMut(u32) -> ControlFlow<()>,
) -> ControlFlow<()> {
    globs.iter().filter(|glob| glob.matches(label)).try_for_each(|glob| step(glob.to))
}
