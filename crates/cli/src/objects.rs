//! `apply`, `get`, `delete` and `validate`: policies and the other objects that users write.

pub mod apply;
pub mod delete;
pub mod get;
mod kind;
pub mod source;
pub mod validate;
pub mod view;
