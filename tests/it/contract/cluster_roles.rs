//! Roles that a cluster may take on: single ones, each added or removed in its time
//! (docs/aws-behaviour.md#roles-of-a-cluster).

use super::scene::Scene;
use redshift_link::aws::effect::Effect;
use redshift_link::aws::error::Class;
use redshift_link::aws::read::Read;
use std::collections::BTreeMap;

const CLUSTER: &str = "warehouse";

impl Scene {
    /// The ARN of a role of ours; its name need not be taken.
    fn cluster_role(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/redshift-link/test/{name}", self.accounts.producer.at().account)
    }

    fn adds(&self, cluster: &str, name: &str) -> Effect {
        let at = self.accounts.producer.at();
        Effect::AddClusterIamRole { at, cluster: cluster.into(), role_arn: self.cluster_role(name) }
    }

    fn removes(&self, cluster: &str, name: &str) -> Effect {
        let at = self.accounts.producer.at();
        Effect::RemoveClusterIamRole { at, cluster: cluster.into(), role_arn: self.cluster_role(name) }
    }

    async fn cluster_roles(&mut self) -> BTreeMap<String, String> {
        let at = self.accounts.producer.at();
        let seen = self.sees(Read::Cluster(at.clone(), CLUSTER.into())).await;
        seen.cluster(&at, CLUSTER).expect("answered").clone().expect("there").iam_roles
    }

    async fn has(&mut self, what: &[(&str, &str)]) {
        let expected = what.iter().map(|(name, status)| (self.cluster_role(name), (*status).to_owned())).collect();
        let so = self.cluster_roles().await == expected;
        self.holds(&format!("the cluster has {what:?}"), so);
    }

    async fn time_for_a_change(&self) {
        let time = self.accounts.people.let_time_change_roles().await;
        tokio::time::sleep(time).await;
    }
}

pub async fn a_role_is_added_and_removed_in_its_time(s: &mut Scene) {
    s.has(&[]).await;
    s.does(s.adds(CLUSTER, "first")).await;
    s.has(&[("first", "adding")]).await;
    s.time_for_a_change().await;
    s.has(&[("first", "in-sync")]).await;
    s.does(s.adds(CLUSTER, "second")).await;
    s.time_for_a_change().await;
    s.does(s.removes(CLUSTER, "first")).await;
    s.time_for_a_change().await;
    s.has(&[("second", "in-sync")]).await;
    // again: nothing is to be done
    s.does(s.removes(CLUSTER, "first")).await;
    s.does(s.adds(CLUSTER, "second")).await;
    s.has(&[("second", "in-sync")]).await;
}

pub async fn one_change_waits_for_the_other(s: &mut Scene) {
    s.does(s.adds(CLUSTER, "first")).await;
    s.refused("InvalidClusterState", Class::Transient, s.adds(CLUSTER, "second")).await;
    s.time_for_a_change().await;
    s.does(s.adds(CLUSTER, "second")).await;
}

pub async fn a_cluster_that_is_not_available_takes_no_change(s: &mut Scene) {
    s.accounts.people.set_cluster_status(&s.accounts.producer, CLUSTER, "paused").await;
    s.refused("InvalidClusterState", Class::Transient, s.adds(CLUSTER, "first")).await;
    s.accounts.people.set_cluster_status(&s.accounts.producer, CLUSTER, "available").await;
    s.does(s.adds(CLUSTER, "first")).await;
}

pub async fn a_cluster_that_is_not_there_is_not_found(s: &mut Scene) {
    s.refused("ClusterNotFound", Class::Stale, s.adds("absent", "first")).await;
    s.refused("ClusterNotFound", Class::Stale, s.removes("absent", "first")).await;
}
