//! Whether what a job's annotation says of its place may be believed: the annotation is its owner's to edit, and calls go
//! where it says.

use super::attempt::Place;
use super::request::Request;
use super::step::Trouble;
use crate::api::PLACE;
use crate::aws::accounts::{Tenant, allows_bucket};
use crate::aws::error::Class;
use crate::aws::mark::{NAMESPACE, RoleKind};
use crate::aws::read::{Gap, Seen};
use crate::aws::scope::{AccountId, parse_role_arn};
use kube::ResourceExt;

/// Why not, and what to do; none where it may. It asks for nothing but a role under our own path.
///
/// # Errors
/// Something is unread or refused.
pub fn refusal(request: &Request<'_>, place: &Place, seen: &Seen) -> Result<Option<Trouble>, Gap> {
    // nothing is called in an account that was given up
    if !request.gave_up(&place.storage()) && !is_bucket_ours(request, place) {
        let Place { bucket, prefix, bucket_account, .. } = place;
        let what = format!("s3://{bucket}/{prefix} in account {bucket_account}");
        let more =
            ", or ask the platform team to allow it to this namespace in the accounts file until the job is gone";
        return Ok(Some(refused(&what, more)));
    }
    if !request.gave_up(&place.warehouse()) && !is_role_ours(request, place, seen)? {
        return Ok(Some(refused(&place.role_arn, "")));
    }
    Ok(None)
}

/// The status says that this job writes there, which its owner cannot edit; or, without status, the link writes there, or
/// the namespace may. In an account that is not the bucket's, S3 refuses every call.
fn is_bucket_ours(request: &Request<'_>, place: &Place) -> bool {
    let status = request.job.status.as_ref();
    let attempt = status.and_then(|status| status.attempt).unwrap_or_default();
    let wrote = format!("s3://{}/{}", place.bucket, place.folder(request.job, attempt));
    if let Some(location) = status.and_then(|status| status.location.as_ref()) {
        return *location == wrote;
    }
    let of_link = request.link.is_some_and(|link| {
        let unload = link.spec.unload.as_ref();
        link.spec.consumer.account_id == place.bucket_account
            && unload.is_some_and(|unload| (&unload.bucket, &unload.prefix) == (&place.bucket, &place.prefix))
    });
    let namespace = request.job.namespace().unwrap_or_default();
    let tenant = Tenant { namespace: &namespace, labels: request.labels };
    let account = AccountId(place.bucket_account.clone());
    let below = format!("{}/{}", place.bucket, place.prefix);
    of_link || allows_bucket(request.accounts, tenant, &account, &below)
}

/// It is the link's, or one of another link of this namespace: its tags, which nobody writes but us, say so. One that is
/// gone leads nowhere.
fn is_role_ours(request: &Request<'_>, place: &Place, seen: &Seen) -> Result<bool, Gap> {
    let Some(arn) = parse_role_arn(&place.role_arn) else { return Ok(false) };
    if arn.account != place.account || arn.path != request.installation.role_path() {
        return Ok(false);
    }
    let of_link = |uid: String| request.installation.role(RoleKind::Submit, &uid) == arn.name;
    if request.link.and_then(ResourceExt::uid).is_some_and(of_link) {
        return Ok(true);
    }
    let role = seen.role(&place.warehouse(), arn.name)?;
    Ok(role.as_ref().is_none_or(|role| role.tags.get(NAMESPACE) == request.job.metadata.namespace.as_ref()))
}

fn refused(what: &str, more: &str) -> Trouble {
    let message = format!(
        "the annotation {PLACE}, which the controller wrote, names {what}, which is not this job's: put it back as it \
         was{more}"
    );
    Trouble { class: Class::Blocked, reason: "PlaceNotAllowed", message }
}
