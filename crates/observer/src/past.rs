//! Flows that are no longer in memory.

use crate::Observer;
use ciliate_flow::{Flow, Time};
use ciliate_history::{EndHint, Hint, Hints, Order, PodHint, Reader};
use ciliate_hubble::{flow::FlowFilter, observer::GetFlowsRequest};
use std::ops::ControlFlow;
use tokio::{sync::mpsc, task};
use tonic::Status;

/// Flows on their way from the disk to a client.
const WAITING: usize = 256;

/// What a client wants of the history: flows since a moment that are no longer in memory.
#[derive(Clone, Debug)]
pub struct Past {
    reader: Reader,
    hints: Hints,
}

impl Past {
    /// None where the client named no moment, or nothing since then has left memory, or there is no history.
    ///
    /// What has left memory mostly is older than what has not, but a clock may have been set back since.
    pub fn new(observer: &Observer, request: &GetFlowsRequest) -> Option<Self> {
        let since = Time::from(request.since.as_ref()?);
        let reader = observer.history()?.clone();
        let last = match (observer.flows().kept(), observer.departed()) {
            (0, _) => None,
            (_, Some(departed)) if departed >= since => Some(departed),
            (_, Some(_) | None) => return None,
        };
        let until = request.until.as_ref().map(Time::from);
        let until = match (until, last) {
            (Some(until), Some(last)) => Some(until.min(last)),
            (until, last) => until.or(last),
        };
        let any_of = request.whitelist.iter().map(hint).collect();
        Some(Self { reader, hints: Hints { since: Some(since), until, any_of } })
    }

    /// The flows that pass, one after the other; the channel ends with them, or with why the history cannot be read.
    pub fn read(
        self,
        order: Order,
        mut passes: impl FnMut(&Flow) -> bool + Send + 'static,
    ) -> mpsc::Receiver<Result<Flow, Status>> {
        let (out, flows) = mpsc::channel(WAITING);
        task::spawn_blocking(move || {
            let mut each = |flow: Flow| match passes(&flow) {
                false if out.is_closed() => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
                true => match out.blocking_send(Ok(flow)) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                },
            };
            match self.reader.query(&self.hints, order, &mut each) {
                Ok(outcome) => {
                    for fault in outcome.faults {
                        tracing::warn!(%fault, "a file of the history was left out");
                    }
                }
                Err(error) => {
                    // Whoever has gone need not know.
                    let _ = out
                        .blocking_send(Err(Status::unavailable(format!("cannot read the history: {error}"))));
                }
            }
        });
        flows
    }
}

/// What of a filter can be looked up; leaves out what cannot.
fn hint(filter: &FlowFilter) -> Hint {
    Hint {
        verdicts: filter.verdict().collect(),
        source: EndHint {
            pods: pods(&filter.source_pod),
            identities: filter.source_identity.clone(),
            addresses: all(&filter.source_ip),
            ports: all(&filter.source_port),
        },
        destination: EndHint {
            pods: pods(&filter.destination_pod),
            identities: filter.destination_identity.clone(),
            addresses: all(&filter.destination_ip),
            ports: all(&filter.destination_port),
        },
    }
}

/// None if one of them is more than a value.
fn all<T: std::str::FromStr>(texts: &[String]) -> Vec<T> {
    texts.iter().map(|text| text.parse().ok()).collect::<Option<Vec<T>>>().unwrap_or_default()
}

/// Those of the form `namespace/prefix`; none if one has another.
fn pods(texts: &[String]) -> Vec<PodHint> {
    let hint = |text: &String| {
        let (namespace, prefix) = text.split_once('/').filter(|(namespace, _)| !namespace.is_empty())?;
        Some(PodHint { namespace: Some(namespace.to_owned()), prefix: prefix.to_owned() })
    };
    texts.iter().map(hint).collect::<Option<Vec<_>>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn only_what_is_certain_is_looked_up() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let filter = FlowFilter {
            source_pod: texts(&["demo/web", "demo/"]),
            source_ip: texts(&["10.0.0.1", "10.1.0.0/16"]),
            destination_pod: texts(&["demo/web", "web"]),
            destination_ip: texts(&["10.0.0.1", "fd00::1"]),
            destination_port: texts(&["80"]),
            ..FlowFilter::default()
        };
        let pod = |prefix: &str| PodHint { namespace: Some("demo".to_owned()), prefix: prefix.to_owned() };
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let expected = Hint {
            verdicts: Vec::new(),
            source: EndHint { pods: vec![pod("web"), pod("")], ..EndHint::default() },
            destination: EndHint {
                addresses: vec![address("10.0.0.1"), address("fd00::1")],
                ports: vec![80],
                ..EndHint::default()
            },
        };
        assert_eq!(hint(&filter), expected);
    }
}
