//! Values that nobody is to see.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A secret value: it is stored and sent, and never printed.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Concealed(Vec<u8>);

impl Concealed {
    #[must_use]
    pub const fn new(value: Vec<u8>) -> Self {
        Self(value)
    }

    /// To be used, not shown.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Concealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(concealed)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_concealed_is_not_printed() {
        assert_eq!(format!("{:?}", Some(Concealed::new(b"token".to_vec()))), "Some((concealed))");
    }
}
