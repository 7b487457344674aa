//! Who may take on the roles, and what they allow.

use super::super::super::facts::Facts;
use super::super::super::request::Request;
use super::User;
use crate::api::link::Unload;
use crate::aws::policy::{self, Statement};
use crate::aws::scope::Scope;

/// Nobody but this program submits, by its role of the accounts file.
pub fn trusts_controller(request: &Request<'_>) -> String {
    let controller = request.grants.map(|grants| grants.producer.role_arn.clone());
    policy::document(&[Statement::allow("", &["sts:AssumeRole"]).by("AWS", controller)])
}

/// Redshift, for exactly our database user: every other user of the cluster could else name the role in an UNLOAD of
/// his own (docs/aws-behaviour.md#roles-that-a-warehouse-takes-on).
pub fn trusts_redshift(request: &Request<'_>, facts: &Facts, user: &User) -> String {
    let cluster = &request.spec().producer.cluster.identifier;
    let users = match user {
        User::Named(user) => vec![user.clone()],
        // how the name of such a user is written in the external id is not confirmed
        User::OfRole(role) => ["IAMR:", "iamr:"].map(|kind| format!("{kind}{role}")).to_vec(),
    };
    let users = users.into_iter().map(|user| redshift_arn(request, facts, "dbuser", &format!("{cluster}/{user}")));
    let enter = Statement::allow("", &["sts:AssumeRole"]).by("Service", ["redshift.amazonaws.com".to_owned()]);
    policy::document(&[enter.when("StringEquals", "sts:ExternalId", users)])
}

/// One role of ours trusts the other.
pub fn trusts_role(arn: &str) -> String {
    policy::document(&[Statement::allow("", &["sts:AssumeRole"]).by("AWS", [arn.to_owned()])])
}

/// And the other may take it on.
pub fn assumes(arn: &str) -> String {
    policy::document(&[Statement::allow("", &["sts:AssumeRole"]).on([arn.to_owned()])])
}

/// Statements on this cluster, and what it takes to be the database user that they run as.
pub fn submits(request: &Request<'_>, facts: &Facts, user: &User) -> String {
    let cluster = &request.spec().producer.cluster;
    let arn = |kind: &str, rest: &str| redshift_arn(request, facts, kind, rest);
    let on_cluster = arn("cluster", &cluster.identifier);
    let database = arn("dbname", &format!("{}/{}", cluster.identifier, cluster.database));
    let credentials = match user {
        User::Named(user) => {
            let user = arn("dbuser", &format!("{}/{user}", cluster.identifier));
            Statement::allow("", &["redshift:GetClusterCredentials"]).on([database, user])
        }
        User::OfRole(_) => Statement::allow("", &["redshift:GetClusterCredentialsWithIAM"]).on([database]),
    };
    let own = ["CancelStatement", "DescribeStatement", "ListStatements"];
    let own = own.map(|operation| format!("redshift-data:{operation}"));
    policy::document(&[
        Statement::allow("", &["redshift-data:ExecuteStatement"]).on([on_cluster]),
        Statement::allow("", &own.each_ref().map(String::as_str)).on(["*".to_owned()]).when(
            "StringEquals",
            "redshift-data:statement-owner-iam-userid",
            ["${aws:userid}".to_owned()],
        ),
        credentials,
    ])
}

/// Files below the prefix, in the bucket of the consumer's own account, with its key.
pub fn writes(request: &Request<'_>, facts: &Facts, spec: &Unload) -> String {
    let Unload { bucket, prefix, kms_key_arn, database_user: _, on_teardown: _, secret_arn: _, secret_readers: _ } =
        spec;
    let account = &request.consumer.account;
    let arn = |rest: &str| format!("arn:{}:s3:::{bucket}{rest}", facts.partition);
    // a bucket of the same name that somebody else made after ours was deleted gets nothing
    let here = |statement: Statement| statement.when("StringEquals", "aws:ResourceAccount", [account.0.clone()]);
    let look = ["s3:GetBucketLocation", "s3:GetEncryptionConfiguration"];
    let list = Statement::allow("", &["s3:ListBucket"]).on([arn("")]);
    let files = Statement::allow("", &["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]);
    let mut statements = vec![
        here(Statement::allow("", &look).on([arn("")])),
        // to ask for one object that is not there takes this too, and names no prefix
        here(list.when("StringLikeIfExists", "s3:prefix", [format!("{prefix}*")])),
        here(files.on([arn(&format!("/{prefix}*"))])),
    ];
    if let Some(key) = kms_key_arn {
        statements.push(Statement::allow("", &["kms:GenerateDataKey", "kms:Decrypt"]).on([key.clone()]));
    }
    policy::document(&statements)
}

fn redshift_arn(request: &Request<'_>, facts: &Facts, kind: &str, rest: &str) -> String {
    let Scope { account, region } = request.producer;
    format!("arn:{}:redshift:{region}:{account}:{kind}:{rest}", facts.partition)
}
