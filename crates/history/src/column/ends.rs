//! Who sent and who was sent to.

use super::{Column, Of, Width, filled, number, push, put, put_text, some, text, texts};
use ciliate_flow::Service;

/// The same columns for both ends.
macro_rules! end {
    ($end:ident, $service:ident, $of:ident, $names:ident, $address:ident, $name:literal) => {
        &[
            text(
                concat!($name, "_address"),
                Of::$address,
                concat!("IP address of the ", $name),
                |flow| flow.$end.address.map(|address| address.to_string().into()),
                |draft, text| text.parse().ok().map(|address| draft.$end.address = Some(address)),
            ),
            number(
                concat!($name, "_endpoint"),
                Of::$of,
                "number of the endpoint on its node; null if it is none of this node",
                Width::U32,
                |flow| some(flow.$end.party.endpoint),
                |draft, endpoint| put(&mut draft.$end.party.endpoint, endpoint),
            ),
            number(
                concat!($name, "_identity"),
                Of::$of,
                "number of its security identity",
                Width::U32,
                |flow| some(flow.$end.party.identity),
                |draft, identity| put(&mut draft.$end.party.identity, identity),
            ),
            text(
                concat!($name, "_cluster"),
                Of::$of,
                "its cluster",
                |flow| filled(&flow.$end.party.cluster),
                |draft, cluster| put_text(&mut draft.$end.party.cluster, cluster),
            ),
            text(
                concat!($name, "_namespace"),
                Of::$of,
                "its namespace",
                |flow| filled(&flow.$end.party.namespace),
                |draft, namespace| put_text(&mut draft.$end.party.namespace, namespace),
            ),
            text(
                concat!($name, "_pod"),
                Of::$of,
                "name of the pod, container or process",
                |flow| filled(&flow.$end.party.pod),
                |draft, pod| put_text(&mut draft.$end.party.pod, pod),
            ),
            texts(
                concat!($name, "_labels"),
                Of::$of,
                "its labels with their sources, such as `k8s:org=empire`, sorted",
                |flow, each| flow.$end.party.labels.iter().for_each(|label| each(label.into())),
                |draft, label| push(&mut draft.$end.party.labels, label),
            ),
            texts(
                concat!($name, "_workloads"),
                Of::$of,
                "names of what it belongs to",
                |flow, each| {
                    flow.$end.party.workloads.iter().for_each(|workload| each((&workload.name).into()))
                },
                |draft, name| push(&mut draft.$end.workload_names, name),
            ),
            texts(
                concat!($name, "_workload_kinds"),
                Of::$of,
                "their kinds, one for each, such as `Deployment`",
                |flow, each| {
                    flow.$end.party.workloads.iter().for_each(|workload| each((&workload.kind).into()))
                },
                |draft, kind| push(&mut draft.$end.workload_kinds, kind),
            ),
            texts(
                concat!($name, "_names"),
                Of::$names,
                "DNS names that the address was resolved from",
                |flow, each| {
                    flow.$end.names.iter().flat_map(|names| names.iter()).for_each(|name| each(name.into()))
                },
                |draft, name| push(&mut draft.$end.names, name),
            ),
            text(
                concat!($name, "_service"),
                Of::Rare,
                "name of the service that the address belongs to",
                |flow| flow.rare.as_ref().and_then(|rare| filled(&rare.$service.name)),
                |draft, name| put_text(&mut draft.rare.$service.name, name),
            ),
            text(
                concat!($name, "_service_namespace"),
                Of::Rare,
                "its namespace",
                |flow| {
                    flow.rare.as_ref().and_then(|rare| {
                        let Service { name: _, namespace } = &rare.$service;
                        filled(namespace)
                    })
                },
                |draft, namespace| put_text(&mut draft.rare.$service.namespace, namespace),
            ),
        ]
    };
}

pub(super) const SOURCE: &[Column] =
    end!(source, source_service, Source, SourceNames, SourceAddress, "source");
pub(super) const DESTINATION: &[Column] =
    end!(destination, destination_service, Destination, DestinationNames, DestinationAddress, "destination");
pub(super) const TRANSLATED: &[Column] = &[text(
    "source_translated",
    Of::Rare,
    "address of the source after translation",
    |flow| {
        let translated = flow.rare.as_ref().and_then(|rare| rare.source_translated);
        translated.map(|address| address.to_string().into())
    },
    |draft, text| text.parse().ok().map(|address| draft.rare.source_translated = Some(address)),
)];
