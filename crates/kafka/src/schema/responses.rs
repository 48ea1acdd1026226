//! Responses, as far as the proxy reads them.

use super::{Field, Kind::*, field};

/// What precedes the topics of a MetadataResponse, versions 0 to 13.
pub(crate) const METADATA_HEAD: &[Field] = &[
    field("throttle_time_ms", I32).since(3),
    field(
        "brokers",
        Array(&[
            field("node_id", I32),
            field("host", Text),
            field("port", I32),
            field("rack", Text).since(1),
        ]),
    ),
    field("cluster_id", Text).since(2),
    field("controller_id", I32).since(1),
];

/// The topics of a MetadataResponse.
pub(crate) const METADATA_TOPICS: Field = field(
    "topics",
    Array(&[
        field("error_code", I16),
        field("name", Topic),
        field("topic_id", TopicId).since(10),
        field("is_internal", I8).since(1),
        field(
            "partitions",
            Array(&[
                field("error_code", I16),
                field("partition_index", I32),
                field("leader_id", I32),
                field("leader_epoch", I32).since(7),
                field("replica_nodes", Array(&[field("", I32)])),
                field("isr_nodes", Array(&[field("", I32)])),
                field("offline_replicas", Array(&[field("", I32)])).since(5),
            ]),
        ),
        field("topic_authorized_operations", I32).since(8),
    ]),
);
