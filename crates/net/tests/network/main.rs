//! Devices, routes, rules and settings in namespaces of their own. Needs root.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod endpoints;
mod masquerade;
mod router;
mod stage;
#[path = "../support/stale.rs"]
mod stale;
mod surroundings;
