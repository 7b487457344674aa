//! The kind `CrossAccountRedshiftLink`: what a user asks for.
// clippy takes the columns of the printed table for attributes of one thing
#![allow(clippy::duplicated_attributes)]

use super::status::LinkStatus;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The connection between a Redshift warehouse in one AWS account and its users in another.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "redshiftlink.dev",
    version = "v1alpha1",
    kind = "CrossAccountRedshiftLink",
    doc = "The connection between a Redshift warehouse in one AWS account and its users in another.",
    namespaced,
    shortname = "rslink",
    category = "redshiftlink",
    status = "LinkStatus",
    derive = "PartialEq",
    selectable = ".spec.producer.accountId",
    selectable = ".spec.producer.cluster.identifier",
    selectable = ".spec.consumer.accountId",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether everything is in place."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is, or is not."
    ),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.producer.cluster.identifier"),
    printcolumn(name = "Producer", type_ = "string", json_path = ".spec.producer.accountId"),
    printcolumn(name = "Consumer", type_ = "string", json_path = ".spec.consumer.accountId"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Peering", type_ = "string", json_path = ".status.peeringConnectionId", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.producer.accountId != self.consumer.accountId")
        .message("producer and consumer must be two accounts").field_path(".consumer.accountId"),
    validation = Rule::new("!has(self.consumer.network) || (has(self.access) && has(self.access.databaseUsers))")
        .message("a network consumer needs access.databaseUsers: whom its roles may become in the database"),
    validation = Rule::new("!has(self.consumer.network) || !has(self.access) || !has(self.access.sourceIdentity) || self.access.sourceIdentity == 'Ignore'")
        .message("sourceIdentity is for Studio consumers: a network has no user profiles"),
    validation = Rule::new("!has(self.consumer.studio) || !has(self.access) || !has(self.access.sourceIdentity) || self.access.sourceIdentity != 'Ignore' || has(self.access.databaseUsers)")
        .message("sourceIdentity: Ignore needs access.databaseUsers: nothing else says whom a Studio user may become in the database"),
    validation = Rule::new("!has(self.consumer.studio) || !has(self.access) || !has(self.access.databaseUsers) || (has(self.access.sourceIdentity) && self.access.sourceIdentity == 'Ignore')")
        .message("access.databaseUsers needs sourceIdentity: Ignore: otherwise each Studio user becomes the database user of his own name"),
    validation = Rule::new("!has(self.unload) || !has(self.unload.kmsKeyArn) || self.unload.kmsKeyArn.split(':')[4] == self.consumer.accountId")
        .message("unload.kmsKeyArn must be a key of the consumer's account").field_path(".unload.kmsKeyArn"),
    validation = Rule::new("!has(self.unload) || !has(self.unload.secretArn) || (self.unload.secretArn.split(':')[4] == self.producer.accountId && self.unload.secretArn.split(':')[3] == self.producer.region)")
        .message("unload.secretArn must be a secret of the producer's account and region").field_path(".unload.secretArn"),
    validation = Rule::new("!has(self.unload) || !has(self.unload.secretReaders) || self.unload.secretReaders.all(arn, arn.split(':')[4] == self.consumer.accountId)")
        .message("unload.secretReaders must be roles of the consumer's account").field_path(".unload.secretReaders")
)]
pub struct CrossAccountRedshiftLinkSpec {
    /// Whether to make what is missing (`Enforce`) or only to show in status what would be made (`Plan`). Absent: `Enforce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Leaves everything at AWS as it is while true. Deleting the object still takes everything down. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// The side of the warehouse.
    pub producer: Producer,
    /// The side of its users.
    pub consumer: Consumer,
    /// Who may become whom in the database. Absent: each Studio user becomes the database user of his own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// The VPC peering connection. Absent: one is made, with DNS resolution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peering: Option<PeeringSpec>,
    /// Where UNLOADs across this link may write. Absent: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unload: Option<Unload>,
    /// What happens to things at AWS when this object is deleted: `Delete` removes all that it made and no other link
    /// needs; `Retain` leaves it in place and gives it up, but for what other links share, which goes with the last of
    /// them. Absent: `Delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Tags for the roles that are made for this link alone. Things shared with other links do not carry them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::tags")]
    pub tags: Option<BTreeMap<String, String>>,
}

impl CrossAccountRedshiftLinkSpec {
    /// True where each session becomes the database user of its own source identity.
    #[must_use]
    pub fn ties_source_identity(&self) -> bool {
        let chosen = self.access.as_ref().and_then(|access| access.source_identity);
        self.consumer.studio.is_some() && chosen != Some(SourceIdentity::Ignore)
    }

    /// The consumer's region.
    #[must_use]
    pub fn consumer_region(&self) -> &str {
        self.consumer.region.as_deref().unwrap_or(&self.producer.region)
    }

    /// True where everything is taken down with the object.
    #[must_use]
    pub fn deletes(&self) -> bool {
        self.deletion_policy != Some(DeletionPolicy::Retain)
    }
}

/// Whether effects are executed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mode {
    Enforce,
    Plan,
}

/// What deleting the object does at AWS.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DeletionPolicy {
    Delete,
    Retain,
}

/// The account and network of the warehouse.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Producer {
    /// Twelve digit id of the account that owns the warehouse. Immutable.
    #[schemars(schema_with = "schema::account_id")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("producer.accountId is immutable: make another link"))]
    pub account_id: String,
    /// Region of the warehouse. Immutable.
    #[schemars(schema_with = "schema::region")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("producer.region is immutable: make another link"))]
    pub region: String,
    /// A provisioned cluster.
    pub cluster: ClusterSpec,
    /// Route tables in which to make routes to the consumer. Absent: the tables of all subnets of the cluster's subnet group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::route_table_ids")]
    pub route_table_ids: Option<BTreeSet<String>>,
    /// The security group of the cluster in which to let the consumer in. Absent: of the cluster's VPC security groups the
    /// one with the smallest id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::security_group_id")]
    pub security_group_id: Option<String>,
}

/// A provisioned Redshift cluster and the database in it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// Identifier of the cluster. Immutable.
    #[schemars(schema_with = "schema::cluster_identifier")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("producer.cluster.identifier is immutable: make another link"))]
    pub identifier: String,
    /// The database to be read.
    #[schemars(schema_with = "schema::database")]
    pub database: String,
}

/// The account and network of the users.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.studio) != has(self.network)").message("exactly one of studio and network must be given"),
    validation = Rule::new("has(self.region) == has(oldSelf.region) && (!has(self.region) || self.region == oldSelf.region)")
        .message("consumer.region is immutable: make another link"),
    validation = Rule::new("has(self.studio) == has(oldSelf.studio)").message("a consumer stays Studio or network: make another link")
)]
pub struct Consumer {
    /// Twelve digit id of the account of the users. Immutable.
    #[schemars(schema_with = "schema::account_id")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("consumer.accountId is immutable: make another link"))]
    pub account_id: String,
    /// Region of the users. Absent: the producer's. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::region")]
    pub region: Option<String>,
    /// A SageMaker Studio domain: its VPC, subnets, security groups and execution roles are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub studio: Option<Studio>,
    /// Any other consumer (EKS pods, Lambda, EC2), named directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
}

/// A SageMaker Studio domain.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Studio {
    /// Id of the domain. Immutable.
    #[schemars(schema_with = "schema::domain_id")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("consumer.studio.domainId is immutable: make another link"))]
    pub domain_id: String,
}

/// A consumer that is not Studio.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// The VPC. Immutable.
    #[schemars(schema_with = "schema::vpc_id")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("consumer.network.vpcId is immutable: make another link"))]
    pub vpc_id: String,
    /// The subnets that the users run in: routes to the warehouse are made in their tables.
    #[schemars(schema_with = "schema::subnet_ids")]
    pub subnet_ids: BTreeSet<String>,
    /// The security groups of the users. Absent: all addresses of the VPC are let in at the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::security_group_ids")]
    pub security_group_ids: Option<BTreeSet<String>>,
    /// ARNs of the roles that the users run as.
    #[schemars(schema_with = "schema::role_arns")]
    pub role_arns: BTreeSet<String>,
}

/// Who may become whom in the database.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Access {
    /// Whether the name of the Studio user profile ties a session to the database user of that name: `Require` checks
    /// that the domain is set so, `Ignore` goes without. Absent: `Require` for Studio consumers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<SourceIdentity>,
    /// The database users that the consumer's roles may become, where no source identity ties them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::database_users")]
    pub database_users: Option<BTreeSet<String>>,
    /// Existing database groups that users may join for a session. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::database_groups")]
    pub database_groups: Option<BTreeSet<String>>,
    /// Whether a database user that does not exist is created at the first connection. Absent: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_users: Option<bool>,
}

/// How the name of a Studio user is carried. No value is `Off` or `No`: YAML would read a boolean.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SourceIdentity {
    Require,
    Ignore,
}

/// The VPC peering connection.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeeringSpec {
    /// Whether the consumer resolves public names of the producer's VPC to private addresses, so that the endpoint of
    /// a publicly accessible cluster is reached through the connection. AWS asks for DNS host names in both VPCs.
    /// Absent: true, but for a private cluster, which does not need it, only where both VPCs have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_resolution: Option<bool>,
    /// An active connection between exactly the two VPCs, made by others, to be used and never changed. Absent: one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::peering_id")]
    pub existing_id: Option<String>,
    /// Whether to make a route although a broader one carries the same addresses today, which moves live traffic; the
    /// accounts file must allow it on both sides. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_over_routes: Option<bool>,
}

/// Where UNLOADs may write, and as whom they read.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.secretArn) == has(self.secretReaders)")
        .message("unload.secretArn and unload.secretReaders go together: a secret, and who may read it")
)]
pub struct Unload {
    /// The bucket, in the consumer's account.
    #[schemars(schema_with = "schema::bucket")]
    pub bucket: String,
    /// All files go below this prefix, which ends with a slash.
    #[schemars(schema_with = "schema::prefix")]
    pub prefix: String,
    /// ARN of the KMS key, in the consumer's account and the bucket's region, that files may be encrypted with. Absent:
    /// none but S3's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::kms_key_arn")]
    pub kms_key_arn: Option<String>,
    /// The existing database user as whom queries run; the accounts file must allow it. Absent: a user of this link's
    /// own, who is named after the role that submits (IAMR:redshift-link-...) and has to be granted what he may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::database_user")]
    pub database_user: Option<String>,
    /// What becomes of statements that still run when this link, or its unload, is taken down: `Cancel` cancels them,
    /// `Wait` waits for their end, however long that takes. Absent: `Cancel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_teardown: Option<OnTeardown>,
    /// ARN of the Secrets Manager secret with credentials of the warehouse, in the producer's account and region, for
    /// programs that connect to the warehouse themselves; the accounts file must allow it. A secret that a service manages,
    /// such as that of the cluster's master user, cannot be named. Absent: no secret can be read over this link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_arn")]
    pub secret_arn: Option<String>,
    /// ARNs of the roles in the consumer's account that may read that secret, such as the execution role of a Lambda
    /// function; the accounts file must allow them. Nothing is written to these roles: each takes on a role of this link's,
    /// and by it one in the producer's account; the condition `SecretAccessReady` names both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::role_arns")]
    pub secret_readers: Option<BTreeSet<String>>,
}

/// What becomes of running statements when their link goes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum OnTeardown {
    Cancel,
    Wait,
}

/// Schemas with bounds: the API server estimates the cost of rules by them.
mod schema {
    use schemars::{Schema, SchemaGenerator, json_schema};

    fn text(pattern: &str, max: u32) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": max, "pattern": pattern})
    }
    fn set(item: &Schema, min: u32, max: u32) -> Schema {
        json_schema!({"type": "array", "items": item, "minItems": min, "maxItems": max, "x-kubernetes-list-type": "set"})
    }
    pub fn account_id(_: &mut SchemaGenerator) -> Schema {
        text("^[0-9]{12}$", 12)
    }
    pub fn region(_: &mut SchemaGenerator) -> Schema {
        text("^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$", 32)
    }
    pub fn cluster_identifier(_: &mut SchemaGenerator) -> Schema {
        text("^[a-z](-?[a-z0-9])*$", 63)
    }
    // no `*`, `?` or `$`: names become part of ARNs in policies
    pub fn database(_: &mut SchemaGenerator) -> Schema {
        text("^[a-z_][a-z0-9_@.-]*$", 64)
    }
    pub fn domain_id(_: &mut SchemaGenerator) -> Schema {
        text("^d-[a-z0-9]+$", 63)
    }
    pub fn vpc_id(_: &mut SchemaGenerator) -> Schema {
        text("^vpc-[0-9a-f]{8,17}$", 21)
    }
    pub fn peering_id(_: &mut SchemaGenerator) -> Schema {
        text("^pcx-[0-9a-f]{8,17}$", 21)
    }
    pub fn security_group_id(_: &mut SchemaGenerator) -> Schema {
        text("^sg-[0-9a-f]{8,17}$", 20)
    }
    pub fn security_group_ids(g: &mut SchemaGenerator) -> Schema {
        set(&security_group_id(g), 1, 16)
    }
    pub fn subnet_ids(_: &mut SchemaGenerator) -> Schema {
        set(&text("^subnet-[0-9a-f]{8,17}$", 24), 1, 16)
    }
    pub fn route_table_ids(_: &mut SchemaGenerator) -> Schema {
        set(&text("^rtb-[0-9a-f]{8,17}$", 21), 1, 16)
    }
    pub fn role_arns(_: &mut SchemaGenerator) -> Schema {
        set(&text(r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$", 600), 1, 16)
    }
    pub fn database_user(_: &mut SchemaGenerator) -> Schema {
        text("^[a-z][a-z0-9_+.@-]*$", 64)
    }
    pub fn database_users(g: &mut SchemaGenerator) -> Schema {
        set(&database_user(g), 1, 20)
    }
    pub fn bucket(_: &mut SchemaGenerator) -> Schema {
        text("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", 63)
    }
    // no `*`, `?` or `$` here either, and nothing that would have to be quoted in a statement
    pub fn prefix(_: &mut SchemaGenerator) -> Schema {
        text("^([A-Za-z0-9][A-Za-z0-9_=.-]*/)+$", 256)
    }
    pub fn kms_key_arn(_: &mut SchemaGenerator) -> Schema {
        text("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", 256)
    }
    // whole, with the six characters that Secrets Manager adds to the name, for policies name it; `!` is in the names of
    // secrets that services manage
    pub fn secret_arn(_: &mut SchemaGenerator) -> Schema {
        let name = "[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}";
        text(&format!("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{{12}}:secret:{name}$"), 640)
    }
    pub fn database_groups(_: &mut SchemaGenerator) -> Schema {
        set(&text("^[a-z_][a-z0-9_+.@-]*$", 64), 1, 20)
    }
    pub fn tags(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "maxProperties": 40,
            "additionalProperties": {"type": "string", "maxLength": 256, "pattern": r"^[\p{L}\p{Z}\p{N}_.:/=+@-]*$"},
            "x-kubernetes-validations": [
                {"rule": "self.all(k, size(k) >= 1 && size(k) <= 128)", "message": "a tag key has 1 to 128 characters"},
                {"rule": r"self.all(k, k.matches('^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]*$'))", "message": "a tag key has letters, digits, spaces and _.:/=+@- only"},
                {"rule": "self.all(k, !k.lowerAscii().startsWith('aws:'))", "message": "tag keys beginning with aws: are reserved by AWS"},
                {"rule": "self.all(k, !k.lowerAscii().startsWith('redshift'))",
                 "message": "tag keys beginning with redshift are refused: such tags confer database users and roles, or are our own mark"}
            ]
        })
    }
}
