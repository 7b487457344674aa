//! Without a manifest there were no rows: the warehouse's own history is asked whether it knows better.

use super::attempt::{Fence, question_name, question_token};
use super::attempts::Attempts;
use super::step::{Draft, Next, Stands, Step};
use crate::aws::effect::{Effect, Submission};
use crate::aws::model::{Statement, StatementStatus};
use crate::aws::read::{Gap, Seen};
use crate::link::status::Pace;

/// What the history says of a statement that left nothing.
pub(super) enum History {
    /// Nothing speaks against it.
    Agrees,
    /// It knows of rows.
    KnowsRows,
    /// It is being asked.
    Asking(Box<Step>),
}

/// Asks by a statement of the same user, which returns a row only if the UNLOAD wrote some: so its own number of rows
/// is the answer. To ask twice would do no harm.
pub(super) fn history(
    draft: &Draft<'_>,
    seen: &Seen,
    attempts: &Attempts<'_>,
    fence: Option<&Fence>,
    statement: &Statement,
) -> Result<History, Gap> {
    let (at, role) = (attempts.place.warehouse(), &attempts.place.role_arn);
    let (Some(number), Some(fence)) = (statement.query_id, fence) else { return Ok(History::Agrees) };
    let job = draft.request.job;
    let name = question_name(job, attempts.last);
    let asked = seen.statements_named(&at, (role.clone(), fence.cluster.clone(), name.clone()))?;
    let waiting = || Stands::Working("Verifying", "the warehouse is asked whether it knows of rows".into());
    let Some(asked) = asked.iter().find(|asked| asked.name == name) else {
        let submission = Submission {
            role_arn: role.clone(),
            cluster: fence.cluster.clone(),
            database: fence.database.clone(),
            database_user: fence.database_user.clone(),
            sql: format!("SELECT 1 FROM sys_unload_history WHERE query_id = {number} AND unloaded_rows > 0"),
            name,
            token: question_token(draft.request.uid(), attempts.last),
        };
        let ask = Effect::ExecuteStatement { at, submission };
        return Ok(History::Asking(Box::new((Next::Effects(vec![ask]), waiting()))));
    };
    Ok(match seen.statement(&at, (role.clone(), asked.id.clone()))? {
        Some(answer) if !answer.status.is_ended() => History::Asking(Box::new((Next::Wait(Pace::Waiting), waiting()))),
        Some(answer) if answer.status == StatementStatus::Finished && answer.rows.is_some_and(|rows| rows > 0) => {
            History::KnowsRows
        }
        // a user who may not look into the history knows nothing against it
        Some(_) | None => History::Agrees,
    })
}
