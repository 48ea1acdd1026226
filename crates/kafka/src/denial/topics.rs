//! Answers with an error for each topic or partition.

use super::{DeniedTopic, Section, Subjects, code, each, group_error, message, send};
use crate::{Reason, RequestHeader};
use bytes::Bytes;
use kafka_protocol::messages::{self as m, ApiKey, GroupId, TransactionalId};

/// One `$part` for each partition of a topic.
macro_rules! partitions {
    ($topic:expr, |$index:ident, $error:ident| $part:expr) => {{
        let $error = $topic.error;
        $topic
            .partitions
            .iter()
            .map(|$index| {
                let $index = *$index;
                $part
            })
            .collect::<Vec<_>>()
    }};
}

pub(super) fn answer(
    header: &RequestHeader<'_>,
    api: ApiKey,
    subjects: &Subjects,
    reason: &Reason,
) -> Option<Vec<u8>> {
    let topics = &subjects.topics;
    let sections = &subjects.sections;
    let version = header.api_version;
    match api {
        ApiKey::Produce => {
            use m::produce_response::{PartitionProduceResponse, TopicProduceResponse};
            send(
                header,
                &m::ProduceResponse::default().with_responses(each(topics, |topic| {
                    TopicProduceResponse::default()
                        .with_name(topic.name())
                        .with_topic_id(topic.uuid())
                        .with_partition_responses(partitions!(topic, |index, error| {
                            PartitionProduceResponse::default()
                                .with_index(index)
                                .with_error_code(error)
                                .with_base_offset(-1)
                        }))
                })),
            )
        }
        ApiKey::Fetch => fetch(header, subjects, reason),
        ApiKey::ListOffsets => {
            use m::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
            send(
                header,
                &m::ListOffsetsResponse::default().with_topics(each(topics, |topic| {
                    ListOffsetsTopicResponse::default().with_name(topic.name()).with_partitions(partitions!(
                        topic,
                        |index, error| ListOffsetsPartitionResponse::default()
                            .with_partition_index(index)
                            .with_error_code(error)
                    ))
                })),
            )
        }
        ApiKey::Metadata => {
            use m::metadata_response::MetadataResponseTopic;
            let mut response = m::MetadataResponse::default().with_topics(each(topics, |topic| {
                MetadataResponseTopic::default()
                    .with_error_code(topic.error)
                    .with_name(topic.metadata_name(version))
                    .with_topic_id(topic.uuid())
            }));
            const WITH_ERROR: i16 = 13;
            if version >= WITH_ERROR && topics.is_empty() {
                response = response.with_error_code(code::CLUSTER);
            }
            send(header, &response)
        }
        ApiKey::OffsetCommit => {
            use m::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
            send(
                header,
                &m::OffsetCommitResponse::default().with_topics(each(topics, |topic| {
                    OffsetCommitResponseTopic::default().with_name(topic.name()).with_partitions(partitions!(
                        topic,
                        |index, error| OffsetCommitResponsePartition::default()
                            .with_partition_index(index)
                            .with_error_code(error)
                    ))
                })),
            )
        }
        ApiKey::OffsetFetch => offset_fetch(header, subjects, reason),
        ApiKey::CreateTopics => {
            use m::create_topics_response::CreatableTopicResult;
            send(
                header,
                &m::CreateTopicsResponse::default().with_topics(each(topics, |topic| {
                    CreatableTopicResult::default()
                        .with_name(topic.name())
                        .with_error_code(topic.error)
                        .with_error_message(message())
                        .with_configs(None)
                })),
            )
        }
        ApiKey::DeleteTopics => {
            use m::delete_topics_response::DeletableTopicResult;
            const BY_ID: i16 = 6;
            send(
                header,
                &m::DeleteTopicsResponse::default().with_responses(each(topics, |topic| {
                    let result = DeletableTopicResult::default().with_error_code(topic.error);
                    if version >= BY_ID {
                        result.with_name(topic.name.clone().map(m::TopicName)).with_topic_id(topic.uuid())
                    } else {
                        result.with_name(Some(topic.name()))
                    }
                })),
            )
        }
        ApiKey::DeleteRecords => {
            use m::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
            send(
                header,
                &m::DeleteRecordsResponse::default().with_topics(each(topics, |topic| {
                    DeleteRecordsTopicResult::default().with_name(topic.name()).with_partitions(partitions!(
                        topic,
                        |index, error| DeleteRecordsPartitionResult::default()
                            .with_partition_index(index)
                            .with_low_watermark(-1)
                            .with_error_code(error)
                    ))
                })),
            )
        }
        ApiKey::OffsetForLeaderEpoch => {
            use m::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
            send(
                header,
                &m::OffsetForLeaderEpochResponse::default().with_topics(each(topics, |topic| {
                    OffsetForLeaderTopicResult::default().with_topic(topic.name()).with_partitions(
                        partitions!(topic, |index, error| EpochEndOffset::default()
                            .with_partition(index)
                            .with_error_code(error)),
                    )
                })),
            )
        }
        ApiKey::AddPartitionsToTxn => {
            use m::add_partitions_to_txn_response as r;
            const BY_TRANSACTION: i16 = 4;
            let results = |topics: &[DeniedTopic]| {
                each(topics, |topic| {
                    r::AddPartitionsToTxnTopicResult::default()
                        .with_name(topic.name())
                        .with_results_by_partition(partitions!(topic, |index, error| {
                            r::AddPartitionsToTxnPartitionResult::default()
                                .with_partition_index(index)
                                .with_partition_error_code(error)
                        }))
                })
            };
            let response = m::AddPartitionsToTxnResponse::default();
            if version >= BY_TRANSACTION {
                let by_transaction = sections.iter().map(|section| {
                    r::AddPartitionsToTxnResult::default()
                        .with_transactional_id(TransactionalId(section.key()))
                        .with_topic_results(results(&section.topics))
                });
                send(header, &response.with_results_by_transaction(by_transaction.collect()))
            } else {
                send(header, &response.with_results_by_topic_v3_and_below(results(topics)))
            }
        }
        ApiKey::WriteTxnMarkers => {
            use m::write_txn_markers_response as r;
            let marker = |section: &Section| {
                r::WritableTxnMarkerResult::default().with_producer_id(section.number.into()).with_topics(
                    each(&section.topics, |topic| {
                        r::WritableTxnMarkerTopicResult::default().with_name(topic.name()).with_partitions(
                            partitions!(topic, |index, error| r::WritableTxnMarkerPartitionResult::default()
                                .with_partition_index(index)
                                .with_error_code(error)),
                        )
                    }),
                )
            };
            send(
                header,
                &m::WriteTxnMarkersResponse::default().with_markers(sections.iter().map(marker).collect()),
            )
        }
        ApiKey::TxnOffsetCommit => {
            use m::txn_offset_commit_response as r;
            send(
                header,
                &m::TxnOffsetCommitResponse::default().with_topics(each(topics, |topic| {
                    r::TxnOffsetCommitResponseTopic::default().with_name(topic.name()).with_partitions(
                        partitions!(topic, |index, error| r::TxnOffsetCommitResponsePartition::default()
                            .with_partition_index(index)
                            .with_error_code(error)),
                    )
                })),
            )
        }
        ApiKey::AlterReplicaLogDirs => {
            use m::alter_replica_log_dirs_response as r;
            send(
                header,
                &m::AlterReplicaLogDirsResponse::default().with_results(each(topics, |topic| {
                    r::AlterReplicaLogDirTopicResult::default().with_topic_name(topic.name()).with_partitions(
                        partitions!(topic, |index, error| r::AlterReplicaLogDirPartitionResult::default()
                            .with_partition_index(index)
                            .with_error_code(error)),
                    )
                })),
            )
        }
        ApiKey::CreatePartitions => {
            use m::create_partitions_response::CreatePartitionsTopicResult;
            send(
                header,
                &m::CreatePartitionsResponse::default().with_results(each(topics, |topic| {
                    CreatePartitionsTopicResult::default()
                        .with_name(topic.name())
                        .with_error_code(topic.error)
                        .with_error_message(message())
                })),
            )
        }
        ApiKey::ElectLeaders => {
            use m::elect_leaders_response as r;
            const WITH_ERROR: i16 = 1;
            let results = each(topics, |topic| {
                r::ReplicaElectionResult::default().with_topic(topic.name()).with_partition_result(
                    partitions!(topic, |index, error| r::PartitionResult::default()
                        .with_partition_id(index)
                        .with_error_code(error)
                        .with_error_message(message())),
                )
            });
            let response = m::ElectLeadersResponse::default().with_replica_election_results(results);
            let whole = version >= WITH_ERROR && topics.is_empty();
            send(header, &if whole { response.with_error_code(code::CLUSTER) } else { response })
        }
        ApiKey::AlterPartitionReassignments => {
            use m::alter_partition_reassignments_response as r;
            send(
                header,
                &m::AlterPartitionReassignmentsResponse::default().with_responses(each(topics, |topic| {
                    r::ReassignableTopicResponse::default().with_name(topic.name()).with_partitions(
                        partitions!(topic, |index, error| r::ReassignablePartitionResponse::default()
                            .with_partition_index(index)
                            .with_error_code(error)
                            .with_error_message(message())),
                    )
                })),
            )
        }
        ApiKey::OffsetDelete => {
            use m::offset_delete_response as r;
            send(
                header,
                &m::OffsetDeleteResponse::default().with_topics(each(topics, |topic| {
                    r::OffsetDeleteResponseTopic::default().with_name(topic.name()).with_partitions(
                        partitions!(topic, |index, error| r::OffsetDeleteResponsePartition::default()
                            .with_partition_index(index)
                            .with_error_code(error)),
                    )
                })),
            )
        }
        ApiKey::DescribeProducers => {
            use m::describe_producers_response as r;
            send(
                header,
                &m::DescribeProducersResponse::default().with_topics(each(topics, |topic| {
                    r::TopicResponse::default().with_name(topic.name()).with_partitions(partitions!(
                        topic,
                        |index, error| r::PartitionResponse::default()
                            .with_partition_index(index)
                            .with_error_code(error)
                            .with_error_message(message())
                    ))
                })),
            )
        }
        ApiKey::DescribeTopicPartitions => {
            use m::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic;
            send(
                header,
                &m::DescribeTopicPartitionsResponse::default().with_topics(each(topics, |topic| {
                    DescribeTopicPartitionsResponseTopic::default()
                        .with_error_code(topic.error)
                        .with_name(Some(topic.name()))
                })),
            )
        }
        ApiKey::DescribeShareGroupOffsets => {
            use m::describe_share_group_offsets_response as r;
            let group = |section: &Section| {
                r::DescribeShareGroupOffsetsResponseGroup::default()
                    .with_group_id(GroupId(section.key()))
                    .with_error_code(group_error(reason))
                    .with_error_message(message())
            };
            let groups = sections.iter().map(group).collect();
            send(header, &m::DescribeShareGroupOffsetsResponse::default().with_groups(groups))
        }
        _ => None,
    }
}

fn fetch(header: &RequestHeader<'_>, subjects: &Subjects, reason: &Reason) -> Option<Vec<u8>> {
    use m::fetch_response::{FetchableTopicResponse, PartitionData};
    let named = |topic: &DeniedTopic| match reason {
        Reason::Topic(name) => topic.name.as_ref().is_none_or(|own| **own == **name),
        Reason::UnknownTopicId(id) => topic.id == *id,
        _ => true,
    };
    let response = m::FetchResponse::default();
    // A session is closed whose topics, rather than those of the request, are not allowed.
    if subjects.session && !subjects.topics.iter().any(named) || matches!(reason, Reason::UnknownFetchSession)
    {
        return send(header, &response.with_error_code(code::FETCH_SESSION_NOT_FOUND));
    }
    send(
        header,
        &response.with_responses(each(&subjects.topics, |topic| {
            FetchableTopicResponse::default()
                .with_topic(topic.name())
                .with_topic_id(topic.uuid())
                .with_partitions(partitions!(topic, |index, error| PartitionData::default()
                    .with_partition_index(index)
                    .with_error_code(error)
                    .with_high_watermark(-1)
                    .with_records(Some(Bytes::new()))))
        })),
    )
}

fn offset_fetch(header: &RequestHeader<'_>, subjects: &Subjects, reason: &Reason) -> Option<Vec<u8>> {
    use m::offset_fetch_response as r;
    const BY_GROUP: i16 = 8;
    const WITH_ERROR: i16 = 2;
    // Of all topics, or without any rule for the kind of request, it is the group that is denied.
    let whole = subjects.every || matches!(reason, Reason::NoRule);
    let response = m::OffsetFetchResponse::default();
    if header.api_version >= BY_GROUP {
        let group = |section: &Section| {
            let group = r::OffsetFetchResponseGroup::default().with_group_id(GroupId(section.key()));
            if whole {
                return group.with_error_code(code::GROUP);
            }
            group.with_topics(each(&section.topics, |topic| {
                r::OffsetFetchResponseTopics::default().with_name(topic.name()).with_partitions(partitions!(
                    topic,
                    |index, error| r::OffsetFetchResponsePartitions::default()
                        .with_partition_index(index)
                        .with_committed_offset(-1)
                        .with_error_code(error)
                ))
            }))
        };
        return send(header, &response.with_groups(subjects.sections.iter().map(group).collect()));
    }
    if whole && header.api_version >= WITH_ERROR {
        return send(header, &response.with_error_code(code::GROUP));
    }
    send(
        header,
        &response.with_topics(each(&subjects.topics, |topic| {
            r::OffsetFetchResponseTopic::default().with_name(topic.name()).with_partitions(partitions!(
                topic,
                |index, error| r::OffsetFetchResponsePartition::default()
                    .with_partition_index(index)
                    .with_committed_offset(-1)
                    .with_error_code(error)
            ))
        })),
    )
}
