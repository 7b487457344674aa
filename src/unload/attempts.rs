//! The attempts of a job: its fences, the statement of the last of them, and what they left in the bucket.

use super::attempt::{Fence, Place, statement_name};
use super::request::Request;
use super::submission::role_name;
use crate::api::unload::status::UnloadJobStatus;
use crate::aws::effect::Effect;
use crate::aws::model::{ObjectVersion, Statement, Upload};
use crate::aws::read::{Gap, Seen};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A second submission with the same token runs nothing for 8 hours: an hour less is relied on.
const RESUBMITTED: SignedDuration = SignedDuration::from_hours(7);
/// The API lists statements for 24 hours: an hour less is relied on.
const LISTED: SignedDuration = SignedDuration::from_hours(23);
/// For a day the API knows a statement, and for no longer does one run (docs/aws-behaviour.md#statements); it may have been
/// submitted so long after its fence.
const KNOWN: SignedDuration = SignedDuration::from_hours(24 + 7);
/// So many objects are deleted in one call.
const DELETED_AT_ONCE: usize = 1000;
/// No job has as many attempts: whoever puts such a number among the fences, it is no fence.
const ATTEMPTS: u32 = 100_000;
/// So many calls are made in one loop to clean up.
const CLEANS_AT_ONCE: usize = 50;

/// What the bucket says of a job's attempts.
#[derive(Clone, Debug)]
pub struct Attempts<'a> {
    request: &'a Request<'a>,
    seen: &'a Seen,
    /// Where they are.
    pub place: &'a Place,
    /// Now, by AWS's clock.
    pub as_of: Timestamp,
    /// When each fence was written, by AWS's clock.
    fences: BTreeMap<u32, Timestamp>,
    /// The last attempt, from fences and status; 0 before the first.
    pub last: u32,
}

/// The number of an attempt, as it stands in the key of its fence.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    ((1..ATTEMPTS).contains(&number) && number.to_string() == text).then_some(number)
}

/// What became of an attempt's statement.
#[derive(Clone, Debug)]
pub enum Found<'a> {
    /// Here it is.
    Statement(&'a Statement),
    /// There is none of this name.
    Nothing,
    /// If there is one, it cannot be seen, because of this.
    Hidden(String),
}

impl<'a> Attempts<'a> {
    /// Lists the fences.
    ///
    /// # Errors
    /// Something is unread or refused.
    pub fn look(
        request: &'a Request<'a>,
        seen: &'a Seen,
        place: &'a Place,
        status: &UnloadJobStatus,
    ) -> Result<Self, Gap> {
        let prefix = place.fences(request.uid());
        let listing = seen.objects(&place.storage(), (place.bucket.clone(), prefix.clone()))?;
        let fence = |(key, object): (&String, &crate::aws::model::Object)| {
            Some((number(key.strip_prefix(&prefix)?)?, object.modified))
        };
        let fences: BTreeMap<u32, Timestamp> = listing.objects.iter().filter_map(fence).collect();
        let fenced = fences.last_key_value().map_or(0, |(number, _)| *number);
        let last = fenced.max(status.attempt.unwrap_or(0));
        Ok(Self { request, seen, place, as_of: listing.as_of, fences, last })
    }

    /// What status alone says, where the bucket can no longer be looked into.
    #[must_use]
    pub fn of_status(request: &'a Request<'a>, seen: &'a Seen, place: &'a Place, status: &UnloadJobStatus) -> Self {
        let last = status.attempt.unwrap_or(0);
        Self { request, seen, place, as_of: request.now, fences: BTreeMap::new(), last }
    }

    /// With what the fence of the last attempt says of when it began. Its object may have been copied onto itself since,
    /// as when a bucket is encrypted anew.
    #[must_use]
    pub fn with(mut self, fence: Option<&Fence>) -> Self {
        let (at, began) = (fence.and_then(|fence| fence.at), self.fences.get_mut(&self.last));
        if let (Some(at), Some(began)) = (at, began) {
            *began = at.min(*began);
        }
        self
    }

    /// When the last attempt began, by AWS's clock.
    #[must_use]
    pub fn began(&self) -> Option<Timestamp> {
        self.fences.get(&self.last).copied()
    }

    /// A statement of the last attempt may still be known to the API, or run. `began` stands in where the fence is gone.
    #[must_use]
    pub fn may_be_known(&self, began: Option<Timestamp>) -> bool {
        let began = self.began().or(began);
        began.is_none_or(|began| self.as_of.duration_since(began) < KNOWN)
    }

    /// That no statement of the last attempt is listed tells that there is none: it would not be forgotten yet.
    #[must_use]
    pub fn is_listed_if_submitted(&self) -> bool {
        self.began().is_some() && !self.is_older_than(LISTED)
    }

    /// A second submission of the last attempt runs nothing.
    #[must_use]
    pub fn may_be_resubmitted(&self) -> bool {
        self.began().is_some() && !self.is_older_than(RESUBMITTED)
    }

    /// The last attempt began longer ago than that.
    #[must_use]
    pub fn is_older_than(&self, age: SignedDuration) -> bool {
        self.began().is_some_and(|began| self.as_of.duration_since(began) >= age)
    }

    /// The fence of the last attempt; none where it is gone, or not what this program writes.
    ///
    /// # Errors
    /// It is unread or refused.
    pub fn fence(&self) -> Result<Option<Fence>, Gap> {
        if !self.fences.contains_key(&self.last) {
            return Ok(None);
        }
        let key = self.place.fence(self.request.uid(), self.last);
        let text = self.seen.object_text(&self.place.storage(), (self.place.bucket.clone(), key))?;
        Ok(text.as_ref().and_then(|text| Fence::parse(text, self.request.job, self.last)))
    }

    /// The statement of the last attempt.
    ///
    /// # Errors
    /// Something is unread or refused.
    pub fn statement(&self, status: &UnloadJobStatus, fence: Option<&Fence>) -> Result<Found<'a>, Gap> {
        let (at, role) = (self.place.warehouse(), &self.place.role_arn);
        let id = status.statement_id.as_ref().filter(|_| status.attempt == Some(self.last));
        if let Some(id) = id {
            match self.seen.statement(&at, (role.clone(), id.clone())) {
                Ok(Some(statement)) => return Ok(Found::Statement(statement)),
                // forgotten; or the id that the second of two submissions gave
                Ok(None) => {}
                Err(gap) => return self.hidden(gap, fence),
            }
        }
        let name = statement_name(self.request.job, self.last);
        let named = self.seen.statements_named(&at, (role.clone(), self.place.cluster.clone(), name.clone()));
        let named = match named {
            Ok(named) => named,
            Err(gap) => return self.hidden(gap, fence),
        };
        let exact = named.iter().filter(|statement| statement.name == name);
        if let Some(listed) = exact.max_by_key(|statement| (!statement.status.is_ended(), statement.created)) {
            // a listing does not tell why a statement failed
            return match self.seen.statement(&at, (role.clone(), listed.id.clone())) {
                Ok(known) => Ok(Found::Statement(known.as_ref().unwrap_or(listed))),
                Err(gap) => self.hidden(gap, fence),
            };
        }
        Ok(self.cannot_be_seen(fence)?.map_or(Found::Nothing, Found::Hidden))
    }

    /// A refusal, unless it is because the role is not that of the attempt any more.
    fn hidden(&self, gap: Gap, fence: Option<&Fence>) -> Result<Found<'a>, Gap> {
        match gap {
            Gap::Refused(error) if error.is_denied() => match self.cannot_be_seen(fence)? {
                Some(why) => Ok(Found::Hidden(why)),
                None => Err(Gap::Refused(error)),
            },
            gap => Err(gap),
        }
    }

    /// Only the role that submitted a statement sees it.
    fn cannot_be_seen(&self, fence: Option<&Fence>) -> Result<Option<String>, Gap> {
        let name = role_name(&self.place.role_arn);
        let role = self.seen.role(&self.place.warehouse(), name)?;
        Ok(match (role, fence) {
            (None, _) => Some(format!("role {name}, by which statements are seen, is gone")),
            (Some(_), None) => Some("the fence that says by which role it was submitted is gone".into()),
            (Some(role), Some(fence)) if role.id != fence.role_id => {
                Some(format!("role {name} was made anew, and sees no statements of the one before"))
            }
            (Some(_), Some(_)) => None,
        })
    }

    /// What removes all that these attempts wrote: versions, delete markers and uploads too.
    ///
    /// # Errors
    /// Something is unread or refused.
    pub fn leftovers(&self, attempts: impl IntoIterator<Item = u32>) -> Result<Vec<Effect>, Gap> {
        self.below(attempts.into_iter().map(|attempt| self.place.folder(self.request.job, attempt)))
    }

    /// What removes the fences.
    ///
    /// # Errors
    /// Something is unread or refused.
    pub fn fences_left(&self) -> Result<Vec<Effect>, Gap> {
        self.below([self.place.fences(self.request.uid())])
    }

    fn below(&self, prefixes: impl IntoIterator<Item = String>) -> Result<Vec<Effect>, Gap> {
        let (at, bucket) = (self.place.storage(), &self.place.bucket);
        let (mut effects, mut unread, mut refused) = (vec![], BTreeSet::new(), None);
        for prefix in prefixes {
            let key = (bucket.clone(), prefix);
            match self.seen.object_versions(&at, key.clone()) {
                Ok(versions) => effects.extend(self.deletions(versions)),
                Err(Gap::Unread(reads)) => unread.extend(reads),
                Err(gap) => refused = refused.or(Some(gap)),
            }
            match self.seen.uploads(&at, key) {
                Ok(uploads) => effects.extend(uploads.iter().map(|upload| self.abort(upload))),
                Err(Gap::Unread(reads)) => unread.extend(reads),
                Err(gap) => refused = refused.or(Some(gap)),
            }
        }
        match (unread.is_empty(), refused) {
            (false, _) => Err(Gap::Unread(unread)),
            (true, Some(gap)) => Err(gap),
            (true, None) => {
                effects.truncate(CLEANS_AT_ONCE);
                Ok(effects)
            }
        }
    }

    fn deletions(&self, versions: &BTreeSet<ObjectVersion>) -> Vec<Effect> {
        let versions: Vec<_> = versions.iter().cloned().collect();
        let delete = |objects: &[ObjectVersion]| Effect::DeleteObjects {
            at: self.place.storage(),
            bucket: self.place.bucket.clone(),
            objects: objects.to_vec(),
        };
        versions.chunks(DELETED_AT_ONCE).map(delete).collect()
    }

    fn abort(&self, upload: &Upload) -> Effect {
        let (at, bucket) = (self.place.storage(), self.place.bucket.clone());
        Effect::AbortMultipartUpload { at, bucket, upload: upload.clone() }
    }
}
