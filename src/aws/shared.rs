//! The reading half of the port, with listings shared among loops.

use super::moment::Freshness;
use super::read::{Answer, Lanes, Read, Reads};
use futures::future::join_all;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Answers the loops, each read by as few calls as can be (how: `lane.rs`).
pub struct SharedReads {
    source: Arc<dyn Reads>,
    lanes: Lanes,
}

impl SharedReads {
    /// Shares the reads of `source`.
    #[must_use]
    pub fn new(source: Arc<dyn Reads>) -> Self {
        Self { source, lanes: Lanes::default() }
    }

    /// Reads all of `wanted` side by side; `fresh` says for each how fresh it must be.
    pub async fn look(&self, wanted: BTreeSet<Read>, fresh: impl Fn(&Read) -> Freshness) -> Vec<Answer> {
        let answers = wanted.into_iter().map(|read| {
            let wanted = fresh(&read);
            self.lanes.answer(self.source.as_ref(), read, wanted)
        });
        join_all(answers).await
    }
}
