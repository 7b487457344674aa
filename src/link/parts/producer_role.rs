//! The role in the producer's account that users take on.
//!
//! Its trust policy is also the ledger of the execution roles that carry our inline policy (`ledger.rs`).

use super::super::facts::Facts;
use super::super::request::Request;
use super::role::{Documents, OwnRole};
use super::{Finding, Halt, Part, PartPlan, certainty, ledger};
use crate::aws::mark::RoleKind;
use crate::aws::model::Role;
use crate::aws::policy::{self, Statement};
use crate::aws::read::Seen;
use std::collections::BTreeSet;

/// Characters that a trust policy may have in every account; more only where the quota was raised.
const TRUST_POLICY_QUOTA: usize = 2048;

/// The role.
const fn role<'a>(request: &Request<'a>) -> OwnRole<'a> {
    OwnRole { part: Part::ProducerRole, kind: RoleKind::Producer, at: request.producer }
}

/// ARN of the role, whether it is there or not.
#[must_use]
pub fn arn(request: &Request<'_>, facts: &Facts) -> String {
    role(request).arn(request, &facts.partition)
}

/// The role, if it is there and ours.
///
/// # Errors
/// It is unread, or there and somebody else's.
pub fn ours<'a>(request: &Request<'_>, seen: &'a Seen) -> Result<Option<&'a Role>, Halt> {
    role(request).ours(request, seen)
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
    let found = ours(request, seen)?;
    let leaving = ledger::leaving(request, seen, found, &facts.users.roles)?;
    let leaving: BTreeSet<String> = leaving.into_values().flatten().collect();
    let mut shut_out = leaving.clone();
    if !request.certain {
        // a policy may still arrive on a role that carries none now
        shut_out.extend(ledger::listed(found).filter(|arn| !facts.users.roles.contains(arn)));
    }
    let trust = fitting(request, facts, seen, [shut_out, leaving])?;
    role(request).keep(request, seen, found, Documents { trust, access: access(request, facts) })
}

/// Takes away what the role allows at once, and the role itself when no execution role carries our policy any more.
///
/// # Errors
/// Something is unread, refused or in the way.
pub fn teardown(request: &Request<'_>, seen: &Seen) -> Result<PartPlan, Halt> {
    let (mut plan, removal) = role(request).take_down(request, seen)?;
    let Some(removal) = removal else { return Ok(plan) };
    let leaving = if request.gave_up(&request.consumer.account) {
        Ok(ledger::Leaving::new())
    } else {
        ledger::leaving(request, seen, ours(request, seen)?, &BTreeSet::new())
    };
    let leaving = match leaving {
        // the consumer policy part says what was refused; the ledger stays, without any power
        Err(Halt::Refused(_)) => return Ok(plan),
        other => other?,
    };
    let waits = (!leaving.is_empty()).then(|| format!("the policy on {} execution roles to be gone", leaving.len()));
    plan.steps.push(removal.waiting_for(waits).waiting_for(certainty(request)));
    Ok(plan)
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
