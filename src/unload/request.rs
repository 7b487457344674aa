//! One job to be planned, with its link and what the platform says about it.

use super::attempt::Place;
use crate::api::conditions::{self, types};
use crate::api::link::{Mode, OnTeardown};
use crate::api::unload::status::{EndReason, JobState, UnloadJobStatus};
use crate::api::{CrossAccountRedshiftLink, JOB_FINALIZER, PLACE, UnloadJob};
use crate::aws::accounts::Accounts;
use crate::aws::effect::Effect;
use crate::aws::mark::Installation;
use crate::aws::scope::{AccountId, Scope};
use crate::link::parts::Part;
use crate::link::parts::unload_roles::JOBS_UNDER_WAY;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet};

/// Everything a plan is made from, besides what was seen.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The object.
    pub job: &'a UnloadJob,
    /// Its link; none where there is none of that name.
    pub link: Option<&'a CrossAccountRedshiftLink>,
    /// The link counts this job among those that it must outlive, so its roles stay.
    pub open: bool,
    /// This installation.
    pub installation: &'a Installation,
    /// The accounts file.
    pub accounts: &'a Accounts,
    /// The labels of the job's namespace.
    pub labels: &'a BTreeMap<String, String>,
    /// Accounts that were given up: what is in them is taken for gone.
    pub abandoned: &'a BTreeSet<AccountId>,
    /// The moment of this plan.
    pub now: Timestamp,
    /// What a look does not show is not there: no call of ours can still be executed, or be not yet seen.
    pub certain: bool,
    /// What was executed a moment ago.
    pub executed: &'a [Effect],
}

/// Why a statement that runs is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The job is suspended.
    Suspended,
    /// It took too long.
    Deadline,
    /// Its link goes, or is gone.
    LinkGone,
    /// Its link changes, once nothing is under way.
    LinkChanges,
}

impl Stop {
    /// The same, as the end of an attempt.
    #[must_use]
    pub const fn reason(self) -> EndReason {
        match self {
            Self::Suspended => EndReason::Cancelled,
            Self::Deadline => EndReason::DeadlineExceeded,
            Self::LinkGone => EndReason::LinkGone,
            Self::LinkChanges => EndReason::LinkChanged,
        }
    }
}

impl<'a> Request<'a> {
    /// UID of the object.
    #[must_use]
    pub fn uid(&self) -> &'a str {
        self.job.metadata.uid.as_deref().unwrap_or_default()
    }

    /// True where the object is being deleted.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        self.job.metadata.deletion_timestamp.is_some()
    }

    /// Our finalizer holds the object.
    #[must_use]
    pub fn is_held(&self) -> bool {
        is_held(self.job)
    }

    /// Where the job lives at AWS, as it was fixed when it got its finalizer.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.job.annotations().get(PLACE).and_then(|text| Place::parse(text))
    }

    /// The accounts and regions that the job lives in.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        self.place().map(|place| vec![place.warehouse(), place.storage()]).unwrap_or_default()
    }

    /// True where what is in this account no longer matters.
    #[must_use]
    pub fn gave_up(&self, at: &Scope) -> bool {
        self.abandoned.contains(&at.account)
    }

    /// Nothing is to be submitted.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.job.spec.suspend == Some(true)
    }

    /// Why the attempt under way is to end, if it is. `began`: when the first attempt did.
    #[must_use]
    pub fn stop(&self, began: Option<Timestamp>) -> Option<Stop> {
        let allowed = SignedDuration::from_secs(self.job.spec.deadline_seconds().into());
        let late = began.is_some_and(|began| self.now.duration_since(began) >= allowed);
        match (self.is_suspended(), late, self.link_goes()) {
            (true, ..) => Some(Stop::Suspended),
            (_, true, _) => Some(Stop::Deadline),
            (.., true) => Some(Stop::LinkGone),
            (false, false, false) => None,
        }
    }

    /// The link is gone, or goes and does not wait for its statements.
    fn link_goes(&self) -> bool {
        let Some(link) = self.link else { return true };
        match &link.spec.unload {
            Some(unload) => link.metadata.deletion_timestamp.is_some() && unload.on_teardown != Some(OnTeardown::Wait),
            None => true,
        }
    }

    /// No attempt can ever begin on this link again.
    #[must_use]
    pub fn link_ends(&self) -> bool {
        self.link.is_none_or(|link| link.spec.unload.is_none() || link.metadata.deletion_timestamp.is_some())
    }

    /// A tool keeps the object as it stands in a repository: deleted, it would be made again, and run again.
    #[must_use]
    pub fn is_tracked(&self) -> bool {
        let labels = ["kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name", "argocd.argoproj.io/instance"];
        self.job.annotations().contains_key("argocd.argoproj.io/tracking-id")
            || labels.iter().any(|label| self.job.labels().contains_key(*label))
    }

    /// The link changes once no statement of a job is under way: one that was not submitted must not wait for it.
    #[must_use]
    pub fn link_waits(&self) -> bool {
        let conditions = self.link.and_then(|link| link.status.as_ref()).map_or(&[][..], |status| &status.conditions);
        let roles = conditions::find(conditions, Part::UnloadRoles.condition());
        roles.is_some_and(|condition| condition.reason == JOBS_UNDER_WAY)
    }

    /// The link, if attempts may begin on it now.
    ///
    /// # Errors
    /// They may not, with reason and what is missing.
    pub fn ready_link(&self) -> Result<&'a CrossAccountRedshiftLink, (&'static str, String)> {
        let name = &self.job.spec.link_ref.name;
        let Some(link) = self.link else {
            return Err(("LinkNotFound", format!("waits for a link named {name} in this namespace")));
        };
        let not_ready = |why: &str| Err(("LinkNotReady", format!("waits for link {name}, which {why}")));
        let status = link.status.as_ref();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let current = status.and_then(|status| status.observed_generation) == link.metadata.generation;
        if link.metadata.deletion_timestamp.is_some() || !self.open {
            not_ready("is being taken down")
        } else if link.spec.unload.is_none() {
            not_ready("has no spec.unload")
        } else if link.spec.mode == Some(Mode::Plan) {
            not_ready("is in mode Plan")
        } else if link.spec.suspend == Some(true) {
            not_ready("is suspended")
        } else if !current || !conditions::is_true(conditions, types::READY) {
            not_ready("is not Ready")
        } else {
            Ok(link)
        }
    }
}

/// Our finalizer holds the object.
#[must_use]
pub fn is_held(job: &UnloadJob) -> bool {
    job.finalizers().iter().any(|finalizer| finalizer == JOB_FINALIZER)
}

/// The job came to its end: nothing more is looked at.
#[must_use]
pub fn is_finished(status: Option<&UnloadJobStatus>) -> bool {
    status.is_some_and(|status| matches!(status.state, Some(JobState::Complete | JobState::Failed)))
}
