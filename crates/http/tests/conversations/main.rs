//! Conversations through the crate's public interface, byte for byte.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod bypass;
mod driver;
mod h1;
mod naive;
mod properties;
mod rules;
