//! A job that lives: its attempts, one after the other.

use super::attempt::Fence;
use super::attempts::Attempts;
use super::encryption;
use super::request::Stop;
use super::step::{Draft, Next, SETTLING, Stands, Step, cleaning, uncertain, waits, without_place};
use super::submission::{NotPrepared, Prepared, place, prepare};
use super::under_way::{submitting, under_way};
use super::whose;
use crate::api::unload::status::{EndReason, Ended, JobState, Then};
use crate::aws::effect::Effect;
use crate::aws::read::{Gap, Seen};
use crate::link::status::Pace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// Before the first new attempt; doubled for each.
const BACKOFF: SignedDuration = SignedDuration::from_secs(10);
const BACKOFF_AT_MOST: SignedDuration = SignedDuration::from_mins(6);

/// The next step of a job that lives.
pub(super) fn step(draft: &mut Draft<'_>, seen: &Seen) -> Result<Step, Gap> {
    let request = draft.request;
    let place = match (request.place().filter(|_| request.is_held()), request.link) {
        (Some(place), _) => match whose::refusal(request, &place, seen)? {
            None => place,
            Some(trouble) => return Ok((Next::Wait(Pace::Slow), Stands::InTheWay(trouble))),
        },
        (None, None) if request.is_held() => return Ok(without_place()),
        (None, None) => return Ok(first(draft)),
        (None, Some(link)) if link.spec.unload.is_none() => return Ok(first(draft)),
        (None, Some(link)) => match place(request, link, seen)? {
            Ok(place) => place,
            Err(not) => return Ok(not_prepared(draft, not)),
        },
    };
    let attempts = Attempts::look(request, seen, &place, &draft.status)?;
    if attempts.last == 0 {
        if request.is_suspended() {
            return Ok(suspended(draft));
        }
        if draft.status.ended.is_some() {
            return Ok(draft.fail());
        }
        return begin(draft, seen, &attempts);
    }
    if draft.status.attempt != Some(attempts.last) {
        return Ok(record(draft, &attempts));
    }
    match draft.status.ended.clone() {
        Some(ended) => after(draft, seen, &attempts, ended),
        None => under_way(draft, seen, &attempts),
    }
}

/// A job whose link is not there, or does not unload: it was never begun.
fn first(draft: &mut Draft<'_>) -> Step {
    if draft.request.is_suspended() {
        return suspended(draft);
    }
    draft.status.state = Some(JobState::Pending);
    let (reason, message) = draft.request.ready_link().err().unwrap_or_default();
    waits(reason, message)
}

fn suspended(draft: &mut Draft<'_>) -> Step {
    draft.status.state = Some(JobState::Suspended);
    (Next::Wait(Pace::Settled), Stands::Suspended("spec.suspend is true: nothing is submitted".into()))
}

fn not_prepared(draft: &mut Draft<'_>, not: NotPrepared) -> Step {
    match not {
        NotPrepared::Waits(reason, message) => waits(reason, message),
        NotPrepared::Refused(reason, message) => {
            let at = Time(draft.request.now);
            draft.end(Ended { at, reason, message, then: Then::Fail })
        }
    }
}

/// Writes the fence of the next attempt, once all that it takes is there.
fn begin(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>) -> Result<Step, Gap> {
    let request = draft.request;
    draft.status.state = Some(JobState::Pending);
    let link = match request.ready_link() {
        Ok(link) => link,
        Err((reason, message)) => return Ok(waits(reason, message)),
    };
    let attempt = attempts.last + 1;
    let prepared = match prepare(request, link, seen, attempt)? {
        Ok(prepared) => prepared,
        Err(not) => return Ok(not_prepared(draft, not)),
    };
    draft.checked = Some(prepared.unchecked.clone());
    let encryption = request.job.spec.output.encryption.as_ref();
    if let Some(why) = encryption::refusal(encryption, link, &prepared.place, seen)? {
        return Ok(not_prepared(draft, NotPrepared::Refused(EndReason::KeyNotOfLink, why)));
    }
    if !request.is_held() || request.place().as_ref() != Some(&prepared.place) {
        if attempts.last == 0 {
            // a fence that is on its way would be left where it was to be
            if request.is_held() && !request.certain {
                return Ok(uncertain());
            }
            let message = "is about to begin".to_owned();
            return Ok((Next::Hold(prepared.place), Stands::Working("Pending", message)));
        }
        let message = format!(
            "the link now unloads from {} to s3://{}/{}: make another job",
            prepared.place.cluster, prepared.place.bucket, prepared.place.prefix
        );
        let at = Time(request.now);
        return Ok(draft.end(Ended { at, reason: EndReason::LinkChanged, message, then: Then::Fail }));
    }
    let Prepared { place, submission, role_id, .. } = prepared;
    let fence = Effect::PutObject {
        at: place.storage(),
        bucket: place.bucket.clone(),
        key: place.fence(request.uid(), attempt),
        body: Fence::of(&submission, &role_id, attempts.as_of).text(),
    };
    draft.status.state = Some(JobState::Submitting);
    Ok((Next::Effects(vec![fence]), Stands::Working("Submitting", format!("attempt {attempt} begins"))))
}

/// The attempt of the last fence stands in status before anything is submitted.
fn record(draft: &mut Draft<'_>, attempts: &Attempts<'_>) -> Step {
    let (request, status) = (draft.request, &mut draft.status);
    let resumed = status.ended.take().is_some_and(|ended| ended.then == Then::Resume);
    // a status that was wiped tells not which attempts a suspension ended
    let failed = status.attempt.map_or(attempts.last - 1, |_| status.failed_attempts.unwrap_or(0));
    status.failed_attempts = Some(failed);
    if resumed {
        status.started_at = Some(Time(request.now));
    }
    let began = attempts.began().unwrap_or(request.now);
    status.started_at.get_or_insert(Time(began));
    status.state = Some(JobState::Submitting);
    draft.turn_to(attempts);
    (Next::Wait(Pace::Soon), submitting(attempts))
}

/// An attempt that ended without a result: what it left is removed, and then comes what follows.
fn after(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>, ended: Ended) -> Result<Step, Gap> {
    let request = draft.request;
    let began = draft.status.started_at.as_ref().map(|began| began.0);
    let stop = request.stop(began);
    match (ended.then, stop) {
        (Then::Retry | Then::Resume, _) if request.link_ends() => {
            let link = &request.job.spec.link_ref.name;
            let message = format!("link {link} is gone, or goes; before that: {}", ended.message);
            return Ok(draft.end(Ended { reason: EndReason::LinkGone, message, then: Then::Fail, ..ended }));
        }
        (Then::Retry, Some(Stop::Suspended)) => return Ok(draft.end(Ended { then: Then::Resume, ..ended })),
        (Then::Retry, Some(stop)) => {
            let message = ended.message.clone();
            return Ok(draft.end(Ended { reason: stop.reason(), message, then: Then::Fail, ..ended }));
        }
        (Then::Fail | Then::Resume, _) | (Then::Retry, None) => {}
    }
    // what does not match a manifest is left for people to look at, until the job is deleted
    let looked_at = matches!(ended.reason, EndReason::ManifestMissing | EndReason::ManifestMismatch);
    let last = if looked_at { attempts.last - 1 } else { attempts.last };
    let from = if ended.then == Then::Fail { 1 } else { attempts.last };
    if let Some(step) = cleaning(attempts, from..=last, &ended.message)? {
        draft.status.state = Some(JobState::Pending);
        return Ok(step);
    }
    match ended.then {
        Then::Fail => Ok(wait_until(draft, ended.at.0 + SETTLING, &ended).unwrap_or_else(|| draft.fail())),
        Then::Resume if request.is_suspended() => Ok(suspended(draft)),
        Then::Resume => begin(draft, seen, attempts),
        Then::Retry => {
            let doublings = draft.status.failed_attempts.unwrap_or(1).saturating_sub(1).min(10);
            let backoff = (BACKOFF * 2_i32.pow(doublings)).min(BACKOFF_AT_MOST);
            match wait_until(draft, ended.at.0 + backoff, &ended) {
                Some(step) => Ok(step),
                None => begin(draft, seen, attempts),
            }
        }
    }
}

fn wait_until(draft: &mut Draft<'_>, moment: Timestamp, ended: &Ended) -> Option<Step> {
    if moment <= draft.request.now {
        return None;
    }
    draft.look_by(moment);
    draft.status.state = Some(JobState::Pending);
    let follows = match ended.then {
        Then::Fail => "the job ends",
        Then::Retry | Then::Resume => "another follows",
    };
    let message = format!("the attempt ended, and {follows}: {}", ended.message);
    Some((Next::Wait(Pace::Settled), Stands::Working("AttemptEnded", message)))
}
