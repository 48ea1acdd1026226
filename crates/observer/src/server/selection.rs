//! Which flows a client wants, and what of them.

use ciliate_flow::{Filter, Flow, Judge, Mask, shortened};
use ciliate_hubble::{flow, observer::GetFlowsRequest};
use std::sync::Arc;
use tonic::Status;

pub struct Selection {
    filter: Arc<Filter>,
    mask: Option<Mask>,
}

impl Selection {
    /// # Errors
    /// `INVALID_ARGUMENT`: what is wrong in which filter or mask.
    pub fn new(request: &GetFlowsRequest) -> Result<Self, Status> {
        let filter = Filter::new(&request.whitelist, &request.blacklist)
            .map_err(|error| Status::invalid_argument(shortened(&error.to_string())))?;
        let paths = request.field_mask.as_ref().map_or(&[][..], |mask| &mask.paths);
        let mask =
            Mask::new(paths).map_err(|error| Status::invalid_argument(format!("field_mask: {error}")))?;
        Ok(Self { filter: Arc::new(filter), mask })
    }

    /// Says which flows are wanted; one for each who reads.
    pub fn judge(&self) -> Judge {
        Judge::new(Arc::clone(&self.filter))
    }

    pub fn message(&self, flow: &Flow) -> flow::Flow {
        let message = flow.to_message();
        match &self.mask {
            Some(mask) => mask.apply(&message),
            None => message,
        }
    }
}
