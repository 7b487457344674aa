//! What other links want, as a plan sees it.

use super::want::Want;
use crate::aws::scope::Scope;
use std::collections::{BTreeMap, BTreeSet};

/// What all other live links want, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Who wants what, of the links that said so.
    pub wanted: BTreeMap<Want, String>,
    /// Links that can be neither observed nor asked: in their accounts and regions they want everything.
    pub everything: Vec<Holder>,
    /// Links that have not been looked at since this process started.
    pub not_yet: Vec<Holder>,
}

/// A link and where it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Namespace and name.
    pub link: String,
    /// Its accounts and regions; empty where the object cannot be read, and might live anywhere.
    pub scopes: BTreeSet<Scope>,
}

impl Holder {
    /// Whether the link lives, or may live, where this thing is.
    #[must_use]
    pub fn lives_with(&self, want: &Want) -> bool {
        self.scopes.is_empty() || want.scopes().iter().any(|scope| self.scopes.contains(*scope))
    }

    /// Whether the link could remove this thing itself, when it needs it no more: it lives at all of its ends.
    fn could_remove(&self, want: &Want) -> bool {
        want.scopes().iter().all(|scope| self.scopes.contains(*scope))
    }
}

/// Whether something may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Nobody else wants it.
    Free,
    /// This link wants it, or may.
    Wanted(&'a str),
    /// Not to be said before this link has been looked at.
    Undecided(&'a str),
}

impl Others {
    /// Whether anybody else wants `want`.
    #[must_use]
    pub fn verdict(&self, want: &Want) -> Verdict<'_> {
        let lives_there = |holder: &&Holder| holder.lives_with(want);
        if let Some(link) = self.wanted.get(want) {
            return Verdict::Wanted(link);
        }
        if let Some(holder) = self.everything.iter().find(|holder| holder.could_remove(want)) {
            return Verdict::Wanted(&holder.link);
        }
        // not to be left to a link that could not remove it later
        match self.everything.iter().chain(&self.not_yet).find(lives_there) {
            Some(holder) => Verdict::Undecided(&holder.link),
            None => Verdict::Free,
        }
    }
}
