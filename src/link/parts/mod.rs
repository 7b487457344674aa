//! A link is made of parts: one file, one condition, one thing that a platform engineer would name.
//!
//! The order stands here once, for making and for taking down. All of it is pure: a part gets what was seen and gives
//! back steps and a report; where it needs to see more it says so ([`Halt::Unread`]).

pub mod consumer_policy;
pub mod firewall;
mod ledger;
pub mod peering;
pub mod producer_role;
pub mod role;
pub mod routes;
pub mod secret_access;
pub mod source_identity;
pub mod unload_roles;

use super::others::{Others, Verdict};
use super::request::Request;
use super::want::Want;
use crate::aws::effect::Effect;
use crate::aws::error::{AwsError, Class};
use crate::aws::read::{Gap, Read};
use crate::aws::scope::{AccountId, Scope};
use std::collections::BTreeSet;

/// The parts, in the order of making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter)]
#[allow(missing_docs)]
pub enum Part {
    ProducerRole,
    ConsumerPolicy,
    SourceIdentity,
    Peering,
    Routes,
    Firewall,
    UnloadRoles,
    SecretAccess,
}

/// The order of taking down: what lets traffic through goes first, the ledger of what carries no mark last.
pub const TAKING_DOWN: [Part; 8] = [
    Part::Firewall,
    Part::Routes,
    Part::Peering,
    Part::UnloadRoles,
    Part::SecretAccess,
    Part::SourceIdentity,
    Part::ConsumerPolicy,
    Part::ProducerRole,
];

impl Part {
    /// The type of its condition.
    #[must_use]
    pub const fn condition(self) -> &'static str {
        match self {
            Self::ProducerRole => "ProducerRoleReady",
            Self::ConsumerPolicy => "ConsumerPolicyReady",
            Self::SourceIdentity => "SourceIdentityReady",
            Self::Peering => "PeeringReady",
            Self::Routes => "RoutesReady",
            Self::Firewall => "FirewallReady",
            Self::UnloadRoles => "UnloadRolesReady",
            Self::SecretAccess => "SecretAccessReady",
        }
    }

    /// Its name in plans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProducerRole => "producer_role",
            Self::ConsumerPolicy => "consumer_policy",
            Self::SourceIdentity => "source_identity",
            Self::Peering => "peering",
            Self::Routes => "routes",
            Self::Firewall => "firewall",
            Self::UnloadRoles => "unload_roles",
            Self::SecretAccess => "secret_access",
        }
    }
}

/// Something found that keeps a part from being in place, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The part.
    pub part: Part,
    /// Who has to act.
    pub class: Class,
    /// Reason of the condition.
    pub reason: &'static str,
    /// What is wrong, where, and the remedy.
    pub message: String,
    /// The account that could not be looked into, or changed.
    pub account: Option<AccountId>,
}

impl Finding {
    /// Somebody else has to act.
    #[must_use]
    pub fn blocked(part: Part, reason: &'static str, message: impl Into<String>) -> Self {
        Self { part, class: Class::Blocked, reason, message: message.into(), account: None }
    }

    /// The spec has to change.
    #[must_use]
    pub fn terminal(part: Part, reason: &'static str, message: impl Into<String>) -> Self {
        Self { part, class: Class::Terminal, reason, message: message.into(), account: None }
    }

    /// It comes right by itself.
    #[must_use]
    pub fn waiting(part: Part, reason: &'static str, message: impl Into<String>) -> Self {
        Self { part, class: Class::Transient, reason, message: message.into(), account: None }
    }

    /// AWS refused something.
    #[must_use]
    pub fn refused(part: Part, error: &AwsError) -> Self {
        let message = format!("{error}; to do: {}", error.remedy());
        Self { part, class: error.class, reason: error.reason(), message, account: Some(error.account.clone()) }
    }
}

/// Why a plan of a part cannot be computed, or must not.
#[derive(Clone, Debug, PartialEq)]
pub enum Halt {
    /// More must be read first.
    Unread(BTreeSet<Read>),
    /// A read was refused.
    Refused(Box<AwsError>),
    /// Something is in the way.
    Found(Finding),
}

impl From<Gap> for Halt {
    fn from(gap: Gap) -> Self {
        match gap {
            Gap::Unread(reads) => Self::Unread(reads),
            Gap::Refused(error) => Self::Refused(error),
        }
    }
}

impl From<Finding> for Halt {
    fn from(finding: Finding) -> Self {
        Self::Found(finding)
    }
}

/// All results, or what is missing in any of them: reads of independent things go out side by side.
///
/// # Errors
/// The union of what is unread; if nothing is, the first refusal or finding.
pub fn gather<T, E: Into<Halt>>(results: impl IntoIterator<Item = Result<T, E>>) -> Result<Vec<T>, Halt> {
    let (mut values, mut unread, mut first) = (vec![], BTreeSet::new(), None);
    for result in results {
        match result.map_err(Into::into) {
            Ok(value) => values.push(value),
            Err(Halt::Unread(reads)) => unread.extend(reads),
            Err(other) => first = first.or(Some(other)),
        }
    }
    match (unread.is_empty(), first) {
        (false, _) => Err(Halt::Unread(unread)),
        (true, Some(halt)) => Err(halt),
        (true, None) => Ok(values),
    }
}

/// Both results, or what is missing in either (see [`gather`]).
///
/// # Errors
/// As [`gather`].
pub fn both<A, B>(a: Result<A, impl Into<Halt>>, b: Result<B, impl Into<Halt>>) -> Result<(A, B), Halt> {
    match (a.map_err(Into::into), b.map_err(Into::into)) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(gather([a.map(drop), b.map(drop)]).expect_err("one of the two is an error")),
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The part it is for.
    pub part: Part,
    /// What is done.
    pub effect: Effect,
    /// Only if the step before it was executed.
    pub chained: bool,
    /// What it waits for: it is shown, but executed only by a plan that finds it no longer waiting.
    pub waits: Option<String>,
    /// The shared thing that it makes or removes.
    pub shared: Option<Shared>,
    /// What will be there, in the words of [`PartPlan::ours`]: made again and again, it is contested.
    pub makes: Option<String>,
}

/// What a step does to something that links share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shared {
    /// It makes or changes it: what this link wants must stand in its status first.
    Makes,
    /// It removes it, or gives it up: the key must be claimed first.
    Removes(Want),
}

impl Step {
    /// A step that can be executed at once.
    #[must_use]
    pub fn new(part: Part, effect: Effect) -> Self {
        Self { part, effect, chained: false, waits: None, shared: None, makes: None }
    }

    /// Only after the step before it.
    #[must_use]
    pub fn chained(self) -> Self {
        Self { chained: true, ..self }
    }

    /// Waits, if there is something to wait for.
    #[must_use]
    pub fn waiting_for(self, what: Option<impl Into<String>>) -> Self {
        Self { waits: self.waits.or(what.map(Into::into)), ..self }
    }

    /// Makes this.
    #[must_use]
    pub fn making(self, what: impl Into<String>) -> Self {
        Self { makes: Some(what.into()), ..self }
    }

    /// Makes something that links share.
    #[must_use]
    pub fn making_shared(self, want: &Want) -> Self {
        Self { shared: Some(Shared::Makes), ..self }.making(want.to_string())
    }

    /// Removes something that links share.
    #[must_use]
    pub fn removing(self, want: Want) -> Self {
        Self { shared: Some(Shared::Removes(want)), ..self }
    }
}

/// What an entry of a ledger waits for, if a call may still be under way that makes what the entry stands for.
#[must_use]
pub fn certainty(request: &Request<'_>) -> Option<&'static str> {
    (!request.certain).then_some("calls whose answers were lost to be impossible")
}

/// The step that removes something shared; none where somebody else wants it. Where that is not to be said yet, a link
/// that is being deleted waits for it, and one that lives leaves it to later looks.
#[must_use]
pub fn removal(request: &Request<'_>, part: Part, others: &Others, want: &Want, effect: Effect) -> Option<Step> {
    let step = Step::new(part, effect).removing(want.clone());
    match others.verdict(want) {
        Verdict::Free => Some(step),
        Verdict::Wanted(_) => None,
        Verdict::Undecided(_) if !request.is_deleted() => None,
        Verdict::Undecided(link) => Some(step.waiting_for(Some(format!("link {link} to say whether it wants it")))),
    }
}

/// What a part plans and reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartPlan {
    /// What is to be done, in order.
    pub steps: Vec<Step>,
    /// What is in the way.
    pub findings: Vec<Finding>,
    /// What is there and ours.
    pub ours: BTreeSet<String>,
    /// What is there, does the job and is somebody else's.
    pub used: BTreeSet<String>,
    /// What is good to know besides: shown in the condition even when all is in place.
    pub notes: Vec<String>,
}

/// What each side gives, for itself: a side that cannot be seen is a finding, and does not hold up the other.
///
/// # Errors
/// Something is unread.
pub fn side_by_side(
    part: Part,
    request: &Request<'_>,
    mut look: impl FnMut(&Scope) -> Result<PartPlan, Halt>,
) -> Result<PartPlan, Halt> {
    let sides = request.sides().into_iter().filter(|at| !request.gave_up(&at.account));
    let looks = sides.map(|at| match look(at) {
        Err(Halt::Refused(error)) => {
            Ok(PartPlan { findings: vec![Finding::refused(part, &error)], ..PartPlan::default() })
        }
        other => other,
    });
    let mut whole = PartPlan::default();
    for plan in gather(looks)? {
        whole.add(plan);
    }
    Ok(whole)
}

impl PartPlan {
    /// Both.
    pub fn add(&mut self, other: Self) {
        self.steps.extend(other.steps);
        self.findings.extend(other.findings);
        self.ours.extend(other.ours);
        self.used.extend(other.used);
        self.notes.extend(other.notes);
    }

    /// Adds the removal of something shared, if there is one: until it is done, the thing is there and ours.
    pub fn remove(&mut self, step: Option<Step>) {
        if let Some(step) = step {
            if let Some(Shared::Removes(want)) = &step.shared {
                self.ours.insert(want.to_string());
            }
            self.steps.push(step);
        }
    }
}
