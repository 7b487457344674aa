//! S3: buckets.

use super::{Call, Sdk, absent};
use crate::aws::error::{Look, Operation, Service};
use crate::aws::read::Found;
use crate::aws::scope::{Region, Scope};
use std::collections::BTreeSet;

const GET_BUCKET_LOCATION: Operation = Operation::new(Service::S3, "GetBucketLocation");

pub(super) async fn buckets(sdk: &Sdk, at: &Scope, names: &BTreeSet<String>) -> Look<Found<String, Option<Region>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for name in names {
        // whose bucket it is, S3 says to nobody: it refuses where it is not this account's
        let request = session.clients.s3.get_bucket_location().bucket(name).expected_bucket_owner(&at.account.0);
        let answer = absent(sdk.call(Call::read(at, GET_BUCKET_LOCATION, name), request.send()).await)?;
        let region = answer.map(|answer| match answer.location_constraint.as_ref().map_or("", |c| c.as_str()) {
            // names from before there were others (docs/aws-behaviour.md#s3-and-kms)
            "" => Region("us-east-1".into()),
            "EU" => Region("eu-west-1".into()),
            other => Region(other.to_owned()),
        });
        found.insert(name.clone(), region);
    }
    Ok(found)
}
