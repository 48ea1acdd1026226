//! Scripts without a kernel: requests in, and what the kernel would be told, step by step.

mod churn;
mod faults;
mod keeper;
mod order;
mod story;
mod world;
