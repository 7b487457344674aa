//! Where the files go: bucket and key, and whether the writing role is let in there.

use super::super::super::facts::Facts;
use super::super::super::request::Request;
use super::super::{Finding, Halt, both, gather};
use super::PART;
use super::way::{Way, ways};
use crate::api::link::Unload;
use crate::aws::model::BucketGuards;
use crate::aws::read::Seen;
use crate::aws::resource_policy::{Call, Fact, denies, leaves_out};
use crate::aws::scope::{Region, Scope};
use std::collections::BTreeMap;

/// Bucket and key are there and can be used, by the role of this ARN too.
///
/// # Errors
/// Something is unread, refused, or in the way.
pub fn check(request: &Request<'_>, facts: &Facts, spec: &Unload, seen: &Seen, writer: &str) -> Result<(), Halt> {
    let (region, ()) = both(bucket(request, spec, seen), key(request, spec, seen))?;
    let writer = Writer { request, facts, spec, seen, role: writer, region };
    gather([writer.can_clean(), writer.gets_into_bucket(), writer.may_use_key()])?;
    Ok(())
}

/// The bucket is there, and in the consumer's account: its region.
fn bucket<'a>(request: &Request<'_>, spec: &Unload, seen: &'a Seen) -> Result<&'a Region, Halt> {
    let (at, name) = (request.consumer, &spec.bucket);
    match seen.bucket(at, name.clone()) {
        Ok(Some(region)) => Ok(region),
        Ok(None) => {
            let message = format!("unload.bucket: there is no bucket {name}: make it in account {}", at.account);
            Err(Finding::blocked(PART, "BucketNotFound", message).into())
        }
        Err(gap) => match Halt::from(gap) {
            Halt::Refused(error) if error.is_denied() => {
                let message = format!(
                    "unload.bucket: {error}; to do: name a bucket of account {}, or {}",
                    at.account,
                    error.remedy()
                );
                Err(Finding { message, ..Finding::refused(PART, &error) }.into())
            }
            other => Err(other),
        },
    }
}

/// The key is there, in the bucket's region, and can be used.
fn key(request: &Request<'_>, spec: &Unload, seen: &Seen) -> Result<(), Halt> {
    let Some(arn) = &spec.kms_key_arn else { return Ok(()) };
    let region = seen.bucket(request.consumer, spec.bucket.clone()).ok().and_then(Option::as_ref);
    let [.., key_region, account, _] = arn.splitn(6, ':').collect::<Vec<_>>()[..] else {
        return Err(Finding::terminal(PART, "InvalidSpec", "unload.kmsKeyArn is not the ARN of a key").into());
    };
    if account != request.consumer.account.0 {
        let message = format!("unload.kmsKeyArn: the key is in account {account}: name one of the bucket's account");
        return Err(Finding::terminal(PART, "KeyOfOtherAccount", message).into());
    }
    if let Some(region) = region.filter(|region| region.0 != key_region) {
        let message = format!(
            "unload.kmsKeyArn: the key is in {key_region} and bucket {} in {region}: S3 takes only keys of its own region",
            spec.bucket
        );
        return Err(Finding::terminal(PART, "KeyOfOtherRegion", message).into());
    }
    let at = Scope::new(account, key_region);
    let Some(key) = seen.key(&at, arn.clone())? else {
        let message = format!("unload.kmsKeyArn: there is no key {arn}");
        return Err(Finding::blocked(PART, "KeyNotFound", message).into());
    };
    if !key.symmetric {
        let message = format!("unload.kmsKeyArn: {arn} is not a symmetric key, and S3 encrypts with those alone");
        return Err(Finding::terminal(PART, "KeyNotUsable", message).into());
    }
    if key.state != "Enabled" {
        let message = format!("unload.kmsKeyArn: {arn} is {}: enable it", key.state);
        return Err(Finding::blocked(PART, "KeyNotUsable", message).into());
    }
    Ok(())
}

/// The role that writes the files.
struct Writer<'a> {
    request: &'a Request<'a>,
    facts: &'a Facts,
    spec: &'a Unload,
    seen: &'a Seen,
    role: &'a str,
    /// Of the bucket.
    region: &'a Region,
}

impl Writer<'_> {
    fn at_bucket(&self) -> Scope {
        Scope { account: self.request.consumer.account.clone(), region: self.region.clone() }
    }

    /// What a failed attempt leaves can be removed.
    fn can_clean(&self) -> Result<(), Halt> {
        let bucket = &self.spec.bucket;
        let BucketGuards { retention, mfa_delete } = self.seen.bucket_guards(&self.at_bucket(), bucket.clone())?;
        let why = match (retention, mfa_delete) {
            (Some(retention), _) => format!("it locks every new object ({retention})"),
            (None, true) => "removing versions from it takes a code (MFA delete)".to_owned(),
            (None, false) => return Ok(()),
        };
        let message = format!(
            "unload.bucket: what an UNLOAD leaves half done in {bucket} could not be removed, for {why}: name a bucket without"
        );
        Err(Finding::blocked(PART, "BucketKeepsObjects", message).into())
    }

    fn gets_into_bucket(&self) -> Result<(), Halt> {
        let Self { request, facts, spec, seen, .. } = self;
        let (bucket, partition) = (&spec.bucket, &facts.partition);
        let at = self.at_bucket();
        let arn = format!("arn:{partition}:s3:::{bucket}");
        // as an UNLOAD names its files
        let file = format!("{arn}/{}0/1/0000_part_00", spec.prefix);
        let calls = |way: &Way| {
            let objects = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"];
            let call = |action, resource: &String| self.call(action, resource, way.keys(facts));
            let objects = objects.map(|action| call(action, &file));
            [objects.to_vec(), vec![call("s3:ListBucket", &arn)]].concat()
        };
        let find_ways = ways(request, facts, self.region, seen, |way| calls(way));
        let (policy, ways) = both(seen.bucket_policy(&at, bucket.clone()), find_ways)?;
        let Some(policy) = policy else { return Ok(()) };
        for way in &ways {
            for call in calls(way) {
                let Some(statement) = denies(policy, &call) else { continue };
                let message = format!(
                    "unload.bucket: {statement} of the policy of bucket {bucket} in account {} denies {} to {}, {}: \
                     except that role there, by ArnNotEquals on aws:PrincipalArn",
                    at.account,
                    call.action,
                    call.role,
                    way.describe(request, facts)
                );
                return Err(Finding::blocked(PART, "BucketPolicyDenies", message).into());
            }
        }
        Ok(())
    }

    fn may_use_key(&self) -> Result<(), Halt> {
        let Some(arn) = &self.spec.kms_key_arn else { return Ok(()) };
        let at = self.at_bucket();
        let Some(policy) = self.seen.key_policy(&at, arn.clone())? else { return Ok(()) };
        for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
            // S3 asks for the role; whether by the way that the file came is not known (docs/aws-behaviour.md#kms)
            let way = match self.facts.warehouse.enhanced_vpc_routing {
                true => BTreeMap::new(),
                false => Way::PastVpc.keys(self.facts),
            };
            let via = [
                ("kms:viaservice", Fact::Is(format!("s3.{}.amazonaws.com", at.region))),
                ("kms:calleraccount", Fact::Is(at.account.0.clone())),
                ("aws:viaawsservice", Fact::Is("true".into())),
            ];
            let call = self.call(action, arn, way.into_iter().chain(via).collect());
            let role = self.role;
            let message = if let Some(statement) = denies(policy, &call) {
                format!(
                    "unload.kmsKeyArn: {statement} of the policy of {arn} denies {action} to {role}, for which S3 asks: \
                     except that role there, by ArnNotEquals on aws:PrincipalArn"
                )
            } else if leaves_out(policy, &call) {
                format!(
                    "unload.kmsKeyArn: the policy of {arn} neither lets {role} do {action} nor leaves that to the policies \
                     of account {}: add a statement that does either",
                    at.account
                )
            } else {
                continue;
            };
            return Err(Finding::blocked(PART, "KeyPolicyDenies", message).into());
        }
        Ok(())
    }

    /// A call of the role, with what is known of each besides.
    fn call(&self, action: &'static str, resource: &str, keys: BTreeMap<&'static str, Fact>) -> Call {
        let account = &self.request.consumer.account.0;
        let is = |text: &str| Fact::Is(text.to_owned());
        let mut all = BTreeMap::from([
            ("aws:principalarn", is(self.role)),
            ("aws:principalaccount", is(account)),
            ("aws:principalisawsservice", is("false")),
            // a service that takes on a role of a customer acts as that role (docs/aws-behaviour.md#permissions)
            ("aws:viaawsservice", is("false")),
            ("aws:resourceaccount", is(account)),
            ("s3:resourceaccount", is(account)),
            ("aws:requestedregion", is(&self.region.0)),
            ("aws:securetransport", is("true")),
        ]);
        all.extend(keys);
        Call { role: self.role.to_owned(), account: account.clone(), action, resource: resource.to_owned(), keys: all }
    }
}
