//! An in-memory pair of AWS accounts behind the same port as the real ones, with faults and a record of every write.
//!
//! It is believed because it is checked: `contract` asks the same of it and of the local AWS.

pub mod buckets;
mod cluster_roles;
mod effects;
pub mod faults;
pub mod inventory;
pub mod kubernetes;
mod reads;
mod roles;
pub mod warehouse;
pub mod world;

pub use cluster_roles::CHANGING;
use faults::Faults;
use ipnet::Ipv4Net;
use redshift_link::aws::effect::Effect;
use redshift_link::aws::error::{AwsError, Operation, classify};
use redshift_link::aws::model::{
    App, BucketGuards, Cluster, Destination, Domain, Key, PeeringStatus, Permit, RouteTable, Secret, Statement,
    StudioUsers, Subnet, Tags, Target, Upload, Vpc, VpcDns, VpcEndpoint,
};
use redshift_link::aws::scope::{AccountId, Region, Scope, VpcRef};
use redshift_link::link::want::{VpcPair, Want};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// How long a connection takes from accepted to active.
pub const PROVISIONING: Duration = Duration::from_secs(1);

/// The accounts.
#[derive(Clone)]
pub struct Fake {
    state: Arc<Mutex<State>>,
    pub faults: Faults,
}

#[derive(Default)]
pub struct State {
    serial: u32,
    pub roles: BTreeMap<(AccountId, String), Role>,
    /// ARNs of managed policies.
    pub managed_policies: BTreeSet<String>,
    pub clusters: BTreeMap<(Scope, String), Cluster>,
    cluster_roles: cluster_roles::ClusterRoles,
    pub subnet_groups: BTreeMap<(Scope, String), BTreeSet<String>>,
    pub domains: BTreeMap<(Scope, String), Domain>,
    pub profiles: BTreeMap<(Scope, String), BTreeMap<String, StudioUsers>>,
    pub apps: BTreeMap<(Scope, String), Vec<App>>,
    pub vpcs: BTreeMap<(Scope, String), Vpc>,
    pub vpc_dns: BTreeMap<(Scope, String), VpcDns>,
    pub subnets: BTreeMap<(Scope, String), Subnet>,
    pub tables: BTreeMap<(Scope, String), RouteTable>,
    /// By VPC.
    pub endpoints: BTreeMap<(Scope, String), Vec<VpcEndpoint>>,
    pub prefix_lists: BTreeMap<(Scope, String), BTreeSet<Ipv4Net>>,
    pub groups: BTreeMap<(Scope, String), String>,
    pub rules: BTreeMap<(Scope, String), Rule>,
    pub peerings: BTreeMap<String, Peering>,
    /// The account and region of each bucket.
    pub buckets: BTreeMap<String, Scope>,
    pub bucket_policies: BTreeMap<String, String>,
    pub bucket_guards: BTreeMap<String, BucketGuards>,
    /// The KMS keys that buckets encrypt with by default.
    pub bucket_keys: BTreeMap<String, String>,
    pub keys: BTreeMap<(Scope, String), Key>,
    pub key_policies: BTreeMap<String, String>,
    pub secrets: BTreeMap<(Scope, String), Secret>,
    pub objects: buckets::Objects,
    pub uploads: BTreeSet<(String, Upload)>,
    /// Buckets keep versions.
    pub versioned: bool,
    pub warehouse: warehouse::Warehouse,
    /// Statements that are found by how names begin, besides our own.
    pub others: Vec<Statement>,
    pub trust_quota: usize,
    pub routes_per_table: usize,
    /// Refusals by account, kind of call ("read", an effect's name or "*") and code.
    pub refusals: Vec<Refusal>,
    /// Every effect that was executed.
    pub executed: Vec<Effect>,
    /// What living links want, once they have it: after each effect it must still be there.
    pub guarded: BTreeMap<String, BTreeSet<Want>>,
    /// Moments at which it was not.
    pub cuts: Vec<String>,
    /// Calls take random times, from this seed on.
    pub latency: Option<u64>,
    /// For so long new connections and policies are not seen.
    pub lag: Duration,
    seen_from: BTreeMap<String, Instant>,
    /// Options of connections are taken and never shown.
    pub deaf: bool,
    /// Every read call, by name.
    pub reads: Vec<&'static str>,
}

/// Calls of an account that are refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub account: String,
    /// Operation name such as `CreateRoute`; `*` for all.
    pub operation: &'static str,
    pub code: &'static str,
    pub message: &'static str,
}

#[derive(Clone, Debug)]
pub struct Role {
    pub id: String,
    pub path: String,
    pub trust: String,
    pub boundary: Option<String>,
    pub tags: Tags,
    pub inline: BTreeMap<String, String>,
    pub attached: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub group: String,
    pub permit: Permit,
    pub tags: Tags,
}

#[derive(Clone, Debug)]
pub struct Peering {
    pub requester: VpcRef,
    pub accepter: VpcRef,
    pub status: PeeringStatus,
    pub active_from: Option<Instant>,
    pub dns: BTreeMap<AccountId, bool>,
    pub tags: BTreeMap<AccountId, Tags>,
}

impl Peering {
    pub fn status(&self) -> PeeringStatus {
        match self.active_from {
            Some(at) if self.status == PeeringStatus::Provisioning && Instant::now() >= at => PeeringStatus::Active,
            _ => self.status,
        }
    }
}

impl State {
    /// Something new, which is seen after a while.
    fn appears(&mut self, key: String) {
        let from = Instant::now() + self.lag;
        self.seen_from.entry(key).or_insert(from);
    }

    fn is_seen(&self, key: &str) -> bool {
        self.seen_from.get(key).is_none_or(|from| Instant::now() >= *from)
    }

    fn next_id(&mut self, prefix: &str) -> String {
        self.serial += 1;
        format!("{prefix}-{:08x}", self.serial)
    }

    /// The role with this name, whatever its case and path.
    fn role_named(&self, account: &AccountId, name: &str) -> Option<(&String, &Role)> {
        let same = |n: &String| n.eq_ignore_ascii_case(name);
        self.roles.iter().find(|((a, n), _)| a == account && same(n)).map(|((_, n), role)| (n, role))
    }

    /// Notes every guarded thing that is not there.
    fn check_guards(&mut self, after: &Effect) {
        let gone = |want: &&Want| !self.has(want);
        let cuts: Vec<String> = self
            .guarded
            .iter()
            .flat_map(|(link, wants)| {
                wants.iter().filter(gone).map(move |want| format!("{link} lacks {want} after {after}"))
            })
            .collect();
        self.cuts.extend(cuts);
    }

    /// Whether what a link wants is there and carries its traffic.
    pub fn has(&self, want: &Want) -> bool {
        let active = |p: &Peering| p.status() == PeeringStatus::Active;
        match want {
            Want::Peering(pair) => {
                self.peerings.values().any(|p| active(p) && VpcPair::of(&p.requester, &p.accepter) == *pair)
            }
            Want::DnsResolution { of, to } => {
                let joins = |p: &&Peering| VpcPair::of(&p.requester, &p.accepter) == VpcPair::of(of, to);
                self.peerings.values().filter(joins).any(|p| active(p) && p.dns.get(&of.at.account) == Some(&true))
            }
            Want::Route { at, table, cidr } => {
                let routes = self.tables.get(&(at.clone(), table.clone())).into_iter().flat_map(|t| &t.routes);
                routes.into_iter().any(|r| {
                    let carries = matches!(&r.target, Target::Peering(id) if self.peerings.get(id).is_some_and(active));
                    r.destination == Destination::Cidr(*cidr) && carries
                })
            }
            Want::Rule { at, group, permit } => {
                self.rules.iter().any(|((scope, _), r)| scope == at && r.group == *group && r.permit.covers(permit))
            }
        }
    }

    pub fn refuse(&mut self, account: &str, operation: &'static str, code: &'static str, message: &'static str) {
        self.refusals.push(Refusal { account: account.into(), operation, code, message });
    }

    fn refusal(&self, account: &AccountId, operation: &str) -> Option<Refusal> {
        let fits = |r: &&Refusal| r.account == account.0 && (r.operation == "*" || r.operation == operation);
        self.refusals.iter().find(fits).cloned()
    }
}

impl Fake {
    /// Empty accounts.
    pub fn new(faults: Faults) -> Self {
        let state = State { trust_quota: 2048, routes_per_table: 50, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), faults }
    }

    /// What is there, to be looked at or changed by hand.
    pub fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap();
        state.advance();
        state
    }
}

/// The error that AWS would answer.
fn refused(
    at: (&AccountId, Option<&Region>),
    operation: Operation,
    resource: String,
    code: &str,
    message: &str,
) -> AwsError {
    AwsError {
        account: at.0.clone(),
        region: at.1.cloned(),
        operation,
        resource,
        code: code.into(),
        message: message.into(),
        request_id: Some("00000000-fake".into()),
        class: classify(operation.service, code, message),
    }
}
