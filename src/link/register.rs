//! Who wants what of the things that links share: one register in memory, for the whole process.
//!
//! A link publishes what it wants before it reads any of it. Whatever is ours and wanted by nobody is removed by the
//! loop that sees it, which first claims the key: from then until the removal is surely done the key is held, and
//! a link that publishes it waits and then reads the truth.

use super::others::{Holder, Others};
use super::want::Want;
use crate::aws::moment::Moment;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The register. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Register {
    state: Arc<Mutex<State>>,
    grace: Duration,
}

#[derive(Default)]
struct State {
    links: HashMap<String, Entry>,
    removals: HashMap<Want, Removal>,
}

struct Entry {
    holder: Holder,
    wants: Wants,
    /// When the last of its wants was published and free; none while a removal still holds one.
    since: Option<Moment>,
}

enum Wants {
    NotYet,
    Known(BTreeSet<Want>),
    Everything,
}

struct Removal {
    uid: String,
    /// None while the call runs; afterwards, if its answer was lost, until when it may still be executed.
    until: Option<Instant>,
}

/// The right to remove something. Dropped without a word, the removal counts as uncertain.
pub struct Claim {
    register: Register,
    want: Want,
    settled: bool,
    /// Until when an earlier try, whose answer was lost, may still be executed.
    earlier: Option<Instant>,
}

impl Register {
    /// An empty register. `grace`: for how long a call whose answer was lost may still be executed.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self { state: Arc::default(), grace }
    }

    /// A live link is known to exist; nothing is removed where it lives until it has been looked at.
    pub fn expect(&self, uid: &str, holder: Holder) {
        let entry = Entry { holder, wants: Wants::NotYet, since: None };
        self.lock().links.entry(uid.into()).or_insert(entry);
    }

    /// A link says what it wants. Gives the moment since when nothing of it has been under removal: shared things must
    /// be read after it.
    ///
    /// # Errors
    /// These are being removed right now: publish again in a moment. What was published counts all the same.
    pub fn publish(&self, uid: &str, holder: Holder, wants: BTreeSet<Want>) -> Result<Moment, BTreeSet<Want>> {
        let mut state = self.lock();
        let now = Instant::now();
        state.removals.retain(|_, removal| removal.until.is_none_or(|until| until > now));
        let held: BTreeSet<Want> = wants.iter().filter(|want| state.removals.contains_key(*want)).cloned().collect();
        let entry = state.links.entry(uid.into()).or_insert_with(|| Entry {
            holder: holder.clone(),
            wants: Wants::NotYet,
            since: None,
        });
        let grew = match &entry.wants {
            Wants::Known(before) => !wants.is_subset(before),
            Wants::NotYet | Wants::Everything => true,
        };
        entry.holder = holder;
        entry.wants = Wants::Known(wants);
        if !held.is_empty() {
            entry.since = None;
            return Err(held);
        }
        if grew {
            entry.since = None;
        }
        Ok(*entry.since.get_or_insert_with(Moment::now))
    }

    /// A link cannot be observed: what it published counts; failing that, what its status lists; failing that, it
    /// wants everything where it lives.
    pub fn unobservable(&self, uid: &str, holder: Holder, from_status: Option<BTreeSet<Want>>) {
        let mut state = self.lock();
        let entry =
            state.links.entry(uid.into()).or_insert_with(|| Entry { holder, wants: Wants::NotYet, since: None });
        if !matches!(entry.wants, Wants::Known(_)) {
            entry.wants = from_status.map_or(Wants::Everything, Wants::Known);
        }
    }

    /// A link wants nothing any more: it is being deleted, or is gone.
    pub fn withdraw(&self, uid: &str) {
        self.lock().links.remove(uid);
    }

    /// The uids of all links in it.
    #[must_use]
    pub fn uids(&self) -> BTreeSet<String> {
        self.lock().links.keys().cloned().collect()
    }

    /// What all links but this one want.
    #[must_use]
    pub fn others(&self, uid: &str) -> Others {
        let state = self.lock();
        let mut others = Others::default();
        for (_, entry) in state.links.iter().filter(|(other, _)| *other != uid) {
            match &entry.wants {
                Wants::NotYet => others.not_yet.push(entry.holder.clone()),
                Wants::Everything => others.everything.push(entry.holder.clone()),
                Wants::Known(wants) => {
                    others.wanted.extend(wants.iter().map(|want| (want.clone(), entry.holder.link.clone())));
                }
            }
        }
        others
    }

    /// The right to remove `want`, unless any other link may want it or is at it.
    #[must_use]
    pub fn claim(&self, uid: &str, want: &Want) -> Option<Claim> {
        let mut state = self.lock();
        let wanted = |entry: &Entry| match &entry.wants {
            Wants::Known(wants) => wants.contains(want),
            Wants::NotYet | Wants::Everything => entry.holder.lives_with(want),
        };
        let now = Instant::now();
        let held = state.removals.get(want).is_some_and(|r| match r.until {
            None => true,
            Some(until) => r.uid != uid && until > now,
        });
        let by_others = state.links.iter().any(|(other, entry)| other != uid && wanted(entry));
        if held || by_others {
            return None;
        }
        let before = state.removals.insert(want.clone(), Removal { uid: uid.into(), until: None });
        let earlier = before.and_then(|removal| removal.until).filter(|until| *until > now);
        Some(Claim { register: self.clone(), want: want.clone(), settled: false, earlier })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// The removal was answered: it is done, or was refused and will not be done.
    pub fn settle(mut self) {
        self.settled = true;
        let mut state = self.register.lock();
        match self.earlier {
            Some(until) => {
                if let Some(removal) = state.removals.get_mut(&self.want) {
                    removal.until = Some(until);
                }
            }
            None => drop(state.removals.remove(&self.want)),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.settled {
            let until = Instant::now() + self.register.grace;
            if let Some(removal) = self.register.lock().removals.get_mut(&self.want) {
                removal.until = Some(until);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::others::Verdict;
    use super::super::want::VpcPair;
    use super::*;
    use crate::aws::scope::{Scope, VpcRef};

    const GRACE: Duration = Duration::from_secs(300);

    fn at() -> Scope {
        Scope::new("111122223333", "eu-west-1")
    }

    fn who(name: &str) -> Holder {
        Holder { link: name.into(), scopes: BTreeSet::from([at()]) }
    }

    fn want(table: &str) -> Want {
        Want::Route { at: at(), table: table.into(), cidr: "10.1.0.0/16".parse().unwrap() }
    }

    fn set(tables: &[&str]) -> BTreeSet<Want> {
        tables.iter().map(|t| want(t)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_wants_is_not_removed() {
        let register = Register::new(GRACE);
        register.publish("a", who("ml/a"), set(&["t1"])).unwrap();
        register.publish("b", who("ml/b"), set(&["t1", "t2"])).unwrap();
        register.withdraw("a");
        assert!(register.claim("a", &want("t1")).is_none());
        assert!(register.claim("a", &want("t3")).is_some());
        assert_eq!(register.others("a").verdict(&want("t2")), Verdict::Wanted("ml/b"));
        register.withdraw("b");
        assert!(register.claim("a", &want("t1")).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_under_removal_makes_its_publisher_wait() {
        let register = Register::new(GRACE);
        let claim = register.claim("a", &want("t1")).unwrap();
        assert!(register.claim("c", &want("t1")).is_none(), "one removal at a time");
        assert_eq!(register.publish("b", who("ml/b"), set(&["t1"])), Err(set(&["t1"])));
        tokio::time::advance(Duration::from_secs(2)).await;
        claim.settle();
        let done = Moment::now();
        assert!(register.publish("b", who("ml/b"), set(&["t1"])).unwrap() > done, "it reads after the removal");
        assert!(register.claim("a", &want("t1")).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_removal_whose_answer_was_lost_holds_its_key_for_the_grace() {
        let register = Register::new(GRACE);
        drop(register.claim("a", &want("t1")).unwrap());
        assert!(register.claim("c", &want("t1")).is_none());
        let again = register.claim("a", &want("t1"));
        again.expect("who began it may try it again").settle();
        assert!(register.publish("b", who("ml/b"), set(&["t1"])).is_err(), "the first try may still arrive");
        tokio::time::advance(GRACE).await;
        assert!(register.publish("b", who("ml/b"), set(&["t1"])).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_removed_before_each_link_that_lives_there_was_looked_at() {
        let register = Register::new(GRACE);
        register.expect("b", who("ml/b"));
        assert_eq!(register.others("a").verdict(&want("t1")), Verdict::Undecided("ml/b"));
        assert!(register.claim("a", &want("t1")).is_none());
        let elsewhere =
            Want::Route { at: Scope::new("1", "r"), table: "t".into(), cidr: "10.1.0.0/16".parse().unwrap() };
        assert!(register.claim("a", &elsewhere).is_some(), "another account does not matter");
        register.unobservable("b", who("ml/b"), Some(set(&["t2"])));
        assert!(register.claim("a", &want("t1")).is_some(), "what its status lists counts");
        register.unobservable("c", who("ml/c"), None);
        assert_eq!(register.others("a").verdict(&want("t9")), Verdict::Wanted("ml/c"), "with no status it wants all");
        let there = VpcRef { at: Scope::new("444455556666", "eu-west-1"), id: "vpc-c".into() };
        let here = VpcRef { at: at(), id: "vpc-p".into() };
        let beyond = Want::Peering(VpcPair::of(&here, &there));
        let verdict = register.others("a").verdict(&beyond) == Verdict::Undecided("ml/c");
        assert!(verdict, "what it could not remove itself is not left to it");
        register.publish("c", who("ml/c"), set(&[])).unwrap();
        register.unobservable("c", who("ml/c"), None);
        assert!(register.claim("a", &want("t9")).is_some(), "what was published counts on");
    }

    #[tokio::test(start_paused = true)]
    async fn reads_need_not_be_newer_than_the_last_change_of_wants() {
        let register = Register::new(GRACE);
        let first = register.publish("a", who("ml/a"), set(&["t1", "t2"])).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(register.publish("a", who("ml/a"), set(&["t1"])), Ok(first));
        assert!(register.publish("a", who("ml/a"), set(&["t1", "t2"])).unwrap() > first, "t2 may have gone meanwhile");
    }
}
