//! Whether the role that writes may use the key that a job's files are encrypted with: it knows the link's alone.

use super::attempt::Place;
use crate::api::CrossAccountRedshiftLink;
use crate::api::unload::output::Encryption;
use crate::aws::model::AWS_MANAGED;
use crate::aws::read::{Gap, Seen};
use kube::ResourceExt;

/// Why the role may not, and what to do; none where it may.
///
/// # Errors
/// Something is unread or refused.
pub fn refusal(
    encryption: Option<&Encryption>,
    link: &CrossAccountRedshiftLink,
    place: &Place,
    seen: &Seen,
) -> Result<Option<String>, Gap> {
    let Some(Encryption { kms_key_arn, auto }) = encryption else { return Ok(None) };
    let of_link = link.spec.unload.as_ref().and_then(|unload| unload.kms_key_arn.as_deref());
    let may = match of_link {
        Some(key) => format!("may use only the link's key {key}"),
        None => "may use no key, for the link has none".to_owned(),
    };
    let name = link.name_any();
    if let Some(own) = kms_key_arn.as_deref().filter(|own| Some(*own) != of_link) {
        return Ok(Some(format!(
            "output.encryption.kmsKeyArn is {own}, and the role that writes {may}: set it as unload.kmsKeyArn of link \
             {name}, or leave output.encryption out"
        )));
    }
    if *auto != Some(true) {
        return Ok(None);
    }
    let Some(default) = seen.bucket_key(&place.storage(), place.bucket.clone())? else { return Ok(None) };
    if default.ends_with(AWS_MANAGED) || is_key(default, of_link, place, seen)? {
        return Ok(None);
    }
    Ok(Some(format!(
        "output.encryption.auto: bucket {} encrypts by default with {default}, and the role that writes {may}: set the \
         bucket's key as unload.kmsKeyArn of link {name}, or leave output.encryption out",
        place.bucket
    )))
}

/// What a bucket calls its key, by ARN, id or alias, is this key.
fn is_key(called: &str, arn: Option<&str>, place: &Place, seen: &Seen) -> Result<bool, Gap> {
    let Some(arn) = arn else { return Ok(false) };
    if called.contains("alias/") {
        let key = seen.key(&place.storage(), called)?;
        return Ok(key.as_ref().is_some_and(|key| key.arn == arn));
    }
    Ok(called == arn || arn.rsplit('/').next() == Some(called))
}
