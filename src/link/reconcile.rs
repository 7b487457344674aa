//! The loop: observe, plan, act, status. Once around for one object.

use super::act::{Acted, Leads, act};
use super::holds::{Holds, LinkName};
use super::memory::{Memories, Memory};
use super::observe::observe;
use super::others::Holder;
use super::parts::{Finding, Part, Shared};
use super::plan::{self, Reach};
use super::register::Register;
use super::request::Request;
use super::since::Since;
use super::status::{Outcome, Pace, happenings, pace, status};
use super::want::{self, Want};
use crate::api::{CrossAccountRedshiftLink, FINALIZER};
use crate::aws::accounts::{Accounts, AccountsWatch, Denied, Tenant, allow};
use crate::aws::effect::Execute;
use crate::aws::mark::Installation;
use crate::aws::read::Seen;
use crate::aws::scope::Scope;
use crate::aws::shared::SharedReads;
use crate::kubernetes::{Happening, Kubernetes, KubernetesError};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What the loop works with.
pub struct Loop {
    /// Reads of AWS, shared among loops.
    pub reads: SharedReads,
    /// Writes to AWS.
    pub effects: Arc<dyn Execute>,
    /// Kubernetes.
    pub kubernetes: Arc<dyn Kubernetes>,
    /// The accounts file.
    pub accounts: watch::Receiver<AccountsWatch>,
    /// Who wants what.
    pub register: Register,
    /// Which jobs hold which link.
    pub holds: Holds,
    /// This installation.
    pub installation: Installation,
    /// How often a settled link is looked at.
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
}

impl Loop {
    /// Once around for one object. Gives when to look again; none where only a change of the object matters.
    ///
    /// # Errors
    /// The API server refused a write.
    pub async fn reconcile(&self, link: &CrossAccountRedshiftLink) -> Result<Option<Duration>, KubernetesError> {
        let uid = link.uid().unwrap_or_default();
        let accounts = self.accounts.borrow().accounts.clone();
        let memory = self.memories.get(&uid);
        if let Some(rest) = memory.rests(link.resource_version(), &accounts) {
            return Ok(Some(rest));
        }
        let deleting = link.metadata.deletion_timestamp.is_some();
        if deleting && !has_finalizer(link) {
            self.forget(&uid);
            return Ok(None);
        }
        let result = self.look(link, &accounts, memory).await;
        if result.is_err() {
            self.memories.change(&uid, Memory::break_off);
        }
        result
    }

    /// At the start: this object exists, so nothing that it may want is removed before it was looked at.
    pub fn expect(&self, link: &CrossAccountRedshiftLink) {
        // what a deleted link leaves in place is not to be taken for unwanted before its mark is off
        let takes_down = link.metadata.deletion_timestamp.is_some() && link.spec.deletes();
        if has_finalizer(link) && !takes_down {
            let (producer, consumer) = scopes(link);
            let name = format!("{}/{}", link.namespace().unwrap_or_default(), link.name_any());
            let holder = Holder { link: name, scopes: BTreeSet::from([producer, consumer]) };
            self.register.expect(&link.uid().unwrap_or_default(), holder);
        }
    }

    /// An object is there that this version cannot read: it may want anything, anywhere.
    pub fn cannot_read(&self, object: &ObjectMeta) {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let link = format!("{}/{}", text(&object.namespace), text(&object.name));
        self.register.unobservable(&text(&object.uid), Holder { link, scopes: BTreeSet::new() }, None);
    }

    /// How long to wait after a loop broke off.
    #[must_use]
    pub fn rest_after(&self, uid: &str, error: &KubernetesError) -> Duration {
        let mut rest = Duration::ZERO;
        self.memories.change(uid, |memory| rest = memory.due_after(error.class.into(), self.interval, uid));
        rest
    }

    /// A loop was dropped in the middle: any call of it may still be executed, and it may not have said what it wants.
    pub fn dropped(&self, link: &CrossAccountRedshiftLink) {
        let uid = link.uid().unwrap_or_default();
        self.memories.change(&uid, |memory| memory.dropped(self.grace));
        if has_finalizer(link) && link.metadata.deletion_timestamp.is_none() {
            let (producer, consumer) = scopes(link);
            let name = format!("{}/{}", link.namespace().unwrap_or_default(), link.name_any());
            let holder = Holder { link: name, scopes: BTreeSet::from([producer, consumer]) };
            self.register.unobservable(&uid, holder, want::in_status(link));
        }
    }

    /// An object is gone.
    pub fn forget(&self, uid: &str) {
        self.register.withdraw(uid);
        self.holds.forget_link(uid);
        self.memories.forget(uid);
    }

    /// Which jobs have a statement under way over a link, or may have. Lets attempts begin over one that unloads, and none
    /// over one that does so no more.
    fn held_by(&self, link: &CrossAccountRedshiftLink) -> BTreeSet<String> {
        let name: LinkName = (link.namespace().unwrap_or_default(), link.name_any());
        let jobs = if link.metadata.deletion_timestamp.is_none() && link.spec.unload.is_some() {
            self.holds.open(&name);
            self.holds.held_by(&name)
        } else {
            self.holds.close(&name, &link.uid().unwrap_or_default())
        };
        jobs.unwrap_or_else(|| BTreeSet::from(["(not all jobs were looked at since the start)".to_owned()]))
    }

    async fn look(
        &self,
        link: &CrossAccountRedshiftLink,
        accounts: &Arc<Accounts>,
        memory: Memory,
    ) -> Result<Option<Duration>, KubernetesError> {
        let namespace = link.namespace().unwrap_or_default();
        let labels = self.kubernetes.namespace_labels(&namespace);
        let grants = allow(&link.spec, Tenant { namespace: &namespace, labels: &labels }, accounts);
        let (producer, consumer) = scopes(link);
        let abandoned = accounts.abandoned();
        let held_by = self.held_by(link);
        let request = Request {
            link,
            installation: &self.installation,
            grants: grants.as_ref().ok().copied(),
            abandoned: &abandoned,
            producer: &producer,
            consumer: &consumer,
            now: (self.now)(),
            certain: Instant::now() >= memory.certain_from(self.started + self.grace),
            held_by: &held_by,
            interval: SignedDuration::try_from(self.interval).unwrap_or(SignedDuration::MAX),
        };
        let since = Since::new(link, &memory);
        if request.is_deleted() {
            return self.take_down(&request, accounts, since).await;
        }
        match grants {
            Ok(_) => self.keep(&request, accounts, since).await,
            Err(denied) => {
                let outcome = self.denied(&request, &denied);
                self.report(&request, accounts, &BTreeSet::new(), &outcome, &Acted::default()).await
            }
        }
    }

    /// The finalizer comes before the first effect, and only where there may be one: who never had anything holds
    /// nobody up.
    fn must_hold(&self, link: &CrossAccountRedshiftLink) -> bool {
        let acts = link.spec.mode != Some(crate::api::link::Mode::Plan) && link.spec.suspend != Some(true);
        acts && link.metadata.deletion_timestamp.is_none() && !has_finalizer(link)
    }

    fn denied(&self, request: &Request<'_>, denied: &Denied) -> Outcome {
        if has_finalizer(request.link) {
            // anybody may write a finalizer: who is denied and never had anything holds nothing up
            let wants = want::in_status(request.link);
            let none = request.link.status.as_ref().is_none_or(|status| status.wants.is_empty());
            self.register.unobservable(request.uid(), holder(request), wants.or(none.then(BTreeSet::new)));
        }
        let reason = match denied {
            Denied::NotConfigured(_) => "AccountNotConfigured",
            Denied::NotAllowed { .. } => "NotAllowed",
        };
        Outcome::Denied { reason, message: denied.to_string() }
    }

    async fn keep(
        &self,
        request: &Request<'_>,
        accounts: &Arc<Accounts>,
        mut since: Since,
    ) -> Result<Option<Duration>, KubernetesError> {
        let mut seen = Seen::default();
        let found = observe(&self.reads, &mut seen, |read| since.of(read), |seen| plan::wants(request, seen)).await;
        let wants = found.clone().unwrap_or_default();
        let adopted;
        let mut request = *request;
        if found.is_ok() && self.must_hold(request.link) {
            adopted = self.kubernetes.add_finalizer(request.link).await?;
            request.link = &adopted;
        }
        let request = &request;
        // what it has stays wanted until what it wants now is in place: no other link's loop may take it meanwhile
        let held = if has_finalizer(request.link) { want::held(request.link, &wants) } else { wants.clone() };
        if has_finalizer(request.link) {
            match found {
                Err(_) => self.register.unobservable(request.uid(), holder(request), want::in_status(request.link)),
                Ok(_) => match self.register.publish(request.uid(), holder(request), held.clone()) {
                    Ok(free) => {
                        if since.shared_after(free) {
                            self.memories.change(request.uid(), |memory| memory.wants_since = Some(free));
                            seen.forget_route_tables();
                        }
                    }
                    Err(going) => {
                        let going = going.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                        let message = format!("waits for the end of the removal of {going}, which another link began");
                        let outcome = Outcome::Kept(
                            plan::halted(request, Finding::waiting(Part::Peering, "RemovalUnderWay", message)),
                            vec![],
                        );
                        return self.report(request, accounts, &held, &outcome, &Acted::default()).await;
                    }
                },
            }
        }
        let others = self.register.others(request.uid());
        let plan = observe(&self.reads, &mut seen, |r| since.of(r), |seen| plan::keep(request, seen, &others)).await;
        if request.only_looks() {
            let outcome = Outcome::Kept(plan, vec![]);
            return self.report(request, accounts, &held, &outcome, &Acted::default()).await;
        }
        let wants = if plan.in_place { wants } else { held };
        if plan.in_place {
            // cannot be held up: all of it was published before
            let _ = self.register.publish(request.uid(), holder(request), wants.clone());
        }
        let recorded;
        let mut request = *request;
        if self.must_record(&request, &plan, &wants) {
            // what this link wants stands in its status before the first shared effect
            let mut noted = request.link.status.clone().unwrap_or_default();
            noted.wants = wants.iter().map(ToString::to_string).collect();
            recorded = self.kubernetes.apply_status(request.link, &noted).await?;
            request.link = &recorded;
        }
        self.carry_out(&request, accounts, &wants, plan, Outcome::Kept).await
    }

    fn must_record(&self, request: &Request<'_>, plan: &plan::Plan, wants: &BTreeSet<Want>) -> bool {
        let makes = plan.steps.iter().any(|s| s.waits.is_none() && matches!(s.shared, Some(Shared::Makes)));
        makes && want::in_status(request.link).as_ref() != Some(wants)
    }

    async fn take_down(
        &self,
        request: &Request<'_>,
        accounts: &Arc<Accounts>,
        mut since: Since,
    ) -> Result<Option<Duration>, KubernetesError> {
        if request.spec().deletes() {
            self.register.withdraw(request.uid());
        } else {
            // until its mark is off, nobody else may take for unwanted what this link leaves in place
            self.register.unobservable(request.uid(), holder(request), want::in_status(request.link));
        }
        let plan = self.what_is_left(request, &since, Reach::Remembered).await;
        if !plan.is_done() {
            return self.carry_out(request, accounts, &BTreeSet::new(), plan, Outcome::TakenDown).await;
        }
        // known before the reads began
        if !request.certain {
            let message =
                "nothing is left to be seen; waits until calls whose answers were lost can no longer be executed";
            let plan = plan::Plan {
                findings: vec![Finding::waiting(Part::Peering, "LostAnswers", message)],
                ..plan::Plan::default()
            };
            let outcome = Outcome::TakenDown(plan, vec![]);
            return self.report(request, accounts, &BTreeSet::new(), &outcome, &Acted::default()).await;
        }
        // others may have been answered by the same reads: the finalizer goes only after reads of its own
        since.ask_anew();
        let plan = self.what_is_left(request, &since, Reach::All).await;
        if !plan.is_done() {
            return self.carry_out(request, accounts, &BTreeSet::new(), plan, Outcome::TakenDown).await;
        }
        let given_up: Vec<_> = request.sides().into_iter().filter(|at| request.gave_up(&at.account)).collect();
        if !given_up.is_empty() {
            let accounts = given_up.iter().map(|at| at.account.0.as_str()).collect::<Vec<_>>().join(", ");
            let note = format!("deleted without looking into abandoned account {accounts}: what is there stays there");
            self.kubernetes.tell(request.link, &Happening { warning: true, reason: "Abandoned".into(), note }).await;
        }
        self.kubernetes.remove_finalizer(request.link).await?;
        self.forget(request.uid());
        Ok(None)
    }

    async fn what_is_left(&self, request: &Request<'_>, since: &Since, reach: Reach) -> plan::Plan {
        let others = self.register.others(request.uid());
        let mut seen = Seen::default();
        let left = |seen: &Seen| plan::take_down(request, seen, &others, reach);
        observe(&self.reads, &mut seen, |read| since.of(read), left).await
    }

    async fn carry_out(
        &self,
        request: &Request<'_>,
        accounts: &Arc<Accounts>,
        wants: &BTreeSet<Want>,
        plan: plan::Plan,
        outcome: fn(plan::Plan, Vec<Finding>) -> Outcome,
    ) -> Result<Option<Duration>, KubernetesError> {
        let steps = plan.steps.clone();
        let acted = act(steps, request.uid(), self.effects.as_ref(), &self.register, &self.leads).await;
        let failures = acted.failures.iter().map(|(part, error)| Finding::refused(*part, error)).collect();
        self.memories.change(request.uid(), |memory| memory.acted(&acted, self.grace));
        self.report(request, accounts, wants, &outcome(plan, failures), &acted).await
    }

    /// Writes the status where it differs, tells what changed, and says when to look again.
    async fn report(
        &self,
        request: &Request<'_>,
        accounts: &Arc<Accounts>,
        wants: &BTreeSet<Want>,
        outcome: &Outcome,
        acted: &Acted,
    ) -> Result<Option<Duration>, KubernetesError> {
        let before = request.link.status.as_ref();
        let after = status(request, wants, outcome);
        let mut version = request.link.resource_version();
        if before != Some(&after) {
            let written = self.kubernetes.apply_status(request.link, &after).await?;
            version = written.resource_version();
            let old = before.map_or(&[][..], |status| &status.conditions);
            for happening in happenings(old, &after.conditions) {
                self.kubernetes.tell(request.link, &happening).await;
            }
        }
        let pace = match pace(request, outcome, acted.executed.len()) {
            // it succeeds and changes nothing that can be seen: not for ever at this pace
            Pace::Soon if self.memories.get(request.uid()).repeats() => Pace::Retry,
            pace => pace,
        };
        // What the process before this one, or a lost answer, left under way may still arrive: look again at the
        // latest when it no longer can.
        let now = Instant::now();
        let memory = self.memories.change(request.uid(), |memory| {
            let due = memory.due_after(pace, self.interval, request.uid());
            let arrived = memory.arrived_by(self.started + self.grace);
            let due = if arrived > now { due.min(arrived - now) } else { due };
            memory.rest(version, due, accounts.clone());
        });
        Ok(Some(memory.due.saturating_duration_since(now)))
    }
}

fn has_finalizer(link: &CrossAccountRedshiftLink) -> bool {
    link.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// The producer's and the consumer's account and region.
fn scopes(link: &CrossAccountRedshiftLink) -> (Scope, Scope) {
    let spec = &link.spec;
    let producer = Scope::new(&spec.producer.account_id, &spec.producer.region);
    (producer, Scope::new(&spec.consumer.account_id, spec.consumer_region()))
}

fn holder(request: &Request<'_>) -> Holder {
    let owner = request.owner();
    Holder {
        link: format!("{}/{}", owner.namespace, owner.name),
        scopes: request.sides().into_iter().cloned().collect(),
    }
}
