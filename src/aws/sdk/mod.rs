//! The real AWS: the only place that knows the SDK.

mod ec2;
mod execute;
mod iam;
mod kms;
mod redshift;
mod redshift_data;
mod s3;
mod sagemaker;
mod secrets_manager;
mod session;

pub use session::{Identity, Sessions};

use super::effect::EFFECT_TIMEOUT;
use super::error::{AwsError, Class, Look, Operation, classify, code, is_throttle};
use super::manifest::Manifest;
use super::mark::Installation;
use super::model::{
    App, BucketGuards, Cluster, Domain, Key, Listing, ObjectVersion, Peering, Role, RolePolicies, RouteTable, Rule,
    Secret, SecurityGroup, Statement, StudioUsers, Subnet, Upload, Vpc, VpcDns, VpcEndpoint,
};
use super::read::{Found, Reads};
use super::scope::{AccountId, Partition, Region, Scope};
use super::throttle::Buckets;
use crate::observability::metrics::Metrics;
use async_trait::async_trait;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a read may take, its retries and its waiting for a token included.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Codes that say that a session ended before its time: somebody revoked it, or made its role anew.
const LOCKED_OUT: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "UnrecognizedClientException",
    "AuthFailure",
];
/// Ids in one filter (docs/aws-behaviour.md#ec2-reads).
const IDS_PER_CALL: usize = 200;

/// The port over the SDK.
pub struct Sdk {
    sessions: Sessions,
    buckets: Buckets,
    installation: Installation,
    metrics: Metrics,
    profiles: sagemaker::ProfileCache,
}

/// Which call of which kind, for limits, metrics and errors.
#[derive(Clone, Copy)]
struct Call<'a> {
    account: &'a AccountId,
    region: Option<&'a Region>,
    operation: Operation,
    resource: &'a str,
    writes: bool,
}

impl<'a> Call<'a> {
    fn read(at: &'a Scope, operation: Operation, resource: &'a str) -> Self {
        Self { account: &at.account, region: Some(&at.region), operation, resource, writes: false }
    }

    fn error(&self, code: &str, message: impl Into<String>, request_id: Option<String>) -> AwsError {
        let message = message.into();
        AwsError {
            account: self.account.clone(),
            region: self.region.cloned(),
            operation: self.operation,
            resource: self.resource.to_owned(),
            class: classify(self.operation.service, code, &message),
            code: code.to_owned(),
            message,
            request_id,
        }
    }

    /// What the SDK says, in our words.
    fn explain<E>(&self, error: &SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::ServiceError(service) => {
                let (meta, status) = (service.err().meta(), service.raw().status().as_u16());
                // an answer without a code: what matters is whose fault it is
                let fallback = if status >= 500 { "InternalFailure" } else { "UnknownError" };
                let request_id = request_id(meta.extra("aws_request_id"), service.raw());
                let message = without_encoded(meta.message().unwrap_or_default());
                self.error(meta.code().unwrap_or(fallback), message, request_id)
            }
            SdkError::ConstructionFailure(_) => {
                AwsError { class: Class::Blocked, ..self.error("RequestNotBuilt", chain(error), None) }
            }
            _ => self.error(code::NO_ANSWER, chain(error), None),
        }
    }
}

fn request_id(from_meta: Option<&str>, response: &HttpResponse) -> Option<String> {
    let header = || ["x-amzn-requestid", "x-amz-request-id"].iter().find_map(|name| response.headers().get(*name));
    from_meta.or_else(header).map(ToOwned::to_owned)
}

/// EC2 ends some messages with a blob that differs each time and that only sts:DecodeAuthorizationMessage can read.
fn without_encoded(message: &str) -> &str {
    message.split(" Encoded authorization failure message").next().unwrap_or(message)
}

/// An error and what caused it. Connection errors hold host names, never content.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl Sdk {
    /// The port, entering accounts through `sessions`.
    #[must_use]
    pub fn new(sessions: Sessions, installation: Installation, metrics: Metrics) -> Self {
        Self {
            sessions,
            buckets: Buckets::default(),
            installation,
            metrics,
            profiles: sagemaker::ProfileCache::default(),
        }
    }

    /// Waits for a token, makes the call, and learns from the answer.
    async fn call<T, E>(
        &self,
        call: Call<'_>,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Look<T>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (patience, timeout) =
            // of an effect's time, the last quarter is for entering the account
            if call.writes { (EFFECT_TIMEOUT / 4, EFFECT_TIMEOUT / 2) } else { (READ_TIMEOUT / 2, READ_TIMEOUT / 2) };
        let place = (call.account, call.region);
        let Some(wait) = self.buckets.take(place, call.operation, call.writes, patience) else {
            return Err(call.error("Throttling", "our own limit of calls for this account is reached", None));
        };
        tokio::time::sleep(wait).await;
        let result = match tokio::time::timeout(timeout, request).await {
            Ok(answer) => answer.map_err(|error| call.explain(&error)),
            Err(_) => Err(call.error(code::NO_ANSWER, "no answer in time", None)),
        };
        let throttled = matches!(&result, Err(error) if is_throttle(&error.code));
        self.buckets.answered(place, call.operation, call.writes, throttled);
        if result.as_ref().is_err_and(|error| LOCKED_OUT.contains(&error.code.as_str())) {
            self.sessions.leave(call.account);
        }
        let label = match &result {
            Ok(_) => "ok",
            Err(error) if error.is_not_found() => "not_found",
            Err(error) => error.reason(),
        };
        self.metrics.called(&call.account.0, call.operation.to_string(), label);
        result
    }
}

/// Ids in portions that fit one call.
fn portions(ids: &BTreeSet<String>) -> impl Iterator<Item = Vec<String>> {
    let ids: Vec<String> = ids.iter().cloned().collect();
    ids.chunks(IDS_PER_CALL).map(<[String]>::to_vec).collect::<Vec<_>>().into_iter()
}

/// None where the thing is not there.
fn absent<T>(result: Look<T>) -> Look<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Reads for Sdk {
    async fn identity(&self, at: &Scope, _: &BTreeSet<()>) -> Look<Found<(), Option<Partition>>> {
        let session = self.sessions.enter(at).await?;
        Ok(Found::from([((), Some(session.partition.clone()))]))
    }
    async fn cluster(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Cluster>>> {
        redshift::clusters(self, at, ids).await
    }
    async fn subnet_group(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<BTreeSet<String>>>> {
        redshift::subnet_groups(self, at, ids).await
    }
    async fn domain(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Domain>>> {
        sagemaker::domains(self, at, ids).await
    }
    async fn user_profiles(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, StudioUsers>> {
        sagemaker::user_profiles(self, at, ids).await
    }
    async fn live_apps(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Vec<App>>> {
        sagemaker::live_apps(self, at, ids).await
    }
    async fn vpc(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Vpc>>> {
        ec2::vpcs(self, at, ids).await
    }
    async fn vpc_dns(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<VpcDns>>> {
        ec2::vpc_dns(self, at, ids).await
    }
    async fn subnet(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Subnet>>> {
        ec2::subnets(self, at, ids).await
    }
    async fn tables_of_vpc(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Vec<RouteTable>>> {
        ec2::tables_of_vpcs(self, at, ids).await
    }
    async fn tables_through(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Vec<RouteTable>>> {
        ec2::tables_through(self, at, ids).await
    }
    async fn prefix_list(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, BTreeSet<Ipv4Net>>> {
        ec2::prefix_lists(self, at, ids).await
    }
    async fn security_group(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<SecurityGroup>>> {
        ec2::security_groups(self, at, ids).await
    }
    async fn rules_of_group(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Vec<Rule>>> {
        ec2::rules_of_groups(self, at, ids).await
    }
    async fn marked_rules(&self, at: &Scope, _: &BTreeSet<()>) -> Look<Found<(), Vec<Rule>>> {
        ec2::marked_rules(self, at).await
    }
    async fn peerings(&self, at: &Scope, _: &BTreeSet<()>) -> Look<Found<(), Vec<Peering>>> {
        ec2::peerings(self, at).await
    }
    async fn role(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Role>>> {
        iam::roles(self, at, ids).await
    }
    async fn role_policy(
        &self,
        at: &Scope,
        ids: &BTreeSet<(String, String)>,
    ) -> Look<Found<(String, String), Option<String>>> {
        iam::role_policy(self, at, ids).await
    }
    async fn role_policies(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<RolePolicies>>> {
        iam::role_policies(self, at, ids).await
    }
    async fn marked_roles(&self, at: &Scope, _: &BTreeSet<()>) -> Look<Found<(), Vec<Role>>> {
        iam::marked_roles(self, at).await
    }
    async fn bucket(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Region>>> {
        s3::buckets(self, at, ids).await
    }
    async fn bucket_policy(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<String>>> {
        s3::policies(self, at, ids).await
    }
    async fn bucket_guards(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, BucketGuards>> {
        s3::guards(self, at, ids).await
    }
    async fn key_policy(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<String>>> {
        kms::policies(self, at, ids).await
    }
    async fn endpoints_of_vpc(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Vec<VpcEndpoint>>> {
        ec2::endpoints_of_vpcs(self, at, ids).await
    }
    async fn bucket_key(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<String>>> {
        s3::bucket_keys(self, at, ids).await
    }
    async fn key(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Key>>> {
        kms::keys(self, at, ids).await
    }
    async fn secret(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Secret>>> {
        secrets_manager::secrets(self, at, ids).await
    }
    async fn objects(&self, at: &Scope, ids: &BTreeSet<(String, String)>) -> Look<Found<(String, String), Listing>> {
        s3::listings(self, at, ids).await
    }
    async fn object_versions(
        &self,
        at: &Scope,
        ids: &BTreeSet<(String, String)>,
    ) -> Look<Found<(String, String), BTreeSet<ObjectVersion>>> {
        s3::versions(self, at, ids).await
    }
    async fn uploads(
        &self,
        at: &Scope,
        ids: &BTreeSet<(String, String)>,
    ) -> Look<Found<(String, String), BTreeSet<Upload>>> {
        s3::uploads(self, at, ids).await
    }
    async fn object_text(
        &self,
        at: &Scope,
        ids: &BTreeSet<(String, String)>,
    ) -> Look<Found<(String, String), Option<String>>> {
        s3::texts(self, at, ids).await
    }
    async fn manifest(
        &self,
        at: &Scope,
        ids: &BTreeSet<(String, String)>,
    ) -> Look<Found<(String, String), Option<Result<Manifest, String>>>> {
        s3::manifests(self, at, ids).await
    }
    async fn statement(
        &self,
        at: &Scope,
        ids: &BTreeSet<(String, String)>,
    ) -> Look<Found<(String, String), Option<Statement>>> {
        redshift_data::statements(self, at, ids).await
    }
    async fn statement_end(&self, at: &Scope, ids: &BTreeSet<(String, String)>) -> Look<Found<(String, String), bool>> {
        redshift_data::ends(self, at, ids).await
    }
    async fn statements_named(
        &self,
        at: &Scope,
        ids: &BTreeSet<(String, String, String)>,
    ) -> Look<Found<(String, String, String), Vec<Statement>>> {
        redshift_data::named(self, at, ids).await
    }
    async fn trust_policy_quota(&self, at: &Scope, _: &BTreeSet<()>) -> Look<Found<(), Option<usize>>> {
        iam::trust_policy_quota(self, at).await
    }
}
