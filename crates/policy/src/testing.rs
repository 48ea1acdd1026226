//! Random worlds, a second model of what policies mean, and rule sets as a kernel would look them up.
//!
//! For tests, here and in other crates: whoever decides about traffic must agree with [`naive::verdict`].

#[cfg(test)]
mod agreement;
pub mod generate;
pub mod look_up;
pub mod naive;
pub mod world;
