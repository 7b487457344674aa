//! What is read from AWS, as plain values: only what a plan decides by.

mod rule;
mod unload;

pub use rule::{Direction, Permit, Rule, RulePeer};
pub use unload::{AWS_MANAGED, Listing, Object, ObjectVersion, Statement, StatementStatus, Upload};

use super::scope::VpcRef;
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Tags of a resource, as its owner sees them.
pub type Tags = BTreeMap<String, String>;

/// A provisioned Redshift cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Identifier.
    pub identifier: String,
    /// `available`, `paused`, `creating`, ...
    pub status: String,
    /// The VPC; absent on clusters outside any VPC.
    pub vpc: Option<String>,
    /// Name of the subnet group.
    pub subnet_group: Option<String>,
    /// VPC security groups, sorted.
    pub security_groups: BTreeSet<String>,
    /// Port of the endpoint; absent while the cluster is being created.
    pub port: Option<u16>,
    /// Host name of the endpoint.
    pub address: Option<String>,
    /// Name of the master user.
    pub master_user: String,
    /// The endpoint's name resolves to a public address from outside the VPC.
    pub public: bool,
    /// What it reads from and writes to S3 goes through its VPC.
    pub enhanced_vpc_routing: bool,
    /// ARNs of the roles that it may take on, with how far each is: `adding`, `in-sync`, `removing`, ...
    pub iam_roles: BTreeMap<String, String>,
}

impl Cluster {
    /// It takes changes: whatever else goes on, it is available.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.status == "available" || self.status.starts_with("available,")
    }
}

/// A KMS key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// ARN.
    pub arn: String,
    /// `Enabled`, `Disabled`, `PendingDeletion`, ...
    pub state: String,
    /// It encrypts and decrypts with one key.
    pub symmetric: bool,
}

/// What keeps the objects of a bucket from being removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketGuards {
    /// For how long each new object is locked, such as `GOVERNANCE for 30 days`.
    pub retention: Option<String>,
    /// Versions can be removed only with a code from a device.
    pub mfa_delete: bool,
}

/// A VPC endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VpcEndpoint {
    /// `vpce-...`.
    pub id: String,
    /// `com.amazonaws.eu-west-1.s3`, ...
    pub service: String,
    /// It is there to be used.
    pub available: bool,
    /// Route tables that lead to it; none for one with addresses of its own.
    pub tables: BTreeSet<String>,
    /// The service's own name resolves to it.
    pub private_dns: bool,
    /// Its policy.
    pub policy: Option<String>,
}

/// A secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Whole ARN.
    pub arn: String,
    /// ARN, id or alias of the customer's KMS key that encrypts it; absent where it is the one that AWS keeps for secrets.
    pub key: Option<String>,
    /// It is about to be deleted, and nobody can read it.
    pub being_deleted: bool,
}

/// A user profile of a Studio domain, or the domain's own defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StudioUsers {
    /// Execution role ARNs.
    pub execution_roles: BTreeSet<String>,
    /// Security groups of their notebooks.
    pub security_groups: BTreeSet<String>,
    /// Names of profiles that no database user can have.
    pub unfit: BTreeSet<String>,
}

/// Whether a database user, and so a source identity, can be named like this user profile
/// (docs/aws-behaviour.md#database-credentials).
#[must_use]
pub fn names_a_database_user(profile: &str) -> bool {
    profile.len() >= 2
        && profile.starts_with(|c: char| c.is_ascii_alphabetic())
        && !profile.eq_ignore_ascii_case("public")
}

/// A Studio domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// `d-...`.
    pub id: String,
    /// `InService`, ...
    pub status: String,
    /// The VPC; absent on domains of Unified Studio.
    pub vpc: Option<String>,
    /// Subnets of the notebooks.
    pub subnets: BTreeSet<String>,
    /// Notebook traffic goes through the VPC.
    pub vpc_only: bool,
    /// Sessions carry the user profile's name as source identity.
    pub passes_source_identity: bool,
    /// Roles and security groups of users and spaces without their own.
    pub defaults: StudioUsers,
}

/// An app of a Studio domain that is running or about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// User profile or space.
    pub owner: String,
    /// `JupyterLab`, ...
    pub kind: String,
    /// Name.
    pub name: String,
    /// Status as SageMaker names it.
    pub status: String,
}

/// A VPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vpc {
    /// `vpc-...`.
    pub id: String,
    /// The account that owns it.
    pub owner: String,
    /// All associated IPv4 blocks.
    pub cidrs: BTreeSet<Ipv4Net>,
}

/// The DNS attributes of a VPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VpcDns {
    /// `enableDnsSupport`.
    pub support: bool,
    /// `enableDnsHostnames`.
    pub hostnames: bool,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// `subnet-...`.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// The account that owns it: another one where it is shared.
    pub owner: String,
}

/// A route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTable {
    /// `rtb-...`.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// The account that owns it.
    pub owner: String,
    /// Serves subnets without a table of their own.
    pub main: bool,
    /// Subnets that are associated explicitly.
    pub subnets: BTreeSet<String>,
    /// All routes.
    pub routes: Vec<Route>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub destination: Destination,
    /// Through what.
    pub target: Target,
    /// Traffic is dropped: the target is gone or not yet active.
    pub blackhole: bool,
}

/// Destination of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An IPv4 block.
    Cidr(Ipv4Net),
    /// A prefix list, by its id.
    PrefixList(String),
    /// An IPv6 block, as AWS writes it.
    Ipv6(String),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(cidr) => write!(f, "{cidr}"),
            Self::PrefixList(other) | Self::Ipv6(other) => f.write_str(other),
        }
    }
}

/// Target of a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A peering connection.
    Peering(String),
    /// The VPC itself.
    Local,
    /// Anything else, by its id.
    Other(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peering(id) | Self::Other(id) => f.write_str(id),
            Self::Local => f.write_str("local"),
        }
    }
}

/// States of a peering connection (docs/aws-behaviour.md#vpc-peering).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PeeringStatus {
    InitiatingRequest,
    PendingAcceptance,
    Provisioning,
    Active,
    Failed,
    Rejected,
    Expired,
    Deleting,
    Deleted,
    /// A status that AWS did not have when this was written.
    Unknown,
}

impl PeeringStatus {
    /// The connection is, or may still become, the one between its two VPCs.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            Self::InitiatingRequest | Self::PendingAcceptance | Self::Provisioning | Self::Active | Self::Unknown => {
                true
            }
            Self::Failed | Self::Rejected | Self::Expired | Self::Deleting | Self::Deleted => false,
        }
    }
}

/// A peering connection, as seen from one of its two accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peering {
    /// `pcx-...`.
    pub id: String,
    /// Who asked for it.
    pub requester: VpcRef,
    /// Who accepts it.
    pub accepter: VpcRef,
    /// State.
    pub status: PeeringStatus,
    /// AWS's words for the state.
    pub status_message: String,
    /// The accepter's public names resolve to private addresses for the requester.
    pub accepter_dns: bool,
    /// The requester's public names resolve to private addresses for the accepter.
    pub requester_dns: bool,
    /// Tags set by the account and region that was asked.
    pub tags: Tags,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    /// `sg-...`.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
}

/// An IAM role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Name.
    pub name: String,
    /// Path, with both slashes.
    pub path: String,
    /// ARN.
    pub arn: String,
    /// Its unique id: a role made anew under the same name has another.
    pub id: String,
    /// Trust policy, decoded.
    pub trust: String,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Tags; empty where the read does not give them (`ListRoles`).
    pub tags: Tags,
}

/// The names of the policies on a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RolePolicies {
    /// Inline policies, by name.
    pub inline: BTreeSet<String>,
    /// Managed policies, by ARN.
    pub attached: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_profiles_cannot_be_database_users() {
        for (name, can) in [("alice", true), ("A-1", true), ("1a", false), ("a", false), ("Public", false)] {
            assert_eq!(names_a_database_user(name), can, "{name}");
        }
    }
}
