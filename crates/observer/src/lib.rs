//! Keeps the flows of a node and answers those who ask for them.

pub mod log;
