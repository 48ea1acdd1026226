//! Scripts without a kernel: requests in, and what the kernel would be told, step by step.

mod churn;
mod faults;
mod naming;
mod order;
mod story;
mod world;
