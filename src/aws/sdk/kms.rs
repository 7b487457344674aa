//! KMS: keys.

use super::{Call, Sdk, absent};
use crate::aws::error::{Look, Operation, Service};
use crate::aws::model::Key;
use crate::aws::read::Found;
use crate::aws::scope::Scope;
use std::collections::BTreeSet;

const DESCRIBE_KEY: Operation = Operation::new(Service::Kms, "DescribeKey");
const GET_KEY_POLICY: Operation = Operation::new(Service::Kms, "GetKeyPolicy");

pub(super) async fn keys(sdk: &Sdk, at: &Scope, arns: &BTreeSet<String>) -> Look<Found<String, Option<Key>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for arn in arns {
        let request = session.clients.kms.describe_key().key_id(arn).send();
        let answer = absent(sdk.call(Call::read(at, DESCRIBE_KEY, arn), request).await)?;
        let key = answer.and_then(|answer| answer.key_metadata).map(|key| Key {
            arn: key.arn.unwrap_or_default(),
            state: key.key_state.map(|state| state.as_str().to_owned()).unwrap_or_default(),
            symmetric: key.key_spec.is_none_or(|spec| spec.as_str() == "SYMMETRIC_DEFAULT"),
        });
        found.insert(arn.clone(), key);
    }
    Ok(found)
}

pub(super) async fn policies(sdk: &Sdk, at: &Scope, arns: &BTreeSet<String>) -> Look<Found<String, Option<String>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for arn in arns {
        let request = session.clients.kms.get_key_policy().key_id(arn).send();
        let answer = absent(sdk.call(Call::read(at, GET_KEY_POLICY, arn), request).await)?;
        found.insert(arn.clone(), answer.and_then(|answer| answer.policy));
    }
    Ok(found)
}
