//! The kinds of requests: their numbers, names, roles, and what their bodies can be asked.

use crate::schema::{Field, admin, data, groups};
use ciliate_types::KafkaRole;
use kafka_protocol::{
    messages::{ApiKey, InitProducerIdRequest, OffsetCommitRequest, OffsetFetchRequest},
    protocol::{Message, VersionRange},
};

/// What the body of a request has to do with topics.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// It names topics, or all of them.
    Topics(&'static [Field]),
    /// It names no topics; what it names is answered one by one.
    Items(&'static [Field]),
    /// It names no topics, and one error code answers it.
    Plain,
    /// Nobody here can tell what it names.
    Opaque,
}

pub(crate) const PRODUCE: i16 = 0;
pub(crate) const FETCH: i16 = 1;
pub(crate) const METADATA: i16 = 3;
pub(crate) const SASL_HANDSHAKE: i16 = 17;
pub(crate) const API_VERSIONS: i16 = 18;

/// The names of Kafka's requests, in the order of their numbers.
const NAMES: [(i16, &str); 93] = [
    (0, "Produce"),
    (1, "Fetch"),
    (2, "ListOffsets"),
    (3, "Metadata"),
    (4, "LeaderAndIsr"),
    (5, "StopReplica"),
    (6, "UpdateMetadata"),
    (7, "ControlledShutdown"),
    (8, "OffsetCommit"),
    (9, "OffsetFetch"),
    (10, "FindCoordinator"),
    (11, "JoinGroup"),
    (12, "Heartbeat"),
    (13, "LeaveGroup"),
    (14, "SyncGroup"),
    (15, "DescribeGroups"),
    (16, "ListGroups"),
    (17, "SaslHandshake"),
    (18, "ApiVersions"),
    (19, "CreateTopics"),
    (20, "DeleteTopics"),
    (21, "DeleteRecords"),
    (22, "InitProducerId"),
    (23, "OffsetForLeaderEpoch"),
    (24, "AddPartitionsToTxn"),
    (25, "AddOffsetsToTxn"),
    (26, "EndTxn"),
    (27, "WriteTxnMarkers"),
    (28, "TxnOffsetCommit"),
    (29, "DescribeAcls"),
    (30, "CreateAcls"),
    (31, "DeleteAcls"),
    (32, "DescribeConfigs"),
    (33, "AlterConfigs"),
    (34, "AlterReplicaLogDirs"),
    (35, "DescribeLogDirs"),
    (36, "SaslAuthenticate"),
    (37, "CreatePartitions"),
    (38, "CreateDelegationToken"),
    (39, "RenewDelegationToken"),
    (40, "ExpireDelegationToken"),
    (41, "DescribeDelegationToken"),
    (42, "DeleteGroups"),
    (43, "ElectLeaders"),
    (44, "IncrementalAlterConfigs"),
    (45, "AlterPartitionReassignments"),
    (46, "ListPartitionReassignments"),
    (47, "OffsetDelete"),
    (48, "DescribeClientQuotas"),
    (49, "AlterClientQuotas"),
    (50, "DescribeUserScramCredentials"),
    (51, "AlterUserScramCredentials"),
    (52, "Vote"),
    (53, "BeginQuorumEpoch"),
    (54, "EndQuorumEpoch"),
    (55, "DescribeQuorum"),
    (56, "AlterPartition"),
    (57, "UpdateFeatures"),
    (58, "Envelope"),
    (59, "FetchSnapshot"),
    (60, "DescribeCluster"),
    (61, "DescribeProducers"),
    (62, "BrokerRegistration"),
    (63, "BrokerHeartbeat"),
    (64, "UnregisterBroker"),
    (65, "DescribeTransactions"),
    (66, "ListTransactions"),
    (67, "AllocateProducerIds"),
    (68, "ConsumerGroupHeartbeat"),
    (69, "ConsumerGroupDescribe"),
    (70, "ControllerRegistration"),
    (71, "GetTelemetrySubscriptions"),
    (72, "PushTelemetry"),
    (73, "AssignReplicasToDirs"),
    (74, "ListConfigResources"),
    (75, "DescribeTopicPartitions"),
    (76, "ShareGroupHeartbeat"),
    (77, "ShareGroupDescribe"),
    (78, "ShareFetch"),
    (79, "ShareAcknowledge"),
    (80, "AddRaftVoter"),
    (81, "RemoveRaftVoter"),
    (82, "UpdateRaftVoter"),
    (83, "InitializeShareGroupState"),
    (84, "ReadShareGroupState"),
    (85, "WriteShareGroupState"),
    (86, "DeleteShareGroupState"),
    (87, "ReadShareGroupStateSummary"),
    (88, "StreamsGroupHeartbeat"),
    (89, "StreamsGroupDescribe"),
    (90, "DescribeShareGroupOffsets"),
    (91, "AlterShareGroupOffsets"),
    (92, "DeleteShareGroupOffsets"),
];

/// Names that are or were in use for the same requests.
const OTHER_NAMES: [(i16, &str); 2] = [(2, "Offsets"), (74, "ListClientMetricsResources")];

/// The number of the request called `name`, in whatever case; a number is taken as it is.
#[must_use]
pub fn api_key(name: &str) -> Option<i16> {
    let named = NAMES.iter().chain(&OTHER_NAMES).find(|(_, known)| known.eq_ignore_ascii_case(name));
    named.map(|(key, _)| *key).or_else(|| name.parse().ok().filter(|key| *key >= 0))
}

/// What Kafka calls the request with this number.
#[must_use]
pub fn api_name(key: i16) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == key).map(|(_, name)| *name)
}

/// The requests that a role stands for: those of Cilium, and behind them those without which the clients of today do not get as far
/// as producing (`InitProducerId`: producers are idempotent by default since Kafka 3.0) or consuming (`OffsetForLeaderEpoch` after a change
/// of leaders, `ConsumerGroupHeartbeat` in the group protocol of Kafka 4).
#[must_use]
pub fn role_keys(role: KafkaRole) -> &'static [i16] {
    match role {
        KafkaRole::Produce => &[0, 3, 18, 22],
        KafkaRole::Consume => &[1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 18, 23, 68],
    }
}

pub(crate) fn known(key: i16, version: i16) -> Option<ApiKey> {
    let api = ApiKey::try_from(key).ok()?;
    let versions = versions(api);
    (versions.min..=versions.max).contains(&version).then_some(api)
}

/// The versions that can be read and answered. The last ones of some kinds were still subject to change in Kafka 4.1.
pub(crate) fn versions(api: ApiKey) -> VersionRange {
    match api {
        ApiKey::OffsetCommit => OffsetCommitRequest::VERSIONS,
        ApiKey::OffsetFetch => OffsetFetchRequest::VERSIONS,
        ApiKey::InitProducerId => InitProducerIdRequest::VERSIONS,
        api => api.valid_versions(),
    }
}

/// Whether lengths are variable and structs end with tagged fields.
pub(crate) fn is_flexible(api: ApiKey, version: i16) -> bool {
    api.request_header_version(version) >= 2
}

pub(crate) fn body(api: ApiKey) -> Body {
    use Body::{Items, Opaque, Plain, Topics};
    match api {
        ApiKey::Produce => Topics(data::PRODUCE),
        ApiKey::Fetch => Topics(data::FETCH),
        ApiKey::ListOffsets => Topics(data::LIST_OFFSETS),
        ApiKey::Metadata => Topics(data::METADATA),
        ApiKey::DeleteRecords => Topics(data::DELETE_RECORDS),
        ApiKey::OffsetForLeaderEpoch => Topics(data::OFFSET_FOR_LEADER_EPOCH),
        ApiKey::AddPartitionsToTxn => Topics(data::ADD_PARTITIONS_TO_TXN),
        ApiKey::WriteTxnMarkers => Topics(data::WRITE_TXN_MARKERS),
        ApiKey::DescribeProducers => Topics(data::DESCRIBE_PRODUCERS),
        ApiKey::DescribeTopicPartitions => Topics(data::DESCRIBE_TOPIC_PARTITIONS),
        ApiKey::DescribeTransactions => Items(data::DESCRIBE_TRANSACTIONS),
        ApiKey::OffsetCommit => Topics(groups::OFFSET_COMMIT),
        ApiKey::OffsetFetch => Topics(groups::OFFSET_FETCH),
        ApiKey::TxnOffsetCommit => Topics(groups::TXN_OFFSET_COMMIT),
        ApiKey::OffsetDelete => Topics(groups::OFFSET_DELETE),
        ApiKey::ConsumerGroupHeartbeat => Topics(groups::CONSUMER_GROUP_HEARTBEAT),
        ApiKey::ShareGroupHeartbeat => Topics(groups::SHARE_GROUP_HEARTBEAT),
        ApiKey::DescribeShareGroupOffsets => Topics(groups::DESCRIBE_SHARE_GROUP_OFFSETS),
        ApiKey::AlterShareGroupOffsets => Topics(groups::ALTER_SHARE_GROUP_OFFSETS),
        ApiKey::DeleteShareGroupOffsets => Topics(groups::DELETE_SHARE_GROUP_OFFSETS),
        ApiKey::FindCoordinator => Items(groups::FIND_COORDINATOR),
        ApiKey::DescribeGroups => Items(groups::DESCRIBE_GROUPS),
        ApiKey::DeleteGroups => Items(groups::DELETE_GROUPS),
        ApiKey::ConsumerGroupDescribe => Items(groups::CONSUMER_GROUP_DESCRIBE),
        ApiKey::ShareGroupDescribe => Items(groups::SHARE_GROUP_DESCRIBE),
        ApiKey::CreateTopics => Topics(admin::CREATE_TOPICS),
        ApiKey::DeleteTopics => Topics(admin::DELETE_TOPICS),
        ApiKey::DescribeConfigs => Topics(admin::DESCRIBE_CONFIGS),
        ApiKey::AlterConfigs => Topics(admin::ALTER_CONFIGS),
        ApiKey::IncrementalAlterConfigs => Topics(admin::INCREMENTAL_ALTER_CONFIGS),
        ApiKey::AlterReplicaLogDirs => Topics(admin::ALTER_REPLICA_LOG_DIRS),
        ApiKey::DescribeLogDirs => Topics(admin::DESCRIBE_LOG_DIRS),
        ApiKey::CreatePartitions => Topics(admin::CREATE_PARTITIONS),
        ApiKey::ElectLeaders => Topics(admin::ELECT_LEADERS),
        ApiKey::AlterPartitionReassignments => Topics(admin::ALTER_PARTITION_REASSIGNMENTS),
        ApiKey::ListPartitionReassignments => Topics(admin::LIST_PARTITION_REASSIGNMENTS),
        ApiKey::AlterClientQuotas => Items(admin::ALTER_CLIENT_QUOTAS),
        ApiKey::AlterUserScramCredentials => Items(admin::ALTER_USER_SCRAM_CREDENTIALS),
        ApiKey::JoinGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::ListGroups
        | ApiKey::SaslHandshake
        | ApiKey::ApiVersions
        | ApiKey::InitProducerId
        | ApiKey::AddOffsetsToTxn
        | ApiKey::EndTxn
        | ApiKey::SaslAuthenticate
        | ApiKey::CreateDelegationToken
        | ApiKey::RenewDelegationToken
        | ApiKey::ExpireDelegationToken
        | ApiKey::DescribeDelegationToken
        | ApiKey::DescribeClientQuotas
        | ApiKey::DescribeUserScramCredentials
        | ApiKey::UpdateFeatures
        | ApiKey::DescribeCluster
        | ApiKey::UnregisterBroker
        | ApiKey::ListTransactions
        | ApiKey::GetTelemetrySubscriptions
        | ApiKey::PushTelemetry
        | ApiKey::ListConfigResources => Plain,
        // Rights are given by patterns, shares are fetched in sessions whose topics earlier requests named, brokers speak in ids of
        // their own, and an envelope holds another request.
        ApiKey::DescribeAcls
        | ApiKey::CreateAcls
        | ApiKey::DeleteAcls
        | ApiKey::ShareFetch
        | ApiKey::ShareAcknowledge
        | ApiKey::Vote
        | ApiKey::BeginQuorumEpoch
        | ApiKey::EndQuorumEpoch
        | ApiKey::DescribeQuorum
        | ApiKey::AlterPartition
        | ApiKey::Envelope
        | ApiKey::FetchSnapshot
        | ApiKey::BrokerRegistration
        | ApiKey::BrokerHeartbeat
        | ApiKey::AllocateProducerIds
        | ApiKey::ControllerRegistration
        | ApiKey::AssignReplicasToDirs
        | ApiKey::AddRaftVoter
        | ApiKey::RemoveRaftVoter
        | ApiKey::UpdateRaftVoter
        | ApiKey::InitializeShareGroupState
        | ApiKey::ReadShareGroupState
        | ApiKey::WriteShareGroupState
        | ApiKey::DeleteShareGroupState
        | ApiKey::ReadShareGroupStateSummary => Opaque,
    }
}

/// What a denial has to answer one by one, if anything.
pub(crate) fn subjects(api: ApiKey) -> Option<&'static [Field]> {
    match api {
        ApiKey::CreateAcls => Some(admin::CREATE_ACLS),
        ApiKey::DeleteAcls => Some(admin::DELETE_ACLS),
        api => match body(api) {
            Body::Topics(fields) | Body::Items(fields) => Some(fields),
            Body::Plain | Body::Opaque => None,
        },
    }
}
