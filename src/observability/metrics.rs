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

/// How a loop ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ending {
    result: &'static str,
}

/// How a link stands.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Standing {
    ready: &'static str,
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
    loop_seconds: Histogram,
    links: Family<Standing, Gauge>,
    orphans: Family<InAccount, Gauge>,
    accounts_file_good: Gauge,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("redshift_link");
        let (calls, loops) = (Family::default(), Family::default());
        let (links, orphans) = (Family::default(), Family::default());
        let loop_seconds = Histogram::new(exponential_buckets(0.005, 2.0, 14));
        let (accounts_file_good, leader) = (Gauge::default(), Gauge::default());
        accounts_file_good.set(1);
        registry.register("aws_calls", "Calls to AWS, by account, operation and result", Family::clone(&calls));
        registry.register("reconciles", "Loops over an object, by how they ended", Family::clone(&loops));
        registry.register("reconcile_duration_seconds", "How long a loop takes", loop_seconds.clone());
        registry.register("links", "Links, by the status of their condition Ready", Family::clone(&links));
        registry.register("orphans", "Things at AWS with our mark that belong to no object", Family::clone(&orphans));
        let good = "1 while the newest content of the accounts file is in force, 0 while an older one is";
        registry.register("accounts_file_good", good, accounts_file_good.clone());
        registry.register("leader", "1 while this process leads", leader.clone());
        Self { registry: Arc::new(registry), calls, loops, loop_seconds, links, orphans, accounts_file_good, leader }
    }
}

impl Metrics {
    /// A call to AWS was answered, or not.
    pub fn called(&self, account: &str, operation: String, result: &'static str) {
        self.calls.get_or_create(&Call { account: account.to_owned(), operation, result }).inc();
    }

    /// A loop ended.
    pub fn looped(&self, took: Duration, result: &'static str) {
        self.loop_seconds.observe(took.as_secs_f64());
        self.loops.get_or_create(&Ending { result }).inc();
    }

    /// So many links have a condition Ready with this status.
    pub fn set_links(&self, ready: &'static str, count: usize) {
        self.links.get_or_create_owned(&Standing { ready }).set(i64::try_from(count).unwrap_or(i64::MAX));
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
