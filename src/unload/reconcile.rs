//! The loop for jobs: observe, plan, act, status. Once around for one object.

use super::count::count;
use super::plan::{Plan, plan};
use super::request::{Request, is_finished, is_held};
use super::status::{pace, requested_at, status};
use super::step::{Next, Trouble};
use crate::api::unload::status::{JobState, UnloadJobStatus};
use crate::api::{CrossAccountRedshiftLink, UnloadJob};
use crate::aws::accounts::{Accounts, AccountsWatch};
use crate::aws::effect::{Done, EFFECT_TIMEOUT, Effect, Execute};
use crate::aws::error::Service;
use crate::aws::mark::Installation;
use crate::aws::moment::{Freshness, Moment};
use crate::aws::read::{Answer, Read, Seen};
use crate::aws::shared::SharedReads;
use crate::kubernetes::{Happening, Jobs, KubernetesError};
use crate::link::act::{Acted, Leads};
use crate::link::holds::{Holds, LinkName};
use crate::link::memory::{Memories, Memory};
use crate::link::observe::observe;
use crate::link::status::{Pace, happenings};
use crate::observability::metrics::Metrics;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A listing may be so much older than the loop that uses it.
const LISTING_AGE: Duration = Duration::from_secs(5);

/// An answer that came sooner was not waited for.
const WAITED: Duration = Duration::from_secs(1);

/// After so long a statement that was asked to end, and did not, is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// What the loop works with.
pub struct Loop {
    /// Reads of AWS, shared among loops.
    pub reads: SharedReads,
    /// Writes to AWS.
    pub effects: Arc<dyn Execute>,
    /// Kubernetes.
    pub kubernetes: Arc<dyn Jobs>,
    /// The accounts file.
    pub accounts: watch::Receiver<AccountsWatch>,
    /// Which jobs hold which link.
    pub holds: Holds,
    /// This installation.
    pub installation: Installation,
    /// How often a job that rests is looked at.
    pub interval: Duration,
    /// For how long a call whose answer was lost may still be executed.
    pub grace: Duration,
    /// When this process started: what the one before it had under way may still be executed until `grace` later.
    pub started: Instant,
    /// The wall clock.
    pub now: fn() -> Timestamp,
    /// Whether we surely lead for so long from now on.
    pub leads: Box<Leads>,
    /// What is remembered of each object between two loops.
    pub memories: Memories,
    /// What came of jobs is counted here.
    pub metrics: Metrics,
}

/// What one look is about.
struct Look<'a> {
    job: &'a UnloadJob,
    link: Option<&'a CrossAccountRedshiftLink>,
    accounts: Arc<Accounts>,
    version: Option<String>,
}

impl Loop {
    /// Once around for one object. Gives when to look again; none where only a change of the object matters.
    ///
    /// # Errors
    /// The API server refused a call.
    pub async fn reconcile(&self, job: &UnloadJob) -> Result<Option<Duration>, KubernetesError> {
        let uid = job.uid().unwrap_or_default();
        let deleting = job.metadata.deletion_timestamp.is_some();
        if deleting && !is_held(job) {
            self.forget(&uid);
            return Ok(None);
        }
        let held = self.holds.holds(&uid);
        let finished = is_finished(job.status.as_ref());
        let open = if finished {
            self.holds.release(&uid);
            false
        } else {
            // before the link is read: a link that is taken down from now on waits for this job
            self.holds.hold(&uid, &job.name_any(), &link_of(job))
        };
        let result = self.look(job, open, finished && !deleting).await;
        if result.is_err() {
            self.memories.change(&uid, Memory::break_off);
        }
        if !held && !matches!(result, Ok(Looked { under_way: true, .. })) {
            self.holds.release(&uid);
        }
        result.map(|looked| looked.rest)
    }

    /// At the start: this object exists, and holds its link unless it came to its end.
    pub fn expect(&self, job: &UnloadJob) {
        if is_held(job) && !is_finished(job.status.as_ref()) {
            self.holds.hold(&job.uid().unwrap_or_default(), &job.name_any(), &link_of(job));
        }
    }

    /// An object is there that this version cannot read.
    pub fn cannot_read(&self, object: &ObjectMeta) {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        self.holds.cannot_read(&text(&object.uid), &text(&object.name), &text(&object.namespace));
    }

    /// How long to wait after a loop broke off.
    #[must_use]
    pub fn rest_after(&self, uid: &str, error: &KubernetesError) -> Duration {
        let mut rest = Duration::ZERO;
        self.memories.change(uid, |memory| rest = memory.due_after(error.class.into(), self.interval, uid));
        rest
    }

    /// An object rests until a statement ends, which is heard by [`Self::until_ended`].
    #[must_use]
    pub fn awaits(&self, uid: &str) -> bool {
        self.memories.get(uid).awaits.is_some()
    }

    /// Waits until the statement that an object rests for has ended: the object is to be looked at then. Without one, or
    /// where the API does not tell, waits for ever.
    pub async fn until_ended(&self, uid: &str) {
        let Some(read) = self.memories.get(uid).awaits else { return std::future::pending().await };
        loop {
            let asked = Instant::now();
            let fresh = |_: &Read| Freshness { after: Moment::now(), age: LISTING_AGE };
            let answers = self.reads.look(BTreeSet::from([read.clone()]), fresh).await;
            match answers.first() {
                Some(Answer::StatementEnd(_, _, Ok(true))) => break,
                Some(Answer::StatementEnd(_, _, Ok(false))) if asked.elapsed() > WAITED => {}
                // too many wait, or it cannot be asked: the next look will tell
                _ => return std::future::pending().await,
            }
        }
        self.memories.change(uid, Memory::break_off);
    }

    /// A loop was dropped in the middle: any call of it may still be executed.
    pub fn dropped(&self, job: &UnloadJob) {
        self.memories.change(&job.uid().unwrap_or_default(), |memory| memory.dropped(self.grace));
    }

    /// An object is gone.
    pub fn forget(&self, uid: &str) {
        self.holds.release(uid);
        self.memories.forget(uid);
    }

    async fn look(&self, job: &UnloadJob, open: bool, finished: bool) -> Result<Looked, KubernetesError> {
        let uid = job.uid().unwrap_or_default();
        let namespace = job.namespace().unwrap_or_default();
        // a job that came to its end has no use for a link
        let link = if finished { None } else { self.kubernetes.link(&namespace, &job.spec.link_ref.name).await? };
        let accounts = self.accounts.borrow().accounts.clone();
        let version = |job: &UnloadJob| {
            let of_link = link.as_ref().and_then(ResourceExt::resource_version).unwrap_or_default();
            Some(format!("{}/{of_link}", job.resource_version().unwrap_or_default()))
        };
        let memory = self.memories.get(&uid);
        if let Some(rest) = memory.rests(version(job), &accounts) {
            return Ok(Looked { rest: Some(rest), under_way: self.holds.holds(&uid) && self.is_under_way(job) });
        }
        let look = Look { job, link: link.as_ref(), accounts: accounts.clone(), version: version(job) };
        let (abandoned, labels) = (accounts.abandoned(), self.kubernetes.namespace_labels(&namespace));
        let request = Request {
            job,
            link: link.as_ref(),
            open,
            installation: &self.installation,
            accounts: &accounts,
            labels: &labels,
            abandoned: &abandoned,
            now: (self.now)(),
            certain: Instant::now() >= memory.certain_from(self.started + self.grace),
            executed: memory.executed_within(ASKED_AGAIN),
        };
        let plan = self.plan(&request, &memory, Moment::default()).await;
        self.carry_out(&look, &request, &memory, plan).await
    }

    async fn plan(&self, request: &Request<'_>, memory: &Memory, after: Moment) -> Plan {
        let handled = request.job.status.as_ref().and_then(|status| status.last_handled_reconcile_at.clone());
        // who asks for a look means a look
        let asked = if requested_at(request) == handled { after } else { Moment::now() };
        let fresh = |read: &Read| {
            let own = memory.ended.get(&read.service()).copied().unwrap_or_default();
            // what lies in a bucket tells about a statement only if it was read after the statement
            let lies_there = read.service() == Service::S3 && !matches!(read, Read::Bucket(..));
            let own = if lies_there { Moment::now() } else { own };
            Freshness { after: own.max(asked), age: LISTING_AGE }
        };
        let mut seen = Seen::default();
        observe(&self.reads, &mut seen, fresh, |seen| plan(request, seen)).await
    }

    async fn carry_out(
        &self,
        look: &Look<'_>,
        request: &Request<'_>,
        memory: &Memory,
        mut plan: Plan,
    ) -> Result<Looked, KubernetesError> {
        if plan.next == Next::LetGo {
            // others may have been answered by the same reads: the finalizer goes only after reads of its own
            plan = self.plan(request, memory, Moment::now()).await;
        }
        let mut acted = Acted::default();
        match &plan.next {
            Next::Hold(place) => {
                self.kubernetes.hold(look.job, &place.text()).await?;
                return Ok(Looked { rest: Some(Duration::ZERO), under_way: true });
            }
            Next::LetGo => {
                let given_up: Vec<_> = request.scopes().into_iter().filter(|at| request.gave_up(at)).collect();
                if !given_up.is_empty() {
                    let accounts = given_up.iter().map(|at| at.account.0.as_str()).collect::<Vec<_>>().join(", ");
                    let note =
                        format!("deleted without looking into abandoned account {accounts}: what is there stays there");
                    let happening = Happening { warning: true, reason: "Abandoned".into(), note };
                    self.kubernetes.tell(look.job, &happening).await;
                }
                self.kubernetes.let_go(look.job).await?;
                self.forget(request.uid());
                return Ok(Looked { rest: None, under_way: false });
            }
            Next::Delete => {
                self.kubernetes.delete(look.job).await?;
                return Ok(Looked { rest: None, under_way: false });
            }
            Next::Effects(effects) => {
                let submitted = self.act(effects.clone(), &mut acted).await;
                // the history is asked by a statement, too
                if let Some((_, id)) = submitted.filter(|(name, _)| plan.status.statement_name.as_ref() == Some(name)) {
                    self.metrics.submitted();
                    plan.status.statement_id = Some(id);
                    plan.status.state = Some(JobState::Running);
                }
                self.memories.change(request.uid(), |memory| memory.acted(&acted, self.grace));
            }
            Next::Wait(_) => {}
        }
        self.report(look, request, &plan, &acted).await
    }

    /// Executes effects one by one until one fails. Gives name and id of the statement that was submitted.
    async fn act(&self, effects: Vec<Effect>, acted: &mut Acted<()>) -> Option<(String, String)> {
        let mut submitted = None;
        for effect in effects {
            if !(self.leads)(EFFECT_TIMEOUT) {
                tracing::warn!("the lease may run out: nothing more is begun");
                break;
            }
            let result = self.effects.execute(&effect).await;
            acted.ended.insert(effect.kind().operation().service, Moment::now());
            let (account, _) = effect.place();
            match result {
                Ok(done) => {
                    tracing::info!(%account, %effect, "executed");
                    if let (Done::Statement(id), Effect::ExecuteStatement { submission, .. }) = (done, &effect) {
                        submitted = Some((submission.name.clone(), id));
                    }
                    acted.executed.push(effect);
                }
                // not found is success when deleting
                Err(error) if effect.kind().takes_down() && error.is_not_found() => {
                    tracing::info!(%account, %effect, code = error.code, "was done already");
                    acted.executed.push(effect);
                }
                Err(error) => {
                    tracing::warn!(%account, %effect, %error, "failed");
                    acted.uncertain |= error.is_ambiguous();
                    acted.failures.push(((), error));
                    break;
                }
            }
        }
        submitted
    }

    /// Writes the status where it differs, tells what changed, and says when to look again.
    async fn report(
        &self,
        look: &Look<'_>,
        request: &Request<'_>,
        plan: &Plan,
        acted: &Acted<()>,
    ) -> Result<Looked, KubernetesError> {
        let failures: Vec<Trouble> = acted.failures.iter().map(|((), error)| Trouble::from(error)).collect();
        let before = request.job.status.as_ref();
        let after = status(request, plan, &failures);
        let mut version = look.version.clone();
        if before != Some(&after) {
            let written = self.kubernetes.apply_status(look.job, &after).await?;
            count(&self.metrics, before, &after);
            let of_link = look.link.and_then(ResourceExt::resource_version).unwrap_or_default();
            version = Some(format!("{}/{of_link}", written.resource_version().unwrap_or_default()));
            let old = before.map_or(&[][..], |status| &status.conditions);
            for happening in happenings(old, &after.conditions) {
                self.kubernetes.tell(look.job, &happening).await;
            }
        }
        let under_way = is_held(request.job)
            && match after.state {
                Some(JobState::Submitting | JobState::Running | JobState::Verifying) | None => true,
                Some(
                    JobState::Pending
                    | JobState::Suspended
                    | JobState::Complete
                    | JobState::Failed
                    | JobState::Cancelled,
                ) => false,
            };
        if !under_way {
            self.holds.release(request.uid());
        }
        let pace = match pace(plan, &failures, acted.executed.len()) {
            // it succeeds and changes nothing that can be seen: not for ever at this pace
            Pace::Soon if self.memories.get(request.uid()).repeats() && !plan.next.cancels() => Pace::Retry,
            // too early to be cancelled: it must not run for long once it does
            Pace::Retry if plan.next.cancels() => Pace::Running,
            pace => pace,
        };
        let finished = is_finished(Some(&after)) && !request.is_deleted();
        let now = Instant::now();
        let by = plan.by.map(|by| Duration::try_from(by.duration_since(request.now)).unwrap_or_default());
        let memory = self.memories.change(request.uid(), |memory| {
            let mut due = memory.due_after(pace, self.interval, request.uid());
            due = by.map_or(due, |by| if finished { by } else { due.min(by) });
            let certain = memory.certain_from(self.started + self.grace);
            if !finished && certain > now {
                due = due.min(certain - now);
            }
            memory.rest(version, due, look.accounts.clone());
            memory.awaits = (plan.next == Next::Wait(Pace::Running)).then(|| end_of(request, &after)).flatten();
        });
        let rest = (!finished || by.is_some() || pace == Pace::Soon).then(|| memory.due.saturating_duration_since(now));
        Ok(Looked { rest, under_way })
    }

    fn is_under_way(&self, job: &UnloadJob) -> bool {
        let state = job.status.as_ref().and_then(|status| status.state);
        is_held(job) && matches!(state, None | Some(JobState::Submitting | JobState::Running | JobState::Verifying))
    }
}

/// What came of a look.
struct Looked {
    rest: Option<Duration>,
    under_way: bool,
}

/// What tells that the statement of a job has ended.
fn end_of(request: &Request<'_>, status: &UnloadJobStatus) -> Option<Read> {
    let (place, id) = (request.place()?, status.statement_id.clone()?);
    Some(Read::StatementEnd(place.warehouse(), (place.role_arn, id)))
}

/// The link of a job.
fn link_of(job: &UnloadJob) -> LinkName {
    (job.namespace().unwrap_or_default(), job.spec.link_ref.name.clone())
}
