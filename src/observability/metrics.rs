//! Metrics, owned by a value and registered once. Labels never hold names of objects.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;

/// A call to AWS.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    account: String,
    operation: String,
    result: &'static str,
}

/// What a loop is over.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Over {
    kind: &'static str,
}

/// How a loop ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ending {
    kind: &'static str,
    result: &'static str,
}

/// How a link stands.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Standing {
    ready: &'static str,
}

/// How far a job is.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

/// How a job ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
    reason: &'static str,
}

/// An account.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InAccount {
    account: String,
}

/// All metrics. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    calls: Family<Call, Counter>,
    loops: Family<Ending, Counter>,
    loop_seconds: Family<Over, Histogram>,
    links: Family<Standing, Gauge>,
    jobs: Family<InState, Gauge>,
    jobs_ended: Family<Outcome, Counter>,
    job_seconds: Histogram,
    attempts: Counter,
    rows: Counter,
    bytes: Counter,
    orphans: Family<InAccount, Gauge>,
    accounts_file_good: Gauge,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("redshift_link");
        let (calls, loops) = (Family::default(), Family::default());
        let (links, orphans) = (Family::default(), Family::default());
        let loop_seconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.005, 2.0, 14));
        let loop_seconds = Family::new_with_constructor(loop_seconds);
        let (jobs, jobs_ended) = (Family::default(), Family::default());
        // from a second to most of a day
        let job_seconds = Histogram::new(exponential_buckets(1.0, 2.0, 17));
        let (attempts, rows, bytes) = (Counter::default(), Counter::default(), Counter::default());
        let (accounts_file_good, leader) = (Gauge::default(), Gauge::default());
        accounts_file_good.set(1);
        registry.register("aws_calls", "Calls to AWS, by account, operation and result", Family::clone(&calls));
        registry.register("reconciles", "Loops over an object, by its kind and how they ended", Family::clone(&loops));
        let how_long = "How long a loop takes, by the kind of its object";
        registry.register("reconcile_duration_seconds", how_long, Family::clone(&loop_seconds));
        registry.register("links", "Links, by the status of their condition Ready", Family::clone(&links));
        registry.register("unload_jobs", "Jobs, by their state", Family::clone(&jobs));
        registry.register("unload_jobs_ended", "Jobs that ended, by how and why", Family::clone(&jobs_ended));
        let how_long = "From the first attempt of a job to its end, complete or not";
        registry.register("unload_job_duration_seconds", how_long, job_seconds.clone());
        registry.register("unload_attempts", "Statements of jobs that were submitted", attempts.clone());
        registry.register("unload_rows", "Rows that complete jobs unloaded", rows.clone());
        registry.register("unload_bytes", "Bytes that complete jobs unloaded", bytes.clone());
        registry.register("orphans", "Things at AWS with our mark that belong to no object", Family::clone(&orphans));
        let good = "1 while the newest content of the accounts file is in force, 0 while an older one is";
        registry.register("accounts_file_good", good, accounts_file_good.clone());
        registry.register("leader", "1 while this process leads", leader.clone());
        Self {
            registry: Arc::new(registry),
            calls,
            loops,
            loop_seconds,
            links,
            jobs,
            jobs_ended,
            job_seconds,
            attempts,
            rows,
            bytes,
            orphans,
            accounts_file_good,
            leader,
        }
    }
}

impl Metrics {
    /// A call to AWS was answered, or not.
    pub fn called(&self, account: &str, operation: String, result: &'static str) {
        self.calls.get_or_create(&Call { account: account.to_owned(), operation, result }).inc();
    }

    /// A loop over an object of this kind ended.
    pub fn looped(&self, kind: &'static str, took: Duration, result: &'static str) {
        self.loop_seconds.get_or_create(&Over { kind }).observe(took.as_secs_f64());
        self.loops.get_or_create(&Ending { kind, result }).inc();
    }

    /// So many links have a condition Ready with this status.
    pub fn set_links(&self, ready: &'static str, count: usize) {
        self.links.get_or_create_owned(&Standing { ready }).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// So many jobs are in this state.
    pub fn set_jobs(&self, state: &'static str, count: usize) {
        self.jobs.get_or_create_owned(&InState { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A statement of a job was submitted.
    pub fn submitted(&self) {
        self.attempts.inc();
    }

    /// A job ended, so long after it began, if it ever did.
    pub fn job_ended(&self, outcome: &'static str, reason: &'static str, took: Option<Duration>) {
        self.jobs_ended.get_or_create(&Outcome { outcome, reason }).inc();
        if let Some(took) = took {
            self.job_seconds.observe(took.as_secs_f64());
        }
    }

    /// A complete job unloaded so much.
    pub fn unloaded(&self, rows: u64, bytes: u64) {
        self.rows.inc_by(rows);
        self.bytes.inc_by(bytes);
    }

    /// So much in an account belongs to no object.
    pub fn set_orphans(&self, account: &str, count: usize) {
        let gauge = self.orphans.get_or_create_owned(&InAccount { account: account.to_owned() });
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether the newest accounts file is in force.
    pub fn set_accounts_file_good(&self, good: bool) {
        self.accounts_file_good.set(good.into());
    }

    /// Whether this process leads.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// Formatting failed.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}
