//! Conversations through the crate's public interface, byte for byte.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod bypass;
mod corpus;
mod driver;
mod frames;
mod h1;
mod h2;
mod naive;
mod peers;
mod properties;
mod rules;
