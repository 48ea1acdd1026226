//! Answers with an error for each group, resource or the like, or with one error for all.

use super::{Section, Subjects, code, each, message, plain_error, send};
use crate::{Reason, RequestHeader};
use kafka_protocol::{
    messages::{self as m, ApiKey, GroupId, TransactionalId},
    protocol::StrBytes,
};

pub(super) fn answer(
    header: &RequestHeader<'_>,
    api: ApiKey,
    subjects: &Subjects,
    reason: &Reason,
) -> Option<Vec<u8>> {
    let sections = &subjects.sections;
    // One error code is all that there is to say.
    macro_rules! plain {
        ($response:ident) => {
            send(header, &m::$response::default().with_error_code(plain_error(api, reason)))
        };
    }
    // Answers that differ in the names of their types alone.
    macro_rules! groups {
        ($module:ident, $row:ident, $response:ident, $with:ident) => {{
            let row = |group: &Section| {
                m::$module::$row::default().with_group_id(GroupId(group.key())).with_error_code(code::GROUP)
            };
            send(header, &m::$response::default().$with(each(sections, row)))
        }};
    }
    macro_rules! resources {
        ($module:ident, $row:ident, $response:ident, $with:ident) => {{
            let row = |(kind, name): &(i8, StrBytes)| {
                m::$module::$row::default()
                    .with_error_code(resource_error(*kind))
                    .with_error_message(message())
                    .with_resource_type(*kind)
                    .with_resource_name(name.clone())
            };
            send(header, &m::$response::default().$with(each(&subjects.resources, row)))
        }};
    }
    match api {
        ApiKey::FindCoordinator => find_coordinator(header, subjects),
        ApiKey::DescribeGroups => {
            groups!(describe_groups_response, DescribedGroup, DescribeGroupsResponse, with_groups)
        }
        ApiKey::ConsumerGroupDescribe => groups!(
            consumer_group_describe_response,
            DescribedGroup,
            ConsumerGroupDescribeResponse,
            with_groups
        ),
        ApiKey::ShareGroupDescribe => {
            groups!(share_group_describe_response, DescribedGroup, ShareGroupDescribeResponse, with_groups)
        }
        ApiKey::DeleteGroups => {
            groups!(delete_groups_response, DeletableGroupResult, DeleteGroupsResponse, with_results)
        }
        ApiKey::DescribeTransactions => {
            use m::describe_transactions_response::TransactionState;
            let states = each(sections, |transaction| {
                TransactionState::default()
                    .with_transactional_id(TransactionalId(transaction.key()))
                    .with_error_code(code::TRANSACTION)
            });
            send(header, &m::DescribeTransactionsResponse::default().with_transaction_states(states))
        }
        ApiKey::CreateAcls => {
            use m::create_acls_response::AclCreationResult;
            let results = each(sections, |_| {
                AclCreationResult::default().with_error_code(code::CLUSTER).with_error_message(message())
            });
            send(header, &m::CreateAclsResponse::default().with_results(results))
        }
        ApiKey::DeleteAcls => {
            use m::delete_acls_response::DeleteAclsFilterResult;
            let results = each(sections, |_| {
                DeleteAclsFilterResult::default().with_error_code(code::CLUSTER).with_error_message(message())
            });
            send(header, &m::DeleteAclsResponse::default().with_filter_results(results))
        }
        ApiKey::AlterClientQuotas => {
            use m::alter_client_quotas_response::{EntityData, EntryData};
            let entries = each(sections, |entry| {
                let entity = entry.keys.chunks(2).map(|pair| {
                    let [kind, name] = [pair.first(), pair.get(1)].map(|text| text.cloned().flatten());
                    EntityData::default().with_entity_type(kind.unwrap_or_default()).with_entity_name(name)
                });
                EntryData::default()
                    .with_error_code(code::CLUSTER)
                    .with_error_message(message())
                    .with_entity(entity.collect())
            });
            send(header, &m::AlterClientQuotasResponse::default().with_entries(entries))
        }
        ApiKey::AlterUserScramCredentials => {
            use m::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
            let results = each(sections, |user| {
                AlterUserScramCredentialsResult::default()
                    .with_user(user.key())
                    .with_error_code(code::CLUSTER)
                    .with_error_message(message())
            });
            send(header, &m::AlterUserScramCredentialsResponse::default().with_results(results))
        }
        ApiKey::DescribeConfigs => resources!(
            describe_configs_response,
            DescribeConfigsResult,
            DescribeConfigsResponse,
            with_results
        ),
        ApiKey::AlterConfigs => resources!(
            alter_configs_response,
            AlterConfigsResourceResponse,
            AlterConfigsResponse,
            with_responses
        ),
        ApiKey::IncrementalAlterConfigs => resources!(
            incremental_alter_configs_response,
            AlterConfigsResourceResponse,
            IncrementalAlterConfigsResponse,
            with_responses
        ),
        ApiKey::DescribeLogDirs => {
            const WITH_ERROR: i16 = 3;
            let response = m::DescribeLogDirsResponse::default();
            // Before, there is nothing but directories to tell of, and an answer without any says that one may see none.
            let error = header.api_version >= WITH_ERROR;
            send(header, &if error { response.with_error_code(code::CLUSTER) } else { response })
        }
        ApiKey::JoinGroup => plain!(JoinGroupResponse),
        ApiKey::Heartbeat => plain!(HeartbeatResponse),
        ApiKey::LeaveGroup => plain!(LeaveGroupResponse),
        ApiKey::SyncGroup => plain!(SyncGroupResponse),
        ApiKey::ListGroups => plain!(ListGroupsResponse),
        ApiKey::ApiVersions => plain!(ApiVersionsResponse),
        ApiKey::InitProducerId => plain!(InitProducerIdResponse),
        ApiKey::AddOffsetsToTxn => plain!(AddOffsetsToTxnResponse),
        ApiKey::EndTxn => plain!(EndTxnResponse),
        ApiKey::SaslAuthenticate => plain!(SaslAuthenticateResponse),
        ApiKey::SaslHandshake => plain!(SaslHandshakeResponse),
        ApiKey::CreateDelegationToken => plain!(CreateDelegationTokenResponse),
        ApiKey::RenewDelegationToken => plain!(RenewDelegationTokenResponse),
        ApiKey::ExpireDelegationToken => plain!(ExpireDelegationTokenResponse),
        ApiKey::DescribeDelegationToken => plain!(DescribeDelegationTokenResponse),
        ApiKey::DescribeAcls => plain!(DescribeAclsResponse),
        ApiKey::DescribeClientQuotas => plain!(DescribeClientQuotasResponse),
        ApiKey::DescribeUserScramCredentials => plain!(DescribeUserScramCredentialsResponse),
        ApiKey::UpdateFeatures => plain!(UpdateFeaturesResponse),
        ApiKey::DescribeCluster => plain!(DescribeClusterResponse),
        ApiKey::UnregisterBroker => plain!(UnregisterBrokerResponse),
        ApiKey::ListTransactions => plain!(ListTransactionsResponse),
        ApiKey::GetTelemetrySubscriptions => plain!(GetTelemetrySubscriptionsResponse),
        ApiKey::PushTelemetry => plain!(PushTelemetryResponse),
        ApiKey::ListConfigResources => plain!(ListConfigResourcesResponse),
        ApiKey::ConsumerGroupHeartbeat => plain!(ConsumerGroupHeartbeatResponse),
        ApiKey::ShareGroupHeartbeat => plain!(ShareGroupHeartbeatResponse),
        ApiKey::ShareFetch => plain!(ShareFetchResponse),
        ApiKey::ShareAcknowledge => plain!(ShareAcknowledgeResponse),
        ApiKey::ListPartitionReassignments => plain!(ListPartitionReassignmentsResponse),
        ApiKey::AlterShareGroupOffsets => plain!(AlterShareGroupOffsetsResponse),
        ApiKey::DeleteShareGroupOffsets => plain!(DeleteShareGroupOffsetsResponse),
        ApiKey::DescribeQuorum => plain!(DescribeQuorumResponse),
        ApiKey::Vote => plain!(VoteResponse),
        ApiKey::BeginQuorumEpoch => plain!(BeginQuorumEpochResponse),
        ApiKey::EndQuorumEpoch => plain!(EndQuorumEpochResponse),
        ApiKey::AlterPartition => plain!(AlterPartitionResponse),
        ApiKey::FetchSnapshot => plain!(FetchSnapshotResponse),
        ApiKey::BrokerRegistration => plain!(BrokerRegistrationResponse),
        ApiKey::BrokerHeartbeat => plain!(BrokerHeartbeatResponse),
        ApiKey::AllocateProducerIds => plain!(AllocateProducerIdsResponse),
        ApiKey::ControllerRegistration => plain!(ControllerRegistrationResponse),
        ApiKey::AssignReplicasToDirs => plain!(AssignReplicasToDirsResponse),
        ApiKey::AddRaftVoter => plain!(AddRaftVoterResponse),
        ApiKey::RemoveRaftVoter => plain!(RemoveRaftVoterResponse),
        ApiKey::UpdateRaftVoter => plain!(UpdateRaftVoterResponse),
        ApiKey::Envelope => plain!(EnvelopeResponse),
        _ => None,
    }
}

fn find_coordinator(header: &RequestHeader<'_>, subjects: &Subjects) -> Option<Vec<u8>> {
    use m::find_coordinator_response::Coordinator;
    const BY_KEY: i16 = 4;
    const TRANSACTION: i8 = 1;
    let error = if subjects.key_type == TRANSACTION { code::TRANSACTION } else { code::GROUP };
    let response = m::FindCoordinatorResponse::default();
    if header.api_version < BY_KEY {
        return send(
            header,
            &response.with_error_code(error).with_error_message(message()).with_node_id((-1).into()),
        );
    }
    let coordinators = each(&subjects.sections, |section| {
        Coordinator::default()
            .with_key(section.key())
            .with_node_id((-1).into())
            .with_port(-1)
            .with_error_code(error)
            .with_error_message(message())
    });
    send(header, &response.with_coordinators(coordinators))
}

fn resource_error(kind: i8) -> i16 {
    const TOPIC: i8 = 2;
    if kind == TOPIC { code::TOPIC } else { code::CLUSTER }
}
