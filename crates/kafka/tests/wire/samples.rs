//! Requests of every kind and version, written by another implementation of the protocol.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        self as m, ApiKey, GroupId, RequestHeader, ResponseHeader, ResponseKind, TopicName, TransactionalId,
    },
    protocol::{Decodable, Encodable, Message, Request, StrBytes},
};
use uuid::Uuid;

pub const CORRELATION: i32 = 0x0102_0304;
pub const CLIENT: &str = "tester";

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// The id of a topic in all tests.
pub fn id(name: &str) -> Uuid {
    Uuid::from_u128(name.bytes().fold(0xabcd, |id, byte| (id << 8) | u128::from(byte)))
}

/// With the size in front.
pub fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [u32::try_from(body.len()).unwrap().to_be_bytes().as_slice(), &body].concat()
}

pub fn with_header<R: Request>(version: i16, correlation: i32, request: &R) -> Vec<u8> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(text(CLIENT)));
    let mut out = BytesMut::new();
    header
        .encode(&mut out, R::header_version(version))
        .unwrap_or_else(|e| panic!("header {} {version}: {e}", R::KEY));
    request.encode(&mut out, version).unwrap_or_else(|e| panic!("body {} {version}: {e}", R::KEY));
    framed(&[&out])
}

pub fn frame<R: Request>(version: i16, request: &R) -> Vec<u8> {
    with_header(version, CORRELATION, request)
}

/// A whole answer as its type; every byte has to be part of it.
pub fn decode(api: ApiKey, version: i16, bytes: &[u8]) -> (i32, ResponseKind) {
    let mut rest = Bytes::copy_from_slice(&bytes[4..]);
    assert_eq!(usize::try_from(u32::from_be_bytes(*bytes.first_chunk().unwrap())).unwrap(), rest.len());
    let header = ResponseHeader::decode(&mut rest, api.response_header_version(version)).unwrap();
    let response = ResponseKind::decode(api, &mut rest, version).unwrap();
    assert!(rest.is_empty(), "{api:?} {version}: {} bytes too many", rest.len());
    (header.correlation_id, response)
}

/// A request for these topics, with two partitions each; none if this kind names no topics.
pub fn naming(api: ApiKey, version: i16, topics: &[&str]) -> Option<Vec<u8>> {
    let v = version;
    macro_rules! each {
        (|$name:ident| $topic:expr) => {
            topics
                .iter()
                .map(|$name: &&str| {
                    let $name = *$name;
                    $topic
                })
                .collect::<Vec<_>>()
        };
    }
    macro_rules! parts {
        (|$index:ident| $part:expr) => {
            [3, 5].into_iter().map(|$index: i32| $part).collect::<Vec<_>>()
        };
    }
    Some(match api {
        ApiKey::Produce => {
            use m::produce_request as r;
            frame(
                v,
                &m::ProduceRequest::default()
                    .with_transactional_id(Some(TransactionalId(text("t"))))
                    .with_acks(-1)
                    .with_timeout_ms(1000)
                    .with_topic_data(each!(|name| {
                        let data = r::TopicProduceData::default().with_partition_data(parts!(|index| {
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
                &m::ListOffsetsRequest::default().with_topics(each!(|name| r::ListOffsetsTopic::default()
                    .with_name(topic(name))
                    .with_partitions(parts!(|index| r::ListOffsetsPartition::default()
                        .with_partition_index(index)
                        .with_timestamp(-1))))),
            )
        }
        ApiKey::Metadata => {
            use m::metadata_request as r;
            frame(
                v,
                &m::MetadataRequest::default().with_topics(Some(each!(|name| if v >= 12
                    && name.starts_with("id")
                {
                    r::MetadataRequestTopic::default().with_name(None).with_topic_id(id(name))
                } else {
                    r::MetadataRequestTopic::default().with_name(Some(topic(name)))
                }))),
            )
        }
        ApiKey::OffsetCommit => {
            use m::offset_commit_request as r;
            let request = m::OffsetCommitRequest::default()
                .with_group_id(GroupId(text("g")))
                .with_member_id(text("m"))
                .with_topics(each!(|name| r::OffsetCommitRequestTopic::default()
                    .with_name(topic(name))
                    .with_partitions(parts!(|index| r::OffsetCommitRequestPartition::default()
                        .with_partition_index(index)
                        .with_committed_metadata(Some(text("note")))))));
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
                            Some(each!(|name| r::OffsetFetchRequestTopics::default()
                                .with_name(topic(name))
                                .with_partition_indexes(vec![3, 5]))),
                        ),
                        r::OffsetFetchRequestGroup::default()
                            .with_group_id(GroupId(text("h")))
                            .with_topics(Some(vec![])),
                    ]),
                )
            } else {
                frame(
                    v,
                    &request.with_group_id(GroupId(text("g"))).with_topics(Some(each!(|name| {
                        r::OffsetFetchRequestTopic::default()
                            .with_name(topic(name))
                            .with_partition_indexes(vec![3, 5])
                    }))),
                )
            }
        }
        ApiKey::CreateTopics => {
            use m::create_topics_request as r;
            frame(
                v,
                &m::CreateTopicsRequest::default().with_topics(each!(|name| r::CreatableTopic::default()
                    .with_name(topic(name))
                    .with_num_partitions(2)
                    .with_replication_factor(1)
                    .with_assignments(vec![
                        r::CreatableReplicaAssignment::default()
                            .with_partition_index(1)
                            .with_broker_ids(vec![1.into(), 2.into()])
                    ])
                    .with_configs(vec![
                        r::CreatableTopicConfig::default().with_name(text("other")).with_value(None)
                    ]))),
            )
        }
        ApiKey::DeleteTopics => {
            use m::delete_topics_request as r;
            let request = m::DeleteTopicsRequest::default();
            if v < 6 {
                frame(v, &request.with_topic_names(each!(|name| topic(name))))
            } else {
                frame(
                    v,
                    &request.with_topics(each!(|name| if name.starts_with("id") {
                        r::DeleteTopicState::default().with_name(None).with_topic_id(id(name))
                    } else {
                        r::DeleteTopicState::default().with_name(Some(topic(name)))
                    })),
                )
            }
        }
        ApiKey::DeleteRecords => {
            use m::delete_records_request as r;
            frame(
                v,
                &m::DeleteRecordsRequest::default().with_topics(each!(|name| {
                    r::DeleteRecordsTopic::default().with_name(topic(name)).with_partitions(parts!(|index| {
                        r::DeleteRecordsPartition::default().with_partition_index(index)
                    }))
                })),
            )
        }
        ApiKey::OffsetForLeaderEpoch => {
            use m::offset_for_leader_epoch_request as r;
            frame(
                v,
                &m::OffsetForLeaderEpochRequest::default().with_topics(each!(|name| {
                    r::OffsetForLeaderTopic::default().with_topic(topic(name)).with_partitions(parts!(
                        |index| r::OffsetForLeaderPartition::default().with_partition(index)
                    ))
                })),
            )
        }
        ApiKey::AddPartitionsToTxn => {
            use m::add_partitions_to_txn_request as r;
            let topics = each!(|name| r::AddPartitionsToTxnTopic::default()
                .with_name(topic(name))
                .with_partitions(vec![3, 5]));
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
                    r::WritableTxnMarker::default().with_producer_id(77.into()).with_topics(each!(|name| {
                        r::WritableTxnMarkerTopic::default()
                            .with_name(topic(name))
                            .with_partition_indexes(vec![3, 5])
                    })),
                ]),
            )
        }
        ApiKey::TxnOffsetCommit => {
            use m::txn_offset_commit_request as r;
            frame(
                v,
                &m::TxnOffsetCommitRequest::default().with_topics(each!(|name| {
                    r::TxnOffsetCommitRequestTopic::default().with_name(topic(name)).with_partitions(parts!(
                        |index| r::TxnOffsetCommitRequestPartition::default().with_partition_index(index)
                    ))
                })),
            )
        }
        ApiKey::DescribeConfigs => {
            use m::describe_configs_request as r;
            let mut resources = each!(|name| r::DescribeConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text(name))
                .with_configuration_keys(Some(vec![text("other")])));
            resources.push(
                r::DescribeConfigsResource::default()
                    .with_resource_type(4)
                    .with_resource_name(text("1"))
                    .with_configuration_keys(None),
            );
            frame(v, &m::DescribeConfigsRequest::default().with_resources(resources))
        }
        ApiKey::AlterConfigs => {
            use m::alter_configs_request as r;
            frame(
                v,
                &m::AlterConfigsRequest::default().with_resources(each!(|name| {
                    r::AlterConfigsResource::default()
                        .with_resource_type(2)
                        .with_resource_name(text(name))
                        .with_configs(vec![
                            r::AlterableConfig::default()
                                .with_name(text("other"))
                                .with_value(Some(text("x"))),
                        ])
                })),
            )
        }
        ApiKey::IncrementalAlterConfigs => {
            use m::incremental_alter_configs_request as r;
            frame(
                v,
                &m::IncrementalAlterConfigsRequest::default().with_resources(each!(|name| {
                    r::AlterConfigsResource::default()
                        .with_resource_type(2)
                        .with_resource_name(text(name))
                        .with_configs(vec![
                            r::AlterableConfig::default()
                                .with_name(text("other"))
                                .with_value(Some(text("x"))),
                        ])
                })),
            )
        }
        ApiKey::AlterReplicaLogDirs => {
            use m::alter_replica_log_dirs_request as r;
            frame(
                v,
                &m::AlterReplicaLogDirsRequest::default().with_dirs(vec![
                    r::AlterReplicaLogDir::default().with_path(text("/x")).with_topics(each!(|name| {
                        r::AlterReplicaLogDirTopic::default()
                            .with_name(topic(name))
                            .with_partitions(vec![3, 5])
                    })),
                ]),
            )
        }
        ApiKey::DescribeLogDirs => {
            use m::describe_log_dirs_request as r;
            frame(
                v,
                &m::DescribeLogDirsRequest::default().with_topics(Some(each!(|name| {
                    r::DescribableLogDirTopic::default().with_topic(topic(name)).with_partitions(vec![3])
                }))),
            )
        }
        ApiKey::CreatePartitions => {
            use m::create_partitions_request as r;
            frame(
                v,
                &m::CreatePartitionsRequest::default().with_topics(each!(|name| {
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
                &m::ElectLeadersRequest::default().with_topic_partitions(Some(each!(|name| {
                    r::TopicPartitions::default().with_topic(topic(name)).with_partitions(vec![3, 5])
                }))),
            )
        }
        ApiKey::AlterPartitionReassignments => {
            use m::alter_partition_reassignments_request as r;
            frame(
                v,
                &m::AlterPartitionReassignmentsRequest::default().with_topics(each!(|name| {
                    r::ReassignableTopic::default().with_name(topic(name)).with_partitions(parts!(|index| {
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
                &m::ListPartitionReassignmentsRequest::default().with_topics(Some(each!(|name| {
                    r::ListPartitionReassignmentsTopics::default()
                        .with_name(topic(name))
                        .with_partition_indexes(vec![3])
                }))),
            )
        }
        ApiKey::OffsetDelete => {
            use m::offset_delete_request as r;
            frame(
                v,
                &m::OffsetDeleteRequest::default().with_group_id(GroupId(text("g"))).with_topics(each!(
                    |name| r::OffsetDeleteRequestTopic::default().with_name(topic(name)).with_partitions(
                        parts!(|index| r::OffsetDeleteRequestPartition::default().with_partition_index(index))
                    )
                )),
            )
        }
        ApiKey::DescribeProducers => {
            use m::describe_producers_request as r;
            frame(
                v,
                &m::DescribeProducersRequest::default().with_topics(each!(|name| r::TopicRequest::default()
                    .with_name(topic(name))
                    .with_partition_indexes(vec![3, 5]))),
            )
        }
        ApiKey::ConsumerGroupHeartbeat => {
            use m::consumer_group_heartbeat_request as r;
            frame(
                v,
                &m::ConsumerGroupHeartbeatRequest::default()
                    .with_group_id(GroupId(text("g")))
                    .with_member_id(text("m"))
                    .with_subscribed_topic_names(Some(each!(|name| topic(name))))
                    .with_topic_partitions(Some(vec![
                        r::TopicPartitions::default().with_topic_id(id("owned")).with_partitions(vec![3]),
                    ])),
            )
        }
        ApiKey::ShareGroupHeartbeat => frame(
            v,
            &m::ShareGroupHeartbeatRequest::default()
                .with_group_id(GroupId(text("g")))
                .with_subscribed_topic_names(Some(each!(|name| topic(name)))),
        ),
        ApiKey::DescribeTopicPartitions => {
            use m::describe_topic_partitions_request as r;
            frame(
                v,
                &m::DescribeTopicPartitionsRequest::default()
                    .with_topics(each!(|name| r::TopicRequest::default().with_name(topic(name))))
                    .with_cursor(Some(r::Cursor::default().with_topic_name(topic("cursor")))),
            )
        }
        ApiKey::DescribeShareGroupOffsets => {
            use m::describe_share_group_offsets_request as r;
            frame(
                v,
                &m::DescribeShareGroupOffsetsRequest::default().with_groups(vec![
                    r::DescribeShareGroupOffsetsRequestGroup::default()
                        .with_group_id(GroupId(text("g")))
                        .with_topics(Some(each!(|name| r::DescribeShareGroupOffsetsRequestTopic::default()
                            .with_topic_name(topic(name))
                            .with_partitions(vec![3])))),
                ]),
            )
        }
        ApiKey::AlterShareGroupOffsets => {
            use m::alter_share_group_offsets_request as r;
            frame(
                v,
                &m::AlterShareGroupOffsetsRequest::default().with_topics(each!(|name| {
                    r::AlterShareGroupOffsetsRequestTopic::default()
                        .with_topic_name(topic(name))
                        .with_partitions(parts!(|index| r::AlterShareGroupOffsetsRequestPartition::default()
                            .with_partition_index(index)))
                })),
            )
        }
        ApiKey::DeleteShareGroupOffsets => {
            use m::delete_share_group_offsets_request as r;
            frame(
                v,
                &m::DeleteShareGroupOffsetsRequest::default().with_topics(each!(|name| {
                    r::DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(topic(name))
                })),
            )
        }
        _ => return None,
    })
}

/// A fetch in a session, epoch 0 starting one.
pub fn fetch(v: i16, session: i32, epoch: i32, topics: &[&str]) -> Vec<u8> {
    use m::fetch_request as r;
    let topics = topics.iter().map(|name| {
        let partitions = [3, 5].into_iter().map(|index| {
            let partition = r::FetchPartition::default()
                .with_partition(index)
                .with_fetch_offset(9)
                .with_partition_max_bytes(1 << 20);
            let partition =
                if v >= 17 { partition.with_replica_directory_id(id("directory")) } else { partition };
            if v >= 18 { partition.with_high_watermark(11) } else { partition }
        });
        let fetched = r::FetchTopic::default().with_partitions(partitions.collect());
        if v < 13 { fetched.with_topic(topic(name)) } else { fetched.with_topic_id(id(name)) }
    });
    let mut request = m::FetchRequest::default().with_topics(topics.collect());
    if v >= 7 {
        let forgotten = r::ForgottenTopic::default().with_partitions(vec![1]);
        let forgotten = if v < 13 {
            forgotten.with_topic(topic("forgotten"))
        } else {
            forgotten.with_topic_id(id("forgotten"))
        };
        request = request
            .with_session_id(session)
            .with_session_epoch(epoch)
            .with_forgotten_topics_data(vec![forgotten]);
    }
    if v >= 11 {
        request = request.with_rack_id(text("rack"));
    }
    if v >= 12 {
        request = request.with_cluster_id(Some(text("cluster")));
    }
    if v >= 15 {
        request = request.with_replica_state(r::ReplicaState::default().with_replica_id((-1).into()));
    }
    frame(v, &request)
}

/// A request of a kind that names no topics.
pub fn naming_none(api: ApiKey, version: i16) -> Vec<u8> {
    let v = version;
    let groups = || vec![GroupId(text("g")), GroupId(text("h"))];
    macro_rules! default {
        ($($kind:ident $request:ident,)*) => {
            match api {
                $(ApiKey::$kind => frame(v, &m::$request::default()),)*
                other => unreachable!("{other:?} has no sample"),
            }
        };
    }
    match api {
        ApiKey::FindCoordinator if v >= 4 => frame(
            v,
            &m::FindCoordinatorRequest::default()
                .with_key_type(1)
                .with_coordinator_keys(vec![text("a"), text("b")]),
        ),
        ApiKey::FindCoordinator => frame(v, &m::FindCoordinatorRequest::default().with_key(text("a"))),
        ApiKey::DescribeGroups => frame(v, &m::DescribeGroupsRequest::default().with_groups(groups())),
        ApiKey::DeleteGroups => frame(v, &m::DeleteGroupsRequest::default().with_groups_names(groups())),
        ApiKey::ConsumerGroupDescribe => {
            frame(v, &m::ConsumerGroupDescribeRequest::default().with_group_ids(groups()))
        }
        ApiKey::ShareGroupDescribe => {
            frame(v, &m::ShareGroupDescribeRequest::default().with_group_ids(groups()))
        }
        ApiKey::DescribeTransactions => frame(
            v,
            &m::DescribeTransactionsRequest::default()
                .with_transactional_ids(vec![TransactionalId(text("t"))]),
        ),
        ApiKey::CreateAcls => {
            use m::create_acls_request::AclCreation;
            let creation = AclCreation::default().with_resource_type(2).with_resource_name(text("good"));
            frame(v, &m::CreateAclsRequest::default().with_creations(vec![creation.clone(), creation]))
        }
        ApiKey::DeleteAcls => {
            use m::delete_acls_request::DeleteAclsFilter;
            frame(v, &m::DeleteAclsRequest::default().with_filters(vec![DeleteAclsFilter::default(); 2]))
        }
        ApiKey::AlterClientQuotas => {
            use m::alter_client_quotas_request as r;
            let entity = |kind: &str, name: Option<&str>| {
                r::EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text))
            };
            let entry = |entity| {
                r::EntryData::default()
                    .with_entity(entity)
                    .with_ops(vec![r::OpData::default().with_key(text("k"))])
            };
            frame(
                v,
                &m::AlterClientQuotasRequest::default().with_entries(vec![
                    entry(vec![entity("user", Some("u")), entity("client-id", None)]),
                    entry(vec![entity("ip", None)]),
                ]),
            )
        }
        ApiKey::AlterUserScramCredentials => {
            use m::alter_user_scram_credentials_request as r;
            frame(
                v,
                &m::AlterUserScramCredentialsRequest::default()
                    .with_deletions(vec![r::ScramCredentialDeletion::default().with_name(text("u"))])
                    .with_upsertions(vec![
                        r::ScramCredentialUpsertion::default()
                            .with_name(text("w"))
                            .with_salt(Bytes::from_static(b"s")),
                    ]),
            )
        }
        _ => default! {
            JoinGroup JoinGroupRequest, Heartbeat HeartbeatRequest, LeaveGroup LeaveGroupRequest, SyncGroup SyncGroupRequest,
            ListGroups ListGroupsRequest, SaslHandshake SaslHandshakeRequest, ApiVersions ApiVersionsRequest,
            InitProducerId InitProducerIdRequest, AddOffsetsToTxn AddOffsetsToTxnRequest, EndTxn EndTxnRequest,
            SaslAuthenticate SaslAuthenticateRequest, CreateDelegationToken CreateDelegationTokenRequest,
            RenewDelegationToken RenewDelegationTokenRequest, ExpireDelegationToken ExpireDelegationTokenRequest,
            DescribeDelegationToken DescribeDelegationTokenRequest, DescribeAcls DescribeAclsRequest,
            DescribeClientQuotas DescribeClientQuotasRequest, DescribeUserScramCredentials DescribeUserScramCredentialsRequest,
            UpdateFeatures UpdateFeaturesRequest, DescribeCluster DescribeClusterRequest, UnregisterBroker UnregisterBrokerRequest,
            ListTransactions ListTransactionsRequest, GetTelemetrySubscriptions GetTelemetrySubscriptionsRequest,
            PushTelemetry PushTelemetryRequest, ListConfigResources ListConfigResourcesRequest, ShareFetch ShareFetchRequest,
            ShareAcknowledge ShareAcknowledgeRequest, DescribeQuorum DescribeQuorumRequest, Vote VoteRequest,
            BeginQuorumEpoch BeginQuorumEpochRequest, EndQuorumEpoch EndQuorumEpochRequest, AlterPartition AlterPartitionRequest,
            Envelope EnvelopeRequest, FetchSnapshot FetchSnapshotRequest, BrokerRegistration BrokerRegistrationRequest,
            BrokerHeartbeat BrokerHeartbeatRequest, AllocateProducerIds AllocateProducerIdsRequest,
            ControllerRegistration ControllerRegistrationRequest, AssignReplicasToDirs AssignReplicasToDirsRequest,
            AddRaftVoter AddRaftVoterRequest, RemoveRaftVoter RemoveRaftVoterRequest, UpdateRaftVoter UpdateRaftVoterRequest,
            InitializeShareGroupState InitializeShareGroupStateRequest, ReadShareGroupState ReadShareGroupStateRequest,
            WriteShareGroupState WriteShareGroupStateRequest, DeleteShareGroupState DeleteShareGroupStateRequest,
            ReadShareGroupStateSummary ReadShareGroupStateSummaryRequest,
        },
    }
}

/// Every kind with every version that there is.
pub fn every() -> impl Iterator<Item = (ApiKey, i16)> {
    ApiKey::iter().flat_map(|api| {
        let versions = match api {
            // The other implementation lists versions that it cannot write.
            ApiKey::OffsetCommit => m::OffsetCommitRequest::VERSIONS,
            ApiKey::OffsetFetch => m::OffsetFetchRequest::VERSIONS,
            ApiKey::InitProducerId => m::InitProducerIdRequest::VERSIONS,
            api => api.valid_versions(),
        };
        (versions.min..=versions.max).map(move |version| (api, version))
    })
}
