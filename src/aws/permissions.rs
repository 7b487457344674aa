//! The permissions that the controller's role needs in each account, built from the effects and the reads.
//!
//! Every kind of effect has its arm here, so that a new one does not compile without its permission; reads bring
//! theirs with their line in the catalog.

use super::accounts::{Account, Side};
use super::effect::EffectKind;
use super::error::{Operation, Service};
use super::mark::{INSTALLATION, Installation};
use super::policy::{Statement, pretty_document};
use super::read::OPERATIONS;
use super::scope::parse_role_arn;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::slice::from_ref;
use strum::IntoEnumIterator;

/// The permission policy of the controller's role in an account.
#[must_use]
pub fn permissions(account: &Account, installation: &Installation) -> Value {
    let ground = Ground::new(account, installation);
    let sides: BTreeSet<Side> = account.allow.iter().map(|allow| allow.side).collect();
    let reads = OPERATIONS.iter().flat_map(|(_, operations)| *operations).filter(|read| is_for(**read, &sides));
    let reads: BTreeSet<String> = reads.map(|read| action(*read)).collect();
    let mut grants =
        vec![Statement { actions: reads.into_iter().collect(), ..Statement::allow("", &[]).on(["*".to_owned()]) }];
    grants.extend(ground.bucket_reads());
    grants.extend(ground.secret_reads());
    for kind in EffectKind::iter() {
        let (on, grant) = ground.grant(kind);
        if lets_go(kind) || on.iter().any(|side| sides.contains(side)) {
            grants.extend(grant);
        }
    }
    let mut statements = merged(grants);
    statements.push(ground.never());
    pretty_document(&statements)
}

/// The trust policy of that role. `controller`: ARN of the identity that the controller itself runs as.
#[must_use]
pub fn trust(account: &Account, controller: &str) -> Value {
    // an identity by EKS Pod Identity brings session tags that are passed on
    let enter = Statement::allow("", &["sts:AssumeRole", "sts:TagSession"]).by("AWS", [controller.to_owned()]).when(
        "StringEquals",
        "sts:ExternalId",
        [account.external_id.clone()],
    );
    // tags come with the same request, which carries the external id as well
    pretty_document(&[enter])
}

/// The permission policy of the controller's own identity: nothing but taking on the roles of the accounts.
#[must_use]
pub fn own(accounts: &[Account]) -> Value {
    let roles = accounts.iter().map(|account| account.role_arn.clone());
    pretty_document(&[Statement::allow("", &["sts:AssumeRole", "sts:TagSession"]).on(roles)])
}

/// What takes a link down, or gives up what it made, is allowed also where the accounts file allows no link any more.
fn lets_go(kind: EffectKind) -> bool {
    kind.takes_down()
        || [EffectKind::TagRole, EffectKind::CreateTags, EffectKind::ModifyVpcPeeringConnectionOptions].contains(&kind)
}

/// Reads of a service that only one side has are needed only there; in an account that no link may use any more, to
/// find what is left.
fn is_for(read: Operation, sides: &BTreeSet<Side>) -> bool {
    match read.service {
        Service::Redshift => sides.is_empty() || sides.contains(&Side::Producer),
        Service::SageMaker => sides.is_empty() || sides.contains(&Side::Consumer),
        Service::Kms => sides.contains(&Side::Consumer),
        Service::Iam | Service::Ec2 => true,
        // sessions ask who they are without leave; buckets and secrets are looked at where they are listed; statements
        // belong to a role of the link's own
        Service::Sts | Service::S3 | Service::SecretsManager | Service::RedshiftData => false,
    }
}

/// The IAM action of an operation: mostly its name (docs/aws-behaviour.md#s3).
fn action(operation: Operation) -> String {
    match (operation.service, operation.name) {
        (Service::S3, "ListObjectsV2") => "s3:ListBucket".into(),
        (Service::S3, "ListObjectVersions") => "s3:ListBucketVersions".into(),
        (Service::S3, "ListMultipartUploads") => "s3:ListBucketMultipartUploads".into(),
        (Service::S3, "GetObjectLockConfiguration") => "s3:GetBucketObjectLockConfiguration".into(),
        (Service::S3, "GetBucketEncryption") => "s3:GetEncryptionConfiguration".into(),
        (Service::S3, "DeleteObjects") => "s3:DeleteObject".into(),
        _ => operation.to_string(),
    }
}

const BOTH: &[Side] = &[Side::Producer, Side::Consumer];
const PRODUCER: &[Side] = &[Side::Producer];
const CONSUMER: &[Side] = &[Side::Consumer];

/// What statements are made of in one account.
struct Ground<'a> {
    account: &'a Account,
    installation: &'a Installation,
    partition: &'a str,
}

impl<'a> Ground<'a> {
    fn new(account: &'a Account, installation: &'a Installation) -> Self {
        let partition = parse_role_arn(&account.role_arn).map_or("aws", |arn| arn.partition);
        Self { account, installation, partition }
    }

    /// On which sides an effect happens, and what allows it.
    fn grant(&self, kind: EffectKind) -> (&'static [Side], Vec<Statement>) {
        let action = action(kind.operation());
        let allow = |resources: &[String]| Statement::allow("", &[&action]).on(resources.iter().cloned());
        let (ours, listed) = (self.our_roles(), self.listed_roles());
        // a role that writes files is made where there are buckets for it
        let with_roles = if self.listed_buckets().next().is_some() { BOTH } else { PRODUCER };
        let peering = self.ec2("vpc-peering-connection");
        match kind {
            EffectKind::CreateRole => {
                (with_roles, vec![self.bounded(allow(&ours)), Statement::allow("", &["iam:TagRole"]).on(ours)])
            }
            EffectKind::PutRolePermissionsBoundary => {
                let configured = self.account.permissions_boundary.is_some();
                (with_roles, if configured { vec![self.bounded(allow(&ours))] } else { vec![] })
            }
            EffectKind::UpdateAssumeRolePolicy
            | EffectKind::TagRole
            | EffectKind::UntagRole
            | EffectKind::DeleteRole => (with_roles, vec![allow(&ours)]),
            EffectKind::PutRolePolicy => {
                let mut grants = vec![self.bounded(allow(&ours))];
                grants.extend((!listed.is_empty()).then(|| allow(&listed)));
                (BOTH, grants)
            }
            EffectKind::DeleteRolePolicy => (BOTH, vec![allow(&[ours, listed].concat())]),
            EffectKind::AddClusterIamRole => {
                let pass = Statement::allow("", &["iam:PassRole"]).on(ours);
                let pass = pass.when("StringEquals", "iam:PassedToService", ["redshift.amazonaws.com".to_owned()]);
                (PRODUCER, vec![allow(&[self.clusters()]), pass])
            }
            EffectKind::ExecuteStatement | EffectKind::CancelStatement => {
                (PRODUCER, vec![Statement::allow("", &["sts:AssumeRole"]).on(ours)])
            }
            EffectKind::PutObject => {
                let keys = self.listed_keys();
                let encrypts = Statement::allow("", &["kms:GenerateDataKey", "kms:Decrypt"]).on(keys.iter().cloned());
                let mut grants = self.in_buckets(&[&action]);
                grants.extend((!keys.is_empty()).then_some(encrypts));
                (CONSUMER, grants)
            }
            EffectKind::DeleteObjects => (CONSUMER, self.in_buckets(&[&action, "s3:DeleteObjectVersion"])),
            EffectKind::AbortMultipartUpload => (CONSUMER, self.in_buckets(&[&action])),
            EffectKind::RemoveClusterIamRole => (PRODUCER, vec![allow(&[self.clusters()])]),
            EffectKind::CreateVpcPeeringConnection => {
                let marked = self.marking(allow(from_ref(&peering)));
                let tags = self.tags_at_creation(&action, &peering);
                (CONSUMER, vec![allow(&[self.ec2("vpc")]), marked, tags])
            }
            // the accepter sees no tags of the requester: whose request it is, is checked before
            EffectKind::AcceptVpcPeeringConnection => (PRODUCER, vec![allow(&[self.ec2("vpc"), peering])]),
            EffectKind::ModifyVpcPeeringConnectionOptions => (PRODUCER, vec![self.marked(allow(&[peering]))]),
            EffectKind::DeleteVpcPeeringConnection => (BOTH, vec![self.marked(allow(&[peering]))]),
            EffectKind::CreateTags | EffectKind::DeleteTags => {
                let own_keys = allow(&[peering, self.ec2("security-group-rule")]);
                let own_keys =
                    own_keys.when("ForAllValues:StringLike", "aws:TagKeys", ["redshiftlink.dev/*".to_owned()]);
                // all of no keys are ours too, and to delete no key in particular is to delete all
                (BOTH, vec![own_keys.when("Null", "aws:TagKeys", ["false".to_owned()])])
            }
            EffectKind::CreateRoute | EffectKind::ReplaceRoute | EffectKind::DeleteRoute => {
                (BOTH, vec![allow(&[self.ec2("route-table")])])
            }
            EffectKind::AuthorizeSecurityGroupIngress | EffectKind::AuthorizeSecurityGroupEgress => {
                let rule = self.ec2("security-group-rule");
                let marked = self.marking(allow(from_ref(&rule)));
                let tags = self.tags_at_creation(&action, &rule);
                (BOTH, vec![allow(&[self.ec2("security-group")]), marked, tags])
            }
            EffectKind::RevokeSecurityGroupIngress | EffectKind::RevokeSecurityGroupEgress => {
                (BOTH, vec![allow(&[self.ec2("security-group")])])
            }
        }
    }

    /// What no permission above may reach, whatever the accounts file lists.
    fn never(&self) -> Statement {
        let role = |rest: &str| format!("arn:{}:iam::{}:role/{rest}", self.partition, self.account.id);
        let reserved = [self.account.role_arn.clone(), role("aws-reserved/*"), role("aws-service-role/*")];
        Statement::deny("Never", &["iam:PutRolePolicy", "iam:DeleteRolePolicy"]).on(reserved)
    }

    fn our_roles(&self) -> Vec<String> {
        vec![format!("arn:{}:iam::{}:role{}*", self.partition, self.account.id, self.installation.role_path())]
    }

    fn listed_roles(&self) -> Vec<String> {
        let everything = format!("arn:{}:iam::{}:role/*", self.partition, self.account.id);
        let listed = self.account.extendable_roles().into_iter();
        listed.map(|pattern| if pattern == "*" { everything.clone() } else { pattern.to_owned() }).collect()
    }

    /// What may be read of listed buckets.
    fn bucket_reads(&self) -> Vec<Statement> {
        let reads = OPERATIONS.iter().flat_map(|(_, operations)| *operations).filter(|o| o.service == Service::S3);
        let (objects, buckets): (Vec<_>, Vec<_>) = reads.partition(|operation| operation.name == "GetObject");
        let names = |operations: Vec<&Operation>| operations.into_iter().map(|o| action(*o)).collect::<BTreeSet<_>>();
        let (objects, buckets) = (names(objects), names(buckets));
        let arns: BTreeSet<String> = self.listed_buckets().map(|bucket| self.s3(bucket.split('/').next())).collect();
        if arns.is_empty() {
            return vec![];
        }
        let of_buckets = Statement { actions: buckets.into_iter().collect(), ..Statement::allow("", &[]).on(arns) };
        let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
        [vec![self.here(of_buckets)], self.in_buckets(&objects)].concat()
    }

    /// These actions on objects in listed buckets, below the listed prefixes.
    fn in_buckets(&self, actions: &[&str]) -> Vec<Statement> {
        let arns: Vec<String> = self.listed_buckets().map(|bucket| self.s3(Some(&format!("{bucket}*")))).collect();
        if arns.is_empty() { vec![] } else { vec![self.here(Statement::allow("", actions).on(arns))] }
    }

    /// What may be told of listed secrets, and of the keys that encrypt them. Never what is in them.
    fn secret_reads(&self) -> Vec<Statement> {
        let listed: BTreeSet<&String> = self.account.allow.iter().flat_map(|allow| &allow.secrets).collect();
        if listed.is_empty() {
            return vec![];
        }
        let every = format!("arn:{}:secretsmanager:*:{}:secret:*", self.partition, self.account.id);
        let listed = listed.into_iter().map(|secret| if secret == "*" { every.clone() } else { secret.clone() });
        let reads = OPERATIONS.iter().flat_map(|(_, operations)| *operations);
        let of_secrets: BTreeSet<String> =
            reads.filter(|o| o.service == Service::SecretsManager).map(|o| action(*o)).collect();
        vec![
            Statement { actions: of_secrets.into_iter().collect(), ..Statement::allow("", &[]).on(listed) },
            Statement::allow("", &["kms:DescribeKey"]).on(["*".to_owned()]),
        ]
    }

    /// Places that UNLOADs may write to; `*/` for all.
    fn listed_buckets(&self) -> impl Iterator<Item = &'a str> {
        let listed: BTreeSet<&str> =
            self.account.allow.iter().flat_map(|allow| &allow.buckets).map(String::as_str).collect();
        listed.into_iter().map(|bucket| if bucket == "*" { "*/" } else { bucket })
    }

    fn listed_keys(&self) -> Vec<String> {
        let listed: BTreeSet<&String> = self.account.allow.iter().flat_map(|allow| &allow.keys).collect();
        let every = format!("arn:{}:kms:*:{}:key/*", self.partition, self.account.id);
        listed.into_iter().map(|key| if key == "*" { every.clone() } else { key.clone() }).collect()
    }

    fn s3(&self, rest: Option<&str>) -> String {
        format!("arn:{}:s3:::{}", self.partition, rest.unwrap_or_default())
    }

    /// Only in buckets of this account: their names say nothing of that.
    fn here(&self, statement: Statement) -> Statement {
        statement.when("StringEquals", "aws:ResourceAccount", [self.account.id.0.clone()])
    }

    fn clusters(&self) -> String {
        format!("arn:{}:redshift:*:{}:cluster:*", self.partition, self.account.id)
    }

    fn ec2(&self, kind: &str) -> String {
        format!("arn:{}:ec2:*:{}:{kind}/*", self.partition, self.account.id)
    }

    /// Only roles that carry the account's boundary.
    fn bounded(&self, statement: Statement) -> Statement {
        match &self.account.permissions_boundary {
            Some(boundary) => statement.when("StringEquals", "iam:PermissionsBoundary", [boundary.clone()]),
            None => statement,
        }
    }

    /// Only things that carry our mark.
    fn marked(&self, statement: Statement) -> Statement {
        statement.when("StringEquals", format!("aws:ResourceTag/{INSTALLATION}"), [self.installation.id().to_owned()])
    }

    /// Only things that get our mark in the call that makes them.
    fn marking(&self, statement: Statement) -> Statement {
        statement.when("StringEquals", format!("aws:RequestTag/{INSTALLATION}"), [self.installation.id().to_owned()])
    }

    fn tags_at_creation(&self, action: &str, resource: &str) -> Statement {
        let call = action.split_once(':').map_or(action, |(_, name)| name);
        let tags = Statement::allow("", &["ec2:CreateTags"]).on([resource.to_owned()]);
        tags.when("StringEquals", "ec2:CreateAction", [call.to_owned()])
    }
}

/// Statements that differ only in their actions become one.
fn merged(statements: Vec<Statement>) -> Vec<Statement> {
    let mut by_target: BTreeMap<String, Statement> = BTreeMap::new();
    for statement in statements.into_iter().filter(|statement| !statement.actions.is_empty()) {
        let mut resources = statement.resources.clone();
        resources.sort();
        let target = format!("{resources:?} {:?}", statement.conditions);
        let entry = by_target.entry(target).or_insert_with(|| Statement { actions: vec![], ..statement.clone() });
        entry.actions.extend(statement.actions);
        entry.actions.sort();
        entry.actions.dedup();
    }
    by_target.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::accounts::Accounts;
    use super::*;

    fn account(more: &str) -> Account {
        let text = format!(
            "accounts: [{{id: '111122223333', roleArn: 'arn:aws-cn:iam::111122223333:role/redshift-link', externalId: abc{more}, \
             allow: [{{namespaces: [a], as: producer, secrets: ['arn:aws-cn:secretsmanager:*:*:secret:warehouse/*']}}, \
             {{namespaces: [a], as: consumer, buckets: [exports/warehouse/]}}]}}]"
        );
        Accounts::parse(&text).unwrap().accounts.remove(0)
    }

    fn text(more: &str) -> String {
        permissions(&account(more), &Installation::new("prod").unwrap()).to_string()
    }

    #[test]
    fn every_effect_and_every_read_is_allowed() {
        let text = text(", executionRoles: ['arn:aws-cn:iam::111122223333:role/service-role/*']");
        let with_boundary = permissions(&account(", permissionsBoundary: b"), &Installation::new("prod").unwrap());
        // who is who is told to anybody, and statements are submitted by a role of the link's own
        let by_itself = |o: &Operation| [Service::Sts, Service::RedshiftData].contains(&o.service);
        for kind in EffectKind::iter().filter(|kind| !by_itself(&kind.operation())) {
            let action = format!("\"{}\"", action(kind.operation()));
            assert!(text.contains(&action) || with_boundary.to_string().contains(&action), "{action}");
        }
        for operation in OPERATIONS.iter().flat_map(|(_, operations)| *operations).filter(|o| !by_itself(o)) {
            assert!(text.contains(&format!("\"{}\"", action(*operation))), "{operation}");
        }
        assert!(text.contains("\"sts:AssumeRole\""), "{text}");
        assert!(text.contains("arn:aws-cn:iam::111122223333:role/redshift-link/prod/*"), "{text}");
        assert!(!text.contains("arn:aws:"), "{text}");
    }

    #[test]
    fn it_fits_a_managed_policy() {
        let size = text(", executionRoles: ['arn:aws:iam::111122223333:role/service-role/AmazonSageMaker-*'], permissionsBoundary: 'arn:aws:iam::111122223333:policy/boundary'").len();
        assert!(size <= 6144, "{size}");
    }

    /// Who withdraws every permission from the accounts file and writes the policies anew can still take links down.
    #[test]
    fn an_account_that_nobody_may_use_any_more_can_still_be_cleaned() {
        let text = "accounts: [{id: '111122223333', roleArn: 'arn:aws:iam::111122223333:role/r', externalId: abc}]";
        let account = Accounts::parse(text).unwrap().accounts.remove(0);
        let policy = permissions(&account, &Installation::new("prod").unwrap());
        let allowed = |kind: EffectKind| {
            let mut statements = policy["Statement"].as_array().unwrap().iter().filter(|s| s["Effect"] == "Allow");
            statements.any(|s| s["Action"].to_string().contains(&format!("\"{}\"", kind.operation())))
        };
        // what is in a bucket that is no longer listed stays there; statements are ended by their own role
        let elsewhere = [Service::S3, Service::RedshiftData];
        for kind in EffectKind::iter().filter(|kind| !elsewhere.contains(&kind.operation().service)) {
            let same_call = |other: &EffectKind| other.operation() == kind.operation();
            assert_eq!(allowed(kind), EffectKind::iter().filter(same_call).any(lets_go), "{kind:?}");
        }
        assert!(!policy.to_string().contains("iam:PassRole"), "{policy}");
        assert!(policy.to_string().contains("sts:AssumeRole"), "{policy}");
    }

    #[test]
    fn without_listed_roles_no_foreign_role_may_be_written() {
        let policy = permissions(&account(""), &Installation::new("prod").unwrap());
        let writes = policy["Statement"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|s| s["Effect"] == "Allow" && s["Action"].to_string().contains("PutRolePolicy"));
        assert!(
            writes.into_iter().all(|s| s["Resource"].to_string().contains("role/redshift-link/prod/*")),
            "{policy}"
        );
    }

    /// Roles are made in a consumer's account only for those that write there.
    #[test]
    fn a_consumer_without_buckets_makes_no_roles() {
        for (buckets, makes) in [("", false), (", buckets: [exports/]", true)] {
            let text = format!(
                "accounts: [{{id: '444455556666', roleArn: 'arn:aws:iam::444455556666:role/r', externalId: abc, \
                 allow: [{{namespaces: [a], as: consumer, domains: [d-1]{buckets}}}]}}]"
            );
            let account = Accounts::parse(&text).unwrap().accounts.remove(0);
            let policy = permissions(&account, &Installation::new("prod").unwrap()).to_string();
            for action in ["iam:CreateRole", "iam:UpdateAssumeRolePolicy", "s3:PutObject", "s3:GetBucketLocation"] {
                assert_eq!(policy.contains(&format!("\"{action}\"")), makes, "{action}: {policy}");
            }
        }
    }

    /// What is in a secret is for its readers.
    #[test]
    fn secrets_are_looked_at_where_they_are_listed_and_never_read() {
        for (secrets, looks) in [("", false), (", secrets: ['*']", true)] {
            let text = format!(
                "accounts: [{{id: '111122223333', roleArn: 'arn:aws:iam::111122223333:role/r', externalId: abc, \
                 allow: [{{namespaces: [a], as: producer, clusters: [c]{secrets}}}]}}]"
            );
            let account = Accounts::parse(&text).unwrap().accounts.remove(0);
            let policy = permissions(&account, &Installation::new("prod").unwrap()).to_string();
            for part in ["secretsmanager:DescribeSecret", "kms:DescribeKey", "secretsmanager:*:111122223333:secret:*"] {
                assert_eq!(policy.contains(part), looks, "{part}: {policy}");
            }
            assert!(!policy.contains("GetSecretValue") && !policy.contains("kms:Decrypt"), "{policy}");
        }
    }

    #[test]
    fn with_a_boundary_no_role_is_made_without_it() {
        let policy = permissions(&account(", permissionsBoundary: b"), &Installation::new("prod").unwrap());
        for statement in policy["Statement"].as_array().unwrap() {
            if statement["Action"].to_string().contains("iam:CreateRole") {
                assert_eq!(statement["Condition"]["StringEquals"]["iam:PermissionsBoundary"], "b");
            }
        }
    }
}
