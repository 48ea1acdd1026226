//! Network policies to rule sets, and the reasons for every verdict. Pure: no clock, no sockets, no kernel.

pub mod rule_set;
