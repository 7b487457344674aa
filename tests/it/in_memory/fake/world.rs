//! The standard world: a producer and a consumer with networks, a cluster and a Studio domain with two profiles.

use super::{Fake, Role, State};
use ipnet::Ipv4Net;
use redshift_link::api::{CrossAccountRedshiftLink, UnloadJob};
use redshift_link::aws::model::{
    Cluster, Destination, Direction, Domain, Key, Permit, Route, RouteTable, RulePeer, Secret, StudioUsers, Subnet,
    Target, Vpc, VpcDns,
};
use redshift_link::aws::scope::{AccountId, Scope};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub const PRODUCER: &str = "111122223333";
pub const CONSUMER: &str = "444455556666";
pub const REGION: &str = "eu-west-1";
pub const PRODUCER_VPC: &str = "vpc-0000aaaa";
pub const CONSUMER_VPC: &str = "vpc-0000cccc";
pub const CLUSTER_GROUP: &str = "sg-0000aaaa";
pub const STUDIO_GROUP: &str = "sg-0000cccc";
pub const EXECUTION_ROLE: &str = "AmazonSageMaker-ExecutionRole-domain";
pub const ALICE_ROLE: &str = "AmazonSageMaker-ExecutionRole-alice";
/// What a program of the consumer's runs as that connects to the warehouse itself.
pub const READER: &str = "arn:aws:iam::444455556666:role/extract";
pub const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:warehouse/extract-AbCdEf";
pub const SECRET_KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/k-2";
pub const SAGEMAKER_TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":["sts:AssumeRole","sts:SetSourceIdentity"]}]}"#;

/// The policy of a key that leaves it to the policies of its account.
pub const ACCOUNT_DECIDES: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"kms:*","Resource":"*"}]}"#;

/// The accounts file of tests.
pub const ACCOUNTS: &str = r#"
accounts:
- id: "111122223333"
  roleArn: arn:aws:iam::111122223333:role/redshift-link
  externalId: producer-external-id
  protectedDatabaseUsers: [etl]
  allow:
  - {namespaces: [ml], as: producer, clusters: ["*"], databaseGroups: [readers], databaseUsers: [app],
     secrets: ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:warehouse/*"]}
- id: "444455556666"
  roleArn: arn:aws:iam::444455556666:role/redshift-link
  externalId: consumer-external-id
  executionRoles: ["arn:aws:iam::444455556666:role/service-role/AmazonSageMaker-*"]
  allow:
  - {namespaces: [ml], as: consumer, domains: ["*"], vpcs: ["*"], roles: ["arn:aws:iam::444455556666:role/app-1"],
     buckets: [exports/warehouse/, elsewhere/], keys: ["arn:aws:kms:eu-west-1:444455556666:key/k-1"],
     secretReaders: ["arn:aws:iam::444455556666:role/extract", "arn:aws:iam::444455556666:role/report"]}
"#;

pub fn producer() -> Scope {
    Scope::new(PRODUCER, REGION)
}

pub fn consumer() -> Scope {
    Scope::new(CONSUMER, REGION)
}

pub fn net(cidr: &str) -> Ipv4Net {
    cidr.parse().unwrap()
}

pub fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{CONSUMER}:role/service-role/{name}")
}

impl Fake {
    /// Fills the accounts with the standard world.
    #[must_use]
    pub fn with_world(self) -> Self {
        {
            let mut state = self.state();
            state.network(&producer(), PRODUCER_VPC, "10.1.0.0/16", "a");
            state.network(&consumer(), CONSUMER_VPC, "10.2.0.0/16", "c");
            state.group(&producer(), CLUSTER_GROUP, PRODUCER_VPC);
            state.group(&consumer(), STUDIO_GROUP, CONSUMER_VPC);
            state.cluster("warehouse");
            for role in [EXECUTION_ROLE, ALICE_ROLE] {
                state.execution_role(role);
            }
            for account in [PRODUCER, CONSUMER] {
                state.role(account, "/", "redshift-link");
            }
            state.buckets.insert("exports".into(), consumer());
            for (at, arn) in [(consumer(), "arn:aws:kms:eu-west-1:444455556666:key/k-1"), (producer(), SECRET_KEY)] {
                let key = Key { arn: arn.into(), state: "Enabled".into(), symmetric: true };
                state.key_policies.insert(arn.into(), ACCOUNT_DECIDES.into());
                state.keys.insert((at, arn.into()), key);
            }
            let secret = Secret { arn: SECRET.into(), key: Some(SECRET_KEY.into()), being_deleted: false };
            state.secrets.insert((producer(), SECRET.into()), secret);
            state.role(CONSUMER, "/", "extract");
            state.domain("d-1");
        }
        self
    }
}

impl State {
    /// A VPC with three subnets: one with its own table, one on the main table, one that concerns nobody.
    pub fn network(&mut self, at: &Scope, vpc: &str, cidr: &str, letter: &str) {
        let id = |kind: &str, n: u32| format!("{kind}-0000{letter}{letter}{letter}{n}");
        let owner = at.account.0.clone();
        let key = |id: &str| (at.clone(), id.to_owned());
        self.vpcs.insert(key(vpc), Vpc { id: vpc.into(), owner: owner.clone(), cidrs: BTreeSet::from([net(cidr)]) });
        self.vpc_dns.insert(key(vpc), VpcDns { support: true, hostnames: true });
        let local = |target| Route { destination: Destination::Cidr(net(cidr)), target, blackhole: false };
        for (n, main, subnets) in
            [(1, false, vec![id("subnet", 1)]), (2, true, vec![]), (3, false, vec![id("subnet", 3)])]
        {
            let mut routes = vec![local(Target::Local)];
            if main {
                let target = Target::Other("igw-00000001".into());
                routes.push(Route { destination: Destination::Cidr(net("0.0.0.0/0")), target, blackhole: false });
            }
            let subnets = subnets.into_iter().collect();
            let table = RouteTable { id: id("rtb", n), vpc: vpc.into(), owner: owner.clone(), main, subnets, routes };
            self.tables.insert(key(&table.id.clone()), table);
            let subnet = Subnet { id: id("subnet", n), vpc: vpc.into(), owner: owner.clone() };
            self.subnets.insert(key(&subnet.id.clone()), subnet);
        }
    }

    /// A security group that lets everything out.
    pub fn group(&mut self, at: &Scope, id: &str, vpc: &str) {
        self.groups.insert((at.clone(), id.into()), vpc.into());
        let permit = Permit {
            direction: Direction::Egress,
            protocol: "-1".into(),
            ports: None,
            peer: RulePeer::Cidr(net("0.0.0.0/0")),
        };
        let rule = super::Rule { group: id.into(), permit, tags: BTreeMap::new() };
        let id = self.next_id("sgr");
        self.rules.insert((at.clone(), id), rule);
    }

    pub fn cluster(&mut self, identifier: &str) {
        let subnets = BTreeSet::from(["subnet-0000aaa1".to_owned(), "subnet-0000aaa2".to_owned()]);
        self.subnet_groups.insert((producer(), "warehouse".into()), subnets);
        let cluster = Cluster {
            identifier: identifier.into(),
            status: "available".into(),
            vpc: Some(PRODUCER_VPC.into()),
            subnet_group: Some("warehouse".into()),
            security_groups: BTreeSet::from([CLUSTER_GROUP.to_owned()]),
            port: Some(5439),
            address: Some("warehouse.example".into()),
            master_user: "admin".into(),
            public: false,
            enhanced_vpc_routing: false,
            iam_roles: BTreeMap::new(),
        };
        self.clusters.insert((producer(), identifier.into()), cluster);
    }

    pub fn execution_role(&mut self, name: &str) {
        self.role(CONSUMER, "/service-role/", name);
    }

    /// A role of others.
    pub fn role(&mut self, account: &str, path: &str, name: &str) {
        let id = self.next_id("AROA").replace('-', "").to_uppercase();
        let role = Role {
            id,
            path: path.into(),
            trust: SAGEMAKER_TRUST.into(),
            boundary: None,
            tags: BTreeMap::new(),
            inline: BTreeMap::from([("mine".into(), "{}".into())]),
            attached: BTreeSet::new(),
        };
        self.roles.insert((AccountId(account.into()), name.into()), role);
    }

    /// A Studio domain with the profiles alice, who has her own role, and bob.
    pub fn domain(&mut self, id: &str) {
        let users =
            |role: &str| StudioUsers { execution_roles: BTreeSet::from([role_arn(role)]), ..StudioUsers::default() };
        let domain = Domain {
            id: id.into(),
            status: "InService".into(),
            vpc: Some(CONSUMER_VPC.into()),
            subnets: BTreeSet::from(["subnet-0000ccc1".to_owned(), "subnet-0000ccc2".to_owned()]),
            vpc_only: true,
            passes_source_identity: true,
            defaults: StudioUsers {
                security_groups: BTreeSet::from([STUDIO_GROUP.to_owned()]),
                ..users(EXECUTION_ROLE)
            },
        };
        self.domains.insert((consumer(), id.into()), domain);
        let profiles = [("alice".to_owned(), users(ALICE_ROLE)), ("bob".to_owned(), StudioUsers::default())];
        self.profiles.insert((consumer(), id.into()), profiles.into());
    }
}

/// A link over the standard world, with changes to its spec.
pub fn link(name: &str, change: impl FnOnce(&mut Value)) -> CrossAccountRedshiftLink {
    let mut spec = json!({
        "producer": {"accountId": PRODUCER, "region": REGION, "cluster": {"identifier": "warehouse", "database": "analytics"}},
        "consumer": {"accountId": CONSUMER, "studio": {"domainId": "d-1"}},
        "access": {"databaseGroups": ["readers"]}
    });
    change(&mut spec);
    let mut link = CrossAccountRedshiftLink::new(name, serde_json::from_value(spec).expect("a good spec"));
    link.metadata.namespace = Some("ml".into());
    link.metadata.uid = Some(format!("uid-of-{name}"));
    link
}

/// A link that lets UNLOADs out.
pub fn unload_link(name: &str) -> CrossAccountRedshiftLink {
    link(name, |spec| spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/"}))
}

/// A link with all its parts.
pub fn whole_link(name: &str) -> CrossAccountRedshiftLink {
    link(name, |spec| {
        spec["unload"] =
            json!({"bucket": "exports", "prefix": "warehouse/", "secretArn": SECRET, "secretReaders": [READER]});
    })
}

/// A link of a network consumer over the same two VPCs.
pub fn network_link(name: &str) -> CrossAccountRedshiftLink {
    link(name, |spec| {
        spec["consumer"] = json!({"accountId": CONSUMER, "network": {
            "vpcId": CONSUMER_VPC, "subnetIds": ["subnet-0000ccc1"], "roleArns": [format!("arn:aws:iam::{CONSUMER}:role/app-1")]}});
        spec["access"] = json!({"databaseUsers": ["app"]});
    })
}

/// A job over a link, with changes to its spec.
pub fn job(link: &str, change: impl FnOnce(&mut Value)) -> UnloadJob {
    let mut spec = json!({
        "linkRef": {"name": link},
        "query": "SELECT id, city FROM stores",
        "output": {"path": "stores/", "csv": {}}
    });
    change(&mut spec);
    let mut job = UnloadJob::new("j", serde_json::from_value(spec).expect("a good spec"));
    job.metadata.namespace = Some("ml".into());
    job
}
