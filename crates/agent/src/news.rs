//! What the agent did, for whoever watches it.

use crate::state::EndpointRow;
use ciliate_flow::Time;
use ciliate_hubble::{
    Timestamp,
    flow::{
        AgentEvent, AgentEventType, AgentEventUnknown, EndpointRegenNotification, EndpointUpdateNotification,
        PolicyUpdateNotification, TimeNotification, agent_event::Notification,
    },
};
use ciliate_types::{EndpointId, Labels};

/// One thing that the agent did.
pub enum News<'a> {
    Started(Time),
    /// Objects were applied, changed or deleted.
    PolicyUpdated {
        objects: &'a [String],
        revision: u64,
        policies: usize,
    },
    EndpointCreated(&'a EndpointRow),
    /// Its labels or its audit mode.
    EndpointChanged(&'a EndpointRow),
    EndpointDeleted {
        row: &'a EndpointRow,
        why: &'a str,
    },
    /// A map is nearly full.
    MapPressure(&'a str),
}

impl News<'_> {
    /// As `ciliate monitor` names it.
    pub fn subject(&self) -> &'static str {
        match self {
            Self::Started(_) => "agent-started",
            Self::PolicyUpdated { .. } => "policy-updated",
            Self::EndpointCreated(_) => "endpoint-created",
            Self::EndpointChanged(_) => "endpoint-changed",
            Self::EndpointDeleted { .. } => "endpoint-deleted",
            Self::MapPressure(_) => "map-pressure",
        }
    }

    pub fn text(&self) -> String {
        match self {
            Self::Started(_) => env!("CARGO_PKG_VERSION").to_owned(),
            Self::PolicyUpdated { objects, .. } => objects.join(", "),
            Self::EndpointCreated(row) | Self::EndpointChanged(row) => row.stored.full_name(),
            Self::EndpointDeleted { row, why } => format!("{}: {why}", row.stored.full_name()),
            Self::MapPressure(text) => (*text).to_owned(),
        }
    }

    pub fn endpoint(&self) -> Option<EndpointId> {
        match self {
            Self::EndpointCreated(row) | Self::EndpointChanged(row) | Self::EndpointDeleted { row, .. } => {
                Some(row.stored.id)
            }
            Self::Started(_) | Self::PolicyUpdated { .. } | Self::MapPressure(_) => None,
        }
    }

    /// As Hubble's clients are told of it.
    pub fn event(&self) -> AgentEvent {
        let (kind, notification) = match self {
            Self::Started(time) => (
                AgentEventType::AgentStarted,
                Notification::AgentStart(TimeNotification { time: Some(Timestamp::from(*time)) }),
            ),
            Self::PolicyUpdated { objects, revision, policies } => (
                AgentEventType::PolicyUpdated,
                Notification::PolicyUpdate(PolicyUpdateNotification {
                    labels: objects.to_vec(),
                    revision: *revision,
                    rule_count: i64::try_from(*policies).unwrap_or(i64::MAX),
                }),
            ),
            Self::EndpointCreated(row) => {
                (AgentEventType::EndpointCreated, Notification::EndpointUpdate(update(row)))
            }
            Self::EndpointDeleted { row, .. } => {
                (AgentEventType::EndpointDeleted, Notification::EndpointUpdate(update(row)))
            }
            Self::EndpointChanged(row) => (
                AgentEventType::EndpointRegenerateSuccess,
                Notification::EndpointRegenerate(EndpointRegenNotification {
                    id: row.stored.id.get().into(),
                    labels: texts(&row.labels),
                    error: String::new(),
                }),
            ),
            Self::MapPressure(text) => (
                AgentEventType::AgentEventUnknown,
                Notification::Unknown(AgentEventUnknown {
                    r#type: self.subject().to_owned(),
                    notification: (*text).to_owned(),
                }),
            ),
        };
        AgentEvent { r#type: kind.into(), notification: Some(notification) }
    }
}

fn update(row: &EndpointRow) -> EndpointUpdateNotification {
    EndpointUpdateNotification {
        id: row.stored.id.get().into(),
        labels: texts(&row.labels),
        error: String::new(),
        pod_name: row.stored.name.clone(),
        namespace: row.stored.namespace.clone(),
    }
}

fn texts(labels: &Labels) -> Vec<String> {
    labels.iter().map(ToString::to_string).collect()
}
