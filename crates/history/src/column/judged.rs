//! What policies said, and which.

use super::{Column, Of, numbers, push, text, texts};
use ciliate_flow::{Judgement, Outcome, PolicyRef};
use std::{borrow::Cow, sync::Arc};

/// The same columns for both directions.
macro_rules! side {
    ($side:ident, $of:ident, $name:literal) => {
        &[
            text(
                concat!($name, "_judgement"),
                Of::$of,
                concat!(
                    "what policy said about ",
                    $name,
                    ": `allowed` or `denied`; null if it was not asked"
                ),
                |flow| {
                    flow.$side.as_ref().map(|judgement| match judgement.outcome {
                        Outcome::Allowed => Cow::Borrowed("allowed"),
                        Outcome::Denied => Cow::Borrowed("denied"),
                    })
                },
                |draft, text| {
                    draft.$side.outcome = Some(match text {
                        "allowed" => Outcome::Allowed,
                        "denied" => Outcome::Denied,
                        _ => return None,
                    });
                    Some(())
                },
            ),
            texts(
                concat!($name, "_policies"),
                Of::$of,
                "names of the policies that said so, or that closed the door",
                |flow, each| by(&flow.$side).for_each(|policy| each((&policy.name).into())),
                |draft, name| push(&mut draft.$side.names, name),
            ),
            texts(
                concat!($name, "_policy_namespaces"),
                Of::$of,
                "their namespaces, one for each; empty for those of the whole cluster",
                |flow, each| by(&flow.$side).for_each(|policy| each((&policy.namespace).into())),
                |draft, namespace| push(&mut draft.$side.namespaces, namespace),
            ),
            texts(
                concat!($name, "_policy_kinds"),
                Of::$of,
                "their kinds, one for each, such as `CiliumNetworkPolicy`",
                |flow, each| by(&flow.$side).for_each(|policy| each((&policy.kind).into())),
                |draft, kind| push(&mut draft.$side.kinds, kind),
            ),
            texts(
                concat!($name, "_policy_sections"),
                Of::$of,
                "the place in each that decided, such as `spec.ingress[0].toPorts[0]`",
                |flow, each| by(&flow.$side).for_each(|policy| each((&policy.section).into())),
                |draft, section| push(&mut draft.$side.sections, section),
            ),
            texts(
                concat!($name, "_policy_labels"),
                Of::$of,
                "the labels of each, as a JSON array",
                |flow, each| {
                    // Strings always serialise.
                    by(&flow.$side).for_each(|policy| {
                        each(serde_json::to_string(&policy.labels).unwrap_or_default().into());
                    });
                },
                |draft, labels| {
                    serde_json::from_str(labels).ok().map(|labels| draft.$side.labels.push(labels))
                },
            ),
            numbers(
                concat!($name, "_policy_revisions"),
                Of::$of,
                "the revision of each",
                |flow, each| by(&flow.$side).for_each(|policy| each(policy.revision.cast_signed())),
                |draft, revision| Some(draft.$side.revisions.push(revision.cast_unsigned())),
            ),
        ]
    };
}

fn by(side: &Option<Arc<Judgement>>) -> impl Iterator<Item = &PolicyRef> {
    side.iter().flat_map(|judgement| &judgement.by)
}

pub(super) const EGRESS: &[Column] = side!(egress, Egress, "egress");
pub(super) const INGRESS: &[Column] = side!(ingress, Ingress, "ingress");
