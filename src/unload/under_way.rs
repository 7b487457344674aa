//! An attempt that has begun and was not seen to end: its statement is submitted, looked up, watched, or cancelled.

use super::attempt::{Fence, hash};
use super::attempts::{Attempts, Found};
use super::end;
use super::history::{History, history};
use super::request::Stop;
use super::step::{Draft, Next, Stands, Step, Trouble, cleaning, uncertain, waits};
use super::submission::{NotPrepared, prepare};
use super::verify::{Fault, verify};
use crate::api::unload::status::{EndReason, Ended, JobState, Then};
use crate::aws::effect::Effect;
use crate::aws::error::Class;
use crate::aws::model::{Statement, StatementStatus};
use crate::aws::read::{Gap, Seen};
use crate::link::status::Pace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;

/// So long after its fence an attempt that was not submitted is given up, where it must not be submitted any more.
const LOOKED_UP: SignedDuration = SignedDuration::from_mins(15);

/// An attempt that has not been seen to end.
pub(super) fn under_way(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>) -> Result<Step, Gap> {
    let fence = attempts.fence()?;
    let attempts = &attempts.clone().with(fence.as_ref());
    let stop = draft.request.stop(draft.status.started_at.as_ref().map(|began| began.0));
    match attempts.statement(&draft.status, fence.as_ref())? {
        Found::Statement(statement) => at_warehouse(draft, seen, attempts, fence.as_ref(), statement, stop),
        Found::Nothing => not_there(draft, seen, attempts, fence.as_ref(), stop),
        Found::Hidden(why) => hidden(draft, seen, attempts, why),
    }
}

pub(super) fn submitting(attempts: &Attempts<'_>) -> Stands {
    Stands::Working("Submitting", format!("attempt {} is on its way to the warehouse", attempts.last))
}

fn at_warehouse(
    draft: &mut Draft<'_>,
    seen: &Seen,
    attempts: &Attempts<'_>,
    fence: Option<&Fence>,
    statement: &Statement,
    stop: Option<Stop>,
) -> Result<Step, Gap> {
    if draft.status.statement_id.as_ref() != Some(&statement.id) {
        draft.status.statement_id = Some(statement.id.clone());
    }
    match statement.status {
        StatementStatus::Finished => finished(draft, seen, attempts, fence, statement),
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
            Ok((Next::Wait(Pace::Running), Stands::Working("Running", message)))
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

fn finished(
    draft: &mut Draft<'_>,
    seen: &Seen,
    attempts: &Attempts<'_>,
    fence: Option<&Fence>,
    statement: &Statement,
) -> Result<Step, Gap> {
    draft.status.state = Some(JobState::Verifying);
    let mut compared = compared(draft, seen, attempts, statement.rows)?;
    if compared.is_ok() && draft.status.manifest.is_none() {
        match history(draft, seen, attempts, fence, statement)? {
            History::Agrees => {}
            History::KnowsRows => {
                let message = "the warehouse's history has rows of the statement, and there is nothing in the bucket";
                compared = Err(Fault::Missing(message.into()));
            }
            History::Asking(step) => return Ok(*step),
        }
    }
    match compared {
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
    let then = match stop {
        Stop::Suspended | Stop::LinkChanges => Then::Resume,
        Stop::Deadline | Stop::LinkGone => Then::Fail,
    };
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
    if !attempts.is_listed_if_submitted() {
        return from_manifest(draft, seen, attempts, forgotten);
    }
    if draft.status.statement_id.is_some() {
        return given_up(draft, seen, attempts, forgotten);
    }
    // a link that waits for its statements waits for none that was not submitted
    let stop = stop.or(request.link_ends().then_some(Stop::LinkGone));
    let stop = stop.or(request.link_waits().then_some(Stop::LinkChanges));
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

/// It must not be submitted any more, and was not, as far as can be seen.
fn given_up(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>, why: &str) -> Result<Step, Gap> {
    let request = draft.request;
    if !request.certain || !attempts.is_older_than(LOOKED_UP) {
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
        "{why}: a statement of attempt {} may run for a day from its submission, and is waited for that long; its manifest tells sooner \
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
