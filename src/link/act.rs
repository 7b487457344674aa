//! Executes the steps of a plan, one by one.

use super::parts::{Part, Shared, Step};
use super::register::Register;
use crate::aws::effect::{Done, EFFECT_TIMEOUT, Effect, Execute, ResourceId};
use crate::aws::error::{AwsError, Class, Service};
use crate::aws::moment::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Says whether we surely lead for so long from now on.
pub type Leads = dyn Fn(Duration) -> bool + Send + Sync;

/// What came of the steps. `K`: what a failure stands in the way of.
#[derive(Debug)]
pub struct Acted<K = Part> {
    /// Effects that changed something.
    pub executed: Vec<Effect>,
    /// What failed, and of what.
    pub failures: Vec<(K, AwsError)>,
    /// When the last effect on each service ended: only younger reads show it.
    pub ended: BTreeMap<Service, Moment>,
    /// Some effect may still be executed although it failed.
    pub uncertain: bool,
}

impl<K> Default for Acted<K> {
    fn default() -> Self {
        Self { executed: vec![], failures: vec![], ended: BTreeMap::new(), uncertain: false }
    }
}

/// Executes what does not wait. A step that fails takes those chained to it with it; a failure that another try may
/// mend stops its whole part, so that a throttled service is left in peace.
pub async fn act(steps: Vec<Step>, uid: &str, aws: &dyn Execute, register: &Register, leads: &Leads) -> Acted {
    let mut acted = Acted::default();
    let (mut before, mut stopped, mut made) = (false, BTreeSet::new(), None);
    for Step { part, mut effect, chained, waits, shared, makes: _ } in steps {
        let may_run = waits.is_none() && !stopped.contains(&part) && (before || !chained);
        before = false;
        if !may_run || !fill_in(&mut effect, made.as_ref()) {
            continue;
        }
        let claim = match &shared {
            Some(Shared::Removes(want)) => match register.claim(uid, want) {
                Some(claim) => Some(claim),
                // a link began to want it, or another loop is at it: the next plan will know
                None => continue,
            },
            Some(Shared::Makes) | None => None,
        };
        if !leads(EFFECT_TIMEOUT) {
            tracing::warn!(part = part.name(), "the lease may run out: nothing more is begun");
            return acted;
        }
        let service = effect.kind().operation().service;
        let result = aws.execute(&effect).await;
        acted.ended.insert(service, Moment::now());
        let (account, region) = effect.place();
        match result {
            Ok(done) => {
                tracing::info!(%account, region = region.map(|r| r.0.as_str()), part = part.name(), %effect, "executed");
                if let Done::Peering(id) = done {
                    made = Some(id);
                }
                before = true;
                acted.executed.push(effect);
            }
            // not found is success when deleting
            Err(error) if effect.kind().takes_down() && error.is_not_found() => {
                tracing::info!(%account, part = part.name(), %effect, code = error.code, "was done already");
                before = true;
            }
            Err(error) => {
                if error.class == Class::Stale {
                    // links that share things meet here
                    tracing::info!(%account, part = part.name(), %effect, code = error.code, "our view was old");
                } else {
                    tracing::warn!(%account, part = part.name(), %effect, %error, "failed");
                }
                acted.uncertain |= error.is_ambiguous();
                if error.is_ambiguous() {
                    // dropped without a word, the claim holds its key until the call can no longer be executed
                    drop(claim);
                    stopped.insert(part);
                    acted.failures.push((part, error));
                    continue;
                }
                if matches!(error.class, Class::Transient) {
                    stopped.insert(part);
                }
                acted.failures.push((part, error));
            }
        }
        if let Some(claim) = claim {
            claim.settle();
        }
    }
    acted
}

/// Puts the id of a connection just made where it was pending; false where there is none.
fn fill_in(effect: &mut Effect, made: Option<&String>) -> bool {
    match effect.pending_mut() {
        Some(id @ ResourceId::Pending) => match made {
            Some(made) => {
                *id = ResourceId::Known(made.clone());
                true
            }
            None => false,
        },
        Some(ResourceId::Known(_)) | None => true,
    }
}
