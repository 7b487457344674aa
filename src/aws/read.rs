//! The catalog of reads: what can be asked of AWS, and what has been seen.
//!
//! A plan is computed from a [`Seen`]. Where it lacks something it says so ([`Gap::Unread`]) and is computed again once
//! that has been read, so what is observed and what is planned cannot come apart. Adding a line to the table below is
//! all it takes to read something new: the port, the sharing of listings and the published permissions follow from it.

use super::error::{AwsError, Look, Operation, Service};
use super::manifest::Manifest;
use super::model::{
    App, BucketGuards, Cluster, Domain, Key, Listing, ObjectVersion, Peering, Role, RolePolicies, RouteTable, Rule,
    Secret, SecurityGroup, Statement, StudioUsers, Subnet, Upload, Vpc, VpcDns, VpcEndpoint,
};
use super::scope::{Partition, Region, Scope};
use async_trait::async_trait;
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet};

/// Why something is not known.
#[derive(Clone, Debug, PartialEq)]
pub enum Gap {
    /// It has not been read yet.
    Unread(BTreeSet<Read>),
    /// It was asked for and refused.
    Refused(Box<AwsError>),
}

/// What was found, by id. An id that is not in it is not there.
pub type Found<K, V> = BTreeMap<K, V>;

/// Reads of a kind are shared, unless they are `single`.
macro_rules! lane {
    ($id:ty, $answer:ty) => { super::lane::Lane<$id, $answer> };
    ($id:ty, $answer:ty, single) => { super::lane::Single<$id, $answer> };
}

macro_rules! reads {
    ($(
        $(#[$doc:meta])*
        $method:ident: $kind:ident($id:ty) -> $answer:ty, $service:ident [$($operation:literal),+] $(, $single:ident)?;
    )+) => {
        /// One thing to be read.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Read {
            $($(#[$doc])* $kind(Scope, $id),)+
        }

        /// Everything read so far. Each answer, a refusal too, is a value.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Seen {
            $($method: BTreeMap<(Scope, $id), Look<$answer>>,)+
        }

        impl Seen {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// It has not been read, or was refused.
                pub fn $method(&self, at: &Scope, id: impl Into<$id>) -> Result<&$answer, Gap> {
                    let key = (at.clone(), id.into());
                    match self.$method.get(&key) {
                        Some(Ok(answer)) => Ok(answer),
                        Some(Err(error)) => Err(Gap::Refused(Box::new(error.clone()))),
                        None => Err(Gap::Unread(BTreeSet::from([Read::$kind(key.0, key.1)]))),
                    }
                }
            )+

            /// Forgets route tables. They say which table serves a subnet, for which they are read before the wants
            /// of a link are published, and they hold routes, which must be read after that.
            pub fn forget_route_tables(&mut self) {
                self.tables_of_vpc.clear();
            }

            /// Adds an answer.
            pub fn insert(&mut self, answer: Answer) {
                match answer {
                    $(Answer::$kind(at, id, answer) => { self.$method.insert((at, id), answer); })+
                }
            }
        }

        /// The answer to a [`Read`].
        #[derive(Clone, Debug)]
        #[allow(missing_docs)]
        pub enum Answer {
            $($kind(Scope, $id, Look<$answer>),)+
        }

        /// The reading half of the port to AWS. Each method takes all ids that are wanted at once and leaves out what
        /// is not there.
        #[async_trait]
        pub trait Reads: Send + Sync {
            $($(#[$doc])* async fn $method(&self, at: &Scope, ids: &BTreeSet<$id>) -> Look<Found<$id, $answer>>;)+
        }

        /// The API operations behind each kind of read.
        pub const OPERATIONS: &[(&str, &[Operation])] = &[
            $((stringify!($method), &[$(Operation::new(Service::$service, $operation)),+]),)+
        ];

        /// Reads in flight and just finished, one lane for each kind (see [`super::lane`]).
        #[derive(Default)]
        pub(super) struct Lanes {
            $($method: lane!($id, $answer $(, $single)?),)+
        }

        impl Lanes {
            /// Answers `read` by a call that is fresh enough.
            pub(super) async fn answer(&self, source: &dyn Reads, read: Read, wanted: super::moment::Freshness) -> Answer {
                match read {
                    $(Read::$kind(at, id) => {
                        let answer = self.$method.get(&at, id.clone(), wanted, |ids| {
                            let at = at.clone();
                            async move { source.$method(&at, &ids).await }
                        }).await;
                        Answer::$kind(at, id, answer)
                    })+
                }
            }
        }

        impl Read {
            /// The service that answers.
            #[must_use]
            pub const fn service(&self) -> Service {
                match self {
                    $(Self::$kind(..) => Service::$service,)+
                }
            }
        }
    };
}

reads! {
    /// The partition of an account, once its session is known to be of that account.
    identity: Identity(()) -> Option<Partition>, Sts ["GetCallerIdentity"];
    /// A provisioned cluster, by identifier.
    cluster: Cluster(String) -> Option<Cluster>, Redshift ["DescribeClusters"];
    /// The subnet ids of a cluster subnet group, by name.
    subnet_group: SubnetGroup(String) -> Option<BTreeSet<String>>, Redshift ["DescribeClusterSubnetGroups"];
    /// A Studio domain, by id.
    domain: Domain(String) -> Option<Domain>, SageMaker ["DescribeDomain"];
    /// Roles and groups of all user profiles of a domain that have their own.
    user_profiles: UserProfiles(String) -> StudioUsers, SageMaker ["ListUserProfiles", "DescribeUserProfile"];
    /// Apps of a domain that are running or about to.
    live_apps: LiveApps(String) -> Vec<App>, SageMaker ["ListApps"];
    /// A VPC, by id.
    vpc: Vpc(String) -> Option<Vpc>, Ec2 ["DescribeVpcs"];
    /// The DNS attributes of a VPC.
    vpc_dns: VpcDns(String) -> Option<VpcDns>, Ec2 ["DescribeVpcAttribute"];
    /// A subnet, by id.
    subnet: Subnet(String) -> Option<Subnet>, Ec2 ["DescribeSubnets"];
    /// All route tables of a VPC.
    tables_of_vpc: TablesOfVpc(String) -> Vec<RouteTable>, Ec2 ["DescribeRouteTables"];
    /// All route tables with a route through a peering connection.
    tables_through: TablesThrough(String) -> Vec<RouteTable>, Ec2 ["DescribeRouteTables"];
    /// All VPC endpoints of a VPC.
    endpoints_of_vpc: EndpointsOfVpc(String) -> Vec<VpcEndpoint>, Ec2 ["DescribeVpcEndpoints"];
    /// The IPv4 blocks of a managed prefix list. One that is not there is refused: a route names it, and without blocks
    /// it would seem to carry nothing.
    prefix_list: PrefixList(String) -> BTreeSet<Ipv4Net>, Ec2 ["GetManagedPrefixListEntries"];
    /// A security group, by id.
    security_group: SecurityGroup(String) -> Option<SecurityGroup>, Ec2 ["DescribeSecurityGroups"];
    /// All rules of a security group.
    rules_of_group: RulesOfGroup(String) -> Vec<Rule>, Ec2 ["DescribeSecurityGroupRules"];
    /// All security group rules that carry this installation's mark.
    marked_rules: MarkedRules(()) -> Vec<Rule>, Ec2 ["DescribeSecurityGroupRules"];
    /// All peering connections that the account sees, in every state.
    peerings: Peerings(()) -> Vec<Peering>, Ec2 ["DescribeVpcPeeringConnections"];
    /// A role, by name.
    role: Role(String) -> Option<Role>, Iam ["GetRole"];
    /// An inline policy's document, by role and policy name.
    role_policy: RolePolicy((String, String)) -> Option<String>, Iam ["GetRolePolicy"];
    /// The names of all policies on a role.
    role_policies: RolePolicies(String) -> Option<RolePolicies>, Iam ["ListRolePolicies", "ListAttachedRolePolicies"];
    /// All roles under this installation's path.
    marked_roles: MarkedRoles(()) -> Vec<Role>, Iam ["ListRoles"];
    /// The region of a bucket of the account, by name. One of another account is refused like one without permission.
    bucket: Bucket(String) -> Option<Region>, S3 ["GetBucketLocation"];
    /// The policy of a bucket, by name. In another region than the bucket's it is not told.
    bucket_policy: BucketPolicy(String) -> Option<String>, S3 ["GetBucketPolicy"];
    /// What keeps objects of a bucket from being removed.
    bucket_guards: BucketGuards(String) -> BucketGuards, S3 ["GetBucketVersioning", "GetObjectLockConfiguration"];
    /// The KMS key that a bucket encrypts with by default, by the bucket's name, as the bucket calls it: an ARN, an id or
    /// an alias. None where it is S3's own.
    bucket_key: BucketKey(String) -> Option<String>, S3 ["GetBucketEncryption"];
    /// A KMS key, by ARN, id or alias.
    key: Key(String) -> Option<Key>, Kms ["DescribeKey"];
    /// The policy of a KMS key of the account, by ARN.
    key_policy: KeyPolicy(String) -> Option<String>, Kms ["GetKeyPolicy"];
    /// What is told of a secret, by ARN; its value is never read.
    secret: Secret(String) -> Option<Secret>, SecretsManager ["DescribeSecret"];
    /// The objects below a prefix of a bucket, all of them.
    objects: Objects((String, String)) -> Listing, S3 ["ListObjectsV2"], single;
    /// All versions and delete markers below a prefix of a bucket.
    object_versions: ObjectVersions((String, String)) -> BTreeSet<ObjectVersion>, S3 ["ListObjectVersions"], single;
    /// Uploads in parts below a prefix of a bucket that were not ended.
    uploads: Uploads((String, String)) -> BTreeSet<Upload>, S3 ["ListMultipartUploads"], single;
    /// The text of a small object, by bucket and key. One of more than 64 KiB is refused.
    object_text: ObjectText((String, String)) -> Option<String>, S3 ["GetObject"], single;
    /// The manifest of an UNLOAD, by bucket and key.
    manifest: Manifest((String, String)) -> Option<Result<Manifest, String>>, S3 ["GetObject"], single;
    /// A statement as it stands, by the role that submitted it and its id.
    statement: Statement((String, String)) -> Option<Statement>, RedshiftData ["DescribeStatement"], single;
    /// Whether a statement has ended, by the role that submitted it and its id. The answer waits a while for that.
    statement_end: StatementEnd((String, String)) -> bool, RedshiftData ["DescribeStatement"], single;
    /// The statements whose names begin with a text, by the role that submitted them, the cluster and that text; all
    /// that the API still knows, in every state.
    statements_named: StatementsNamed((String, String, String)) -> Vec<Statement>, RedshiftData ["ListStatements"];
    /// How many characters a trust policy may have.
    trust_policy_quota: TrustPolicyQuota(()) -> Option<usize>, Iam ["GetAccountSummary"];
}
