//! Requests that look after topics, configurations and rights.
//! Names, types and versions are those of the message definitions of Apache Kafka 4.1 (`clients/src/main/resources/common/message`).

use super::{Field, Kind::*, Missing, TOPICS_WITH_PARTITIONS, field};

/// CreateTopicsRequest, versions 2 to 7.
pub(crate) const CREATE_TOPICS: &[Field] = &[
    field(
        "topics",
        Array(&[
            field("name", Topic),
            field("num_partitions", I32),
            field("replication_factor", I16),
            field(
                "assignments",
                Array(&[field("partition_index", I32), field("broker_ids", Array(&[field("", I32)]))]),
            ),
            field("configs", Array(&[field("name", Text), field("value", Text)])),
        ]),
    ),
    field("timeout_ms", I32),
    field("validate_only", I8),
];

/// DeleteTopicsRequest, versions 1 to 6.
pub(crate) const DELETE_TOPICS: &[Field] = &[
    field("topics", Array(&[field("name", Topic).since(6), field("topic_id", TopicId).since(6)])).since(6),
    field("topic_names", Array(&[field("", Topic)])).until(5),
    field("timeout_ms", I32),
];

/// CreateAclsRequest, versions 1 to 3.
pub(crate) const CREATE_ACLS: &[Field] = &[field(
    "creations",
    Each(&[
        field("resource_type", I8),
        field("resource_name", Text),
        field("resource_pattern_type", I8),
        field("principal", Text),
        field("host", Text),
        field("operation", I8),
        field("permission_type", I8),
    ]),
)];

/// DeleteAclsRequest, versions 1 to 3.
pub(crate) const DELETE_ACLS: &[Field] = &[field(
    "filters",
    Each(&[
        field("resource_type_filter", I8),
        field("resource_name_filter", Text),
        field("pattern_type_filter", I8),
        field("principal_filter", Text),
        field("host_filter", Text),
        field("operation", I8),
        field("permission_type", I8),
    ]),
)];

/// DescribeConfigsRequest, versions 1 to 4.
pub(crate) const DESCRIBE_CONFIGS: &[Field] = &[
    field(
        "resources",
        Array(&[
            field("resource_type", ResourceType),
            field("resource_name", Resource),
            field("configuration_keys", Array(&[field("", Text)])),
        ]),
    ),
    field("include_synonyms", I8),
    field("include_documentation", I8).since(3),
];

/// AlterConfigsRequest, versions 0 to 2.
pub(crate) const ALTER_CONFIGS: &[Field] = &[
    field(
        "resources",
        Array(&[
            field("resource_type", ResourceType),
            field("resource_name", Resource),
            field("configs", Array(&[field("name", Text), field("value", Text)])),
        ]),
    ),
    field("validate_only", I8),
];

/// AlterReplicaLogDirsRequest, versions 1 to 2.
pub(crate) const ALTER_REPLICA_LOG_DIRS: &[Field] =
    &[field("dirs", Array(&[field("path", Text), field("topics", TOPICS_WITH_PARTITIONS)]))];

/// DescribeLogDirsRequest, versions 1 to 4.
pub(crate) const DESCRIBE_LOG_DIRS: &[Field] = &[field(
    "topics",
    Listed(
        &[field("topic", Topic), field("partitions", Array(&[field("", Partition)]))],
        Missing::NullIsEvery { empty_until: -1 },
    ),
)];

/// CreatePartitionsRequest, versions 0 to 3.
pub(crate) const CREATE_PARTITIONS: &[Field] = &[
    field(
        "topics",
        Array(&[
            field("name", Topic),
            field("count", I32),
            field("assignments", Array(&[field("broker_ids", Array(&[field("", I32)]))])),
        ]),
    ),
    field("timeout_ms", I32),
    field("validate_only", I8),
];

/// ElectLeadersRequest, versions 0 to 2.
pub(crate) const ELECT_LEADERS: &[Field] = &[
    field("election_type", I8).since(1),
    field(
        "topic_partitions",
        Listed(
            &[field("topic", Topic), field("partitions", Array(&[field("", Partition)]))],
            Missing::NullIsEvery { empty_until: -1 },
        ),
    ),
    field("timeout_ms", I32),
];

/// IncrementalAlterConfigsRequest, versions 0 to 1.
pub(crate) const INCREMENTAL_ALTER_CONFIGS: &[Field] = &[
    field(
        "resources",
        Array(&[
            field("resource_type", ResourceType),
            field("resource_name", Resource),
            field(
                "configs",
                Array(&[field("name", Text), field("config_operation", I8), field("value", Text)]),
            ),
        ]),
    ),
    field("validate_only", I8),
];

/// AlterPartitionReassignmentsRequest, versions 0 to 1.
pub(crate) const ALTER_PARTITION_REASSIGNMENTS: &[Field] = &[
    field("timeout_ms", I32),
    field("allow_replication_factor_change", I8).since(1),
    field(
        "topics",
        Array(&[
            field("name", Topic),
            field(
                "partitions",
                Array(&[field("partition_index", Partition), field("replicas", Array(&[field("", I32)]))]),
            ),
        ]),
    ),
];

/// ListPartitionReassignmentsRequest, versions 0 to 0.
pub(crate) const LIST_PARTITION_REASSIGNMENTS: &[Field] = &[
    field("timeout_ms", I32),
    field(
        "topics",
        Listed(
            &[field("name", Topic), field("partition_indexes", Array(&[field("", Partition)]))],
            Missing::NullIsEvery { empty_until: -1 },
        ),
    ),
];

/// AlterClientQuotasRequest, versions 0 to 1.
pub(crate) const ALTER_CLIENT_QUOTAS: &[Field] = &[
    field(
        "entries",
        Each(&[
            field("entity", Array(&[field("entity_type", Key), field("entity_name", Key)])),
            field("ops", Array(&[field("key", Text), field("value", I64), field("remove", I8)])),
        ]),
    ),
    field("validate_only", I8),
];

/// AlterUserScramCredentialsRequest, versions 0 to 0.
pub(crate) const ALTER_USER_SCRAM_CREDENTIALS: &[Field] = &[
    field("deletions", Array(&[field("name", Key), field("mechanism", I8)])),
    field(
        "upsertions",
        Array(&[
            field("name", Key),
            field("mechanism", I8),
            field("iterations", I32),
            field("salt", Blob),
            field("salted_password", Blob),
        ]),
    ),
];
