//! Requests about groups and their offsets.
//! Names, types and versions are those of the message definitions of Apache Kafka 4.1 (`clients/src/main/resources/common/message`).

use super::{Field, Kind::*, Missing, field};

/// OffsetCommitRequest, versions 2 to 9.
pub(crate) const OFFSET_COMMIT: &[Field] = &[
    field("group_id", Text),
    field("generation_id_or_member_epoch", I32),
    field("member_id", Text),
    field("group_instance_id", Text).since(7),
    field("retention_time_ms", I64).until(4),
    field(
        "topics",
        Array(&[
            field("name", Topic),
            field(
                "partitions",
                Array(&[
                    field("partition_index", Partition),
                    field("committed_offset", I64),
                    field("committed_leader_epoch", I32).since(6),
                    field("committed_metadata", Text),
                ]),
            ),
        ]),
    ),
];

/// OffsetFetchRequest, versions 1 to 9.
pub(crate) const OFFSET_FETCH: &[Field] = &[
    field("group_id", Text).until(7),
    field(
        "topics",
        Listed(
            &[
                field("name", Topic).until(7),
                field("partition_indexes", Array(&[field("", Partition)])).until(7),
            ],
            Missing::NullIsEvery { empty_until: -1 },
        ),
    )
    .until(7),
    field(
        "groups",
        Array(&[
            field("group_id", Key).since(8),
            field("member_id", Text).since(9),
            field("member_epoch", I32).since(9),
            field(
                "topics",
                Listed(
                    &[
                        field("name", Topic).since(8),
                        field("partition_indexes", Array(&[field("", Partition)])).since(8),
                    ],
                    Missing::NullIsEvery { empty_until: -1 },
                ),
            )
            .since(8),
        ]),
    )
    .since(8),
    field("require_stable", I8).since(7),
];

/// TxnOffsetCommitRequest, versions 0 to 5.
pub(crate) const TXN_OFFSET_COMMIT: &[Field] = &[
    field("transactional_id", Text),
    field("group_id", Text),
    field("producer_id", I64),
    field("producer_epoch", I16),
    field("generation_id", I32).since(3),
    field("member_id", Text).since(3),
    field("group_instance_id", Text).since(3),
    field(
        "topics",
        Array(&[
            field("name", Topic),
            field(
                "partitions",
                Array(&[
                    field("partition_index", Partition),
                    field("committed_offset", I64),
                    field("committed_leader_epoch", I32).since(2),
                    field("committed_metadata", Text),
                ]),
            ),
        ]),
    ),
];

/// OffsetDeleteRequest, versions 0 to 0.
pub(crate) const OFFSET_DELETE: &[Field] = &[
    field("group_id", Text),
    field(
        "topics",
        Array(&[field("name", Topic), field("partitions", Array(&[field("partition_index", Partition)]))]),
    ),
];

/// FindCoordinatorRequest, versions 0 to 6.
pub(crate) const FIND_COORDINATOR: &[Field] = &[
    field("key", Text).until(3),
    field("key_type", ResourceType).since(1),
    field("coordinator_keys", Array(&[field("", Key)])).since(4),
];

/// DescribeGroupsRequest, versions 0 to 6.
pub(crate) const DESCRIBE_GROUPS: &[Field] =
    &[field("groups", Array(&[field("", Key)])), field("include_authorized_operations", I8).since(3)];

/// DeleteGroupsRequest, versions 0 to 2.
pub(crate) const DELETE_GROUPS: &[Field] = &[field("groups_names", Array(&[field("", Key)]))];

/// ConsumerGroupHeartbeatRequest, versions 0 to 1.
pub(crate) const CONSUMER_GROUP_HEARTBEAT: &[Field] = &[
    field("group_id", Text),
    field("member_id", Text),
    field("member_epoch", I32),
    field("instance_id", Text),
    field("rack_id", Text),
    field("rebalance_timeout_ms", I32),
    field("subscribed_topic_names", Array(&[field("", Topic)])),
    field("subscribed_topic_regex", Pattern).since(1),
    field("server_assignor", Text),
    field(
        "topic_partitions",
        Array(&[field("topic_id", Uuid), field("partitions", Array(&[field("", Partition)]))]),
    ),
];

/// ConsumerGroupDescribeRequest, versions 0 to 1.
pub(crate) const CONSUMER_GROUP_DESCRIBE: &[Field] =
    &[field("group_ids", Array(&[field("", Key)])), field("include_authorized_operations", I8)];

/// ShareGroupHeartbeatRequest, versions 1 to 1.
pub(crate) const SHARE_GROUP_HEARTBEAT: &[Field] = &[
    field("group_id", Text),
    field("member_id", Text),
    field("member_epoch", I32),
    field("rack_id", Text),
    field("subscribed_topic_names", Array(&[field("", Topic)])),
];

/// ShareGroupDescribeRequest, versions 1 to 1.
pub(crate) const SHARE_GROUP_DESCRIBE: &[Field] =
    &[field("group_ids", Array(&[field("", Key)])), field("include_authorized_operations", I8)];

/// DescribeShareGroupOffsetsRequest, versions 0 to 0.
pub(crate) const DESCRIBE_SHARE_GROUP_OFFSETS: &[Field] = &[field(
    "groups",
    Array(&[
        field("group_id", Key),
        field(
            "topics",
            Listed(
                &[field("topic_name", Topic), field("partitions", Array(&[field("", Partition)]))],
                Missing::NullIsEvery { empty_until: -1 },
            ),
        ),
    ]),
)];

/// AlterShareGroupOffsetsRequest, versions 0 to 0.
pub(crate) const ALTER_SHARE_GROUP_OFFSETS: &[Field] = &[
    field("group_id", Text),
    field(
        "topics",
        Array(&[
            field("topic_name", Topic),
            field("partitions", Array(&[field("partition_index", Partition), field("start_offset", I64)])),
        ]),
    ),
];

/// DeleteShareGroupOffsetsRequest, versions 0 to 0.
pub(crate) const DELETE_SHARE_GROUP_OFFSETS: &[Field] =
    &[field("group_id", Text), field("topics", Array(&[field("topic_name", Topic)]))];
