//! The roles that clusters may take on: each change takes a while, and there is one at a time.

use super::State;
use super::effects::No;
use redshift_link::aws::model::Cluster;
use redshift_link::aws::scope::Scope;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a change takes.
pub const CHANGING: Duration = Duration::from_secs(20);

/// By cluster and ARN: until when it is added or removed.
pub(super) type ClusterRoles = BTreeMap<(Scope, String, String), Change>;

#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    adds: bool,
    done: Instant,
}

impl State {
    /// A cluster as it is now.
    pub fn cluster_now(&self, at: &Scope, name: &str) -> Option<Cluster> {
        let mut cluster = self.clusters.get(&(at.clone(), name.to_owned()))?.clone();
        for ((_, _, arn), change) in self.cluster_roles.iter().filter(|((a, n, _), _)| a == at && n == name) {
            let status = match (Instant::now() >= change.done, change.adds) {
                (true, true) => "in-sync",
                (true, false) => continue,
                (false, true) => "adding",
                (false, false) => "removing",
            };
            cluster.iam_roles.insert(arn.clone(), status.into());
        }
        Some(cluster)
    }

    /// Somebody lets a cluster take on a role, or no longer.
    pub fn change_cluster_role(&mut self, at: &Scope, name: &str, arn: &str, adds: bool) -> Result<(), No> {
        let cluster = self.cluster_now(at, name).ok_or(("ClusterNotFound", format!("Cluster {name} not found.")))?;
        let busy = cluster.iam_roles.values().any(|status| status != "in-sync");
        if busy || !cluster.is_available() {
            return Err(("InvalidClusterState", format!("Cluster {name} is {}.", cluster.status)));
        }
        let there = cluster.iam_roles.contains_key(arn);
        if there != adds {
            let key = (at.clone(), name.to_owned(), arn.to_owned());
            self.cluster_roles.insert(key, Change { adds, done: Instant::now() + CHANGING });
        }
        Ok(())
    }
}
