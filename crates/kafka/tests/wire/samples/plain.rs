//! Requests that name no topics.

use super::{frame, text};
use bytes::Bytes;
use kafka_protocol::messages::{self as m, ApiKey, GroupId, TransactionalId};

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
