//! The roles by which programs of the consumer read the warehouse's credentials: one in their own account, which the
//! readers that the spec names take on, and which takes on one in the account of the secret.
//!
//! The secret is looked at and never read; nothing is written to it, to its key or to the readers.

mod policies;

use super::super::facts::Facts;
use super::super::request::Request;
use super::role::{self, Documents, OwnRole};
use super::{Finding, Halt, Part, PartPlan, both, gather, side_by_side};
use crate::aws::mark::RoleKind;
use crate::aws::read::Seen;
use crate::aws::scope::parse_role_arn;
use std::collections::BTreeSet;

const PART: Part = Part::SecretAccess;

/// The role that readers take on, and the one that may read.
const fn pair<'a>(request: &Request<'a>) -> [OwnRole<'a>; 2] {
    [
        OwnRole { part: PART, kind: RoleKind::Reader, at: request.consumer },
        OwnRole { part: PART, kind: RoleKind::Secret, at: request.producer },
    ]
}

/// Makes both roles and keeps them; without a secret in the spec, removes what is there.
///
/// # Errors
/// Something is unread.
pub fn plan(request: &Request<'_>, facts: &Facts, seen: &Seen) -> Result<PartPlan, Halt> {
    let unload = request.spec().unload.as_ref();
    let asked_for = unload.and_then(|unload| Some((unload.secret_arn.as_ref()?, unload.secret_readers.as_ref()?)));
    let planned = match asked_for {
        Some((secret, readers)) => keep(request, facts, seen, secret, readers),
        None if may_be_there(request) => teardown(request, seen),
        None => Ok(PartPlan::default()),
    };
    role::or_finding(PART, planned, remembered(request))
}

fn keep(
    request: &Request<'_>,
    facts: &Facts,
    seen: &Seen,
    secret: &str,
    readers: &BTreeSet<String>,
) -> Result<PartPlan, Halt> {
    let [reader, reading] = pair(request);
    let found = gather([reader, reading].map(|role| role.ours(request, seen)));
    let (found, (key, (trusted, missing))) =
        both(found, both(key(request, seen, secret), existing(request, seen, readers)))?;
    let (reader_arn, reading_arn) = (reader.arn(request, &facts.partition), reading.arn(request, &facts.partition));
    let reader_says = Documents { trust: policies::trusts(trusted), access: policies::assumes(&reading_arn) };
    let reading_says = Documents {
        trust: policies::trusts([reader_arn.clone()]),
        access: policies::reads(&request.producer.region, secret, key),
    };
    let (mut whole, mut read) =
        both(reader.keep(request, seen, found[0], reader_says), reading.keep(request, seen, found[1], reading_says))?;
    // IAM knows no principal that is not there
    let waits = found[0].is_none().then_some("the role that it trusts");
    read.steps = read.steps.into_iter().map(|step| step.waiting_for(waits)).collect();
    whole.add(read);
    whole.findings.extend(missing);
    whole.notes.push(format!("a reader takes on {reader_arn}, then {reading_arn}, and reads {secret}"));
    Ok(whole)
}

/// What status says is there of this part.
fn remembered(request: &Request<'_>) -> BTreeSet<String> {
    role::remembered(request, pair(request)).cloned().collect()
}

/// Whether status remembers anything of this part, or may have forgotten it.
#[must_use]
pub fn may_be_there(request: &Request<'_>) -> bool {
    role::may_be_there(request, &remembered(request))
}

/// Takes away at once what both roles allow, and the roles.
///
/// # Errors
/// Something is unread or refused.
pub fn teardown(request: &Request<'_>, seen: &Seen) -> Result<PartPlan, Halt> {
    side_by_side(PART, request, |at| {
        let mut whole = PartPlan::default();
        for role in pair(request).into_iter().filter(|role| role.at == at) {
            let (plan, removal) = role.take_down(request, seen)?;
            whole.add(plan);
            whole.steps.extend(removal);
        }
        Ok(whole)
    })
}

/// The secret is where it can be read: the ARN of the customer's key that encrypts it, if one does.
fn key<'s>(request: &Request<'_>, seen: &'s Seen, arn: &str) -> Result<Option<&'s str>, Halt> {
    let at = request.producer;
    let place: Vec<&str> = arn.split(':').skip(3).take(2).collect();
    if place != [at.region.0.as_str(), at.account.0.as_str()] {
        let message =
            format!("unload.secretArn: {arn} is not in {at}: name a secret of the producer's account and region");
        return Err(Finding::terminal(PART, "SecretElsewhere", message).into());
    }
    let Some(secret) = seen.secret(at, arn)? else {
        let message = format!("unload.secretArn: there is no secret {arn}: make it, or correct the ARN");
        return Err(Finding::blocked(PART, "SecretNotFound", message).into());
    };
    if secret.arn != arn {
        let message =
            format!("unload.secretArn: {arn} is a part of {}: name that, for policies know whole ARNs", secret.arn);
        return Err(Finding::blocked(PART, "SecretNotFound", message).into());
    }
    if secret.being_deleted {
        let message = format!("unload.secretArn: {arn} is scheduled for deletion: restore it, or name another");
        return Err(Finding::blocked(PART, "SecretBeingDeleted", message).into());
    }
    // AWS's own key for secrets lets in whoever may read the secret
    let Some(id) = &secret.key else { return Ok(None) };
    let Some(key) = seen.key(at, id.clone())? else {
        let message =
            format!("unload.secretArn: the key {id}, which encrypts {arn}, is not there: encrypt it with another");
        return Err(Finding::blocked(PART, "KeyNotFound", message).into());
    };
    if key.state != "Enabled" {
        let message =
            format!("unload.secretArn: the key {}, which encrypts {arn}, is {}: enable it", key.arn, key.state);
        return Err(Finding::blocked(PART, "KeyNotUsable", message).into());
    }
    Ok(Some(&key.arn))
}

/// The readers that are there; of the others, that they are not.
fn existing(
    request: &Request<'_>,
    seen: &Seen,
    named: &BTreeSet<String>,
) -> Result<(BTreeSet<String>, Option<Finding>), Halt> {
    let looks = named.iter().map(|arn| {
        let name = parse_role_arn(arn).map_or(arn.as_str(), |role| role.name);
        let role = seen.role(request.consumer, name)?.as_ref();
        Ok::<_, Halt>((arn.clone(), role.is_some_and(|role| role.arn == *arn)))
    });
    let (there, gone): (Vec<_>, Vec<_>) = gather(looks)?.into_iter().partition(|(_, there)| *there);
    let arns = |some: Vec<(String, bool)>| some.into_iter().map(|(arn, _)| arn).collect::<BTreeSet<_>>();
    let (there, gone) = (arns(there), arns(gone));
    if gone.is_empty() {
        return Ok((there, None));
    }
    let message = format!(
        "unload.secretReaders: not there in account {}: {}: make these roles, or leave them out",
        request.consumer.account,
        gone.into_iter().collect::<Vec<_>>().join(", ")
    );
    let finding = Finding::blocked(PART, "ReaderNotFound", message);
    if there.is_empty() { Err(finding.into()) } else { Ok((there, Some(finding))) }
}
