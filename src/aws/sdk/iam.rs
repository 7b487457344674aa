//! IAM: roles and their policies.

use super::{Call, Sdk, absent};
use crate::aws::error::{Look, Operation, Service};
use crate::aws::model::{Role, RolePolicies};
use crate::aws::read::Found;
use crate::aws::scope::Scope;
use aws_sdk_iam::types::SummaryKeyType;
use percent_encoding::percent_decode_str;
use std::collections::BTreeSet;

const GET_ROLE: Operation = Operation::new(Service::Iam, "GetRole");
const GET_ROLE_POLICY: Operation = Operation::new(Service::Iam, "GetRolePolicy");
const LIST_ROLE_POLICIES: Operation = Operation::new(Service::Iam, "ListRolePolicies");
const LIST_ATTACHED: Operation = Operation::new(Service::Iam, "ListAttachedRolePolicies");
const LIST_ROLES: Operation = Operation::new(Service::Iam, "ListRoles");
const GET_ACCOUNT_SUMMARY: Operation = Operation::new(Service::Iam, "GetAccountSummary");

/// IAM is global: its calls name no region.
fn read<'a>(at: &'a Scope, operation: Operation, resource: &'a str) -> Call<'a> {
    Call { region: None, ..Call::read(at, operation, resource) }
}

pub(super) async fn roles(sdk: &Sdk, at: &Scope, names: &BTreeSet<String>) -> Look<Found<String, Option<Role>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for name in names {
        let request = session.clients.iam.get_role().role_name(name).send();
        let answer = absent(sdk.call(read(at, GET_ROLE, name), request).await)?;
        found.insert(name.clone(), answer.and_then(|answer| answer.role).map(plain));
    }
    Ok(found)
}

fn plain(role: aws_sdk_iam::types::Role) -> Role {
    let tags = role.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
    Role {
        name: role.role_name,
        path: role.path,
        arn: role.arn,
        id: role.role_id,
        trust: decoded(&role.assume_role_policy_document.unwrap_or_default()),
        boundary: role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
        tags,
    }
}

/// IAM gives documents percent-encoded.
fn decoded(document: &str) -> String {
    percent_decode_str(document).decode_utf8_lossy().into_owned()
}

pub(super) async fn role_policy(
    sdk: &Sdk,
    at: &Scope,
    ids: &BTreeSet<(String, String)>,
) -> Look<Found<(String, String), Option<String>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for (role, policy) in ids {
        let request = session.clients.iam.get_role_policy().role_name(role).policy_name(policy).send();
        let answer = absent(sdk.call(read(at, GET_ROLE_POLICY, role), request).await)?;
        found.insert((role.clone(), policy.clone()), answer.map(|answer| decoded(&answer.policy_document)));
    }
    Ok(found)
}

pub(super) async fn role_policies(
    sdk: &Sdk,
    at: &Scope,
    names: &BTreeSet<String>,
) -> Look<Found<String, Option<RolePolicies>>> {
    let mut found = Found::new();
    for name in names {
        let inline = inline_policies(sdk, at, name).await?;
        let attached = attached_policies(sdk, at, name).await?;
        found.insert(name.clone(), inline.zip(attached).map(|(inline, attached)| RolePolicies { inline, attached }));
    }
    Ok(found)
}

/// None where the role is not there.
async fn inline_policies(sdk: &Sdk, at: &Scope, role: &str) -> Look<Option<BTreeSet<String>>> {
    let session = sdk.sessions.enter(at).await?;
    let (mut policies, mut marker) = (BTreeSet::new(), None);
    loop {
        let request = session.clients.iam.list_role_policies().role_name(role).set_marker(marker).send();
        let Some(page) = absent(sdk.call(read(at, LIST_ROLE_POLICIES, role), request).await)? else { return Ok(None) };
        policies.extend(page.policy_names);
        marker = page.marker;
        if !page.is_truncated {
            return Ok(Some(policies));
        }
    }
}

/// None where the role is not there.
async fn attached_policies(sdk: &Sdk, at: &Scope, role: &str) -> Look<Option<BTreeSet<String>>> {
    let session = sdk.sessions.enter(at).await?;
    let (mut policies, mut marker) = (BTreeSet::new(), None);
    loop {
        let request = session.clients.iam.list_attached_role_policies().role_name(role).set_marker(marker).send();
        let Some(page) = absent(sdk.call(read(at, LIST_ATTACHED, role), request).await)? else { return Ok(None) };
        policies.extend(page.attached_policies.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn));
        marker = page.marker;
        if !page.is_truncated {
            return Ok(Some(policies));
        }
    }
}

pub(super) async fn marked_roles(sdk: &Sdk, at: &Scope) -> Look<Found<(), Vec<Role>>> {
    let session = sdk.sessions.enter(at).await?;
    let path = sdk.installation.role_path();
    let (mut roles, mut marker) = (vec![], None);
    loop {
        let request = session.clients.iam.list_roles().path_prefix(&path).set_marker(marker).send();
        let page = sdk.call(read(at, LIST_ROLES, &path), request).await?;
        roles.extend(page.roles.into_iter().map(plain));
        marker = page.marker;
        if !page.is_truncated {
            return Ok(Found::from([((), roles)]));
        }
    }
}

pub(super) async fn trust_policy_quota(sdk: &Sdk, at: &Scope) -> Look<Found<(), Option<usize>>> {
    let session = sdk.sessions.enter(at).await?;
    let request = session.clients.iam.get_account_summary().send();
    let answer = sdk.call(read(at, GET_ACCOUNT_SUMMARY, "account"), request).await?;
    let quota = answer.summary_map.unwrap_or_default().get(&SummaryKeyType::AssumeRolePolicySizeQuota).copied();
    Ok(Found::from([((), quota.and_then(|quota| usize::try_from(quota).ok()))]))
}
