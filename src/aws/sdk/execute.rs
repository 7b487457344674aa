//! The one place where effects are executed.

use super::{Call, Sdk};
use crate::aws::effect::{Done, EFFECT_TIMEOUT, Effect, Execute, PeeringSide, ResourceId};
use crate::aws::error::{AwsError, Class, Look, code};
use crate::aws::model::{ObjectVersion, Permit, RulePeer, Tags};
use async_trait::async_trait;
use aws_sdk_ec2::types::{
    IpPermission, IpRange, PeeringConnectionOptionsRequest, PrefixListId, ResourceType, TagSpecification,
    UserIdGroupPair,
};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

#[async_trait]
impl Execute for Sdk {
    async fn execute(&self, effect: &Effect) -> Look<Done> {
        let (account, region) = effect.place();
        let target = effect.target();
        let call = Call { account, region, operation: effect.kind().operation(), resource: &target, writes: true };
        // what comes before the call itself is refused plainly: nothing was sent
        let session = match tokio::time::timeout(EFFECT_TIMEOUT / 4, self.sessions.enter_for(account, region)).await {
            Ok(session) => session.map_err(not_sent)?,
            Err(_) => return Err(not_sent(call.error(code::NO_ANSWER, "the account was not entered in time", None))),
        };
        let (iam, ec2) = (&session.clients.iam_writes, &session.clients.ec2_writes);
        let (redshift, s3) = (&session.clients.redshift_writes, &session.clients.s3_writes);
        match effect {
            Effect::CreateRole { path, role, trust, boundary, tags, .. } => {
                let request = iam.create_role().path(path).role_name(role).assume_role_policy_document(trust);
                let request = request.set_permissions_boundary(boundary.clone()).set_tags(Some(iam_tags(tags)));
                self.call(call, request.send()).await.map(drop)
            }
            Effect::UpdateAssumeRolePolicy { role, trust, .. } => {
                let request = iam.update_assume_role_policy().role_name(role).policy_document(trust);
                self.call(call, request.send()).await.map(drop)
            }
            Effect::PutRolePermissionsBoundary { role, boundary, .. } => {
                let request = iam.put_role_permissions_boundary().role_name(role).permissions_boundary(boundary);
                self.call(call, request.send()).await.map(drop)
            }
            Effect::PutRolePolicy { role, policy, document, .. } => {
                let request = iam.put_role_policy().role_name(role).policy_name(policy).policy_document(document);
                self.call(call, request.send()).await.map(drop)
            }
            Effect::DeleteRolePolicy { role, policy, .. } => {
                self.call(call, iam.delete_role_policy().role_name(role).policy_name(policy).send()).await.map(drop)
            }
            Effect::TagRole { role, tags, .. } => {
                self.call(call, iam.tag_role().role_name(role).set_tags(Some(iam_tags(tags))).send()).await.map(drop)
            }
            Effect::UntagRole { role, keys, .. } => {
                let request = iam.untag_role().role_name(role).set_tag_keys(Some(keys.clone()));
                self.call(call, request.send()).await.map(drop)
            }
            Effect::DeleteRole { role, .. } => {
                self.call(call, iam.delete_role().role_name(role).send()).await.map(drop)
            }
            Effect::AddClusterIamRole { cluster, role_arn, .. } => {
                let request = redshift.modify_cluster_iam_roles().cluster_identifier(cluster).add_iam_roles(role_arn);
                self.call(call, request.send()).await.map(drop)
            }
            Effect::RemoveClusterIamRole { cluster, role_arn, .. } => {
                let request =
                    redshift.modify_cluster_iam_roles().cluster_identifier(cluster).remove_iam_roles(role_arn);
                self.call(call, request.send()).await.map(drop)
            }
            Effect::ExecuteStatement { at, submission } => {
                let client = self.sessions.statements(at, &submission.role_arn).await.map_err(not_sent)?;
                let request = client.writes.execute_statement().cluster_identifier(&submission.cluster);
                let request = request.database(&submission.database).sql(&submission.sql);
                let request = request.set_db_user(submission.database_user.clone());
                let request = request.statement_name(&submission.name).client_token(&submission.token);
                let id = self.call(call, request.send()).await?.id;
                return id
                    .map(Done::Statement)
                    .ok_or_else(|| call.error(code::NO_ANSWER, "an answer without an id", None));
            }
            Effect::CancelStatement { at, role_arn, statement } => {
                let client = self.sessions.statements(at, role_arn).await.map_err(not_sent)?;
                self.call(call, client.writes.cancel_statement().id(statement).send()).await.map(drop)
            }
            Effect::PutObject { bucket, key, body, .. } => {
                let request = s3.put_object().bucket(bucket).key(key).expected_bucket_owner(&account.0);
                let request = request.if_none_match("*").content_type("application/json");
                self.call(call, request.body(body.clone().into_bytes().into()).send()).await.map(drop)
            }
            Effect::DeleteObjects { bucket, objects, .. } => {
                let request = s3.delete_objects().bucket(bucket).expected_bucket_owner(&account.0);
                let answer = self.call(call, request.delete(to_delete(objects)).send()).await?;
                return match answer.errors.unwrap_or_default().into_iter().next() {
                    None => Ok(Done::Executed),
                    Some(refusal) => {
                        let key = refusal.key.unwrap_or_default();
                        let message = format!("{key}: {}", refusal.message.unwrap_or_default());
                        Err(call.error(refusal.code.as_deref().unwrap_or("UnknownError"), message, None))
                    }
                };
            }
            Effect::AbortMultipartUpload { bucket, upload, .. } => {
                let request = s3.abort_multipart_upload().bucket(bucket).expected_bucket_owner(&account.0);
                self.call(call, request.key(&upload.key).upload_id(&upload.id).send()).await.map(drop)
            }
            Effect::CreateVpcPeeringConnection { from, to, tags } => {
                let request = ec2.create_vpc_peering_connection().vpc_id(&from.id).peer_vpc_id(&to.id);
                let request = request.peer_owner_id(&to.at.account.0).peer_region(&to.at.region.0);
                let request = request.tag_specifications(tag_specification(ResourceType::VpcPeeringConnection, tags));
                let answer = self.call(call, request.send()).await?;
                let id = answer.vpc_peering_connection.and_then(|made| made.vpc_peering_connection_id);
                return id
                    .map(Done::Peering)
                    .ok_or_else(|| call.error(code::NO_ANSWER, "an answer without an id", None));
            }
            Effect::AcceptVpcPeeringConnection { peering, .. } => {
                let request = ec2.accept_vpc_peering_connection().vpc_peering_connection_id(known(peering));
                self.call(call, request.send()).await.map(drop)
            }
            Effect::ModifyVpcPeeringConnectionOptions { peering, side, resolve_remote_dns, .. } => {
                let options = PeeringConnectionOptionsRequest::builder();
                let options = options.allow_dns_resolution_from_remote_vpc(*resolve_remote_dns).build();
                let request = ec2.modify_vpc_peering_connection_options().vpc_peering_connection_id(known(peering));
                let request = match side {
                    PeeringSide::Requester => request.requester_peering_connection_options(options),
                    PeeringSide::Accepter => request.accepter_peering_connection_options(options),
                };
                self.call(call, request.send()).await.map(drop)
            }
            Effect::DeleteVpcPeeringConnection { peering, .. } => {
                let request = ec2.delete_vpc_peering_connection().vpc_peering_connection_id(peering);
                self.call(call, request.send()).await.map(drop)
            }
            Effect::CreateTags { resource, tags, .. } => {
                let request = ec2.create_tags().resources(known(resource)).set_tags(Some(ec2_tags(tags)));
                self.call(call, request.send()).await.map(drop)
            }
            Effect::DeleteTags { resource, keys, .. } => {
                let tags = keys.iter().map(|key| aws_sdk_ec2::types::Tag::builder().key(key).build()).collect();
                let request = ec2.delete_tags().resources(resource).set_tags(Some(tags));
                self.call(call, request.send()).await.map(drop)
            }
            Effect::CreateRoute { table, cidr, peering, .. } => {
                let request = ec2.create_route().route_table_id(table).destination_cidr_block(cidr.to_string());
                let request = request.vpc_peering_connection_id(known(peering));
                self.call(call, request.send()).await.map(drop)
            }
            Effect::ReplaceRoute { table, cidr, peering, .. } => {
                let request = ec2.replace_route().route_table_id(table).destination_cidr_block(cidr.to_string());
                let request = request.vpc_peering_connection_id(known(peering));
                self.call(call, request.send()).await.map(drop)
            }
            Effect::DeleteRoute { table, cidr, .. } => {
                let request = ec2.delete_route().route_table_id(table).destination_cidr_block(cidr.to_string());
                self.call(call, request.send()).await.map(drop)
            }
            Effect::AuthorizeSecurityGroupIngress { group, permit, tags, .. } => {
                let request =
                    ec2.authorize_security_group_ingress().group_id(group).ip_permissions(ip_permission(permit));
                let request = request.tag_specifications(tag_specification(ResourceType::SecurityGroupRule, tags));
                self.call(call, request.send()).await.map(drop)
            }
            Effect::AuthorizeSecurityGroupEgress { group, permit, tags, .. } => {
                let request =
                    ec2.authorize_security_group_egress().group_id(group).ip_permissions(ip_permission(permit));
                let request = request.tag_specifications(tag_specification(ResourceType::SecurityGroupRule, tags));
                self.call(call, request.send()).await.map(drop)
            }
            Effect::RevokeSecurityGroupIngress { group, rule, .. } => {
                let request = ec2.revoke_security_group_ingress().group_id(group).security_group_rule_ids(rule);
                self.call(call, request.send()).await.map(drop)
            }
            Effect::RevokeSecurityGroupEgress { group, rule, .. } => {
                let request = ec2.revoke_security_group_egress().group_id(group).security_group_rule_ids(rule);
                self.call(call, request.send()).await.map(drop)
            }
        }?;
        Ok(Done::Executed)
    }
}

/// A session that did not answer leaves the effect undone for certain.
fn not_sent(error: AwsError) -> AwsError {
    if error.is_ambiguous() {
        return AwsError { code: "NotSent".into(), class: Class::Transient, ..error };
    }
    error
}

/// The id of a thing; the caller has filled in what was pending.
fn known(id: &ResourceId) -> &str {
    match id {
        ResourceId::Known(id) => id,
        ResourceId::Pending => unreachable!("an effect whose id is pending is not executed"),
    }
}

fn to_delete(objects: &[ObjectVersion]) -> Delete {
    let identifier = |object: &ObjectVersion| {
        let identifier = ObjectIdentifier::builder().key(&object.key).set_version_id(object.version.clone());
        identifier.build().expect("the key is set")
    };
    let objects = objects.iter().map(identifier).collect();
    Delete::builder().set_objects(Some(objects)).quiet(true).build().expect("the objects are set")
}

fn iam_tags(tags: &Tags) -> Vec<aws_sdk_iam::types::Tag> {
    let tag = |(key, value): (&String, &String)| {
        aws_sdk_iam::types::Tag::builder().key(key).value(value).build().expect("key and value are set")
    };
    tags.iter().map(tag).collect()
}

fn ec2_tags(tags: &Tags) -> Vec<aws_sdk_ec2::types::Tag> {
    tags.iter().map(|(key, value)| aws_sdk_ec2::types::Tag::builder().key(key).value(value).build()).collect()
}

fn tag_specification(kind: ResourceType, tags: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(ec2_tags(tags))).build()
}

fn ip_permission(permit: &Permit) -> IpPermission {
    let permission = IpPermission::builder()
        .ip_protocol(&permit.protocol)
        .set_from_port(permit.ports.map(|(from, _)| from.into()))
        .set_to_port(permit.ports.map(|(_, to)| to.into()));
    match &permit.peer {
        RulePeer::Cidr(cidr) => permission.ip_ranges(IpRange::builder().cidr_ip(cidr.to_string()).build()),
        RulePeer::Group { account, id } => {
            permission.user_id_group_pairs(UserIdGroupPair::builder().user_id(&account.0).group_id(id).build())
        }
        RulePeer::Other(list) => permission.prefix_list_ids(PrefixListId::builder().prefix_list_id(list).build()),
    }
    .build()
}
