//! A job that is being deleted: its statement is ended first, then what must not stay is removed, and the fences last.

use super::attempts::{Attempts, Found};
use super::step::{Draft, Next, SETTLING, Stands, Step, Trouble, cleaning, without_place};
use super::submission::place;
use super::under_way::{cancel, compared, has_result};
use super::whose;
use crate::api::unload::status::{EndReason, Ended, JobState, Then};
use crate::aws::error::Class;
use crate::aws::model::StatementStatus;
use crate::aws::read::{Gap, Seen};
use crate::link::status::Pace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The next step of a job that is being deleted.
pub(super) fn step(draft: &mut Draft<'_>, seen: &Seen) -> Result<Step, Gap> {
    let request = draft.request;
    let place = match (request.place(), request.link) {
        (Some(place), _) => match whose::refusal(request, &place, seen)? {
            None => place,
            Some(trouble) => return Ok((Next::Wait(Pace::Slow), Stands::InTheWay(trouble))),
        },
        (None, Some(link)) if link.spec.unload.is_some() => match place(request, link, seen)? {
            Ok(place) => place,
            Err(_) => return Ok(without_place()),
        },
        (None, _) if draft.status.attempt.is_some() => return Ok(without_place()),
        (None, _) => return Ok((Next::LetGo, deleting("nothing was begun"))),
    };
    let bucket_is_gone = request.gave_up(&place.storage());
    let attempts = if bucket_is_gone {
        Attempts::of_status(request, seen, &place, &draft.status)
    } else {
        Attempts::look(request, seen, &place, &draft.status)?
    };
    let is_settled = matches!(draft.status.state, Some(JobState::Complete | JobState::Failed));
    let has_ended = draft.status.attempt == Some(attempts.last) && draft.status.ended.is_some();
    if attempts.last > 0 && !is_settled && !has_ended {
        if draft.status.attempt != Some(attempts.last) {
            draft.turn_to(&attempts);
        }
        if let Some(step) = end(draft, seen, &attempts, bucket_is_gone)? {
            return Ok(step);
        }
    }
    if bucket_is_gone {
        return Ok((Next::LetGo, deleting("nothing more can be looked at")));
    }
    let is_complete = draft.status.state == Some(JobState::Complete);
    let keeps = is_complete && !request.job.spec.deletes_data();
    let last = if keeps { attempts.last.saturating_sub(1) } else { attempts.last };
    if let Some(step) = cleaning(&attempts, 1..=last, "the job is being deleted")? {
        return Ok(step);
    }
    if let Some(ended) = draft.status.ended.as_ref().map(|ended| ended.at.0 + SETTLING)
        && ended > request.now
    {
        draft.look_by(ended);
        return Ok((Next::Wait(Pace::Settled), deleting("its statement ended, and may write on for a moment")));
    }
    // one that is on its way would come after its removal
    if !request.certain {
        return Ok((
            Next::Wait(Pace::Waiting),
            deleting("waits until calls whose answers were lost can no longer be executed"),
        ));
    }
    let fences = attempts.fences_left()?;
    if !fences.is_empty() {
        return Ok((Next::Effects(fences), deleting("the fences of its attempts are removed")));
    }
    Ok((Next::LetGo, deleting("nothing is left")))
}

fn deleting(what: &str) -> Stands {
    Stands::Working("Deleting", what.into())
}

/// Ends the last attempt. None once it has ended, which status then says.
fn end(draft: &mut Draft<'_>, seen: &Seen, attempts: &Attempts<'_>, bucket_is_gone: bool) -> Result<Option<Step>, Gap> {
    let request = draft.request;
    let over = |draft: &mut Draft<'_>, message: &str| {
        let ended =
            Ended { at: Time(request.now), reason: EndReason::Cancelled, message: message.into(), then: Then::Fail };
        draft.status.state = Some(JobState::Cancelled);
        draft.status.ended = Some(ended);
        Some((Next::Wait(Pace::Soon), deleting(message)))
    };
    if request.gave_up(&attempts.place.warehouse()) {
        return Ok(over(draft, "the warehouse's account is abandoned"));
    }
    let fence = if bucket_is_gone { None } else { attempts.fence()? };
    let began = draft.status.started_at.as_ref().map(|began| began.0);
    draft.status.state = Some(JobState::Running);
    match attempts.statement(&draft.status, fence.as_ref())? {
        Found::Statement(statement) => {
            draft.status.statement_id = Some(statement.id.clone());
            match statement.status {
                StatementStatus::Finished if !bucket_is_gone => {
                    // it was first: what it wrote counts
                    if compared(draft, seen, attempts, statement.rows)?.is_ok() {
                        let _ = draft.complete();
                        return Ok(Some((Next::Wait(Pace::Soon), deleting("its statement had finished"))));
                    }
                    Ok(over(draft, "its statement finished without a result"))
                }
                StatementStatus::Finished | StatementStatus::Failed | StatementStatus::Aborted => {
                    Ok(over(draft, "its statement has ended"))
                }
                StatementStatus::Submitted
                | StatementStatus::Picked
                | StatementStatus::Started
                | StatementStatus::Unknown => {
                    let message = format!("statement {} is cancelled", statement.id);
                    Ok(Some((Next::Effects(vec![cancel(attempts, &statement.id)]), deleting(&message))))
                }
            }
        }
        Found::Nothing if !request.certain => Ok(Some((
            Next::Wait(Pace::Waiting),
            deleting("waits until calls whose answers were lost can no longer be executed"),
        ))),
        Found::Nothing => Ok(over(draft, "no statement is known")),
        Found::Hidden(why) => {
            if !bucket_is_gone && has_result(draft, seen, attempts)? {
                let _ = draft.complete();
                return Ok(Some((Next::Wait(Pace::Soon), deleting("its statement had finished"))));
            }
            if !attempts.may_be_known(began) {
                return Ok(over(draft, "no statement can run any more"));
            }
            let message =
                format!("{why}: a statement may run for a day from its submission, and is waited for that long");
            let trouble = Trouble { class: Class::Blocked, reason: "StatementNotVisible", message };
            Ok(Some((Next::Wait(Pace::Slow), Stands::InTheWay(trouble))))
        }
    }
}
