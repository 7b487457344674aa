//! S3: buckets, and what is in them.

use super::{Call, Sdk, absent};
use crate::aws::error::{Look, Operation, Service, code};
use crate::aws::manifest::{self, Manifest};
use crate::aws::model::{AWS_MANAGED, BucketGuards, Listing, Object, ObjectVersion, Upload};
use crate::aws::read::Found;
use crate::aws::scope::{Region, Scope};
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::MfaDeleteStatus;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use k8s_openapi::jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::io::SyncIoBridge;

const GET_BUCKET_LOCATION: Operation = Operation::new(Service::S3, "GetBucketLocation");
const GET_BUCKET_ENCRYPTION: Operation = Operation::new(Service::S3, "GetBucketEncryption");
const GET_BUCKET_POLICY: Operation = Operation::new(Service::S3, "GetBucketPolicy");
const GET_BUCKET_VERSIONING: Operation = Operation::new(Service::S3, "GetBucketVersioning");
const GET_OBJECT_LOCK: Operation = Operation::new(Service::S3, "GetObjectLockConfiguration");
const LIST_OBJECTS: Operation = Operation::new(Service::S3, "ListObjectsV2");
const LIST_VERSIONS: Operation = Operation::new(Service::S3, "ListObjectVersions");
const LIST_UPLOADS: Operation = Operation::new(Service::S3, "ListMultipartUploads");
const GET_OBJECT: Operation = Operation::new(Service::S3, "GetObject");
/// A text of more bytes is none of ours.
const TEXT_MOST: i64 = 64 * 1024;

/// A bucket and a prefix, or a key, in it.
type Place = (String, String);

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

pub(super) async fn policies(sdk: &Sdk, at: &Scope, names: &BTreeSet<String>) -> Look<Found<String, Option<String>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for name in names {
        let request = session.clients.s3.get_bucket_policy().bucket(name).expected_bucket_owner(&at.account.0);
        let answer = absent(sdk.call(Call::read(at, GET_BUCKET_POLICY, name), request.send()).await)?;
        found.insert(name.clone(), answer.and_then(|answer| answer.policy));
    }
    Ok(found)
}

pub(super) async fn guards(sdk: &Sdk, at: &Scope, names: &BTreeSet<String>) -> Look<Found<String, BucketGuards>> {
    let session = sdk.sessions.enter(at).await?;
    let (s3, owner) = (&session.clients.s3, &at.account.0);
    let mut found = Found::new();
    for name in names {
        let request = s3.get_bucket_versioning().bucket(name).expected_bucket_owner(owner).send();
        let versioning = absent(sdk.call(Call::read(at, GET_BUCKET_VERSIONING, name), request).await)?;
        let request = s3.get_object_lock_configuration().bucket(name).expected_bucket_owner(owner).send();
        let lock = absent(sdk.call(Call::read(at, GET_OBJECT_LOCK, name), request).await)?;
        let mfa_delete = versioning.and_then(|versioning| versioning.mfa_delete);
        let rule = lock.and_then(|lock| lock.object_lock_configuration?.rule?.default_retention);
        let retention = rule.map(|rule| {
            let mode = rule.mode.map(|mode| mode.as_str().to_owned()).unwrap_or_default();
            let time = match (rule.days, rule.years) {
                (Some(days), _) => format!("{days} days"),
                (None, years) => format!("{} years", years.unwrap_or_default()),
            };
            format!("{mode} for {time}")
        });
        let mfa_delete = mfa_delete.is_some_and(|mfa| mfa == MfaDeleteStatus::Enabled);
        found.insert(name.clone(), BucketGuards { retention, mfa_delete });
    }
    Ok(found)
}

pub(super) async fn bucket_keys(
    sdk: &Sdk,
    at: &Scope,
    names: &BTreeSet<String>,
) -> Look<Found<String, Option<String>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for name in names {
        let request = session.clients.s3.get_bucket_encryption().bucket(name).expected_bucket_owner(&at.account.0);
        let answer = absent(sdk.call(Call::read(at, GET_BUCKET_ENCRYPTION, name), request.send()).await)?;
        let rules = answer.and_then(|answer| answer.server_side_encryption_configuration).map(|all| all.rules);
        let default = rules.into_iter().flatten().find_map(|rule| rule.apply_server_side_encryption_by_default);
        let by_kms = default.filter(|default| default.sse_algorithm.as_str().starts_with("aws:kms"));
        // a default without a key of its own is `aws/s3`
        let key = by_kms.map(|default| default.kms_master_key_id.unwrap_or_else(|| AWS_MANAGED.into()));
        found.insert(name.clone(), key);
    }
    Ok(found)
}

pub(super) async fn listings(sdk: &Sdk, at: &Scope, places: &BTreeSet<Place>) -> Look<Found<Place, Listing>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for (bucket, prefix) in places {
        let (mut listing, mut next) = (Listing { as_of: Timestamp::MIN, objects: BTreeMap::new() }, None);
        loop {
            let request =
                session.clients.s3.list_objects_v2().bucket(bucket).prefix(prefix).expected_bucket_owner(&at.account.0);
            let request = request.set_continuation_token(next).customize();
            let date = Date::default();
            let page = sdk.call(Call::read(at, LIST_OBJECTS, bucket), request.interceptor(date.clone()).send()).await?;
            // without that header our own clock has to do
            listing.as_of = date.get().unwrap_or_else(Timestamp::now);
            listing.objects.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| {
                let size = u64::try_from(object.size?).ok()?;
                Some((object.key?, Object { size, modified: moment(object.last_modified.as_ref())? }))
            }));
            next = page.next_continuation_token;
            if next.is_none() {
                break;
            }
        }
        found.insert((bucket.clone(), prefix.clone()), listing);
    }
    Ok(found)
}

pub(super) async fn versions(
    sdk: &Sdk,
    at: &Scope,
    places: &BTreeSet<Place>,
) -> Look<Found<Place, BTreeSet<ObjectVersion>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for (bucket, prefix) in places {
        let (mut all, mut next) = (BTreeSet::new(), (None, None));
        loop {
            let request = session.clients.s3.list_object_versions().bucket(bucket).prefix(prefix);
            let request = request.expected_bucket_owner(&at.account.0);
            let request = request.set_key_marker(next.0).set_version_id_marker(next.1);
            let page = sdk.call(Call::read(at, LIST_VERSIONS, bucket), request.send()).await?;
            // in a bucket that never had versions they are called null
            let version = |id: Option<String>| id.filter(|id| id != "null");
            all.extend(
                page.versions
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|object| Some(ObjectVersion { key: object.key?, version: version(object.version_id) })),
            );
            all.extend(
                page.delete_markers
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|marker| Some(ObjectVersion { key: marker.key?, version: marker.version_id })),
            );
            next = (page.next_key_marker, page.next_version_id_marker);
            if page.is_truncated != Some(true) {
                break;
            }
        }
        found.insert((bucket.clone(), prefix.clone()), all);
    }
    Ok(found)
}

pub(super) async fn uploads(sdk: &Sdk, at: &Scope, places: &BTreeSet<Place>) -> Look<Found<Place, BTreeSet<Upload>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for (bucket, prefix) in places {
        let (mut all, mut next) = (BTreeSet::new(), (None, None));
        loop {
            let request = session.clients.s3.list_multipart_uploads().bucket(bucket).prefix(prefix);
            let request = request.expected_bucket_owner(&at.account.0);
            let request = request.set_key_marker(next.0).set_upload_id_marker(next.1);
            let page = sdk.call(Call::read(at, LIST_UPLOADS, bucket), request.send()).await?;
            let uploads = page.uploads.unwrap_or_default().into_iter();
            all.extend(uploads.filter_map(|upload| Some(Upload { key: upload.key?, id: upload.upload_id? })));
            next = (page.next_key_marker, page.next_upload_id_marker);
            if page.is_truncated != Some(true) {
                break;
            }
        }
        found.insert((bucket.clone(), prefix.clone()), all);
    }
    Ok(found)
}

pub(super) async fn texts(sdk: &Sdk, at: &Scope, places: &BTreeSet<Place>) -> Look<Found<Place, Option<String>>> {
    let mut found = Found::new();
    for place in places {
        let Some(object) = object(sdk, at, place).await? else { continue };
        let call = Call::read(at, GET_OBJECT, &place.1);
        if object.content_length.is_none_or(|length| length > TEXT_MOST) {
            return Err(call.error("TooLarge", format!("it has more than {TEXT_MOST} bytes, so it is not ours"), None));
        }
        let body = object.body.collect().await;
        let body = body.map_err(|error| call.error(code::NO_ANSWER, error.to_string(), None))?;
        found.insert(place.clone(), Some(String::from_utf8_lossy(&body.into_bytes()).into_owned()));
    }
    Ok(found)
}

/// Manifests are read as they come: they list every file.
pub(super) async fn manifests(
    sdk: &Sdk,
    at: &Scope,
    places: &BTreeSet<Place>,
) -> Look<Found<Place, Option<Result<Manifest, String>>>> {
    let mut found = Found::new();
    for place in places {
        let Some(object) = object(sdk, at, place).await? else { continue };
        let stream = SyncIoBridge::new(object.body.into_async_read());
        let read = tokio::task::spawn_blocking(move || manifest::read(BufReader::new(stream))).await;
        let failed = |error: tokio::task::JoinError| {
            Call::read(at, GET_OBJECT, &place.1).error(code::NO_ANSWER, error.to_string(), None)
        };
        found.insert(place.clone(), Some(read.map_err(failed)?));
    }
    Ok(found)
}

async fn object(sdk: &Sdk, at: &Scope, (bucket, key): &Place) -> Look<Option<GetObjectOutput>> {
    let session = sdk.sessions.enter(at).await?;
    let request = session.clients.s3.get_object().bucket(bucket).key(key).expected_bucket_owner(&at.account.0);
    absent(sdk.call(Call::read(at, GET_OBJECT, key), request.send()).await)
}

fn moment(at: Option<&DateTime>) -> Option<Timestamp> {
    Timestamp::from_millisecond(at?.to_millis().ok()?).ok()
}

/// Takes the moment of an answer from its header: S3's clock, by which objects have their times too.
#[derive(Clone, Debug, Default)]
struct Date(Arc<Mutex<Option<Timestamp>>>);

impl Date {
    fn get(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date =
            context.response().headers().get("date").and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = moment(date.as_ref());
        Ok(())
    }
}
