//! Requests that create, change and describe topics.

use super::{each, frame, id, parts, text, topic};
use kafka_protocol::messages::{self as m, ApiKey};

pub(super) fn naming(api: ApiKey, v: i16, topics: &[&str]) -> Option<Vec<u8>> {
    macro_rules! alter_configs {
        ($module:ident, $request:ident) => {{
            use m::$module as r;
            let resource = |name: &str| {
                let other =
                    r::AlterableConfig::default().with_name(text("other")).with_value(Some(text("x")));
                r::AlterConfigsResource::default()
                    .with_resource_type(2)
                    .with_resource_name(text(name))
                    .with_configs(vec![other])
            };
            frame(v, &m::$request::default().with_resources(each(topics, resource)))
        }};
    }
    Some(match api {
        ApiKey::CreateTopics => {
            use m::create_topics_request as r;
            frame(
                v,
                &m::CreateTopicsRequest::default().with_topics(each(topics, |name| {
                    r::CreatableTopic::default()
                        .with_name(topic(name))
                        .with_num_partitions(2)
                        .with_replication_factor(1)
                        .with_assignments(vec![
                            r::CreatableReplicaAssignment::default()
                                .with_partition_index(1)
                                .with_broker_ids(vec![1.into(), 2.into()]),
                        ])
                        .with_configs(vec![
                            r::CreatableTopicConfig::default().with_name(text("other")).with_value(None),
                        ])
                })),
            )
        }
        ApiKey::DeleteTopics => {
            use m::delete_topics_request as r;
            let request = m::DeleteTopicsRequest::default();
            if v < 6 {
                frame(v, &request.with_topic_names(each(topics, topic)))
            } else {
                frame(
                    v,
                    &request.with_topics(each(topics, |name| {
                        if name.starts_with("id") {
                            r::DeleteTopicState::default().with_name(None).with_topic_id(id(name))
                        } else {
                            r::DeleteTopicState::default().with_name(Some(topic(name)))
                        }
                    })),
                )
            }
        }
        ApiKey::DescribeConfigs => {
            use m::describe_configs_request as r;
            let mut resources = each(topics, |name| {
                r::DescribeConfigsResource::default()
                    .with_resource_type(2)
                    .with_resource_name(text(name))
                    .with_configuration_keys(Some(vec![text("other")]))
            });
            resources.push(
                r::DescribeConfigsResource::default()
                    .with_resource_type(4)
                    .with_resource_name(text("1"))
                    .with_configuration_keys(None),
            );
            frame(v, &m::DescribeConfigsRequest::default().with_resources(resources))
        }
        // Two kinds with the same fields.
        ApiKey::AlterConfigs => alter_configs!(alter_configs_request, AlterConfigsRequest),
        ApiKey::IncrementalAlterConfigs => {
            alter_configs!(incremental_alter_configs_request, IncrementalAlterConfigsRequest)
        }
        ApiKey::AlterReplicaLogDirs => {
            use m::alter_replica_log_dirs_request as r;
            frame(
                v,
                &m::AlterReplicaLogDirsRequest::default().with_dirs(vec![
                    r::AlterReplicaLogDir::default().with_path(text("/x")).with_topics(each(
                        topics,
                        |name| {
                            r::AlterReplicaLogDirTopic::default()
                                .with_name(topic(name))
                                .with_partitions(vec![3, 5])
                        },
                    )),
                ]),
            )
        }
        ApiKey::DescribeLogDirs => {
            use m::describe_log_dirs_request as r;
            frame(
                v,
                &m::DescribeLogDirsRequest::default().with_topics(Some(each(topics, |name| {
                    r::DescribableLogDirTopic::default().with_topic(topic(name)).with_partitions(vec![3])
                }))),
            )
        }
        ApiKey::CreatePartitions => {
            use m::create_partitions_request as r;
            frame(
                v,
                &m::CreatePartitionsRequest::default().with_topics(each(topics, |name| {
                    r::CreatePartitionsTopic::default().with_name(topic(name)).with_count(3).with_assignments(
                        Some(vec![r::CreatePartitionsAssignment::default().with_broker_ids(vec![1.into()])]),
                    )
                })),
            )
        }
        ApiKey::ElectLeaders => {
            use m::elect_leaders_request as r;
            frame(
                v,
                &m::ElectLeadersRequest::default().with_topic_partitions(Some(each(topics, |name| {
                    r::TopicPartitions::default().with_topic(topic(name)).with_partitions(vec![3, 5])
                }))),
            )
        }
        ApiKey::AlterPartitionReassignments => {
            use m::alter_partition_reassignments_request as r;
            frame(
                v,
                &m::AlterPartitionReassignmentsRequest::default().with_topics(each(topics, |name| {
                    r::ReassignableTopic::default().with_name(topic(name)).with_partitions(parts(|index| {
                        r::ReassignablePartition::default()
                            .with_partition_index(index)
                            .with_replicas(Some(vec![1.into()]))
                    }))
                })),
            )
        }
        ApiKey::ListPartitionReassignments => {
            use m::list_partition_reassignments_request as r;
            frame(
                v,
                &m::ListPartitionReassignmentsRequest::default().with_topics(Some(each(topics, |name| {
                    r::ListPartitionReassignmentsTopics::default()
                        .with_name(topic(name))
                        .with_partition_indexes(vec![3])
                }))),
            )
        }
        _ => return None,
    })
}
