//! The host that the agent is for.

use ciliate_api::settings::Config;
use std::fs;

/// What no request can change.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    pub kernel: String,
}

impl Node {
    pub fn new(config: &Config) -> Self {
        let read =
            |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        let name = match config.node_name.as_str() {
            "" => read("/proc/sys/kernel/hostname"),
            name => name.to_owned(),
        };
        Self { name, kernel: read("/proc/sys/kernel/osrelease") }
    }
}
