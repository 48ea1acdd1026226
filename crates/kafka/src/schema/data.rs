//! Requests that move records or ask where they are.
//! Names, types and versions are those of the message definitions of Apache Kafka 4.1 (`clients/src/main/resources/common/message`).

use super::{Field, Kind::*, Missing, TOPICS_WITH_INDEXES, TOPICS_WITH_PARTITIONS, field};

/// ProduceRequest, versions 3 to 13.
pub(crate) const PRODUCE: &[Field] = &[
    field("transactional_id", Text),
    field("acks", Acks),
    field("timeout_ms", I32),
    field(
        "topic_data",
        Array(&[
            field("name", Topic).until(12),
            field("topic_id", TopicId).since(13),
            field("partition_data", Array(&[field("index", Partition), field("records", Blob)])),
        ]),
    ),
];

/// FetchRequest, versions 4 to 18.
pub(crate) const FETCH: &[Field] = &[
    field("replica_id", I32).until(14),
    field("max_wait_ms", I32),
    field("min_bytes", I32),
    field("max_bytes", I32),
    field("isolation_level", I8),
    field("session_id", SessionId).since(7),
    field("session_epoch", SessionEpoch).since(7),
    field(
        "topics",
        Array(&[
            field("topic", Topic).until(12),
            field("topic_id", TopicId).since(13),
            field(
                "partitions",
                Array(&[
                    field("partition", Partition),
                    field("current_leader_epoch", I32).since(9),
                    field("fetch_offset", I64),
                    field("last_fetched_epoch", I32).since(12),
                    field("log_start_offset", I64).since(5),
                    field("partition_max_bytes", I32),
                    field("replica_directory_id", Uuid).since(17).tagged(0),
                    field("high_watermark", I64).since(18).tagged(1),
                ]),
            ),
        ]),
    ),
    field(
        "forgotten_topics_data",
        Array(&[
            field("topic", Text).since(7).until(12),
            field("topic_id", Uuid).since(13),
            field("partitions", Array(&[field("", I32)])).since(7),
        ]),
    )
    .since(7),
    field("rack_id", Text).since(11),
    field("cluster_id", Text).since(12).tagged(0),
    field(
        "replica_state",
        Struct(&[field("replica_id", I32).since(15), field("replica_epoch", I64).since(15)]),
    )
    .since(15)
    .tagged(1),
];

/// ListOffsetsRequest, versions 1 to 10.
pub(crate) const LIST_OFFSETS: &[Field] = &[
    field("replica_id", I32),
    field("isolation_level", I8).since(2),
    field(
        "topics",
        Array(&[
            field("name", Topic),
            field(
                "partitions",
                Array(&[
                    field("partition_index", Partition),
                    field("current_leader_epoch", I32).since(4),
                    field("timestamp", I64),
                ]),
            ),
        ]),
    ),
    field("timeout_ms", I32).since(10),
];

/// MetadataRequest, versions 0 to 13.
pub(crate) const METADATA: &[Field] = &[
    field(
        "topics",
        Listed(
            &[field("topic_id", TopicId).since(10), field("name", Topic)],
            Missing::NullIsEvery { empty_until: 0 },
        ),
    ),
    field("allow_auto_topic_creation", I8).since(4),
    field("include_cluster_authorized_operations", I8).since(8).until(10),
    field("include_topic_authorized_operations", I8).since(8),
];

/// OffsetForLeaderEpochRequest, versions 2 to 4.
pub(crate) const OFFSET_FOR_LEADER_EPOCH: &[Field] = &[
    field("replica_id", I32).since(3),
    field(
        "topics",
        Array(&[
            field("topic", Topic),
            field(
                "partitions",
                Array(&[
                    field("partition", Partition),
                    field("current_leader_epoch", I32),
                    field("leader_epoch", I32),
                ]),
            ),
        ]),
    ),
];

/// DeleteRecordsRequest, versions 0 to 2.
pub(crate) const DELETE_RECORDS: &[Field] = &[
    field(
        "topics",
        Array(&[
            field("name", Topic),
            field("partitions", Array(&[field("partition_index", Partition), field("offset", I64)])),
        ]),
    ),
    field("timeout_ms", I32),
];

/// AddPartitionsToTxnRequest, versions 0 to 5.
pub(crate) const ADD_PARTITIONS_TO_TXN: &[Field] = &[
    field(
        "transactions",
        Array(&[
            field("transactional_id", Key).since(4),
            field("producer_id", I64).since(4),
            field("producer_epoch", I16).since(4),
            field("verify_only", I8).since(4),
            field("topics", TOPICS_WITH_PARTITIONS).since(4),
        ]),
    )
    .since(4),
    field("v3_and_below_transactional_id", Text).until(3),
    field("v3_and_below_producer_id", I64).until(3),
    field("v3_and_below_producer_epoch", I16).until(3),
    field("v3_and_below_topics", TOPICS_WITH_PARTITIONS).until(3),
];

/// WriteTxnMarkersRequest, versions 1 to 1.
pub(crate) const WRITE_TXN_MARKERS: &[Field] = &[field(
    "markers",
    Array(&[
        field("producer_id", Number),
        field("producer_epoch", I16),
        field("transaction_result", I8),
        field("topics", TOPICS_WITH_INDEXES),
        field("coordinator_epoch", I32),
    ]),
)];

/// DescribeProducersRequest, versions 0 to 0.
pub(crate) const DESCRIBE_PRODUCERS: &[Field] = &[field("topics", TOPICS_WITH_INDEXES)];

/// DescribeTransactionsRequest, versions 0 to 0.
pub(crate) const DESCRIBE_TRANSACTIONS: &[Field] = &[field("transactional_ids", Array(&[field("", Key)]))];

/// DescribeTopicPartitionsRequest, versions 0 to 0.
pub(crate) const DESCRIBE_TOPIC_PARTITIONS: &[Field] = &[
    field("topics", Listed(&[field("name", Topic)], Missing::NullIsEvery { empty_until: i16::MAX })),
    field("response_partition_limit", I32),
    field("cursor", Maybe(&[field("topic_name", Text), field("partition_index", I32)])),
];
