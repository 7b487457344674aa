//! The accounts in memory.

use super::accounts::{Accounts, BLOCKS, BOUNDARY, People, Side, policy_arn};
use crate::in_memory::fake::faults::Faults;
use crate::in_memory::fake::world::{
    ACCOUNT_DECIDES, ALICE_ROLE, CLUSTER_GROUP, CONSUMER_VPC, EXECUTION_ROLE, PRODUCER_VPC, STUDIO_GROUP, consumer,
    net, producer,
};
use crate::in_memory::fake::{CHANGING, Fake, PROVISIONING};
use async_trait::async_trait;
use ipnet::Ipv4Net;
use redshift_link::aws::model::{
    AWS_MANAGED, App, BucketGuards, Destination, Key, PeeringStatus, Route, Secret, StudioUsers, Target, Upload,
    VpcEndpoint,
};
use redshift_link::aws::scope::{Scope, VpcRef};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const ELSEWHERE: (&str, &str, &str) = ("vpc-0000eeee", "10.4.0.0/16", "sg-0000eeee");
const PREFIX_LIST: &str = "pl-0000cccc";
const GATEWAY: &str = "igw-00000001";
/// The policy of an endpoint that has none of its own.
const EVERYBODY: &str =
    r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;

/// The standard world, with what the suite needs besides.
pub fn accounts() -> Accounts {
    let fake = Fake::new(Faults::default()).with_world();
    let (vpc, cidr, group) = ELSEWHERE;
    {
        let mut state = fake.state();
        state.network(&consumer(), vpc, cidr, "e");
        state.group(&consumer(), group, vpc);
        for role in state.roles.values_mut() {
            role.inline = BTreeMap::from([("studio".into(), "{}".into())]);
        }
        state.managed_policies.extend([&producer(), &consumer()].map(|at| policy_arn(at, BOUNDARY)));
        state.prefix_lists.insert((consumer(), PREFIX_LIST.into()), BLOCKS.into_iter().map(net).collect());
        let others = state.tables.get_mut(&(consumer(), "rtb-0000ccc3".to_owned())).expect("a table");
        let destination = Destination::PrefixList(PREFIX_LIST.into());
        others.routes.push(Route { destination, target: Target::Other(GATEWAY.into()), blackhole: false });
    }
    Accounts {
        reads: Arc::new(fake.clone()),
        effects: Arc::new(fake.clone()),
        producer: side(producer(), PRODUCER_VPC, CLUSTER_GROUP, "a"),
        consumer: side(consumer(), CONSUMER_VPC, STUDIO_GROUP, "c"),
        elsewhere: side(consumer(), vpc, group, "e"),
        domain: "d-1".into(),
        execution_roles: [EXECUTION_ROLE, ALICE_ROLE].map(Into::into),
        prefix_list: PREFIX_LIST.into(),
        people: Box::new(fake),
    }
}

fn side(at: Scope, vpc: &str, group: &str, letter: &str) -> Side {
    let three = |kind: &str| [1, 2, 3].map(|n| format!("{kind}-0000{letter}{letter}{letter}{n}"));
    Side {
        vpc: VpcRef { at, id: vpc.into() },
        subnets: three("subnet"),
        tables: three("rtb"),
        group: group.into(),
        gateway: GATEWAY.into(),
    }
}

#[async_trait]
impl People for Fake {
    async fn finish_provisioning(&self, peering: &str) {
        self.state().peerings.get_mut(peering).expect("a connection").active_from = Some(Instant::now());
    }

    async fn let_time_provision(&self) -> Duration {
        PROVISIONING
    }

    async fn let_time_change_roles(&self) -> Duration {
        CHANGING
    }

    async fn set_cluster_status(&self, side: &Side, cluster: &str, status: &str) {
        self.state().clusters.get_mut(&(side.at(), cluster.to_owned())).expect("a cluster").status = status.into();
    }

    async fn make_bucket(&self, at: &Scope, name: &str) {
        self.state().buckets.insert(name.into(), at.clone());
    }

    async fn set_bucket_policy(&self, _: &Scope, bucket: &str, policy: &str) {
        self.state().bucket_policies.insert(bucket.into(), policy.into());
    }

    async fn lock_objects(&self, _: &Scope, bucket: &str) {
        let guards = BucketGuards { retention: Some("GOVERNANCE for 30 days".into()), mfa_delete: false };
        self.state().bucket_guards.insert(bucket.into(), guards);
    }

    async fn make_endpoints(&self, side: &Side) {
        let endpoint = |n: u32, table: Option<&String>| VpcEndpoint {
            id: format!("vpce-0000000{n}"),
            service: format!("com.amazonaws.{}.s3", side.vpc.at.region),
            available: true,
            tables: table.cloned().into_iter().collect(),
            private_dns: table.is_none(),
            policy: Some(EVERYBODY.into()),
        };
        let endpoints = vec![endpoint(1, Some(&side.tables[0])), endpoint(2, None)];
        self.state().endpoints.insert((side.at(), side.vpc.id.clone()), endpoints);
    }

    async fn encrypt_by_default(&self, _: &Side, bucket: &str, key: Option<&str>) {
        self.state().bucket_keys.insert(bucket.into(), key.unwrap_or(AWS_MANAGED).into());
    }

    async fn begin_upload(&self, _: &Scope, bucket: &str, key: &str) -> String {
        let upload = Upload { key: key.into(), id: "upload-of-the-contract".into() };
        self.state().uploads.insert((bucket.into(), upload.clone()));
        upload.id
    }

    async fn let_statements_last(&self) {
        self.state().warehouse.takes = Duration::from_secs(600);
    }

    async fn make_key(&self, side: &Side) -> String {
        let Scope { account, region } = side.at();
        let arn = format!("arn:aws:kms:{region}:{account}:key/k-2");
        let key = Key { arn: arn.clone(), state: "Enabled".into(), symmetric: true };
        let mut state = self.state();
        state.key_policies.insert(arn.clone(), ACCOUNT_DECIDES.into());
        state.keys.insert((side.at(), arn.clone()), key);
        arn
    }

    async fn make_secret(&self, at: &Scope, name: &str, key: Option<&str>) -> String {
        let arn = format!("arn:aws:secretsmanager:{}:{}:secret:{name}-AbCdEf", at.region, at.account);
        let secret = Secret { arn: arn.clone(), key: key.map(Into::into), being_deleted: false };
        self.state().secrets.insert((at.clone(), arn.clone()), secret);
        arn
    }

    async fn delete_secret(&self, at: &Scope, arn: &str) {
        self.state().secrets.get_mut(&(at.clone(), arn.to_owned())).expect("a secret").being_deleted = true;
    }

    async fn end_request(&self, peering: &str, status: PeeringStatus) {
        self.state().peerings.get_mut(peering).expect("a connection").status = status;
    }

    async fn set_routes_per_table(&self, most: usize) {
        self.state().routes_per_table = most;
    }

    async fn set_hostnames(&self, side: &Side, on: bool) {
        self.state().vpc_dns.get_mut(&(side.at(), side.vpc.id.clone())).expect("a VPC").hostnames = on;
    }

    async fn add_block(&self, side: &Side, block: Ipv4Net) {
        self.state().vpcs.get_mut(&(side.at(), side.vpc.id.clone())).expect("a VPC").cidrs.insert(block);
    }

    async fn attach(&self, side: &Side, role: &str, on: bool) {
        let (arn, mut state) = (policy_arn(&side.at(), BOUNDARY), self.state());
        let attached = &mut state.roles.get_mut(&(side.at().account, role.to_owned())).expect("a role").attached;
        let changed = if on { attached.insert(arn) } else { attached.remove(&arn) };
        assert!(changed, "{role} attached: {on}");
    }

    async fn add_profile(&self, side: &Side, domain: &str, name: &str) {
        let (key, own) = ((side.at(), domain.to_owned()), StudioUsers::default());
        self.state().profiles.get_mut(&key).expect("a domain").insert(name.into(), own);
    }

    async fn open_apps(&self, side: &Side, domain: &str) {
        let app =
            App { owner: "bob".into(), kind: "JupyterLab".into(), name: "default".into(), status: "InService".into() };
        self.state().apps.insert((side.at(), domain.to_owned()), vec![app]);
    }
}
