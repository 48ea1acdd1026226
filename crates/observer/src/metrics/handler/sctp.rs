//! SCTP chunks.

use super::{Plan, families};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::Counter,
    key::Key,
    words,
};
use ciliate_flow::{Flow, Transport, Verdict};
use ciliate_hubble::flow::SctpChunkType;

pub struct Handler {
    context: Context,
    chunks: Family<Counter>,
}

impl Handler {
    pub fn new(plan: &Plan<'_>) -> Self {
        let chunks = plan.family(
            "hubble_sctp_chunk_types_total",
            "SCTP chunk type occurrences",
            &["chunk_type", "family"],
        );
        Self { context: plan.context(), chunks }
    }
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        let Transport::Sctp { chunk, .. } = flow.transport else { return };
        let chunk = SctpChunkType::try_from(chunk).unwrap_or_default();
        let went_on = matches!(flow.verdict, Verdict::Forwarded | Verdict::Redirected);
        if !went_on || chunk == SctpChunkType::Unsupported {
            return;
        }
        self.context.write(flow, View::Flow, key);
        key.value(chunk.as_str_name());
        key.value(words::family(flow));
        self.chunks.at(key, now, |counter| counter.add(1));
    }

    families!(chunks);
}
