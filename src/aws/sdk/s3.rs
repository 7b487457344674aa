//! S3: buckets.

use super::{Call, Sdk, absent};
use crate::aws::error::{Look, Operation, Service};
use crate::aws::read::Found;
use crate::aws::scope::{Region, Scope};
use aws_sdk_s3::error::SdkError;
use std::collections::BTreeSet;

const GET_BUCKET_LOCATION: Operation = Operation::new(Service::S3, "GetBucketLocation");

pub(super) async fn buckets(sdk: &Sdk, at: &Scope, names: &BTreeSet<String>) -> Look<Found<String, Option<Region>>> {
    let mut found = Found::new();
    for name in names {
        let (region, elsewhere) = location(sdk, at, name).await;
        let region = match elsewhere {
            // should a bucket of another region be asked for only there (docs/aws-behaviour.md#buckets)
            Some(region) => location(sdk, &Scope { account: at.account.clone(), region }, name).await.0?,
            None => region?,
        };
        found.insert(name.clone(), region);
    }
    Ok(found)
}

/// What a region says of a bucket, and whereto it points.
async fn location(sdk: &Sdk, at: &Scope, name: &str) -> (Look<Option<Region>>, Option<Region>) {
    let session = match sdk.sessions.enter(at).await {
        Ok(session) => session,
        Err(error) => return (Err(error), None),
    };
    // whose bucket it is, S3 says to nobody: it refuses where it is not this account's
    let request = session.clients.s3.get_bucket_location().bucket(name).expected_bucket_owner(&at.account.0);
    let mut elsewhere = None;
    let asked = async {
        let answer = request.send().await;
        if let Err(SdkError::ServiceError(refusal)) = &answer
            && refusal.raw().status().as_u16() == 301
        {
            elsewhere = refusal.raw().headers().get("x-amz-bucket-region").map(|region| Region(region.to_owned()));
        }
        answer
    };
    let answer = absent(sdk.call(Call::read(at, GET_BUCKET_LOCATION, name), asked).await);
    let region = |constraint: Option<aws_sdk_s3::types::BucketLocationConstraint>| {
        // how the oldest regions are called here
        Region(match constraint.as_ref().map_or("", |constraint| constraint.as_str()) {
            "" => "us-east-1".into(),
            "EU" => "eu-west-1".into(),
            other => other.into(),
        })
    };
    (answer.map(|found| found.map(|answer| region(answer.location_constraint))), elsewhere)
}
