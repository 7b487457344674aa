//! What is read from AWS, as plain values: only what a plan decides by.

use super::scope::{AccountId, VpcRef};
use ipnet::Ipv4Net;
use k8s_openapi::jiff::Timestamp;
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

/// Which way a security group rule lets traffic pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Direction {
    Ingress,
    Egress,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

/// The other end of a security group rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RulePeer {
    /// An IPv4 block.
    Cidr(Ipv4Net),
    /// A security group, perhaps of another account.
    Group {
        /// Owner.
        account: AccountId,
        /// `sg-...`.
        id: String,
    },
    /// An IPv6 block or a prefix list, as AWS writes it.
    Other(String),
}

impl fmt::Display for RulePeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(cidr) => write!(f, "{cidr}"),
            Self::Group { account, id } => write!(f, "{account}/{id}"),
            Self::Other(other) => f.write_str(other),
        }
    }
}

/// What a security group rule lets pass: its natural key within a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permit {
    /// In or out.
    pub direction: Direction,
    /// `tcp`, or `-1` for all.
    pub protocol: String,
    /// First and last port; absent for all.
    pub ports: Option<(u16, u16)>,
    /// From or to whom.
    pub peer: RulePeer,
}

impl Permit {
    /// TCP to one port.
    #[must_use]
    pub fn tcp(direction: Direction, port: u16, peer: RulePeer) -> Self {
        Self { direction, protocol: "tcp".into(), ports: Some((port, port)), peer }
    }

    /// True where everything that `other` lets pass also passes by this.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let protocol = self.protocol == "-1" || self.protocol == other.protocol;
        let ports = match (self.ports, other.ports) {
            (None, _) => true,
            (Some((from, to)), Some((a, b))) => from <= a && b <= to,
            (Some(_), None) => false,
        };
        let peer = match (&self.peer, &other.peer) {
            (RulePeer::Cidr(wide), RulePeer::Cidr(narrow)) => wide.contains(narrow),
            (a, b) => a == b,
        };
        self.direction == other.direction && protocol && ports && peer
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.direction, self.protocol)?;
        match self.ports {
            Some((from, to)) if from == to => write!(f, "/{from}")?,
            Some((from, to)) => write!(f, "/{from}-{to}")?,
            None => {}
        }
        let word = match self.direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        write!(f, " {word} {}", self.peer)
    }
}

/// One rule of a security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `sgr-...`.
    pub id: String,
    /// The group it belongs to.
    pub group: String,
    /// What it lets pass.
    pub permit: Permit,
    /// Tags of the rule.
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

/// An object in a bucket, in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectVersion {
    /// Key.
    pub key: String,
    /// Id of the version; absent where the bucket never had versions.
    pub version: Option<String>,
}

/// An upload in parts that was not ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upload {
    /// Key of the object that it would make.
    pub key: String,
    /// Its id.
    pub id: String,
}

/// The objects below a prefix, as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The moment of the answer, by AWS's clock.
    pub as_of: Timestamp,
    /// By key.
    pub objects: BTreeMap<String, Object>,
}

/// One object of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Bytes.
    pub size: u64,
    /// When it was written, by AWS's clock.
    pub modified: Timestamp,
}

/// States of a statement (docs/aws-behaviour.md#statements).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StatementStatus {
    Submitted,
    Picked,
    Started,
    Finished,
    Failed,
    Aborted,
    /// A status that AWS did not have when this was written.
    Unknown,
}

impl StatementStatus {
    /// It ended, one way or another.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Finished | Self::Failed | Self::Aborted => true,
            Self::Submitted | Self::Picked | Self::Started | Self::Unknown => false,
        }
    }
}

/// A statement of the Data API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub status: StatementStatus,
    /// What the warehouse says of a failure.
    pub error: Option<String>,
    /// When it was submitted, by AWS's clock.
    pub created: Option<Timestamp>,
    /// Rows that it returned or affected, where the API tells.
    pub rows: Option<u64>,
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
    use proptest::prelude::*;

    fn permit(protocol: &str, ports: Option<(u16, u16)>, cidr: &str) -> Permit {
        let peer = RulePeer::Cidr(cidr.parse().unwrap());
        Permit { direction: Direction::Egress, protocol: protocol.into(), ports, peer }
    }

    #[test]
    fn some_profiles_cannot_be_database_users() {
        for (name, can) in [("alice", true), ("A-1", true), ("1a", false), ("a", false), ("Public", false)] {
            assert_eq!(names_a_database_user(name), can, "{name}");
        }
    }

    fn some_permit() -> impl Strategy<Value = Permit> {
        let protocol = prop_oneof![Just("-1"), Just("tcp"), Just("udp")];
        let ports = proptest::option::of((0..8_u16, 0..8_u16));
        let block = (0..16_u32, 24..=32_u8);
        (any::<bool>(), protocol, ports, block).prop_map(|(egress, protocol, ports, (address, length))| Permit {
            direction: if egress { Direction::Egress } else { Direction::Ingress },
            protocol: protocol.into(),
            ports: ports.map(|(a, b)| (a.min(b), a.max(b))),
            peer: RulePeer::Cidr(Ipv4Net::new(address.into(), length).unwrap().trunc()),
        })
    }

    proptest! {
        /// A rule of others is used in place of ours only if every packet that ours lets pass passes by it as well.
        #[test]
        fn what_covers_a_rule_lets_all_of_its_packets_pass(
            wide in some_permit(),
            narrow in some_permit(),
            egress in any::<bool>(),
            (udp, port, address) in (any::<bool>(), 0..8_u16, 0..16_u32),
        ) {
            let passes = |by: &Permit| {
                let protocol = if udp { "udp" } else { "tcp" };
                let address: std::net::Ipv4Addr = address.into();
                (by.direction == Direction::Egress) == egress
                    && (by.protocol == "-1" || by.protocol == protocol)
                    && by.ports.is_none_or(|(from, to)| (from..=to).contains(&port))
                    && matches!(&by.peer, RulePeer::Cidr(cidr) if cidr.contains(&address))
            };
            if wide.covers(&narrow) && passes(&narrow) {
                prop_assert!(passes(&wide), "{} by {}", narrow, wide);
            }
            prop_assert!(narrow.covers(&narrow));
        }
    }

    #[test]
    fn a_wider_rule_covers_a_narrower_one() {
        let ours = permit("tcp", Some((5439, 5439)), "10.1.0.0/16");
        for wider in [
            permit("-1", None, "0.0.0.0/0"),
            permit("tcp", Some((5000, 6000)), "10.0.0.0/8"),
            permit("tcp", Some((5439, 5439)), "10.1.0.0/16"),
        ] {
            assert!(wider.covers(&ours), "{wider}");
        }
        for other in [
            permit("udp", Some((5439, 5439)), "10.1.0.0/16"),
            permit("tcp", Some((5440, 5440)), "10.1.0.0/16"),
            permit("tcp", Some((5439, 5439)), "10.1.0.0/17"),
            Permit { direction: Direction::Ingress, ..permit("-1", None, "0.0.0.0/0") },
        ] {
            assert!(!other.covers(&ours), "{other}");
        }
        assert_eq!(ours.to_string(), "egress tcp/5439 to 10.1.0.0/16");
    }
}
