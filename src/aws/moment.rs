//! The order of things in this process: what began after what. Clocks are too coarse to tell.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

static LAST: AtomicU64 = AtomicU64::new(0);

/// A point in the order of events of this process. Later ones are greater, and no two are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// Now: after everything so far.
    #[must_use]
    pub fn now() -> Self {
        Self(LAST.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// Its call began after this.
    pub after: Moment,
    /// And not longer ago than this.
    pub age: Duration,
}

/// When a call began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    moment: Moment,
    at: Instant,
}

impl Began {
    pub(super) fn now() -> Self {
        Self { moment: Moment::now(), at: Instant::now() }
    }

    pub(super) fn satisfies(self, wanted: Freshness) -> bool {
        self.moment > wanted.after && self.at.elapsed() <= wanted.age
    }

    pub(super) fn is_older_than(self, age: Duration) -> bool {
        self.at.elapsed() > age
    }
}
