//! Which jobs hold which link: what lets a statement live stays until no job of the link has one under way.
//!
//! In memory, and shared by the two loops. A job says that it holds its link before it looks whether the link is ready;
//! a link that is taken down closes itself before it looks whether a job holds it. So one of the two always sees the
//! other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A link, by namespace and name.
pub type LinkName = (String, String);

/// Who holds which link. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Holds(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// All jobs that there were at the start have been looked at.
    known: bool,
    /// By UID of the job: its name, and the links that it may hold.
    jobs: HashMap<String, (String, Held)>,
    /// Links that are being taken down, by UID of the link.
    closed: BTreeMap<LinkName, String>,
}

impl State {
    fn held_by(&self, link: &LinkName) -> Option<BTreeSet<String>> {
        let holds = |held: &Held| match held {
            Held::One(one) => one == link,
            Held::AnyIn(namespace) => *namespace == link.0,
        };
        let jobs = self.jobs.values().filter(|(_, held)| holds(held)).map(|(name, _)| name.clone()).collect();
        self.known.then_some(jobs)
    }
}

#[derive(Clone, PartialEq, Eq)]
enum Held {
    One(LinkName),
    /// The job cannot be read: it may hold any link of its namespace.
    AnyIn(String),
}

impl Holds {
    /// A job may have a statement under way over this link, or begins one. False where the link is being taken down:
    /// then nothing more may begin, and what runs holds it all the same.
    pub fn hold(&self, uid: &str, job: &str, link: &LinkName) -> bool {
        let mut state = self.lock();
        state.jobs.insert(uid.into(), (job.into(), Held::One(link.clone())));
        !state.closed.contains_key(link)
    }

    /// A job that cannot be read may hold any link of its namespace.
    pub fn cannot_read(&self, uid: &str, job: &str, namespace: &str) {
        self.lock().jobs.insert(uid.into(), (job.into(), Held::AnyIn(namespace.into())));
    }

    /// A job has no statement under way, or is gone.
    pub fn release(&self, uid: &str) {
        self.lock().jobs.remove(uid);
    }

    /// Whether a job holds its link.
    #[must_use]
    pub fn holds(&self, uid: &str) -> bool {
        self.lock().jobs.contains_key(uid)
    }

    /// The UIDs of all jobs in it.
    #[must_use]
    pub fn uids(&self) -> BTreeSet<String> {
        self.lock().jobs.keys().cloned().collect()
    }

    /// All jobs that there were at the start are in it.
    pub fn all_known(&self) {
        self.lock().known = true;
    }

    /// A link is being taken down: from now on no attempt begins over it. Gives the jobs that hold it still; none where
    /// they are not known yet.
    #[must_use]
    pub fn close(&self, link: &LinkName, uid: &str) -> Option<BTreeSet<String>> {
        let mut state = self.lock();
        state.closed.insert(link.clone(), uid.into());
        state.held_by(link)
    }

    /// The jobs that hold a link that is kept; none where they are not known yet.
    #[must_use]
    pub fn held_by(&self, link: &LinkName) -> Option<BTreeSet<String>> {
        self.lock().held_by(link)
    }

    /// A link is kept: attempts may begin over it.
    pub fn open(&self, link: &LinkName) {
        self.lock().closed.remove(link);
    }

    /// A link is gone: another of the same name is another.
    pub fn forget_link(&self, uid: &str) {
        self.lock().closed.retain(|_, closed| closed != uid);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str) -> LinkName {
        ("ml".into(), name.into())
    }

    fn names(names: &[&str]) -> Option<BTreeSet<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn one_of_the_two_sees_the_other() {
        let holds = Holds::default();
        holds.all_known();
        assert!(holds.hold("1", "a", &link("w")));
        assert_eq!(holds.close(&link("w"), "l"), names(&["a"]), "the job was first");
        assert!(!holds.hold("2", "b", &link("w")), "the link was first");
        assert!(holds.hold("3", "c", &link("other")));
        holds.release("2");
        holds.release("1");
        assert_eq!(holds.close(&link("w"), "l"), names(&[]));
        holds.forget_link("l");
        assert!(holds.hold("4", "d", &link("w")), "another link of the same name");
    }

    #[test]
    fn before_all_jobs_are_known_every_link_is_held() {
        let holds = Holds::default();
        assert_eq!(holds.close(&link("w"), "l"), None);
        holds.cannot_read("1", "a", "ml");
        holds.cannot_read("2", "b", "other");
        holds.all_known();
        assert_eq!(holds.close(&link("w"), "l"), names(&["a"]), "it may hold any of its namespace");
        holds.open(&link("w"));
        assert!(holds.hold("3", "c", &link("w")));
    }
}
