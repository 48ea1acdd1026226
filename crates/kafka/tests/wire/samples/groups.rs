//! Requests of groups and transactions about topics.

use super::{each, frame, id, parts, text, topic};
use kafka_protocol::messages::{self as m, ApiKey, GroupId, TransactionalId};

pub(super) fn naming(api: ApiKey, v: i16, topics: &[&str]) -> Option<Vec<u8>> {
    Some(match api {
        ApiKey::OffsetCommit => {
            use m::offset_commit_request as r;
            let request = m::OffsetCommitRequest::default()
                .with_group_id(GroupId(text("g")))
                .with_member_id(text("m"))
                .with_topics(each(topics, |name| {
                    r::OffsetCommitRequestTopic::default().with_name(topic(name)).with_partitions(parts(
                        |index| {
                            r::OffsetCommitRequestPartition::default()
                                .with_partition_index(index)
                                .with_committed_metadata(Some(text("note")))
                        },
                    ))
                }));
            frame(v, &request)
        }
        ApiKey::OffsetFetch => {
            use m::offset_fetch_request as r;
            let request = m::OffsetFetchRequest::default();
            if v >= 8 {
                frame(
                    v,
                    &request.with_groups(vec![
                        r::OffsetFetchRequestGroup::default().with_group_id(GroupId(text("g"))).with_topics(
                            Some(each(topics, |name| {
                                r::OffsetFetchRequestTopics::default()
                                    .with_name(topic(name))
                                    .with_partition_indexes(vec![3, 5])
                            })),
                        ),
                        r::OffsetFetchRequestGroup::default()
                            .with_group_id(GroupId(text("h")))
                            .with_topics(Some(vec![])),
                    ]),
                )
            } else {
                frame(
                    v,
                    &request.with_group_id(GroupId(text("g"))).with_topics(Some(each(topics, |name| {
                        r::OffsetFetchRequestTopic::default()
                            .with_name(topic(name))
                            .with_partition_indexes(vec![3, 5])
                    }))),
                )
            }
        }
        ApiKey::TxnOffsetCommit => {
            use m::txn_offset_commit_request as r;
            frame(
                v,
                &m::TxnOffsetCommitRequest::default().with_topics(each(topics, |name| {
                    r::TxnOffsetCommitRequestTopic::default().with_name(topic(name)).with_partitions(parts(
                        |index| r::TxnOffsetCommitRequestPartition::default().with_partition_index(index),
                    ))
                })),
            )
        }
        ApiKey::OffsetDelete => {
            use m::offset_delete_request as r;
            frame(
                v,
                &m::OffsetDeleteRequest::default().with_group_id(GroupId(text("g"))).with_topics(each(
                    topics,
                    |name| {
                        r::OffsetDeleteRequestTopic::default().with_name(topic(name)).with_partitions(parts(
                            |index| r::OffsetDeleteRequestPartition::default().with_partition_index(index),
                        ))
                    },
                )),
            )
        }
        ApiKey::AddPartitionsToTxn => {
            use m::add_partitions_to_txn_request as r;
            let topics = each(topics, |name| {
                r::AddPartitionsToTxnTopic::default().with_name(topic(name)).with_partitions(vec![3, 5])
            });
            let request = m::AddPartitionsToTxnRequest::default();
            if v < 4 {
                frame(
                    v,
                    &request
                        .with_v3_and_below_transactional_id(TransactionalId(text("t")))
                        .with_v3_and_below_topics(topics),
                )
            } else {
                let transaction = r::AddPartitionsToTxnTransaction::default()
                    .with_transactional_id(TransactionalId(text("t")));
                frame(
                    v,
                    &request.with_transactions(vec![transaction.clone(), transaction.with_topics(topics)]),
                )
            }
        }
        ApiKey::WriteTxnMarkers => {
            use m::write_txn_markers_request as r;
            frame(
                v,
                &m::WriteTxnMarkersRequest::default().with_markers(vec![
                    r::WritableTxnMarker::default().with_producer_id(77.into()).with_topics(each(
                        topics,
                        |name| {
                            r::WritableTxnMarkerTopic::default()
                                .with_name(topic(name))
                                .with_partition_indexes(vec![3, 5])
                        },
                    )),
                ]),
            )
        }
        ApiKey::ConsumerGroupHeartbeat => {
            use m::consumer_group_heartbeat_request as r;
            frame(
                v,
                &m::ConsumerGroupHeartbeatRequest::default()
                    .with_group_id(GroupId(text("g")))
                    .with_member_id(text("m"))
                    .with_subscribed_topic_names(Some(each(topics, topic)))
                    .with_topic_partitions(Some(vec![
                        r::TopicPartitions::default().with_topic_id(id("owned")).with_partitions(vec![3]),
                    ])),
            )
        }
        ApiKey::ShareGroupHeartbeat => frame(
            v,
            &m::ShareGroupHeartbeatRequest::default()
                .with_group_id(GroupId(text("g")))
                .with_subscribed_topic_names(Some(each(topics, topic))),
        ),
        ApiKey::DescribeShareGroupOffsets => {
            use m::describe_share_group_offsets_request as r;
            frame(
                v,
                &m::DescribeShareGroupOffsetsRequest::default().with_groups(vec![
                    r::DescribeShareGroupOffsetsRequestGroup::default()
                        .with_group_id(GroupId(text("g")))
                        .with_topics(Some(each(topics, |name| {
                            r::DescribeShareGroupOffsetsRequestTopic::default()
                                .with_topic_name(topic(name))
                                .with_partitions(vec![3])
                        }))),
                ]),
            )
        }
        ApiKey::AlterShareGroupOffsets => {
            use m::alter_share_group_offsets_request as r;
            frame(
                v,
                &m::AlterShareGroupOffsetsRequest::default().with_topics(each(topics, |name| {
                    r::AlterShareGroupOffsetsRequestTopic::default()
                        .with_topic_name(topic(name))
                        .with_partitions(parts(|index| {
                            r::AlterShareGroupOffsetsRequestPartition::default().with_partition_index(index)
                        }))
                })),
            )
        }
        ApiKey::DeleteShareGroupOffsets => {
            use m::delete_share_group_offsets_request as r;
            frame(
                v,
                &m::DeleteShareGroupOffsetsRequest::default().with_topics(each(topics, |name| {
                    r::DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(topic(name))
                })),
            )
        }
        _ => return None,
    })
}
