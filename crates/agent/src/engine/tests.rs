//! Scripts without a kernel: requests in, and what the kernel would be told, step by step.

mod faults;
mod order;
mod story;
mod world;
