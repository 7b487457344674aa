//! How fresh what a loop reads must be.

use super::memory::Memory;
use super::status::reconcile_requested_at;
use crate::api::CrossAccountRedshiftLink;
use crate::aws::error::Service;
use crate::aws::moment::{Freshness, Moment};
use crate::aws::read::Read;
use std::collections::BTreeMap;
use std::time::Duration;

/// A listing may be so much older than the loop that uses it.
const LISTING_AGE: Duration = Duration::from_secs(5);

/// How old reads may be: younger than our last effect on the same service, and, for what links share, younger than
/// our own wants.
pub(super) struct Since {
    ended: BTreeMap<Service, Moment>,
    asked: Moment,
    shared: Moment,
}

impl Since {
    /// For one loop over a link, from what is remembered of the loops before.
    pub fn new(link: &CrossAccountRedshiftLink, memory: &Memory) -> Self {
        let asked = reconcile_requested_at(link);
        let handled = link.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
        // who asks for a look means a look
        let asked = if asked.as_ref() == handled { Moment::default() } else { Moment::now() };
        Self { ended: memory.ended.clone(), asked, shared: memory.wants_since.unwrap_or_default() }
    }

    /// How fresh the answer to this read must be.
    pub fn of(&self, read: &Read) -> Freshness {
        let own = self.ended.get(&read.service()).copied().unwrap_or_default();
        let shared = if is_shared(read) { self.shared } else { Moment::default() };
        Freshness { after: own.max(shared).max(self.asked), age: LISTING_AGE }
    }

    /// Nothing that was read before now will do.
    pub fn ask_anew(&mut self) {
        self.asked = Moment::now();
    }

    /// Shared things must be read after this; true where they may have been read before.
    pub fn shared_after(&mut self, free: Moment) -> bool {
        std::mem::replace(&mut self.shared, free) != free
    }
}

const fn is_shared(read: &Read) -> bool {
    matches!(
        read,
        Read::TablesOfVpc(..)
            | Read::TablesThrough(..)
            | Read::RulesOfGroup(..)
            | Read::MarkedRules(..)
            | Read::Peerings(..)
    )
}
