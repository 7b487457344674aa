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
use std::collections::BTreeSet;

const DESCRIBE_STATEMENT: Operation = Operation::new(Service::RedshiftData, "DescribeStatement");
const LIST_STATEMENTS: Operation = Operation::new(Service::RedshiftData, "ListStatements");
/// How long AWS may wait for the end of a statement before it answers. Others who ask meanwhile wait as well.
const WAIT_SECONDS: i32 = 10;
/// The longest page that there is.
const PAGE: i32 = 100;

pub(super) async fn statements(
    sdk: &Sdk,
    at: &Scope,
    ids: &BTreeSet<(String, String)>,
) -> Look<Found<(String, String), Option<Statement>>> {
    // each may wait for its end
    let looks = join_all(ids.iter().map(|(role_arn, id)| statement(sdk, at, role_arn, id))).await;
    ids.iter().cloned().zip(looks).map(|(id, look)| Ok((id, look?))).collect()
}

async fn statement(sdk: &Sdk, at: &Scope, role_arn: &str, id: &str) -> Look<Option<Statement>> {
    let StatementsClient { reads, .. } = sdk.sessions.statements(at, role_arn).await?;
    let call = Call::read(at, DESCRIBE_STATEMENT, id);
    let waiting = reads.describe_statement().id(id).wait_time_seconds(WAIT_SECONDS).send();
    let answer = match absent(sdk.call(call, waiting).await) {
        // too many wait: it is asked without
        Err(error) if error.code == "ActiveWaitingRequestsExceededException" => {
            absent(sdk.call(call, reads.describe_statement().id(id).send()).await)?
        }
        answer => answer?,
    };
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

pub(super) async fn named(
    sdk: &Sdk,
    at: &Scope,
    ids: &BTreeSet<(String, String, String)>,
) -> Look<Found<(String, String, String), Vec<Statement>>> {
    let mut found = Found::new();
    for (role_arn, cluster, name) in ids {
        let StatementsClient { reads, .. } = sdk.sessions.statements(at, role_arn).await?;
        let (mut all, mut next) = (vec![], None);
        loop {
            // without a status only those that finished are listed (docs/aws-behaviour.md#statements)
            let request = reads.list_statements().statement_name(name).status(StatusString::All).role_level(true);
            let request = request.cluster_identifier(cluster).max_results(PAGE).set_next_token(next);
            let page = sdk.call(Call::read(at, LIST_STATEMENTS, name), request.send()).await?;
            all.extend(page.statements.into_iter().map(plain));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                break;
            }
        }
        found.insert((role_arn.clone(), cluster.clone(), name.clone()), all);
    }
    Ok(found)
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
