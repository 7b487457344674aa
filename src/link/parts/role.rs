//! A role of a link's own: made with its mark, kept as it should be, and removed.

use super::super::request::Request;
use super::{Finding, Halt, Part, PartPlan, Step};
use crate::aws::effect::Effect;
use crate::aws::mark::{self, ACCESS_POLICY, RoleKind};
use crate::aws::model::{Role, Tags};
use crate::aws::policy;
use crate::aws::read::Seen;
use crate::aws::scope::{Partition, Scope};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// One of the roles of a link, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct OwnRole<'a> {
    /// The part that makes it.
    pub part: Part,
    /// Which one.
    pub kind: RoleKind,
    /// Where.
    pub at: &'a Scope,
}

/// What a role is to say.
#[derive(Clone, Debug)]
pub struct Documents {
    /// Who may take it on.
    pub trust: String,
    /// What it allows.
    pub access: String,
}

impl OwnRole<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self, request: &Request<'_>) -> String {
        request.installation.role(self.kind, request.uid())
    }

    /// Its ARN, whether it is there or not.
    #[must_use]
    pub fn arn(&self, request: &Request<'_>, partition: &Partition) -> String {
        partition.role_arn(&self.at.account, &request.installation.role_path(), &self.name(request))
    }

    /// The role, if it is there and ours.
    ///
    /// # Errors
    /// It is unread, or there and somebody else's.
    pub fn ours<'s>(&self, request: &Request<'_>, seen: &'s Seen) -> Result<Option<&'s Role>, Halt> {
        let role = seen.role(self.at, self.name(request))?.as_ref();
        match role {
            Some(role) if !request.installation.owns_role(role) => {
                let message = format!(
                    "role {} stands where ours would and does not carry our mark: it is not touched; \
                     remove it, or, if it is an old one of this link, delete it by hand",
                    role.arn
                );
                Err(Finding::blocked(self.part, "NotOurs", message).into())
            }
            role => Ok(role),
        }
    }

    /// Makes the role and keeps it as it should be. `found`: what [`ours`](Self::ours) gave.
    ///
    /// # Errors
    /// Its policy is unread or refused.
    pub fn keep(
        &self,
        request: &Request<'_>,
        seen: &Seen,
        found: Option<&Role>,
        Documents { trust, access }: Documents,
    ) -> Result<PartPlan, Halt> {
        let (account, name, part) = (&self.at.account, self.name(request), self.part);
        let boundary = request.boundary(self.at).cloned();
        let tags = tags(request);
        let key = |what: &str, content: &str| format!("{what} {account} {name} {}", digest(content));
        let (trust_key, access_key) = (key("trust", &trust), key("policy", &access));
        let boundary_key = key("boundary", boundary.as_deref().unwrap_or(""));
        let mut plan = PartPlan::default();

        let Some(role) = found else {
            let (path, account) = (request.installation.role_path(), account.clone());
            let create = Effect::CreateRole { account, path, role: name.clone(), trust, boundary, tags };
            plan.steps.push(Step::new(part, create).making(self.key(request)));
            plan.steps.push(Step::new(part, self.put(&name, access)).chained().making(access_key));
            return Ok(plan);
        };
        plan.ours.insert(self.key(request));
        let mut keep = |is_so: bool, key: String, effect: Effect| {
            if is_so {
                plan.ours.insert(key);
            } else {
                plan.steps.push(Step::new(part, effect).making(key));
            }
        };
        let account = || account.clone();
        keep(
            policy::same_meaning(&role.trust, &trust),
            trust_key,
            Effect::UpdateAssumeRolePolicy { account: account(), role: name.clone(), trust },
        );
        let written = seen.role_policy(self.at, (name.clone(), ACCESS_POLICY.to_owned()))?;
        keep(
            written.as_ref().is_some_and(|written| policy::same_meaning(written, &access)),
            access_key,
            self.put(&name, access),
        );
        // without a configured boundary, one that somebody put there is left alone
        if let Some(boundary) = boundary {
            keep(
                role.boundary.as_ref() == Some(&boundary),
                boundary_key,
                Effect::PutRolePermissionsBoundary { account: account(), role: name.clone(), boundary },
            );
        }
        let missing: Tags = tags.iter().filter(|(key, value)| role.tags.get(*key) != Some(value)).map(own).collect();
        let tags_key = key("tags", &format!("{tags:?}"));
        keep(missing.is_empty(), tags_key, Effect::TagRole { account: account(), role: name.clone(), tags: missing });
        let stale = self.stale_tags(request, role, &tags);
        if !stale.is_empty() {
            plan.steps.push(Step::new(part, Effect::UntagRole { account: account(), role: name.clone(), keys: stale }));
        }
        plan.ours.extend(request.spec().tags.iter().flatten().map(|(tag, _)| self.tag_key(&name, tag)));
        Ok(plan)
    }

    /// Takes away at once what the role allows. The step that removes the role itself is given apart, for it may have
    /// to wait; none where there is no role, where it is only given up, or where others put policies on it.
    ///
    /// # Errors
    /// Something is unread or refused.
    pub fn take_down(&self, request: &Request<'_>, seen: &Seen) -> Result<(PartPlan, Option<Step>), Halt> {
        let (mut plan, part, account) = (PartPlan::default(), self.part, &self.at.account);
        let Some(role) = (match self.ours(request, seen) {
            // somebody else's role is no reason to stay
            Err(Halt::Found(_)) => None,
            other => other?,
        }) else {
            return Ok((plan, None));
        };
        plan.ours.insert(self.key(request));
        if request.retains() {
            let retain = Effect::TagRole { account: account.clone(), role: role.name.clone(), tags: mark::retained() };
            plan.steps.push(Step::new(part, retain));
            return Ok((plan, None));
        }
        let Some(policies) = seen.role_policies(self.at, role.name.clone())? else { return Ok((plan, None)) };
        let mut strangers: BTreeSet<&str> = policies.inline.iter().map(String::as_str).collect();
        strangers.extend(policies.attached.iter().map(String::as_str));
        if strangers.remove(ACCESS_POLICY) {
            let policy = ACCESS_POLICY.to_owned();
            let delete = Effect::DeleteRolePolicy { account: account.clone(), role: role.name.clone(), policy };
            plan.steps.push(Step::new(part, delete));
        }
        if !strangers.is_empty() {
            let message = format!(
                "role {} carries policies that this program did not put there ({}): remove them, then it can be deleted",
                role.arn,
                strangers.into_iter().collect::<Vec<_>>().join(", ")
            );
            plan.findings.push(Finding::blocked(part, "ForeignPolicies", message));
            return Ok((plan, None));
        }
        let chained = !plan.steps.is_empty();
        let delete = Effect::DeleteRole { account: account.clone(), role: role.name.clone() };
        Ok((plan, Some(Step { chained, ..Step::new(part, delete) })))
    }

    /// The role, in the words of status.
    #[must_use]
    pub fn key(&self, request: &Request<'_>) -> String {
        format!("role {} {}", self.at.account, self.name(request))
    }

    fn put(&self, role: &str, document: String) -> Effect {
        let account = self.at.account.clone();
        Effect::PutRolePolicy { account, role: role.into(), policy: ACCESS_POLICY.into(), document }
    }

    fn tag_key(&self, role: &str, tag: &str) -> String {
        format!("tag {} {role} {tag}", self.at.account)
    }

    /// Tags that the spec once asked for and no longer does. Tags of others stay.
    fn stale_tags(&self, request: &Request<'_>, role: &Role, wanted: &Tags) -> Vec<String> {
        let before = request.link.status.as_ref().map(|status| &status.resources);
        let was_ours = |tag: &&String| before.is_some_and(|had| had.contains(&self.tag_key(&role.name, tag)));
        role.tags.keys().filter(|tag| !wanted.contains_key(*tag)).filter(was_ours).cloned().collect()
    }
}

/// What status says is there of these roles.
pub fn remembered<'a, const N: usize>(
    request: &Request<'a>,
    roles: [OwnRole<'_>; N],
) -> impl Iterator<Item = &'a String> + use<'a, N> {
    let names = roles.map(|role| role.name(request));
    let resources = request.link.status.iter().flat_map(|status| &status.resources);
    resources.filter(move |resource| resource.split(' ').any(|word| names.iter().any(|name| name == word)))
}

/// Whether anything may be there of a part of which status remembers this.
#[must_use]
pub fn may_be_there(request: &Request<'_>, remembered: &BTreeSet<String>) -> bool {
    !remembered.is_empty() || knows_nothing(request)
}

/// Status says of nothing that it is there: it may have been wiped.
fn knows_nothing(request: &Request<'_>) -> bool {
    request.link.status.as_ref().is_none_or(|status| status.resources.is_empty())
}

/// What keeps a part from being planned, as a finding: what is remembered of it is taken to be there still.
///
/// # Errors
/// Something is unread.
pub fn or_finding(part: Part, planned: Result<PartPlan, Halt>, remembered: BTreeSet<String>) -> Result<PartPlan, Halt> {
    let finding = match planned {
        Err(Halt::Found(finding)) => finding,
        Err(Halt::Refused(error)) => Finding::refused(part, &error),
        planned => return planned,
    };
    Ok(PartPlan { findings: vec![finding], ours: remembered, ..PartPlan::default() })
}

fn tags(request: &Request<'_>) -> Tags {
    let mut tags = request.spec().tags.clone().unwrap_or_default();
    tags.extend(request.installation.role_tags(&request.owner()));
    tags
}

fn own((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

/// Eight hexadecimal digits that change with the content.
#[must_use]
pub fn digest(content: &str) -> String {
    Sha256::digest(content.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
