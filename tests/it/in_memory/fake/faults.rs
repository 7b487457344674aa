//! Faults at the k-th write, of AWS and of Kubernetes alike: the writes of one process are counted together.

use redshift_link::aws::effect::Effect;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// What goes wrong at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process ends before the call.
    StopBefore,
    /// The process ends after the call was executed, before its answer.
    StopAfter,
    /// Not executed; the answer says so.
    FailsBefore,
    /// Executed; no answer.
    LostAnswer,
    /// Executed; the answer says that it failed.
    FailsAfter,
    /// No answer; executed so much later.
    Late(Duration),
}

/// A write that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Aws(Effect),
    Kubernetes(&'static str),
}

#[derive(Clone, Default)]
pub struct Faults {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    plan: Mutex<Plan>,
    stopped: Notify,
}

#[derive(Default)]
struct Plan {
    tried: Vec<Write>,
    at: Vec<(usize, Fault)>,
}

impl Faults {
    /// The fault strikes at the write with this number, counted from 0 from now on.
    pub fn strike(&self, number: usize, fault: Fault) {
        let mut plan = self.inner.plan.lock().unwrap();
        let tried = plan.tried.len();
        plan.at.push((tried + number, fault));
    }

    /// True once every fault struck.
    pub fn has_struck(&self) -> bool {
        self.inner.plan.lock().unwrap().at.is_empty()
    }

    /// All writes that were tried.
    pub fn tried(&self) -> Vec<Write> {
        self.inner.plan.lock().unwrap().tried.clone()
    }

    /// Notes a write; gives the fault that strikes it.
    pub fn next(&self, write: &Write) -> Option<Fault> {
        let mut plan = self.inner.plan.lock().unwrap();
        let number = plan.tried.len();
        plan.tried.push(write.clone());
        let due = plan.at.iter().position(|(at, _)| *at == number)?;
        Some(plan.at.swap_remove(due).1)
    }

    /// The process ends here: whoever waits on [`Faults::stopped`] drops it.
    pub async fn stop<T>(&self) -> T {
        self.inner.stopped.notify_one();
        std::future::pending().await
    }

    /// Ends when the process has been stopped.
    pub async fn stopped(&self) {
        self.inner.stopped.notified().await;
    }
}
