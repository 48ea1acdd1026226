//! Names and numbers of the requests of Kafka's protocol.
//!
//! Source: <https://kafka.apache.org/protocol#protocol_api_keys>.

use ciliate_types::KafkaRole;

/// By number.
const NAMES: [&str; 93] = [
    "Produce",
    "Fetch",
    "ListOffsets",
    "Metadata",
    "LeaderAndIsr",
    "StopReplica",
    "UpdateMetadata",
    "ControlledShutdown",
    "OffsetCommit",
    "OffsetFetch",
    "FindCoordinator",
    "JoinGroup",
    "Heartbeat",
    "LeaveGroup",
    "SyncGroup",
    "DescribeGroups",
    "ListGroups",
    "SaslHandshake",
    "ApiVersions",
    "CreateTopics",
    "DeleteTopics",
    "DeleteRecords",
    "InitProducerId",
    "OffsetForLeaderEpoch",
    "AddPartitionsToTxn",
    "AddOffsetsToTxn",
    "EndTxn",
    "WriteTxnMarkers",
    "TxnOffsetCommit",
    "DescribeAcls",
    "CreateAcls",
    "DeleteAcls",
    "DescribeConfigs",
    "AlterConfigs",
    "AlterReplicaLogDirs",
    "DescribeLogDirs",
    "SaslAuthenticate",
    "CreatePartitions",
    "CreateDelegationToken",
    "RenewDelegationToken",
    "ExpireDelegationToken",
    "DescribeDelegationToken",
    "DeleteGroups",
    "ElectLeaders",
    "IncrementalAlterConfigs",
    "AlterPartitionReassignments",
    "ListPartitionReassignments",
    "OffsetDelete",
    "DescribeClientQuotas",
    "AlterClientQuotas",
    "DescribeUserScramCredentials",
    "AlterUserScramCredentials",
    "Vote",
    "BeginQuorumEpoch",
    "EndQuorumEpoch",
    "DescribeQuorum",
    "AlterPartition",
    "UpdateFeatures",
    "Envelope",
    "FetchSnapshot",
    "DescribeCluster",
    "DescribeProducers",
    "BrokerRegistration",
    "BrokerHeartbeat",
    "UnregisterBroker",
    "DescribeTransactions",
    "ListTransactions",
    "AllocateProducerIds",
    "ConsumerGroupHeartbeat",
    "ConsumerGroupDescribe",
    "ControllerRegistration",
    "GetTelemetrySubscriptions",
    "PushTelemetry",
    "AssignReplicasToDirs",
    "ListConfigResources",
    "DescribeTopicPartitions",
    "ShareGroupHeartbeat",
    "ShareGroupDescribe",
    "ShareFetch",
    "ShareAcknowledge",
    "AddRaftVoter",
    "RemoveRaftVoter",
    "UpdateRaftVoter",
    "InitializeShareGroupState",
    "ReadShareGroupState",
    "WriteShareGroupState",
    "DeleteShareGroupState",
    "ReadShareGroupStateSummary",
    "StreamsGroupHeartbeat",
    "StreamsGroupDescribe",
    "DescribeShareGroupOffsets",
    "AlterShareGroupOffsets",
    "DeleteShareGroupOffsets",
];

/// Older names that policies may have.
const ALSO: [(&str, i16); 2] = [("Offsets", 2), ("ListClientMetricsResources", 74)];

/// The number behind a name in any case.
pub fn number(name: &str) -> Option<i16> {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    let by_number = NAMES.iter().position(|known| is(known)).and_then(|at| i16::try_from(at).ok());
    by_number.or_else(|| ALSO.iter().find(|(known, _)| is(known)).map(|(_, number)| *number))
}

/// The name, or the number where there is none.
pub fn name(number: i16) -> String {
    let known = usize::try_from(number).ok().and_then(|at| NAMES.get(at));
    known.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

/// What a producer or a consumer asks for.
pub fn of_role(role: KafkaRole) -> &'static [i16] {
    match role {
        KafkaRole::Produce => &[0, 3, 18],
        KafkaRole::Consume => &[1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 18],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_belong_together() {
        for (text, key) in [
            ("produce", 0),
            ("Offsets", 2),
            ("ApiVersions", 18),
            ("alterconfigs", 33),
            ("ConsumerGroupHeartbeat", 68),
            ("DeleteShareGroupOffsets", 92),
        ] {
            assert_eq!(number(text), Some(key), "{text}");
        }
        assert_eq!(
            (number("eat"), name(11), name(-1), name(500)),
            (None, "JoinGroup".into(), "-1".into(), "500".into())
        );
        for (at, known) in (0..).zip(NAMES) {
            assert_eq!(number(known), Some(at));
        }
    }
}
