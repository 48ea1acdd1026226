//! What Hubble's clients are told.

use super::stage::Stage;
use serde_json::Value;

/// Flows of requests that the agent has kept.
pub fn request_flows(stage: &Stage) -> Vec<Value> {
    let lines = stage.done(&["observe", "--last", "5000", "--type", "l7", "-o", "json"]);
    let flow = |line: &str| serde_json::from_str::<Value>(line).unwrap()["flow"].clone();
    lines.lines().map(flow).collect()
}
