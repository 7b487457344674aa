//! Every call by which this program changes anything at AWS.
//!
//! An effect is plain data: a plan is made of them, the users see them as lines, and they are executed in one place
//! only. The match arms over this enum name every variant, so a new one does not compile until its permission, its
//! line in a plan and its execution are written.

mod kind;

use super::error::Look;
use super::model::{Direction, ObjectVersion, Permit, Tags, Upload};
use super::scope::{AccountId, Region, Scope, VpcRef};
use async_trait::async_trait;
use ipnet::Ipv4Net;
use std::fmt;
use std::time::Duration;

/// The id of something that may still have to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceId {
    /// The id.
    Known(String),
    /// Known once the connection has been made by an earlier step of the same plan.
    Pending,
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(id) => f.write_str(id),
            Self::Pending => f.write_str("(the new peering connection)"),
        }
    }
}

/// One change at AWS.
#[derive(Clone, Debug, PartialEq, Eq, strum::EnumDiscriminants)]
#[strum_discriminants(name(EffectKind), derive(Hash, PartialOrd, Ord, strum::EnumIter, strum::IntoStaticStr))]
#[strum_discriminants(doc = "The kinds of [`Effect`], without their content.")]
#[allow(missing_docs)]
pub enum Effect {
    /// Make a role of ours, marked in the call itself.
    CreateRole { account: AccountId, path: String, role: String, trust: String, boundary: Option<String>, tags: Tags },
    /// Write the trust policy of a role of ours.
    UpdateAssumeRolePolicy { account: AccountId, role: String, trust: String },
    /// Put the permissions boundary back on a role of ours.
    PutRolePermissionsBoundary { account: AccountId, role: String, boundary: String },
    /// Write an inline policy of ours, on a role of ours or an execution role.
    PutRolePolicy { account: AccountId, role: String, policy: String, document: String },
    /// Remove an inline policy of ours.
    DeleteRolePolicy { account: AccountId, role: String, policy: String },
    /// Set tags on a role of ours.
    TagRole { account: AccountId, role: String, tags: Tags },
    /// Remove tags from a role of ours.
    UntagRole { account: AccountId, role: String, keys: Vec<String> },
    /// Remove a role of ours.
    DeleteRole { account: AccountId, role: String },
    /// Let a cluster take on a role of ours.
    AddClusterIamRole { at: Scope, cluster: String, role_arn: String },
    /// No longer let a cluster take on a role of ours.
    RemoveClusterIamRole { at: Scope, cluster: String, role_arn: String },
    /// Submit a statement, by the role of a link that may do nothing else.
    ExecuteStatement { at: Scope, submission: Submission },
    /// Ask for the end of a statement, by the role that submitted it.
    CancelStatement { at: Scope, role_arn: String, statement: String },
    /// Write a small object where there is none yet.
    PutObject { at: Scope, bucket: String, key: String, body: String },
    /// Remove objects, each in one version: at most a thousand.
    DeleteObjects { at: Scope, bucket: String, objects: Vec<ObjectVersion> },
    /// Give up an upload in parts that was never ended.
    AbortMultipartUpload { at: Scope, bucket: String, upload: Upload },
    /// Ask for a connection, marked in the call itself.
    CreateVpcPeeringConnection { from: VpcRef, to: VpcRef, tags: Tags },
    /// Accept a connection that we asked for.
    AcceptVpcPeeringConnection { at: Scope, peering: ResourceId },
    /// Set one side's DNS option.
    ModifyVpcPeeringConnectionOptions { at: Scope, peering: ResourceId, side: PeeringSide, resolve_remote_dns: bool },
    /// Remove a connection of ours.
    DeleteVpcPeeringConnection { at: Scope, peering: String },
    /// Set tags on a peering connection or a security group rule.
    CreateTags { at: Scope, resource: ResourceId, tags: Tags },
    /// Remove tags from a peering connection.
    DeleteTags { at: Scope, resource: String, keys: Vec<String> },
    /// Make a route.
    CreateRoute { at: Scope, table: String, cidr: Ipv4Net, peering: ResourceId },
    /// Point a route of ours, or one that may be taken over, to another connection.
    ReplaceRoute { at: Scope, table: String, cidr: Ipv4Net, peering: ResourceId },
    /// Remove a route of ours.
    DeleteRoute { at: Scope, table: String, cidr: Ipv4Net },
    /// Make an inbound rule, marked in the call itself.
    AuthorizeSecurityGroupIngress { at: Scope, group: String, permit: Permit, tags: Tags },
    /// Make an outbound rule, marked in the call itself.
    AuthorizeSecurityGroupEgress { at: Scope, group: String, permit: Permit, tags: Tags },
    /// Remove an inbound rule of ours, by its id.
    RevokeSecurityGroupIngress { at: Scope, group: String, rule: String, permit: Permit },
    /// Remove an outbound rule of ours, by its id.
    RevokeSecurityGroupEgress { at: Scope, group: String, rule: String, permit: Permit },
}

/// A statement to be submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// ARN of the role that submits it.
    pub role_arn: String,
    /// Identifier of the cluster.
    pub cluster: String,
    /// The database.
    pub database: String,
    /// The database user; absent: the role's own.
    pub database_user: Option<String>,
    /// Its text.
    pub sql: String,
    /// Its name, by which it is found again.
    pub name: String,
    /// AWS runs a second submission with the same token as little as it forgets the first.
    pub token: String,
}

/// The side of a peering connection whose option an account may set: its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PeeringSide {
    Requester,
    Accepter,
}

impl Effect {
    /// The rule that makes `permit` in `group`.
    #[must_use]
    pub fn authorize(at: Scope, group: String, permit: Permit, tags: Tags) -> Self {
        match permit.direction {
            Direction::Ingress => Self::AuthorizeSecurityGroupIngress { at, group, permit, tags },
            Direction::Egress => Self::AuthorizeSecurityGroupEgress { at, group, permit, tags },
        }
    }

    /// The removal of a rule.
    #[must_use]
    pub fn revoke(at: Scope, group: String, rule: String, permit: Permit) -> Self {
        match permit.direction {
            Direction::Ingress => Self::RevokeSecurityGroupIngress { at, group, rule, permit },
            Direction::Egress => Self::RevokeSecurityGroupEgress { at, group, rule, permit },
        }
    }

    /// The kind of this effect.
    #[must_use]
    pub fn kind(&self) -> EffectKind {
        self.into()
    }

    /// The account it changes, and the region; none for IAM, which is global.
    #[must_use]
    pub const fn place(&self) -> (&AccountId, Option<&Region>) {
        match self {
            Self::CreateRole { account, .. }
            | Self::UpdateAssumeRolePolicy { account, .. }
            | Self::PutRolePermissionsBoundary { account, .. }
            | Self::PutRolePolicy { account, .. }
            | Self::DeleteRolePolicy { account, .. }
            | Self::TagRole { account, .. }
            | Self::UntagRole { account, .. }
            | Self::DeleteRole { account, .. } => (account, None),
            Self::AddClusterIamRole { at, .. }
            | Self::RemoveClusterIamRole { at, .. }
            | Self::ExecuteStatement { at, .. }
            | Self::CancelStatement { at, .. }
            | Self::PutObject { at, .. }
            | Self::DeleteObjects { at, .. }
            | Self::AbortMultipartUpload { at, .. }
            | Self::CreateVpcPeeringConnection { from: VpcRef { at, .. }, .. }
            | Self::AcceptVpcPeeringConnection { at, .. }
            | Self::ModifyVpcPeeringConnectionOptions { at, .. }
            | Self::DeleteVpcPeeringConnection { at, .. }
            | Self::CreateTags { at, .. }
            | Self::DeleteTags { at, .. }
            | Self::CreateRoute { at, .. }
            | Self::ReplaceRoute { at, .. }
            | Self::DeleteRoute { at, .. }
            | Self::AuthorizeSecurityGroupIngress { at, .. }
            | Self::AuthorizeSecurityGroupEgress { at, .. }
            | Self::RevokeSecurityGroupIngress { at, .. }
            | Self::RevokeSecurityGroupEgress { at, .. } => (&at.account, Some(&at.region)),
        }
    }

    /// The thing that is changed, by id or name.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::CreateRole { path, role, .. } => format!("{path}{role}"),
            Self::UpdateAssumeRolePolicy { role, .. }
            | Self::PutRolePermissionsBoundary { role, .. }
            | Self::TagRole { role, .. }
            | Self::UntagRole { role, .. }
            | Self::DeleteRole { role, .. } => role.clone(),
            Self::PutRolePolicy { role, policy, .. } | Self::DeleteRolePolicy { role, policy, .. } => {
                format!("{role}/{policy}")
            }
            Self::AddClusterIamRole { cluster, .. } | Self::RemoveClusterIamRole { cluster, .. } => cluster.clone(),
            Self::ExecuteStatement { submission, .. } => submission.name.clone(),
            Self::CancelStatement { statement, .. } => statement.clone(),
            Self::PutObject { bucket, key, .. } => format!("{bucket}/{key}"),
            Self::DeleteObjects { bucket, .. } => bucket.clone(),
            Self::AbortMultipartUpload { bucket, upload, .. } => format!("{bucket}/{}", upload.key),
            Self::CreateVpcPeeringConnection { from, to, .. } => format!("{} to {}", from.id, to.id),
            Self::AcceptVpcPeeringConnection { peering, .. }
            | Self::ModifyVpcPeeringConnectionOptions { peering, .. } => peering.to_string(),
            Self::DeleteVpcPeeringConnection { peering, .. } => peering.clone(),
            Self::CreateTags { resource, .. } => resource.to_string(),
            Self::DeleteTags { resource, .. } => resource.clone(),
            Self::CreateRoute { table, cidr, .. }
            | Self::ReplaceRoute { table, cidr, .. }
            | Self::DeleteRoute { table, cidr, .. } => format!("{table} {cidr}"),
            Self::AuthorizeSecurityGroupIngress { group, .. }
            | Self::AuthorizeSecurityGroupEgress { group, .. }
            | Self::RevokeSecurityGroupIngress { group, .. }
            | Self::RevokeSecurityGroupEgress { group, .. } => group.clone(),
        }
    }

    /// The policy document that it writes, as JSON.
    #[must_use]
    pub fn document(&self) -> Option<&str> {
        match self {
            Self::CreateRole { trust: document, .. }
            | Self::UpdateAssumeRolePolicy { trust: document, .. }
            | Self::PutRolePolicy { document, .. } => Some(document),
            Self::PutRolePermissionsBoundary { .. }
            | Self::DeleteRolePolicy { .. }
            | Self::TagRole { .. }
            | Self::UntagRole { .. }
            | Self::DeleteRole { .. }
            | Self::AddClusterIamRole { .. }
            | Self::RemoveClusterIamRole { .. }
            | Self::ExecuteStatement { .. }
            | Self::CancelStatement { .. }
            | Self::PutObject { .. }
            | Self::DeleteObjects { .. }
            | Self::AbortMultipartUpload { .. }
            | Self::CreateVpcPeeringConnection { .. }
            | Self::AcceptVpcPeeringConnection { .. }
            | Self::ModifyVpcPeeringConnectionOptions { .. }
            | Self::DeleteVpcPeeringConnection { .. }
            | Self::CreateTags { .. }
            | Self::DeleteTags { .. }
            | Self::CreateRoute { .. }
            | Self::ReplaceRoute { .. }
            | Self::DeleteRoute { .. }
            | Self::AuthorizeSecurityGroupIngress { .. }
            | Self::AuthorizeSecurityGroupEgress { .. }
            | Self::RevokeSecurityGroupIngress { .. }
            | Self::RevokeSecurityGroupEgress { .. } => None,
        }
    }

    /// The id that an earlier step of the same plan may have to give.
    pub const fn pending_mut(&mut self) -> Option<&mut ResourceId> {
        match self {
            Self::AcceptVpcPeeringConnection { peering, .. }
            | Self::ModifyVpcPeeringConnectionOptions { peering, .. }
            | Self::CreateRoute { peering, .. }
            | Self::ReplaceRoute { peering, .. }
            | Self::CreateTags { resource: peering, .. } => Some(peering),
            Self::CreateRole { .. }
            | Self::UpdateAssumeRolePolicy { .. }
            | Self::PutRolePermissionsBoundary { .. }
            | Self::PutRolePolicy { .. }
            | Self::DeleteRolePolicy { .. }
            | Self::TagRole { .. }
            | Self::UntagRole { .. }
            | Self::DeleteRole { .. }
            | Self::AddClusterIamRole { .. }
            | Self::RemoveClusterIamRole { .. }
            | Self::ExecuteStatement { .. }
            | Self::CancelStatement { .. }
            | Self::PutObject { .. }
            | Self::DeleteObjects { .. }
            | Self::AbortMultipartUpload { .. }
            | Self::CreateVpcPeeringConnection { .. }
            | Self::DeleteVpcPeeringConnection { .. }
            | Self::DeleteTags { .. }
            | Self::DeleteRoute { .. }
            | Self::AuthorizeSecurityGroupIngress { .. }
            | Self::AuthorizeSecurityGroupEgress { .. }
            | Self::RevokeSecurityGroupIngress { .. }
            | Self::RevokeSecurityGroupEgress { .. } => None,
        }
    }
}

/// One line of a plan, without the account and region, which stand beside it.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind().operation().name, self.target())?;
        match self {
            Self::CreateVpcPeeringConnection { to, .. } => write!(f, " in {}", to.at),
            Self::ModifyVpcPeeringConnectionOptions { resolve_remote_dns, .. } => {
                write!(f, " AllowDnsResolutionFromRemoteVpc={resolve_remote_dns}")
            }
            Self::CreateRoute { peering, .. } | Self::ReplaceRoute { peering, .. } => write!(f, " via {peering}"),
            Self::AuthorizeSecurityGroupIngress { permit, .. } | Self::AuthorizeSecurityGroupEgress { permit, .. } => {
                write!(f, " {permit}")
            }
            Self::RevokeSecurityGroupIngress { rule, permit, .. }
            | Self::RevokeSecurityGroupEgress { rule, permit, .. } => write!(f, " {rule} {permit}"),
            Self::CreateTags { tags, .. } | Self::TagRole { tags, .. } => {
                write!(f, " {}", tags.keys().cloned().collect::<Vec<_>>().join(", "))
            }
            Self::DeleteTags { keys, .. } | Self::UntagRole { keys, .. } => write!(f, " {}", keys.join(", ")),
            Self::PutRolePermissionsBoundary { boundary, .. } => write!(f, " {boundary}"),
            Self::DeleteObjects { objects, .. } => write!(f, " {} objects", objects.len()),
            Self::AddClusterIamRole { role_arn, .. } => write!(f, " add {role_arn}"),
            Self::RemoveClusterIamRole { role_arn, .. } => write!(f, " remove {role_arn}"),
            Self::CreateRole { .. }
            | Self::UpdateAssumeRolePolicy { .. }
            | Self::PutRolePolicy { .. }
            | Self::DeleteRolePolicy { .. }
            | Self::DeleteRole { .. }
            | Self::ExecuteStatement { .. }
            | Self::CancelStatement { .. }
            | Self::PutObject { .. }
            | Self::AbortMultipartUpload { .. }
            | Self::AcceptVpcPeeringConnection { .. }
            | Self::DeleteVpcPeeringConnection { .. }
            | Self::DeleteRoute { .. } => Ok(()),
        }
    }
}

/// How long one effect may take before its answer counts as lost. The lease must surely outlive it.
pub const EFFECT_TIMEOUT: Duration = Duration::from_secs(20);

/// The writing half of the port to AWS: the one place where effects are executed.
#[async_trait]
pub trait Execute: Send + Sync {
    /// Executes one effect, once: no retry, for the answer to the first call may have been lost.
    async fn execute(&self, effect: &Effect) -> Look<Done>;
}

/// What an effect that was executed gave back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing that a later step needs.
    Executed,
    /// The id of the connection that was asked for.
    Peering(String),
    /// The id of the statement that was submitted.
    Statement(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_changes() {
        let at = Scope::new("444455556666", "eu-west-1");
        let route = Effect::CreateRoute {
            at: at.clone(),
            table: "rtb-1".into(),
            cidr: "10.1.0.0/16".parse().unwrap(),
            peering: ResourceId::Pending,
        };
        assert_eq!(route.to_string(), "CreateRoute rtb-1 10.1.0.0/16 via (the new peering connection)");
        assert_eq!(route.kind().operation().to_string(), "ec2:CreateRoute");
        let peering = Effect::CreateVpcPeeringConnection {
            from: VpcRef { at: at.clone(), id: "vpc-c".into() },
            to: VpcRef { at: Scope::new("111122223333", "eu-west-2"), id: "vpc-p".into() },
            tags: Tags::new(),
        };
        assert_eq!(peering.to_string(), "CreateVpcPeeringConnection vpc-c to vpc-p in 111122223333/eu-west-2");
        assert_eq!(peering.place(), (&at.account, Some(&at.region)));
    }
}
