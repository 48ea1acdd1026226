//! Which flows an exporter tells of, and what of each.

use crate::{buffer::Entry, event::ExportEvent};
use ciliate_flow::{Filter, FilterError, Flow, Judge, Mask, MaskError, Node};
use ciliate_hubble::{
    Timestamp,
    flow::{FlowFilter, LostEvent, LostEventSource},
};
use ciliate_observer::log::Lost;
use std::{cell::RefCell, sync::Arc};

/// Which flows, and what of them.
#[derive(Debug)]
pub struct Selection {
    judge: RefCell<Judge>,
    mask: Option<Mask>,
}

/// Why there is no such selection.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Mask(#[from] MaskError),
}

impl Selection {
    /// # Errors
    /// Says what is wrong with which filter or field.
    pub fn new(allow: &[FlowFilter], deny: &[FlowFilter], mask: &[String]) -> Result<Self, SelectionError> {
        let mask = Mask::new(mask)?;
        let judge = RefCell::new(Judge::new(Arc::new(Filter::new(allow, deny)?)));
        Ok(Self { judge, mask })
    }

    #[must_use]
    pub fn passes(&self, flow: &Flow) -> bool {
        self.judge.borrow_mut().passes(flow)
    }

    /// As Hubble has it, time and node are those of the message: a mask that leaves them out there leaves them out here.
    #[must_use]
    pub fn event(&self, entry: &Entry, node: &Arc<Node>) -> ExportEvent {
        match entry {
            Entry::Flow(flow) => {
                let message = match &self.mask {
                    None => flow.to_message(),
                    Some(mask) => mask.apply(&flow.to_message()),
                };
                ExportEvent {
                    time: message.time,
                    node_name: message.node_name.clone(),
                    flow: Some(message),
                    lost_events: None,
                }
            }
            Entry::Lost(lost) => ExportEvent {
                time: lost.last.or(lost.first).map(Timestamp::from),
                node_name: node.name.clone(),
                flow: None,
                lost_events: Some(lost_event(lost)),
            },
        }
    }
}

fn lost_event(lost: &Lost) -> LostEvent {
    LostEvent {
        source: LostEventSource::HubbleRingBuffer.into(),
        num_events_lost: lost.count,
        cpu: None,
        first: lost.first.map(Timestamp::from),
        last: lost.last.map(Timestamp::from),
    }
}
