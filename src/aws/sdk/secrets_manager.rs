//! Secrets Manager: what is told of secrets. Their values are never asked for.

use super::{Call, Sdk, absent};
use crate::aws::error::{Look, Operation, Service};
use crate::aws::model::Secret;
use crate::aws::read::Found;
use crate::aws::scope::Scope;
use std::collections::BTreeSet;

const DESCRIBE_SECRET: Operation = Operation::new(Service::SecretsManager, "DescribeSecret");

pub(super) async fn secrets(sdk: &Sdk, at: &Scope, arns: &BTreeSet<String>) -> Look<Found<String, Option<Secret>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for arn in arns {
        let request = session.clients.secrets_manager.describe_secret().secret_id(arn).send();
        let answer = absent(sdk.call(Call::read(at, DESCRIBE_SECRET, arn), request).await)?;
        let secret = answer.map(|answer| Secret {
            arn: answer.arn.unwrap_or_default(),
            key: answer.kms_key_id,
            being_deleted: answer.deleted_date.is_some(),
        });
        found.insert(arn.clone(), secret);
    }
    Ok(found)
}
