//! Requests for records, and about where they lie.

use super::{each, fetch, frame, id, parts, text, topic};
use bytes::Bytes;
use kafka_protocol::messages::{self as m, ApiKey, TransactionalId};

pub(super) fn naming(api: ApiKey, v: i16, topics: &[&str]) -> Option<Vec<u8>> {
    Some(match api {
        ApiKey::Produce => {
            use m::produce_request as r;
            frame(
                v,
                &m::ProduceRequest::default()
                    .with_transactional_id(Some(TransactionalId(text("t"))))
                    .with_acks(-1)
                    .with_timeout_ms(1000)
                    .with_topic_data(each(topics, |name| {
                        let data = r::TopicProduceData::default().with_partition_data(parts(|index| {
                            r::PartitionProduceData::default()
                                .with_index(index)
                                .with_records(Some(Bytes::from_static(b"some records")))
                        }));
                        if v < 13 { data.with_name(topic(name)) } else { data.with_topic_id(id(name)) }
                    })),
            )
        }
        ApiKey::Fetch => fetch(v, 0, 0, topics),
        ApiKey::ListOffsets => {
            use m::list_offsets_request as r;
            frame(
                v,
                &m::ListOffsetsRequest::default().with_topics(each(topics, |name| {
                    r::ListOffsetsTopic::default().with_name(topic(name)).with_partitions(parts(|index| {
                        r::ListOffsetsPartition::default().with_partition_index(index).with_timestamp(-1)
                    }))
                })),
            )
        }
        ApiKey::Metadata => {
            use m::metadata_request as r;
            frame(
                v,
                &m::MetadataRequest::default().with_topics(Some(each(topics, |name| {
                    if v >= 12 && name.starts_with("id") {
                        r::MetadataRequestTopic::default().with_name(None).with_topic_id(id(name))
                    } else {
                        r::MetadataRequestTopic::default().with_name(Some(topic(name)))
                    }
                }))),
            )
        }
        ApiKey::DeleteRecords => {
            use m::delete_records_request as r;
            frame(
                v,
                &m::DeleteRecordsRequest::default().with_topics(each(topics, |name| {
                    r::DeleteRecordsTopic::default().with_name(topic(name)).with_partitions(parts(|index| {
                        r::DeleteRecordsPartition::default().with_partition_index(index)
                    }))
                })),
            )
        }
        ApiKey::OffsetForLeaderEpoch => {
            use m::offset_for_leader_epoch_request as r;
            frame(
                v,
                &m::OffsetForLeaderEpochRequest::default().with_topics(each(topics, |name| {
                    r::OffsetForLeaderTopic::default().with_topic(topic(name)).with_partitions(parts(
                        |index| r::OffsetForLeaderPartition::default().with_partition(index),
                    ))
                })),
            )
        }
        ApiKey::DescribeProducers => {
            use m::describe_producers_request as r;
            frame(
                v,
                &m::DescribeProducersRequest::default().with_topics(each(topics, |name| {
                    r::TopicRequest::default().with_name(topic(name)).with_partition_indexes(vec![3, 5])
                })),
            )
        }
        ApiKey::DescribeTopicPartitions => {
            use m::describe_topic_partitions_request as r;
            frame(
                v,
                &m::DescribeTopicPartitionsRequest::default()
                    .with_topics(each(topics, |name| r::TopicRequest::default().with_name(topic(name))))
                    .with_cursor(Some(r::Cursor::default().with_topic_name(topic("cursor")))),
            )
        }
        _ => return None,
    })
}
