//! Which flows a client wants, and what of them.

use ciliate_flow::Flow;
use ciliate_hubble::{flow, observer::GetFlowsRequest};
use tonic::Status;

pub struct Selection {}

impl Selection {
    /// # Errors
    /// `INVALID_ARGUMENT`: what is wrong in which filter.
    pub fn new(_request: &GetFlowsRequest) -> Result<Self, Status> {
        Ok(Self {})
    }

    pub fn passes(&self, _flow: &Flow) -> bool {
        true
    }

    pub fn message(&self, flow: &Flow) -> flow::Flow {
        flow.to_message()
    }
}
