//! What an attempt submits, and by whom.

use super::attempt::{Place, statement_name, token};
use super::query;
use super::request::Request;
use super::statement::statement;
use crate::api::CrossAccountRedshiftLink;
use crate::api::unload::status::EndReason;
use crate::aws::effect::Submission;
use crate::aws::mark::RoleKind;
use crate::aws::read::{Gap, Seen};
use crate::aws::scope::{Region, Scope};
use kube::ResourceExt;

/// A submission, ready but for its fence.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Where it goes.
    pub place: Place,
    /// What is submitted.
    pub submission: Submission,
    /// Unique id of the role that submits.
    pub role_id: String,
    /// The folder that it writes to, as a URL.
    pub location: String,
    /// Why the query could not be checked wholly.
    pub unchecked: Option<String>,
}

/// Why there is no submission.
#[derive(Clone, Debug)]
pub enum NotPrepared {
    /// There never will be.
    Refused(EndReason, String),
    /// The link, its bucket or its cluster is not as far.
    Waits(&'static str, String),
}

type Prepare<T> = Result<Result<T, NotPrepared>, Gap>;

/// The submission of an attempt over a link that is ready.
///
/// # Errors
/// Something is unread or refused.
pub fn prepare(request: &Request<'_>, link: &CrossAccountRedshiftLink, seen: &Seen, attempt: u32) -> Prepare<Prepared> {
    let spec = &link.spec;
    let checked = match query::check(&request.job.spec.query) {
        Ok(checked) => checked,
        Err(error) => return Ok(Err(NotPrepared::Refused(EndReason::InvalidQuery, error.to_string()))),
    };
    let not_ready = |what: String| Ok(Err(NotPrepared::Waits("LinkNotReady", what)));
    let Some(unload) = &spec.unload else { return not_ready("the link has no spec.unload".into()) };
    let place = match place(request, link, seen)? {
        Ok(place) => place,
        Err(waits) => return Ok(Err(waits)),
    };
    let cluster = seen.cluster(&place.warehouse(), place.cluster.clone())?;
    if !cluster.as_ref().is_some_and(crate::aws::model::Cluster::is_available) {
        let status = cluster.as_ref().map_or("not there", |cluster| &cluster.status);
        let message = format!("cluster {} in {} is {status}: it is waited for", place.cluster, place.warehouse());
        return Ok(Err(NotPrepared::Waits("ClusterNotAvailable", message)));
    }
    let name = role_name(&place.role_arn);
    let Some(role) = seen.role(&place.warehouse(), name)? else {
        return not_ready(format!("role {name} of the link is not there"));
    };
    let chain = [RoleKind::Unload, RoleKind::Write].map(|kind| sibling(request, link, &place, kind));
    let built = place.destination(request.job, attempt).and_then(|to| match &unload.kms_key_arn {
        Some(key) => to.with_key(key),
        None => Ok(to),
    });
    let chain = chain.each_ref().map(String::as_str);
    let sql = built.and_then(|to| {
        let sql = statement(&checked, &request.job.spec.output, &to, &chain, &place.region)?;
        Ok((sql, to.url()))
    });
    let (sql, location) = match sql {
        Ok(built) => built,
        Err(error) => return Ok(Err(NotPrepared::Refused(EndReason::InvalidStatement, error.to_string()))),
    };
    let submission = Submission {
        role_arn: place.role_arn.clone(),
        cluster: place.cluster.clone(),
        database: spec.producer.cluster.database.clone(),
        database_user: unload.database_user.clone(),
        sql,
        name: statement_name(request.job, attempt),
        token: token(request.uid(), attempt),
    };
    let unchecked = checked.warning().map(ToOwned::to_owned);
    Ok(Ok(Prepared { place, submission, role_id: role.id.clone(), location, unchecked }))
}

/// Where a job of this link lives.
///
/// # Errors
/// Something is unread or refused.
pub fn place(request: &Request<'_>, link: &CrossAccountRedshiftLink, seen: &Seen) -> Prepare<Place> {
    let spec = &link.spec;
    let producer = Scope::new(&spec.producer.account_id, &spec.producer.region);
    let consumer = Scope::new(&spec.consumer.account_id, spec.consumer_region());
    let waits = |what: String| Ok(Err(NotPrepared::Waits("LinkNotReady", what)));
    let Some(unload) = &spec.unload else { return waits("the link has no spec.unload".into()) };
    let Some(partition) = seen.identity(&producer, ())? else {
        return waits(format!("account {} gave no identity", producer.account));
    };
    let Some(Region(bucket_region)) = seen.bucket(&consumer, unload.bucket.clone())? else {
        return waits(format!("there is no bucket {}", unload.bucket));
    };
    let path = request.installation.role_path();
    let name = request.installation.role(RoleKind::Submit, &link.uid().unwrap_or_default());
    Ok(Ok(Place {
        role_arn: format!("arn:{partition}:iam::{}:role{path}{name}", producer.account),
        account: producer.account.0,
        region: producer.region.0,
        cluster: spec.producer.cluster.identifier.clone(),
        bucket_account: consumer.account.0,
        bucket_region: bucket_region.clone(),
        bucket: unload.bucket.clone(),
        prefix: unload.prefix.clone(),
    }))
}

/// ARN of another role of the link.
fn sibling(request: &Request<'_>, link: &CrossAccountRedshiftLink, place: &Place, kind: RoleKind) -> String {
    let account = if kind == RoleKind::Write { &place.bucket_account } else { &place.account };
    let partition = place.role_arn.split(':').nth(1).unwrap_or_default();
    let name = request.installation.role(kind, &link.uid().unwrap_or_default());
    format!("arn:{partition}:iam::{account}:role{}{name}", request.installation.role_path())
}

/// The name in the ARN of a role.
#[must_use]
pub fn role_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}
