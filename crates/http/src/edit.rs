//! Changes to a head that rules ask for.

/// A change to the headers of a request that is otherwise forwarded as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// One more line, behind the others.
    Add { name: Box<str>, value: Box<[u8]> },
    /// Every line of this name is taken out.
    Remove { name: Box<str> },
    /// Every line of this name is taken out, and one with this value put behind the others.
    Replace { name: Box<str>, value: Box<[u8]> },
}
