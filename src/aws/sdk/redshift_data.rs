//! Redshift's Data API: statements, by the role that submitted them.

use super::session::StatementsClient;
use super::{Call, Sdk, absent};
use crate::aws::error::{Look, Operation, Service};
use crate::aws::model::{Statement, StatementStatus};
use crate::aws::read::Found;
use crate::aws::scope::Scope;
use aws_sdk_redshiftdata::types::{StatementData, StatusString};
use aws_smithy_types::DateTime;
use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

const DESCRIBE_STATEMENT: Operation = Operation::new(Service::RedshiftData, "DescribeStatement");
const LIST_STATEMENTS: Operation = Operation::new(Service::RedshiftData, "ListStatements");
/// How long AWS may wait for the end of a statement before it answers: less than an attempt of a call may take.
const WAIT_SECONDS: i32 = 10;
/// The longest page that there is.
const PAGE: i32 = 100;

pub(super) async fn statements(
    sdk: &Sdk,
    at: &Scope,
    ids: &BTreeSet<(String, String)>,
) -> Look<Found<(String, String), Option<Statement>>> {
    let looks = join_all(ids.iter().map(|(role_arn, id)| statement(sdk, at, role_arn, id))).await;
    ids.iter().cloned().zip(looks).map(|(id, look)| Ok((id, look?))).collect()
}

async fn statement(sdk: &Sdk, at: &Scope, role_arn: &str, id: &str) -> Look<Option<Statement>> {
    let StatementsClient { reads, .. } = sdk.sessions.statements(at, role_arn).await?;
    let call = Call::read(at, DESCRIBE_STATEMENT, id);
    let answer = absent(sdk.call(call, reads.describe_statement().id(id).send()).await)?;
    Ok(answer.map(|found| Statement {
        id: found.id,
        name: String::new(),
        status: status(found.status.as_ref()),
        error: found.error,
        created: moment(found.created_at.as_ref()),
        rows: u64::try_from(found.result_rows).ok(),
        query_id: u64::try_from(found.redshift_query_id).ok().filter(|id| *id > 0),
    }))
}

/// Only who does nothing else meanwhile may wait so: a loop looks at the statement as it stands.
pub(super) async fn ends(
    sdk: &Sdk,
    at: &Scope,
    ids: &BTreeSet<(String, String)>,
) -> Look<Found<(String, String), bool>> {
    let mut found = Found::new();
    for (role_arn, id) in ids {
        let StatementsClient { reads, .. } = sdk.sessions.statements(at, role_arn).await?;
        let waiting = reads.describe_statement().id(id).wait_time_seconds(WAIT_SECONDS).send();
        let answer = absent(sdk.call(Call::read(at, DESCRIBE_STATEMENT, id), waiting).await)?;
        let ended = answer.is_none_or(|statement| status(statement.status.as_ref()).is_ended());
        found.insert((role_arn.clone(), id.clone()), ended);
    }
    Ok(found)
}

pub(super) async fn named(
    sdk: &Sdk,
    at: &Scope,
    ids: &BTreeSet<(String, String, String)>,
) -> Look<Found<(String, String, String), Vec<Statement>>> {
    let mut of_role = BTreeMap::<(&String, &String), Vec<&str>>::new();
    for (role_arn, cluster, name) in ids {
        of_role.entry((role_arn, cluster)).or_default().push(name);
    }
    let mut found = Found::new();
    for ((role_arn, cluster), names) in of_role {
        // what the names begin with is listed once for all, unless so much else begins so that single ones cost less
        let most = if names.len() > 1 { names.len() } else { usize::MAX };
        let all = match common_start(&names) {
            "" => None,
            start => listed(sdk, at, (role_arn, cluster), start, most).await?,
        };
        for name in names {
            let named = match &all {
                Some(all) => all.iter().filter(|statement| statement.name.starts_with(name)).cloned().collect(),
                None => listed(sdk, at, (role_arn, cluster), name, usize::MAX).await?.unwrap_or_default(),
            };
            found.insert((role_arn.clone(), cluster.clone(), name.to_owned()), named);
        }
    }
    Ok(found)
}

/// All statements of a role whose names begin so; none where they fill more than so many pages.
async fn listed(
    sdk: &Sdk,
    at: &Scope,
    (role_arn, cluster): (&str, &str),
    start: &str,
    most: usize,
) -> Look<Option<Vec<Statement>>> {
    let StatementsClient { reads, .. } = sdk.sessions.statements(at, role_arn).await?;
    let (mut all, mut next) = (vec![], None);
    for _ in 0..most {
        // without a status only those that finished are listed (docs/aws-behaviour.md#statements)
        let request = reads.list_statements().statement_name(start).status(StatusString::All).role_level(true);
        let request = request.cluster_identifier(cluster).max_results(PAGE).set_next_token(next);
        let page = sdk.call(Call::read(at, LIST_STATEMENTS, start), request.send()).await?;
        all.extend(page.statements.into_iter().map(plain));
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(Some(all));
        }
    }
    Ok(None)
}

/// What all of these begin with.
fn common_start<'a>(names: &[&'a str]) -> &'a str {
    let Some((first, others)) = names.split_first() else { return "" };
    let differs =
        |&(at, c): &(usize, char)| !others.iter().all(|name| name[..].get(at..).is_some_and(|n| n.starts_with(c)));
    let end = first.char_indices().find(differs).map_or(first.len(), |(at, _)| at);
    &first[..end]
}

fn plain(data: StatementData) -> Statement {
    Statement {
        id: data.id,
        name: data.statement_name.unwrap_or_default(),
        status: status(data.status.as_ref()),
        error: None,
        created: moment(data.created_at.as_ref()),
        rows: None,
        query_id: None,
    }
}

fn status(status: Option<&StatusString>) -> StatementStatus {
    match status {
        Some(StatusString::Submitted) => StatementStatus::Submitted,
        Some(StatusString::Picked) => StatementStatus::Picked,
        Some(StatusString::Started) => StatementStatus::Started,
        Some(StatusString::Finished) => StatementStatus::Finished,
        Some(StatusString::Failed) => StatementStatus::Failed,
        Some(StatusString::Aborted) => StatementStatus::Aborted,
        _ => StatementStatus::Unknown,
    }
}

fn moment(at: Option<&DateTime>) -> Option<Timestamp> {
    Timestamp::from_millisecond(at?.to_millis().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::common_start;

    #[test]
    fn what_names_have_in_common() {
        let rows: [(&[&str], &str); 5] = [
            (&[], ""),
            (&["ml/a/u1/1;"], "ml/a/u1/1;"),
            (&["ml/a/u1/1;", "ml/b/u2/1;", "ml/a/u3/1;"], "ml/"),
            (&["ml/a/1;", "ml/a/1"], "ml/a/1"),
            (&["ä1", "ö1"], ""),
        ];
        for (names, common) in rows {
            assert_eq!(common_start(names), common, "{names:?}");
        }
    }
}
