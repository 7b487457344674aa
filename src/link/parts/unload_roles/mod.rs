//! The roles by which an UNLOAD leaves the warehouse: one that submits it, and a pair that writes its files.
//!
//! The cluster takes on the first of the pair, which takes on the second, in the account of the bucket.

mod destination;
mod policies;
mod way;

use super::super::facts::Facts;
use super::super::request::Request;
use super::role::{self, Documents, OwnRole};
use super::{Finding, Halt, Part, PartPlan, Step, gather, side_by_side};
use crate::api::link::{OnTeardown, Unload};
use crate::aws::effect::{Effect, EffectKind};
use crate::aws::mark::RoleKind;
use crate::aws::model::{Cluster, Role};
use crate::aws::read::Seen;
use std::collections::BTreeSet;

const PART: Part = Part::UnloadRoles;

/// The reason while statements of jobs keep a link from changing, or from going.
pub const JOBS_UNDER_WAY: &str = "JobsUnderWay";

/// The database user whom statements run as.
enum User {
    /// One that exists.
    Named(String),
    /// The one that Redshift makes for the role of this name.
    OfRole(String),
}

const fn submit<'a>(request: &Request<'a>) -> OwnRole<'a> {
    OwnRole { part: PART, kind: RoleKind::Submit, at: request.producer }
}

const fn unload<'a>(request: &Request<'a>) -> OwnRole<'a> {
    OwnRole { part: PART, kind: RoleKind::Unload, at: request.producer }
}

const fn write<'a>(request: &Request<'a>) -> OwnRole<'a> {
    OwnRole { part: PART, kind: RoleKind::Write, at: request.consumer }
}

/// Makes the roles, has the cluster take on its own, and keeps all of it; without `spec.unload`, removes what is there.
///
/// # Errors
/// Something is unread.
pub fn plan(request: &Request<'_>, facts: &Facts, seen: &Seen) -> Result<PartPlan, Halt> {
    let planned = match &request.spec().unload {
        Some(spec) => keep(request, facts, spec, seen),
        None if may_be_there(request) => teardown(request, seen),
        None => Ok(PartPlan::default()),
    };
    role::or_finding(PART, planned, remembered(request))
}

fn keep(request: &Request<'_>, facts: &Facts, spec: &Unload, seen: &Seen) -> Result<PartPlan, Halt> {
    if spec.database_user.as_ref() == Some(&facts.warehouse.master_user) {
        let message = format!(
            "unload.databaseUser: {} is the master user of the cluster, as whom nothing is unloaded: name another",
            facts.warehouse.master_user
        );
        return Err(Finding::terminal(PART, "ProtectedDatabaseUser", message).into());
    }
    let writer = write(request).arn(request, &facts.partition);
    destination::check(request, facts, spec, seen, &writer)?;
    let cluster = seen.cluster(request.producer, request.spec().producer.cluster.identifier.clone())?;
    let Some(cluster) = cluster else { unreachable!("without a cluster there are no facts") };
    let [submitting, unloading, writing] = [submit(request), unload(request), write(request)];
    let found = gather([submitting, unloading, writing].map(|role| role.ours(request, seen)))?;
    let unload_arn = unloading.arn(request, &facts.partition);
    let user = match &spec.database_user {
        Some(user) => User::Named(user.clone()),
        None => User::OfRole(submitting.name(request)),
    };
    let submits =
        Documents { trust: policies::trusts_controller(request), access: policies::submits(request, facts, &user) };
    let unloads =
        Documents { trust: policies::trusts_redshift(request, facts, &user), access: policies::assumes(&writer) };
    let writes =
        Documents { trust: policies::trusts_role(&unload_arn), access: policies::writes(request, facts, spec) };
    let plans = gather([
        submitting.keep(request, seen, found[0], submits),
        unloading.keep(request, seen, found[1], unloads),
        writing.keep(request, seen, found[2], writes),
    ])?;
    let mut whole = PartPlan::default();
    for (role, mut plan) in [submitting, unloading, writing].into_iter().zip(plans) {
        // IAM knows no principal that is not there
        let waits = (role.kind == RoleKind::Write && found[1].is_none()).then_some("the role that it trusts");
        plan.steps = plan.steps.into_iter().map(|step| step.waiting_for(waits)).collect();
        whole.add(plan);
    }
    wait_for_jobs(request, &mut whole);
    attach(request, cluster, &unload_arn, found[1], &mut whole);
    whole.notes.push(format!("statements name IAM_ROLE '{unload_arn},{writer}'"));
    Ok(whole)
}

/// What the spec changes of the roles waits until no statement runs that needs them as they are. What somebody else changed
/// is put back at once.
fn wait_for_jobs(request: &Request<'_>, plan: &mut PartPlan) {
    let written = remembered(request);
    let documents = [EffectKind::UpdateAssumeRolePolicy, EffectKind::PutRolePolicy];
    let changes = |step: &&mut Step| {
        // that of a role that is made comes with it
        let of_role_there = documents.contains(&step.effect.kind()) && !step.chained;
        of_role_there && !step.makes.as_ref().is_some_and(|key| written.contains(key))
    };
    let changing: Vec<_> = plan.steps.iter_mut().filter(changes).collect();
    if request.held_by.is_empty() || changing.is_empty() {
        return;
    }
    for step in changing {
        *step = step.clone().waiting_for(Some("the end of statements that run"));
    }
    let message = format!(
        "the roles stay as they are until the statements of these UnloadJobs have ended, and no attempt begins before: {}; \
         suspend or delete them to end them now",
        jobs(request)
    );
    plan.findings.push(Finding::waiting(PART, JOBS_UNDER_WAY, message));
    plan.ours.extend(written);
}

fn jobs(request: &Request<'_>) -> String {
    request.held_by.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// Whether status remembers anything of this part, or may have forgotten it.
#[must_use]
pub fn may_be_there(request: &Request<'_>) -> bool {
    role::may_be_there(request, &remembered(request))
}

/// Takes the role from the cluster, and then removes the roles; what they allow goes at once.
///
/// # Errors
/// Something is unread or refused.
pub fn teardown(request: &Request<'_>, seen: &Seen) -> Result<PartPlan, Halt> {
    if !request.held_by.is_empty() {
        return Ok(held(request));
    }
    side_by_side(PART, request, |at| {
        if at == request.producer { producer_side(request, seen) } else { remove(request, seen, write(request), None) }
    })
}

/// A statement that runs needs all of it.
fn held(request: &Request<'_>) -> PartPlan {
    let jobs = jobs(request);
    let waits = request.spec().unload.as_ref().is_some_and(|unload| unload.on_teardown == Some(OnTeardown::Wait));
    let how = if waits { "is waited for" } else { "is cancelled first" };
    let message = format!("the statement of these UnloadJobs {how}: {jobs}");
    let findings = vec![Finding::waiting(PART, JOBS_UNDER_WAY, message)];
    PartPlan { findings, ours: remembered(request), ..PartPlan::default() }
}

fn producer_side(request: &Request<'_>, seen: &Seen) -> Result<PartPlan, Halt> {
    let identifier = &request.spec().producer.cluster.identifier;
    let mut plan = PartPlan::default();
    let mut waits = None;
    if !request.retains() {
        let cluster = seen.cluster(request.producer, identifier.clone());
        let role = format!(":role{}{}", request.installation.role_path(), unload(request).name(request));
        if let Some(cluster) = cluster?
            && let Some((arn, status)) = cluster.iam_roles.iter().find(|(arn, _)| arn.ends_with(&role))
        {
            waits = Some(format!("cluster {identifier} to give it up"));
            plan.ours.insert(association(request, cluster, arn));
            let (at, cluster_name) = (request.producer.clone(), identifier.clone());
            let remove = Effect::RemoveClusterIamRole { at, cluster: cluster_name, role_arn: arn.clone() };
            match status.as_str() {
                "removing" => {
                    plan.findings.push(Finding::waiting(PART, "RoleBeingDetached", waits.clone().unwrap_or_default()))
                }
                _ if !cluster.is_available() => plan.findings.push(not_available(request, cluster)),
                _ => plan.steps.push(Step::new(PART, remove)),
            }
        }
    }
    plan.add(remove(request, seen, unload(request), waits)?);
    plan.add(remove(request, seen, submit(request), None)?);
    Ok(plan)
}

fn remove(request: &Request<'_>, seen: &Seen, role: OwnRole<'_>, waits: Option<String>) -> Result<PartPlan, Halt> {
    let (mut plan, removal) = role.take_down(request, seen)?;
    plan.steps.extend(removal.map(|step| step.waiting_for(waits)));
    Ok(plan)
}

/// What status says is there of this part.
fn remembered(request: &Request<'_>) -> BTreeSet<String> {
    let roles = role::remembered(request, [submit(request), unload(request), write(request)]);
    let resources = request.link.status.iter().flat_map(|status| &status.resources);
    roles.chain(resources.filter(|resource| resource.starts_with(ASSOCIATION))).cloned().collect()
}

/// Has the cluster take on the role, and waits until it can.
fn attach(request: &Request<'_>, cluster: &Cluster, arn: &str, role: Option<&Role>, plan: &mut PartPlan) {
    let identifier = &cluster.identifier;
    let key = association(request, cluster, arn);
    match cluster.iam_roles.get(arn).map(String::as_str) {
        Some("in-sync") => drop(plan.ours.insert(key)),
        Some(other) => {
            plan.ours.insert(key);
            let message =
                format!("role {arn} on cluster {identifier} is {other}, and will be in-sync in a minute or two");
            plan.findings.push(Finding::waiting(PART, "RoleBeingAttached", message));
        }
        None if !cluster.is_available() => plan.findings.push(not_available(request, cluster)),
        None => {
            let (at, role_arn) = (request.producer.clone(), arn.to_owned());
            let add = Effect::AddClusterIamRole { at, cluster: identifier.clone(), role_arn };
            let waits = role.is_none().then_some("the role to be there");
            plan.steps.push(Step::new(PART, add).making(key).waiting_for(waits));
        }
    }
}

fn not_available(request: &Request<'_>, cluster: &Cluster) -> Finding {
    let Cluster { identifier, status, .. } = cluster;
    let message = format!(
        "cluster {identifier} in {} is {status}, and takes no change of its roles: resume it, or wait until it is available",
        request.producer
    );
    if status == "paused" {
        return Finding::blocked(PART, "ClusterNotAvailable", message);
    }
    Finding::waiting(PART, "ClusterNotAvailable", message)
}

/// How a role on a cluster is called in the words of status.
const ASSOCIATION: &str = "cluster-role ";

fn association(request: &Request<'_>, cluster: &Cluster, arn: &str) -> String {
    format!("{ASSOCIATION}{} {} {} {arn}", request.producer.account, request.producer.region, cluster.identifier)
}
