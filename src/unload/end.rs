//! How a statement ended, and what that asks for (docs/aws-behaviour.md#statements).

use crate::api::unload::status::EndReason;
use crate::aws::model::{Statement, StatementStatus};

/// Texts of the warehouse that say it was not able to go on, whatever the query is.
const WAREHOUSE: [&str; 17] = [
    "connection reset",
    "connection refused",
    "connection lost",
    "connection has been closed",
    "closed the connection",
    "terminating connection",
    "connection to the server",
    "communications link failure",
    "the database system is",
    "cluster is not available",
    "cluster is resizing",
    "cluster is being",
    "system is restarting",
    "node failure",
    "slowdown,status 503",
    "status 500",
    "status 503",
];

/// Texts that say somebody, or a limit, stopped the query.
const STOPPED: [&str; 6] = [
    "cancelled on user",
    "canceled on user",
    "abort query",
    "statement timeout",
    "query monitoring rule",
    "workload management",
];

/// Why a statement ended without success, in AWS's words where it has any.
#[must_use]
pub fn reason(statement: &Statement) -> (EndReason, String) {
    let text = statement.error.clone().unwrap_or_default();
    let lower = text.to_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|part| lower.contains(part));
    let aborted = statement.status == StatementStatus::Aborted;
    let reason = if says(&STOPPED) {
        EndReason::StatementStopped
    } else if says(&WAREHOUSE) {
        EndReason::WarehouseFailed
    } else if aborted {
        EndReason::StatementStopped
    } else {
        EndReason::StatementFailed
    };
    let message = match (reason, text.as_str()) {
        (_, "") if aborted => "somebody, or a limit of the warehouse, stopped the statement".to_owned(),
        (_, "") => "the warehouse gave no reason".to_owned(),
        (_, text) => text.chars().take(1500).collect(),
    };
    (reason, format!("statement {}: {message}", statement.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_per_kind_of_end() {
        use EndReason::{StatementFailed, StatementStopped, WarehouseFailed};
        use StatementStatus::{Aborted, Failed};
        let rows = [
            (Failed, "ERROR: relation \"stores\" does not exist", StatementFailed),
            (Failed, "ERROR: permission denied for relation stores", StatementFailed),
            (Failed, "ERROR: S3ServiceException:Access Denied,Status 403,Error AccessDenied", StatementFailed),
            (Failed, "ERROR: S3ServiceException:Please reduce your request rate.,Status 503", WarehouseFailed),
            (Failed, "ERROR: Query (1) cancelled on user's request", StatementStopped),
            (Failed, "ERROR: canceling statement due to statement timeout", StatementStopped),
            (Failed, "Query (1) cancelled by WLM abort action of Query Monitoring Rule \"r\"", StatementStopped),
            (Failed, "FATAL: terminating connection due to administrator command", WarehouseFailed),
            (Failed, "Connection reset by peer", WarehouseFailed),
            (Failed, "", StatementFailed),
            (Aborted, "", StatementStopped),
            (Aborted, "the database system is shutting down", WarehouseFailed),
        ];
        for (status, text, expected) in rows {
            let error = (!text.is_empty()).then(|| text.to_owned());
            let statement = Statement {
                id: "s-1".into(),
                name: String::new(),
                status,
                error,
                created: None,
                rows: None,
                query_id: None,
            };
            let (found, message) = reason(&statement);
            assert_eq!(found, expected, "{text}");
            assert!(message.contains("s-1") && message.contains(text), "{message}");
        }
    }
}
