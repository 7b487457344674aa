//! What is remembered of an object between two loops, in this process only: losing it costs a few reads.

use super::act::Acted;
use super::status::Pace;
use crate::aws::accounts::Accounts;
use crate::aws::effect::Effect;
use crate::aws::error::Service;
use crate::aws::moment::Moment;
use crate::aws::read::Read;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use strum::IntoEnumIterator;
use tokio::time::Instant;

const SOON: Duration = Duration::from_millis(500);
/// A view that is old again after so many looks is not merely old.
const STALE_IN_A_ROW: u32 = 3;
const WAITING_AT_MOST: Duration = Duration::from_secs(15);
const RUNNING: Duration = Duration::from_secs(20);
const RETRY_AT_MOST: Duration = Duration::from_secs(300);

/// The memories of all objects.
#[derive(Default)]
pub struct Memories(Mutex<HashMap<String, Memory>>);

/// The memory of one object.
#[derive(Clone, Debug)]
pub struct Memory {
    /// When the last effect on each service ended.
    pub ended: BTreeMap<Service, Moment>,
    /// The moment from which on shared things were read by the loops so far.
    pub wants_since: Option<Moment>,
    /// When to look again.
    pub due: Instant,
    /// What tells sooner that there is something to look at.
    pub awaits: Option<Read>,
    /// Loops in a row that brought nothing forward.
    attempts: u32,
    /// Until when a call of ours whose answer was lost may still be executed.
    uncertain_until: Option<Instant>,
    /// Until when what we made may not be seen yet: AWS shows own writes late.
    unseen_until: Option<Instant>,
    /// What the last loop that acted executed, when, and whether the one before executed the same.
    executed: Vec<Effect>,
    executed_at: Instant,
    repeats: bool,
    /// The version of the object, and the accounts, that the last loop ended with.
    ended_with: Option<(Option<String>, Arc<Accounts>)>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            ended: BTreeMap::new(),
            wants_since: None,
            due: Instant::now(),
            awaits: None,
            attempts: 0,
            uncertain_until: None,
            unseen_until: None,
            executed: vec![],
            executed_at: Instant::now(),
            repeats: false,
            ended_with: None,
        }
    }
}

impl Memories {
    /// The memory of an object; an empty one where there is none.
    #[must_use]
    pub fn get(&self, uid: &str) -> Memory {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned().unwrap_or_default()
    }

    /// Changes the memory of an object; gives what it is then.
    pub fn change(&self, uid: &str, change: impl FnOnce(&mut Memory)) -> Memory {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = memories.entry(uid.to_owned()).or_default();
        change(memory);
        memory.clone()
    }

    /// Forgets an object.
    pub fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

impl Memory {
    /// How long there is nothing to do: the object is at the version that the last loop left, and its time has not come.
    /// Our own write of the status wakes the loop, and need not cost a look at AWS.
    #[must_use]
    pub fn rests(&self, now: Option<String>, accounts: &Arc<Accounts>) -> Option<Duration> {
        let (version, known) = self.ended_with.as_ref()?;
        let rest = self.due.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())?;
        (*version == now && Arc::ptr_eq(known, accounts)).then_some(rest)
    }

    /// From when on nothing of ours can still arrive.
    #[must_use]
    pub fn arrived_by(&self, at_least: Instant) -> Instant {
        self.uncertain_until.map_or(at_least, |until| until.max(at_least))
    }

    /// From when on what a look does not show is not there.
    #[must_use]
    pub fn certain_from(&self, at_least: Instant) -> Instant {
        let arrived = self.arrived_by(at_least);
        self.unseen_until.map_or(arrived, |until| until.max(arrived))
    }

    /// Effects were executed, or failed.
    pub fn acted<K>(&mut self, acted: &Acted<K>, grace: Duration) {
        self.ended.extend(acted.ended.iter().map(|(service, at)| (*service, *at)));
        let until = Some(Instant::now() + grace);
        if acted.uncertain {
            self.uncertain_until = until;
        }
        if acted.executed.iter().any(|effect| !effect.kind().takes_down()) {
            self.unseen_until = until;
        }
        self.repeats = !acted.executed.is_empty() && acted.executed == self.executed;
        self.executed.clone_from(&acted.executed);
        self.executed_at = Instant::now();
    }

    /// What was executed last, where that is less than so long ago.
    #[must_use]
    pub fn executed_within(&self, time: Duration) -> &[Effect] {
        if self.executed_at.elapsed() < time { &self.executed } else { &[] }
    }

    /// The last loop executed the very effects of the one before: they succeed, and are not seen to have any.
    #[must_use]
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    /// The loop was dropped, with whatever it had under way.
    pub fn dropped(&mut self, grace: Duration) {
        self.ended.extend(Service::iter().map(|service| (service, Moment::now())));
        self.uncertain_until = Some(Instant::now() + grace);
        self.break_off();
    }

    /// The loop ended with this version of the object, and need not run again before `due`.
    pub fn rest(&mut self, version: Option<String>, due: Duration, accounts: Arc<Accounts>) {
        self.due = Instant::now() + due;
        self.ended_with = Some((version, accounts));
    }

    /// The loop broke off: the next one must run.
    pub fn break_off(&mut self) {
        self.ended_with = None;
    }

    /// How long to wait at this pace. Grows with the loops that brought nothing forward.
    pub fn due_after(&mut self, pace: Pace, interval: Duration, uid: &str) -> Duration {
        let steps = |first: Duration, most: Duration, attempts: u32| {
            let grown = first.saturating_mul(2_u32.saturating_pow(attempts.min(16)));
            spread(grown.min(most), uid, attempts)
        };
        let attempts = self.attempts;
        self.attempts = match pace {
            Pace::Soon | Pace::Settled => 0,
            Pace::Stale | Pace::Waiting | Pace::Running | Pace::Retry | Pace::Slow => attempts.saturating_add(1),
        };
        match pace {
            Pace::Soon => SOON,
            Pace::Stale if attempts < STALE_IN_A_ROW => SOON,
            Pace::Waiting => steps(SOON, WAITING_AT_MOST, attempts),
            Pace::Running => spread(RUNNING, uid, attempts),
            Pace::Stale | Pace::Retry => steps(Duration::from_secs(1), RETRY_AT_MOST.min(interval), attempts),
            Pace::Slow => spread(interval / 5, uid, attempts),
            Pace::Settled => spread(interval, uid, 0),
        }
    }
}

/// Between nine and eleven tenths of it, by object, so that objects made together do not stay together.
fn spread(duration: Duration, uid: &str, salt: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    (uid, salt).hash(&mut hasher);
    let permille = u32::try_from(hasher.finish() % 200).unwrap_or(0);
    duration.saturating_mul(900 + permille) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_grows_and_progress_starts_anew() {
        let interval = Duration::from_secs(600);
        let mut memory = Memory::default();
        let waits: Vec<_> = (0..12).map(|_| memory.due_after(Pace::Retry, interval, "u")).collect();
        assert!(waits[0] < Duration::from_secs(2) && waits[11] > Duration::from_secs(200), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= RETRY_AT_MOST.mul_f64(1.1)));
        memory.due_after(Pace::Soon, interval, "u");
        let stale: Vec<_> = (0..8).map(|_| memory.due_after(Pace::Stale, interval, "u")).collect();
        assert!(stale[..3].iter().all(|wait| *wait == SOON) && stale[7] > Duration::from_secs(60), "{stale:?}");
        memory.due_after(Pace::Soon, interval, "u");
        assert!(memory.due_after(Pace::Retry, interval, "u") < Duration::from_secs(2));
    }

    #[test]
    fn objects_are_spread_over_the_interval() {
        let at = |uid: &str| spread(Duration::from_secs(600), uid, 0).as_millis();
        let all: std::collections::BTreeSet<_> = (0..50).map(|n| at(&n.to_string())).collect();
        assert!(all.len() > 25 && all.first() >= Some(&540_000) && all.last() <= Some(&660_000));
    }
}
