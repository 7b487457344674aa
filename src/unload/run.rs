//! A job that lives: its attempts, one after the other.

use super::attempt::{Fence, hash, statement_name};
use super::attempts::{Attempts, Found};
use super::end;
use super::plan::{Draft, Next, Stands, Step, Trouble, cleaning};
use super::request::Stop;
use super::submission::{NotPrepared, Prepared, place, prepare};
use super::verify::{Fault, verify};
use crate::api::unload::status::{EndReason, Ended, JobState, Then};
use crate::aws::effect::Effect;
use crate::aws::error::Class;
use crate::aws::model::{Statement, StatementStatus};
use crate::aws::read::{Gap, Seen};
use crate::link::status::Pace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// An UNLOAD that was stopped may write on for a while: before a job is given up its folder is looked at again.
pub(super) const SETTLING: SignedDuration = SignedDuration::from_mins(1);
/// Before the first new attempt; doubled for each.
const BACKOFF: SignedDuration = SignedDuration::from_secs(10);
const BACKOFF_AT_MOST: SignedDuration = SignedDuration::from_mins(6);
/// So long after its fence an attempt that was not submitted is given up, where it must not be submitted any more.
const LOOKED_UP: SignedDuration = SignedDuration::from_mins(15);

/// The next step of a job that lives.
pub(super) fn step(draft: &mut Draft<'_>, seen: &Seen) -> Result<Step, Gap> {
    let request = draft.request;
    let place = match (request.place().filter(|_| request.is_held()), request.link) {
        (Some(place), _) => place,
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

/// Somebody took the annotation off.
pub(super) fn without_place() -> Step {
    let message = "the annotation redshiftlink.dev/place, which says where the job's fences are, is gone or cannot be \
                   read, and so is the link: put it back as it was";
    let trouble = Trouble { class: Class::Blocked, reason: "PlaceUnknown", message: message.into() };
    (Next::Wait(Pace::Slow), Stands::InTheWay(trouble))
}

/// A change of the link wakes the job, too.
fn waits(reason: &'static str, message: String) -> Step {
    (Next::Wait(Pace::Slow), Stands::Working(reason, message))
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
    if !request.is_held() || request.place().as_ref() != Some(&prepared.place) {
        if attempts.last == 0 {
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
        body: Fence::of(&submission, &role_id).text(),
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
    status.attempt = Some(attempts.last);
    status.statement_id = None;
    status.statement_name = Some(statement_name(request.job, attempts.last));
    let folder = attempts.place.folder(request.job, attempts.last);
    status.location = Some(format!("s3://{}/{folder}", attempts.place.bucket));
    (status.manifest, status.rows, status.bytes, status.size, status.files) = (None, None, None, None, None);
    status.state = Some(JobState::Submitting);
    (Next::Wait(Pace::Soon), submitting(attempts))
}

fn submitting(attempts: &Attempts<'_>) -> Stands {
    Stands::Working("Submitting", format!("attempt {} is on its way to the warehouse", attempts.last))
}

/// An attempt that has not been seen to end.
fn under_way(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>) -> Result<Step, Gap> {
    let fence = attempts.fence()?;
    let stop = draft.request.stop(draft.status.started_at.as_ref().map(|began| began.0));
    match attempts.statement(&draft.status, fence.as_ref())? {
        Found::Statement(statement) => at_warehouse(draft, seen, attempts, statement, stop),
        Found::Nothing => not_there(draft, seen, attempts, fence.as_ref(), stop),
        Found::Hidden(why) => hidden(draft, seen, attempts, why),
    }
}

fn at_warehouse(
    draft: &mut Draft<'_>,
    seen: &Seen,
    attempts: &Attempts<'_>,
    statement: &Statement,
    stop: Option<Stop>,
) -> Result<Step, Gap> {
    if draft.status.statement_id.as_ref() != Some(&statement.id) {
        draft.status.statement_id = Some(statement.id.clone());
    }
    match statement.status {
        StatementStatus::Finished => finished(draft, seen, attempts, statement),
        StatementStatus::Failed | StatementStatus::Aborted => Ok(ended(draft, statement, stop)),
        StatementStatus::Submitted | StatementStatus::Picked | StatementStatus::Started | StatementStatus::Unknown => {
            draft.status.state = Some(JobState::Running);
            if let Some(stop) = stop {
                let cancel = cancel(attempts, &statement.id);
                let why = <&str>::from(stop.reason());
                let message = format!("statement {} is cancelled: {why}", statement.id);
                return Ok((Next::Effects(vec![cancel]), Stands::Working("Cancelling", message)));
            }
            progress(draft, seen, attempts)?;
            let message = format!("statement {} runs", statement.id);
            Ok((Next::Wait(Pace::Waiting), Stands::Working("Running", message)))
        }
    }
}

pub(super) fn cancel(attempts: &Attempts<'_>, statement: &str) -> Effect {
    Effect::CancelStatement {
        at: attempts.place.warehouse(),
        role_arn: attempts.place.role_arn.clone(),
        statement: statement.into(),
    }
}

/// What was written so far, in steps of twice as much: a status that moves with every file would be written for ever.
fn progress(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>) -> Result<(), Gap> {
    let folder = attempts.place.folder(draft.request.job, attempts.last);
    let listing = seen.objects(&attempts.place.storage(), (attempts.place.bucket.clone(), folder))?;
    let bytes = listing.objects.values().fold(0_u64, |sum, object| sum.saturating_add(object.size));
    let told = draft.status.bytes.map_or(0, |bytes| u64::try_from(bytes).unwrap_or_default());
    if bytes > 0 && bytes >= told.saturating_mul(2) {
        draft.count(bytes, listing.objects.len() as u64);
    }
    Ok(())
}

fn finished(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>, statement: &Statement) -> Result<Step, Gap> {
    draft.status.state = Some(JobState::Verifying);
    match compared(draft, seen, attempts, statement.rows)? {
        Ok(()) => {
            // a statement that was stopped may have written on
            let earlier = cleaning(attempts, 1..attempts.last, "of an earlier one")?;
            Ok(earlier.unwrap_or_else(|| draft.complete()))
        }
        Err(fault) => {
            let (reason, message) = match fault {
                Fault::Missing(message) => (EndReason::ManifestMissing, message),
                Fault::Mismatch(message) => (EndReason::ManifestMismatch, message),
            };
            Ok(draft.end(Ended { at: Time(draft.request.now), reason, message, then: Then::Fail }))
        }
    }
}

/// Whether what lies in the bucket is a result; notes how much it is.
pub(super) fn compared(
    draft: &mut Draft<'_>,
    seen: &Seen,
    attempts: &Attempts<'_>,
    rows: Option<u64>,
) -> Result<Result<(), Fault>, Gap> {
    let place = attempts.place;
    let Ok(to) = place.destination(draft.request.job, attempts.last) else {
        return Ok(Err(Fault::Missing("no statement can have written there".into())));
    };
    let (at, bucket) = (place.storage(), place.bucket.clone());
    let manifest = seen.manifest(&at, (bucket.clone(), to.manifest()))?;
    let listing = seen.objects(&at, (bucket, to.prefix().to_owned()))?;
    Ok(verify(&to, listing, manifest.as_ref(), rows).map(|written| {
        draft.count(written.bytes, written.files);
        let headers = if draft.request.job.spec.output.has_header() { written.files } else { 0 };
        draft.status.rows = Some(i64::try_from(written.rows.saturating_sub(headers)).unwrap_or(i64::MAX));
        draft.status.manifest = manifest.as_ref().map(|_| format!("{}manifest", to.url()));
    }))
}

/// The warehouse says that it failed, or was stopped.
fn ended(draft: &mut Draft<'_>, statement: &Statement, stop: Option<Stop>) -> Step {
    let at = Time(draft.request.now);
    let (reason, message) = end::reason(statement);
    if let (EndReason::StatementStopped, Some(stop)) = (reason, stop) {
        return draft.end(stopped(at, stop, message));
    }
    let then = if reason == EndReason::WarehouseFailed { Then::Retry } else { Then::Fail };
    if then == Then::Fail {
        return draft.end(Ended { at, reason, message, then });
    }
    let failed = draft.status.failed_attempts.unwrap_or(0) + 1;
    draft.status.failed_attempts = Some(failed);
    if failed > draft.request.job.spec.retries() {
        let message = format!("{failed} attempts failed, the last so: {message}");
        return draft.end(Ended { at, reason: EndReason::BackoffLimitExceeded, message, then: Then::Fail });
    }
    draft.end(Ended { at, reason, message, then })
}

fn stopped(at: Time, stop: Stop, message: String) -> Ended {
    let then = if stop == Stop::Suspended { Then::Resume } else { Then::Fail };
    Ended { at, reason: stop.reason(), message, then }
}

/// There is no statement of this attempt, as far as its role sees.
fn not_there(
    draft: &mut Draft<'_>,
    seen: &Seen,
    attempts: &Attempts<'_>,
    fence: Option<&Fence>,
    stop: Option<Stop>,
) -> Result<Step, Gap> {
    let request = draft.request;
    let at = Time(request.now);
    draft.status.state = Some(JobState::Submitting);
    let forgotten = "the warehouse does not know its statement any more";
    if !attempts.may_be_known(draft.status.started_at.as_ref().map(|began| began.0)) {
        return from_manifest(draft, seen, attempts, forgotten);
    }
    if draft.status.statement_id.is_some() {
        return given_up(draft, seen, attempts, forgotten);
    }
    // a link that waits for its statements waits for none that was not submitted
    let stop = stop.or(request.link_ends().then_some(Stop::LinkGone));
    if let Some(stop) = stop {
        if !request.certain {
            return Ok(uncertain());
        }
        return Ok(draft.end(stopped(at, stop, "the statement was never submitted".into())));
    }
    let link = match request.ready_link() {
        Ok(link) if attempts.may_be_resubmitted() => link,
        Err((reason, message)) if attempts.may_be_resubmitted() => {
            return Ok(waits(reason, message));
        }
        Ok(_) | Err(_) => {
            let why = "it was not submitted in time for a second submission to be none";
            return given_up(draft, seen, attempts, why);
        }
    };
    let prepared = match prepare(request, link, seen, attempts.last)? {
        Ok(prepared) => prepared,
        Err(NotPrepared::Waits(reason, message)) => {
            return Ok(waits(reason, message));
        }
        Err(NotPrepared::Refused(_, message)) => return given_up(draft, seen, attempts, &message),
    };
    draft.checked = Some(prepared.unchecked.clone());
    let same = fence.is_some_and(|fence| {
        fence.hash == hash(&prepared.submission)
            && fence.role_id == prepared.role_id
            && fence.token == prepared.submission.token
    });
    if !same {
        return given_up(draft, seen, attempts, "what would be submitted now differs from what the fence says");
    }
    let submit = Effect::ExecuteStatement { at: prepared.place.warehouse(), submission: prepared.submission };
    Ok((Next::Effects(vec![submit]), submitting(attempts)))
}

fn uncertain() -> Step {
    let message = "waits until calls whose answers were lost can no longer be executed";
    (Next::Wait(Pace::Waiting), Stands::Working("LostAnswers", message.into()))
}

/// It must not be submitted any more, and was not, as far as can be seen.
fn given_up(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>, why: &str) -> Result<Step, Gap> {
    let request = draft.request;
    let young = attempts.began().is_none_or(|began| request.now.duration_since(began) < LOOKED_UP);
    if !request.certain || young {
        draft.look_by(request.now + LOOKED_UP);
        let message = format!("attempt {} is looked for, and not submitted again: {why}", attempts.last);
        return Ok((Next::Wait(Pace::Waiting), Stands::Working("Submitting", message)));
    }
    from_manifest(draft, seen, attempts, why)
}

/// If there is a statement of this attempt, nobody can see it. Its manifest can be.
fn hidden(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>, why: String) -> Result<Step, Gap> {
    draft.status.state = Some(JobState::Running);
    if !attempts.may_be_known(draft.status.started_at.as_ref().map(|began| began.0)) {
        return from_manifest(draft, seen, attempts, &why);
    }
    if has_result(draft, seen, attempts)? {
        let earlier = cleaning(attempts, 1..attempts.last, "of an earlier one")?;
        return Ok(earlier.unwrap_or_else(|| draft.complete()));
    }
    let message = format!(
        "{why}: a statement of attempt {} may run for a day at most, and is waited for that long; its manifest tells sooner \
         if it succeeded",
        attempts.last
    );
    let trouble = Trouble { class: Class::Blocked, reason: "StatementNotVisible", message };
    Ok((Next::Wait(Pace::Slow), Stands::InTheWay(trouble)))
}

/// A manifest, and all that it lists: it was written, whoever knows of the statement.
pub(super) fn has_result(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>) -> Result<bool, Gap> {
    let key = format!("{}manifest", attempts.place.folder(draft.request.job, attempts.last));
    let there = seen.manifest(&attempts.place.storage(), (attempts.place.bucket.clone(), key))?.is_some();
    Ok(there && compared(draft, seen, attempts, None)?.is_ok())
}

/// No statement can be known any more: the manifest tells whether there was one.
fn from_manifest(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>, why: &str) -> Result<Step, Gap> {
    if has_result(draft, seen, attempts)? {
        let earlier = cleaning(attempts, 1..attempts.last, "of an earlier one")?;
        return Ok(earlier.unwrap_or_else(|| draft.complete()));
    }
    let message = format!("{why}, and there is no manifest: whether it ran is not known; make another job");
    let at = Time(draft.request.now);
    Ok(draft.end(Ended { at, reason: EndReason::SubmissionUnknown, message, then: Then::Fail }))
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
