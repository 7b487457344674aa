//! The two accounts that the suite speaks to: the ports, the ids of what is there, and their people.

use async_trait::async_trait;
use ipnet::Ipv4Net;
use redshift_link::aws::effect::Execute;
use redshift_link::aws::model::PeeringStatus;
use redshift_link::aws::read::Reads;
use redshift_link::aws::scope::{Scope, VpcRef};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The id of the program's installation.
pub const INSTALLATION: &str = "test";
/// A managed policy that both accounts have.
pub const BOUNDARY: &str = "boundary";
/// The blocks of a prefix list.
pub const BLOCKS: [&str; 3] = ["10.80.0.0/16", "10.81.0.0/16", "10.82.0.0/16"];

/// Both accounts.
pub struct Accounts {
    pub reads: Arc<dyn Reads>,
    pub effects: Arc<dyn Execute>,
    /// The warehouse's network.
    pub producer: Side,
    /// Studio's network.
    pub consumer: Side,
    /// Another network of the consumer's account.
    pub elsewhere: Side,
    /// A Studio domain with the profiles alice and bob.
    pub domain: String,
    /// Names of the domain's execution role and of alice's.
    pub execution_roles: [String; 2],
    /// A prefix list of the consumer's account, to which its table of others has a route.
    pub prefix_list: String,
    pub people: Box<dyn People>,
}

/// One network in one account. Its main table has a default route.
pub struct Side {
    pub vpc: VpcRef,
    /// With a table of its own, on the main table, and one of others.
    pub subnets: [String; 3],
    /// The first subnet's, the main one, and the third subnet's.
    pub tables: [String; 3],
    pub group: String,
    pub gateway: String,
}

impl Side {
    pub fn at(&self) -> Scope {
        self.vpc.at.clone()
    }
}

/// What no effect does: what the people of the accounts do, and time.
#[async_trait]
pub trait People: Send + Sync {
    /// A connection that was accepted becomes active.
    async fn finish_provisioning(&self, peering: &str);

    /// From now on accepted connections become active by themselves, within this time.
    async fn let_time_provision(&self) -> Duration;

    /// A change of a cluster's roles is over after this time; with longer times they are under way until then.
    async fn let_time_change_roles(&self) -> Duration;

    /// A cluster is paused, resumed, ...
    async fn set_cluster_status(&self, side: &Side, cluster: &str, status: &str);

    /// Makes a bucket.
    async fn make_bucket(&self, at: &Scope, name: &str);

    /// Sets the policy of a bucket.
    async fn set_bucket_policy(&self, at: &Scope, bucket: &str, policy: &str);

    /// From now on a bucket locks each new object for 30 days, in governance mode.
    async fn lock_objects(&self, at: &Scope, bucket: &str);

    /// Makes an endpoint for S3 in the first table of a network, and one with addresses in its first subnet.
    async fn make_endpoints(&self, side: &Side);

    /// A bucket of the account of a network encrypts by default with this KMS key; without one with AWS's own.
    async fn encrypt_by_default(&self, side: &Side, bucket: &str, key: Option<&str>);

    /// Begins an upload in parts: its id.
    async fn begin_upload(&self, at: &Scope, bucket: &str, key: &str) -> String;

    /// From now on statements run for a while.
    async fn let_statements_last(&self);

    /// Makes a symmetric key in the account of a network: its ARN.
    async fn make_key(&self, side: &Side) -> String;

    /// Makes a secret, encrypted by this key or by AWS's own: its ARN.
    async fn make_secret(&self, at: &Scope, name: &str, key: Option<&str>) -> String;

    /// Schedules a secret for deletion.
    async fn delete_secret(&self, at: &Scope, arn: &str);

    /// A request ends as `Rejected` or `Expired`.
    async fn end_request(&self, peering: &str, status: PeeringStatus);

    /// Sets how many routes a table may have.
    async fn set_routes_per_table(&self, most: usize);

    /// Switches the DNS host names of a network.
    async fn set_hostnames(&self, side: &Side, on: bool);

    /// Gives a network one more block.
    async fn add_block(&self, side: &Side, block: Ipv4Net);

    /// Attaches the managed policy to a role in the account of a network, or detaches it.
    async fn attach(&self, side: &Side, role: &str, on: bool);

    /// A user profile without a role of its own is added to a domain.
    async fn add_profile(&self, side: &Side, domain: &str, name: &str);

    /// Bob opens an app, and another that he closes again.
    async fn open_apps(&self, side: &Side, domain: &str);
}

/// The ARN of a managed policy.
pub fn policy_arn(at: &Scope, name: &str) -> String {
    format!("arn:aws:iam::{}:policy/{name}", at.account)
}

impl Accounts {
    /// Words for the ids that differ from one run to the next.
    pub fn names(&self) -> BTreeMap<String, String> {
        let mut names = BTreeMap::from([
            (format!("{:?}", self.producer.at()), "<producer>".to_owned()),
            (format!("{:?}", self.consumer.at()), "<consumer>".to_owned()),
            (self.domain.clone(), "<domain>".to_owned()),
            (self.execution_roles[0].clone(), "<domain's role>".to_owned()),
            (self.execution_roles[1].clone(), "<alice's role>".to_owned()),
            (self.prefix_list.clone(), "<prefix list>".to_owned()),
        ]);
        for (word, side) in [("producer", &self.producer), ("consumer", &self.consumer), ("elsewhere", &self.elsewhere)]
        {
            names.insert(side.vpc.id.clone(), format!("<{word} vpc>"));
            names.insert(side.group.clone(), format!("<{word} group>"));
            names.insert(side.gateway.clone(), "<gateway>".to_owned());
            for (n, which) in ["own", "main", "others'"].iter().enumerate() {
                names.insert(side.subnets[n].clone(), format!("<{word} {which} subnet>"));
                names.insert(side.tables[n].clone(), format!("<{word} {which} table>"));
            }
        }
        names
    }
}
