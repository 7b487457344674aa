//! The role in the producer's account that users take on.
//!
//! Its trust policy is also the ledger of the execution roles that carry our inline policy (`ledger.rs`).

use super::super::facts::Facts;
use super::super::request::Request;
use super::{Finding, Halt, Part, PartPlan, Step, certainty, ledger};
use crate::aws::effect::Effect;
use crate::aws::mark::{self, ACCESS_POLICY};
use crate::aws::model::{Role, Tags};
use crate::aws::policy::{self, Statement};
use crate::aws::read::Seen;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Characters that a trust policy may have in every account; more only where the quota was raised.
const TRUST_POLICY_QUOTA: usize = 2048;

/// Name of the role.
fn name(request: &Request<'_>) -> String {
    request.installation.producer_role(request.uid())
}

/// ARN of the role, whether it is there or not.
#[must_use]
pub fn arn(request: &Request<'_>, facts: &Facts) -> String {
    facts.partition.role_arn(&request.producer.account, &request.installation.role_path(), &name(request))
}

/// The role, if it is there and ours.
///
/// # Errors
/// It is unread, or there and somebody else's.
pub fn ours<'a>(request: &Request<'_>, seen: &'a Seen) -> Result<Option<&'a Role>, Halt> {
    let role = seen.role(request.producer, name(request))?.as_ref();
    match role {
        Some(role) if !request.installation.owns_role(role) => {
            let message = format!(
                "role {} stands where ours would and does not carry our mark: it is not touched; \
                 remove it, or, if it is an old one of this link, delete it by hand",
                role.arn
            );
            Err(Finding::blocked(Part::ProducerRole, "NotOurs", message).into())
        }
        role => Ok(role),
    }
}

/// Checks before anything is made that the trust policy will fit.
///
/// # Errors
/// It will not, or the quota is unread.
pub fn preflight(request: &Request<'_>, facts: &Facts, seen: &Seen) -> Result<(), Halt> {
    let size = policy::size(&trust(request, &facts.users.roles, &BTreeSet::new()));
    if size <= TRUST_POLICY_QUOTA {
        return Ok(());
    }
    let quota = seen.trust_policy_quota(request.producer, ())?.unwrap_or(TRUST_POLICY_QUOTA);
    if size <= quota {
        return Ok(());
    }
    let message = format!(
        "the trust policy would name {} execution roles in {size} characters, and account {} allows {quota}: \
         let profiles share roles, or raise the IAM quota \"Role trust policy length\"",
        facts.users.roles.len(),
        request.producer.account
    );
    Err(Finding::blocked(Part::ProducerRole, "TrustPolicyTooLarge", message).into())
}

/// The trust policy, with the first of these ledgers that it has room for. Who is in none of its statements is shut out
/// as well, and status remembers where our policy is.
fn fitting(request: &Request<'_>, facts: &Facts, seen: &Seen, ledgers: [BTreeSet<String>; 2]) -> Result<String, Halt> {
    for ledger in ledgers {
        let trust = trust(request, &facts.users.roles, &ledger);
        let size = policy::size(&trust);
        if size <= TRUST_POLICY_QUOTA
            || size <= seen.trust_policy_quota(request.producer, ())?.unwrap_or(TRUST_POLICY_QUOTA)
        {
            return Ok(trust);
        }
    }
    Ok(trust(request, &facts.users.roles, &BTreeSet::new()))
}

/// Makes the role and keeps it as it should be.
///
/// # Errors
/// Something is unread, refused or in the way.
pub fn plan(request: &Request<'_>, facts: &Facts, seen: &Seen) -> Result<PartPlan, Halt> {
    let account = &request.producer.account;
    let (role_name, part) = (name(request), Part::ProducerRole);
    let found = ours(request, seen)?;
    let leaving = ledger::leaving(request, seen, found, &facts.users.roles)?;
    let leaving: BTreeSet<String> = leaving.into_values().flatten().collect();
    let mut shut_out = leaving.clone();
    if !request.certain {
        // a policy may still arrive on a role that carries none now
        shut_out.extend(ledger::listed(found).filter(|arn| !facts.users.roles.contains(arn)));
    }
    let trust = fitting(request, facts, seen, [shut_out, leaving])?;
    let access = access(request, facts);
    let boundary = request.grants.and_then(|grants| grants.producer.permissions_boundary.clone());
    let tags = tags(request);
    let key = |what: &str, content: &str| format!("{what} {account} {role_name} {}", digest(content));
    let (role_key, trust_key) = (format!("role {account} {role_name}"), key("trust", &trust));
    let (access_key, boundary_key) = (key("policy", &access), key("boundary", boundary.as_deref().unwrap_or("")));
    let mut plan = PartPlan::default();

    let Some(role) = found else {
        let (path, role) = (request.installation.role_path(), role_name.clone());
        let create = Effect::CreateRole { account: account.clone(), path, role, trust, boundary, tags };
        plan.steps.push(Step::new(part, create).making(role_key));
        plan.steps.push(Step::new(part, put(request, &role_name, access)).chained().making(access_key));
        return Ok(plan);
    };
    plan.ours.insert(role_key);
    let mut keep = |is_so: bool, key: String, effect: Effect| {
        if is_so {
            plan.ours.insert(key);
        } else {
            plan.steps.push(Step::new(part, effect).making(key));
        }
    };
    let account = || account.clone();
    let role_name = || role_name.clone();
    keep(
        policy::same_meaning(&role.trust, &trust),
        trust_key,
        Effect::UpdateAssumeRolePolicy { account: account(), role: role_name(), trust },
    );
    let written = seen.role_policy(request.producer, (role.name.clone(), ACCESS_POLICY.to_owned()))?;
    keep(
        written.as_ref().is_some_and(|written| policy::same_meaning(written, &access)),
        access_key,
        put(request, &role.name, access),
    );
    // without a configured boundary, one that somebody put there is left alone
    if let Some(boundary) = boundary {
        keep(
            role.boundary.as_ref() == Some(&boundary),
            boundary_key,
            Effect::PutRolePermissionsBoundary { account: account(), role: role_name(), boundary },
        );
    }
    let missing: Tags = tags.iter().filter(|(key, value)| role.tags.get(*key) != Some(value)).map(own).collect();
    let tags_key = format!("tags {} {} {}", request.producer.account, role.name, digest(&format!("{tags:?}")));
    keep(missing.is_empty(), tags_key, Effect::TagRole { account: account(), role: role_name(), tags: missing });
    let stale = stale_tags(request, role, &tags);
    if !stale.is_empty() {
        plan.steps.push(Step::new(part, Effect::UntagRole { account: account(), role: role_name(), keys: stale }));
    }
    plan.ours.extend(request.spec().tags.iter().flatten().map(|(tag, _)| tag_key(request, &role.name, tag)));
    Ok(plan)
}

/// Takes away what the role allows at once, and the role itself when no execution role carries our policy any more.
///
/// # Errors
/// Something is unread, refused or in the way.
pub fn teardown(request: &Request<'_>, seen: &Seen) -> Result<PartPlan, Halt> {
    let mut plan = PartPlan::default();
    let part = Part::ProducerRole;
    let account = request.producer.account.clone();
    let Some(role) = (match ours(request, seen) {
        // somebody else's role is no reason to stay
        Err(Halt::Found(_)) => None,
        other => other?,
    }) else {
        return Ok(plan);
    };
    plan.ours.insert(format!("role {account} {}", role.name));
    if !request.spec().deletes() {
        let retain = Effect::TagRole { account, role: role.name.clone(), tags: mark::retained() };
        plan.steps.push(Step::new(part, retain));
        return Ok(plan);
    }
    let Some(policies) = seen.role_policies(request.producer, role.name.clone())? else { return Ok(plan) };
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
        return Ok(plan);
    }
    let none = BTreeSet::new();
    let leaving = if request.gave_up(&request.consumer.account) {
        Ok(ledger::Leaving::new())
    } else {
        ledger::leaving(request, seen, Some(role), &none)
    };
    let leaving = match leaving {
        // the consumer policy part says what was refused; the ledger stays, without any power
        Err(Halt::Refused(_)) => return Ok(plan),
        other => other?,
    };
    let waits = (!leaving.is_empty()).then(|| format!("the policy on {} execution roles to be gone", leaving.len()));
    let chained = !plan.steps.is_empty();
    let delete = Effect::DeleteRole { account, role: role.name.clone() };
    plan.steps.push(Step { chained, ..Step::new(part, delete).waiting_for(waits).waiting_for(certainty(request)) });
    Ok(plan)
}

fn put(request: &Request<'_>, role: &str, document: String) -> Effect {
    let account = request.producer.account.clone();
    Effect::PutRolePolicy { account, role: role.into(), policy: ACCESS_POLICY.into(), document }
}

/// Who may take on the role. Roles that still carry our policy, or may, are shut out by name: so the ledger has them.
fn trust(request: &Request<'_>, roles: &BTreeSet<String>, shut_out: &BTreeSet<String>) -> String {
    let mut enter = enter(request).by("AWS", roles.iter().cloned());
    if request.spec().ties_source_identity() {
        // A session that carries no source identity could choose one when it takes on this role, and with it whom it
        // becomes in the database: only sessions that were given theirs by SageMaker come in.
        enter = enter.when("Null", "aws:SourceIdentity", ["false".to_owned()]);
    }
    if shut_out.is_empty() {
        return policy::document(&[enter]);
    }
    let deny = Statement::deny("", &["sts:AssumeRole"]).by("AWS", shut_out.iter().cloned());
    policy::document(&[enter, deny])
}

/// What entering the role takes, on both sides. A session with a source identity needs leave to bring it
/// (docs/aws-behaviour.md#source-identity).
#[must_use]
pub fn enter(request: &Request<'_>) -> Statement {
    if request.spec().ties_source_identity() {
        return Statement::allow("", &["sts:AssumeRole", "sts:SetSourceIdentity"]);
    }
    // Sessions of EKS Pod Identity bring their tags along. No other tags may come in, new or carried along: such as
    // `RedshiftDbUser` would say whom the session is in the database (docs/aws-behaviour.md#assuming-roles).
    let keys = ["eks-*", "kubernetes-*"].map(str::to_owned);
    let enter = Statement::allow("", &["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]);
    let enter = enter.when("ForAllValues:StringLike", "aws:TagKeys", keys);
    ["RedshiftDbUser", "RedshiftDbRoles"]
        .iter()
        .fold(enter, |enter, tag| enter.when("Null", format!("aws:PrincipalTag/{tag}"), ["true".to_owned()]))
}

/// What the role allows (docs/aws-behaviour.md#database-credentials).
fn access(request: &Request<'_>, facts: &Facts) -> String {
    let spec = request.spec();
    let access = spec.access.clone().unwrap_or_default();
    let (cluster, database) = (&spec.producer.cluster.identifier, &spec.producer.cluster.database);
    let arn = |kind: &str, rest: &str| {
        format!(
            "arn:{}:redshift:{}:{}:{kind}:{rest}",
            facts.partition, request.producer.region, request.producer.account
        )
    };
    let own_user = arn("dbuser", &format!("{cluster}/${{redshift:DbUser}}"));
    let as_whom = |statement: Statement| {
        if spec.ties_source_identity() {
            // database names are lower case, profile names need not be
            statement.when("StringEqualsIgnoreCase", "redshift:DbUser", ["${aws:SourceIdentity}".to_owned()])
        } else {
            statement.when("StringEquals", "redshift:DbUser", access.database_users.iter().flatten().cloned())
        }
    };
    let protected = request.grants.map(|grants| &grants.producer.protected_database_users);
    let never: BTreeSet<String> = [facts.warehouse.master_user.clone(), "rdsdb".to_owned()]
        .into_iter()
        .chain(protected.into_iter().flatten().cloned())
        .collect();

    let credentials = Statement::allow("GetRedshiftCredentials", &["redshift:GetClusterCredentials"]);
    let mut statements = vec![as_whom(credentials.on([
        arn("dbname", &format!("{cluster}/{database}")),
        own_user.clone(),
        arn("cluster", cluster),
    ]))];
    if access.create_users.unwrap_or(true) {
        let create = Statement::allow("DynamicUserCreation", &["redshift:CreateClusterUser"]);
        statements.push(as_whom(create.on([own_user])));
    }
    if let Some(groups) = &access.database_groups {
        let groups = groups.iter().map(|group| arn("dbgroup", &format!("{cluster}/{group}")));
        statements.push(Statement::allow("JoinGroups", &["redshift:JoinGroup"]).on(groups));
    }
    let run = ["ExecuteStatement", "ListDatabases", "ListSchemas", "ListTables", "DescribeTable"];
    statements.push(
        Statement::allow("DataApi", &run.map(data_api).each_ref().map(String::as_str)).on([arn("cluster", cluster)]),
    );
    let own = ["CancelStatement", "DescribeStatement", "GetStatementResult", "ListStatements"];
    statements.push(
        // the results of one session are nobody else's, although all share this role
        Statement::allow("OwnStatements", &own.map(data_api).each_ref().map(String::as_str)).on(["*".to_owned()]).when(
            "StringEquals",
            "redshift-data:statement-owner-iam-userid",
            ["${aws:userid}".to_owned()],
        ),
    );
    statements.push(
        // clients look up the endpoint
        Statement::allow("Describe", &["redshift:DescribeClusters"]).on([arn("cluster", cluster)]),
    );
    statements.push(
        Statement::deny("NeverThese", &["redshift:GetClusterCredentials", "redshift:CreateClusterUser"])
            .on(["*".to_owned()])
            .when("StringEqualsIgnoreCase", "redshift:DbUser", never),
    );
    policy::document(&statements)
}

fn data_api(operation: &str) -> String {
    format!("redshift-data:{operation}")
}

fn tags(request: &Request<'_>) -> Tags {
    let mut tags = request.spec().tags.clone().unwrap_or_default();
    tags.extend(request.installation.role_tags(&request.owner()));
    tags
}

fn tag_key(request: &Request<'_>, role: &str, tag: &str) -> String {
    format!("tag {} {role} {tag}", request.producer.account)
}

/// Tags that the spec once asked for and no longer does. Tags of others stay.
fn stale_tags(request: &Request<'_>, role: &Role, wanted: &Tags) -> Vec<String> {
    let before = request.link.status.as_ref().map(|status| &status.resources);
    let was_ours = |tag: &&String| before.is_some_and(|had| had.contains(&tag_key(request, &role.name, tag)));
    role.tags.keys().filter(|tag| !wanted.contains_key(*tag)).filter(was_ours).cloned().collect()
}

fn own((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

/// Eight hexadecimal digits that change with the content.
#[must_use]
pub fn digest(content: &str) -> String {
    Sha256::digest(content.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
