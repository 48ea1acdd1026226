//! What happens to a packet, as functions of plain values.
//!
//! The kernel programs and the tests run this same code; they differ in what stands behind [`Packet`] and [`Tables`].
//! A packet is read into a [`Flow`], [`Decision::admit`](admission::Decision::admit) finds or judges its connection, and
//! [`from_endpoint`]/[`to_endpoint`] say where it goes. Everything that can go wrong is a [`DropReason`].
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "model"))]
extern crate std;

pub mod admission;
pub mod connection;
pub mod flow;
pub mod hook;
pub mod inquiry;
#[cfg(any(test, feature = "model"))]
pub mod model;
pub mod neighbor;
pub mod policy;
pub mod record;
pub mod scene;
pub mod tables;

pub use ciliate_abi::DropReason;
pub use flow::{Flow, Packet};
pub use hook::{Action, Receiver, from_endpoint, to_endpoint};
pub use scene::Scene;
pub use tables::Tables;
