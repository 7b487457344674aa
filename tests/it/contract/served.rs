//! The accounts in the local AWS, spoken to by the SDK.

use super::accounts::{Accounts, BLOCKS, BOUNDARY, INSTALLATION, People, Side, policy_arn};
use crate::bench::local_aws::LocalAws;
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_ec2::types::{AddPrefixListEntry, AttributeBooleanValue, VpcEndpointType};
use aws_sdk_s3::types::{
    BucketVersioningStatus, CreateBucketConfiguration, DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled,
    ObjectLockRetentionMode, ObjectLockRule, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, VersioningConfiguration,
};
use aws_sdk_sagemaker::types::AppType;
use ipnet::Ipv4Net;
use redshift_link::aws::accounts::{Accounts as AccountsFile, AccountsWatch};
use redshift_link::aws::mark::Installation;
use redshift_link::aws::model::PeeringStatus;
use redshift_link::aws::permissions::{own, permissions, trust};
use redshift_link::aws::scope::{AccountId, Scope, VpcRef, parse_role_arn};
use redshift_link::aws::sdk::{Identity, Sdk, Sessions};
use redshift_link::observability::metrics::Metrics;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What the controller's roles may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Everything, so that nothing is refused for want of permission.
    Full,
    /// What the program prints for accounts that are on both sides of links.
    Printed,
}

/// The name of the controller's role in each account.
const ROLE: &str = "redshift-link";

struct Server {
    aws: Arc<LocalAws>,
    world: Value,
    producer: Administrator,
    consumer: Administrator,
}

/// By whom the people of an account act.
struct Administrator {
    ec2: aws_sdk_ec2::Client,
    iam: aws_sdk_iam::Client,
    config: SdkConfig,
}

impl Administrator {
    fn sagemaker(&self) -> aws_sdk_sagemaker::Client {
        aws_sdk_sagemaker::Client::new(&self.config)
    }
}

/// The standard world twice, with what the suite needs besides; all that was there before is gone.
pub async fn accounts(aws: &Arc<LocalAws>, power: Power) -> Accounts {
    aws.post("reset", json!({}));
    // pages of two: each listing has to be read to its end
    let settings = json!({"page_limit": 2, "peering_provisioning_seconds": 3600, "peering_deleting_seconds": 0});
    aws.post("settings", settings);
    aws.post("settings", role_changes_last(3600));
    let world = aws.post("world", json!({"pairs": 2}));
    let administrator = async |side: &str| {
        let config = aws.config(&world[side]["admin"], &text(&world[side]["region"])).await;
        let (ec2, iam) = (aws_sdk_ec2::Client::new(&config), aws_sdk_iam::Client::new(&config));
        Administrator { ec2, iam, config }
    };
    let (producer, consumer) = (administrator("producer").await, administrator("consumer").await);
    let platform = administrator("platform").await.iam;
    let server = Server { aws: aws.clone(), world, producer, consumer };
    let sdk = Arc::new(server.sdk(&platform, power).await);
    let producer = server.side("producer", 0).await;
    let consumer = server.side("consumer", 0).await;
    let elsewhere = server.side("consumer", 1).await;
    let prefix_list = server.make_prefix_list(&consumer).await;
    let of = &server.world["pairs"][0]["consumer"];
    let role_name = |arn: &Value| parse_role_arn(&text(arn)).expect("a role").name.to_owned();
    Accounts {
        reads: sdk.clone(),
        effects: sdk,
        domain: text(&of["domainId"]),
        execution_roles: [&of["executionRoleArn"], &of["profiles"]["alice"]].map(role_name),
        prefix_list,
        producer,
        consumer,
        elsewhere,
        people: Box::new(server),
    }
}

fn role_changes_last(seconds: u32) -> Value {
    json!({"cluster_role_adding_seconds": seconds, "cluster_role_removing_seconds": seconds})
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn everything() -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
}

impl Server {
    fn of(&self, account: &AccountId) -> &Administrator {
        if self.world["producer"]["account"] == account.0 { &self.producer } else { &self.consumer }
    }

    fn s3(&self, at: &Scope) -> aws_sdk_s3::Client {
        let region = aws_config::Region::new(at.region.0.clone());
        aws_sdk_s3::Client::new(&self.of(&at.account).config.clone().into_builder().region(region).build())
    }

    /// A network, with a gateway and a route to it in the main table.
    async fn side(&self, side: &str, pair: usize) -> Side {
        let (found, account) = (&self.world["pairs"][pair][side], &self.world[side]);
        let three = |kind: &str| ["own", "main", "other"].map(|which| text(&found[kind][which]));
        let at = Scope::new(text(&account["account"]), text(&account["region"]));
        let (vpc, tables) = (VpcRef { at, id: text(&found["vpcId"]) }, three("routeTables"));
        let ec2 = &self.of(&vpc.at.account).ec2;
        let made = ec2.create_internet_gateway().send().await.expect("made").internet_gateway;
        let gateway = made.and_then(|made| made.internet_gateway_id).expect("an id");
        let request = ec2.attach_internet_gateway().internet_gateway_id(&gateway).vpc_id(&vpc.id);
        request.send().await.expect("attached");
        let request = ec2.create_route().route_table_id(&tables[1]).destination_cidr_block("0.0.0.0/0");
        request.gateway_id(&gateway).send().await.expect("made");
        Side { vpc, subnets: three("subnets"), tables, group: text(&found["securityGroupId"]), gateway }
    }

    async fn make_prefix_list(&self, side: &Side) -> String {
        let ec2 = &self.of(&side.vpc.at.account).ec2;
        let entries = BLOCKS.map(|block| AddPrefixListEntry::builder().cidr(block).build());
        let request = ec2.create_managed_prefix_list().prefix_list_name("offices").address_family("IPv4");
        let made = request.max_entries(5).set_entries(Some(entries.into())).send().await.expect("made").prefix_list;
        let id = made.and_then(|made| made.prefix_list_id).expect("an id");
        let request = ec2.create_route().route_table_id(&side.tables[2]).destination_prefix_list_id(&id);
        request.gateway_id(&side.gateway).send().await.expect("made");
        id
    }

    /// The program's own adapters, over roles as a platform team makes them.
    async fn sdk(&self, platform: &aws_sdk_iam::Client, power: Power) -> Sdk {
        let (file, installation) = (self.accounts_file(), Installation::new(INSTALLATION).expect("an id"));
        let (controller, name) = (&self.world["platform"]["roleArn"], &self.world["platform"]["roleName"]);
        for account in &file.accounts {
            let iam = &self.of(&account.id).iam;
            let trust = trust(account, &text(controller)).to_string();
            iam.create_role().role_name(ROLE).assume_role_policy_document(trust).send().await.expect("made");
            let policy = match power {
                Power::Full => everything(),
                Power::Printed => permissions(account, &installation),
            };
            put_policy(iam, ROLE, &policy).await;
            let request = iam.create_policy().policy_name(BOUNDARY).policy_document(everything().to_string());
            request.send().await.expect("made");
        }
        put_policy(platform, &text(name), &own(&file.accounts)).await;
        let session = json!({"account": self.world["platform"]["account"], "role": name});
        let identity = self.aws.config(&self.aws.post("credentials", session), "eu-west-1").await;
        let (_, accounts) = watch::channel(AccountsWatch { accounts: Arc::new(file), problem: None });
        let sessions = Sessions::new(Identity::of(identity), accounts, &installation);
        Sdk::new(sessions, installation, Metrics::default())
    }

    /// Each account is on both sides of links, and gives every role the boundary.
    fn accounts_file(&self) -> AccountsFile {
        let entry = |side: &str| {
            let id = text(&self.world[side]["account"]);
            let arn = |name: &str| format!("arn:aws:iam::{id}:role/{name}");
            json!({"id": id, "roleArn": arn(ROLE), "externalId": format!("external-id-of-{id}"),
                "permissionsBoundary": policy_arn(&Scope::new(&id, ""), BOUNDARY),
                "executionRoles": [arn("service-role/AmazonSageMaker-*")],
                "allow": [{"namespaces": ["ml"], "as": "producer", "secrets": ["*"]},
                    {"namespaces": ["ml"], "as": "consumer", "buckets": ["*"], "keys": ["*"]}]})
        };
        let file = json!({"accounts": [entry("producer"), entry("consumer")]});
        AccountsFile::parse(&file.to_string()).expect("a good file")
    }
}

async fn put_policy(iam: &aws_sdk_iam::Client, role: &str, document: &Value) {
    let request = iam.put_role_policy().role_name(role).policy_name("all").policy_document(document.to_string());
    request.send().await.expect("put");
}

#[async_trait]
impl People for Server {
    async fn finish_provisioning(&self, peering: &str) {
        self.aws.post(&format!("peering/{peering}"), json!({"status": "active"}));
    }

    async fn let_time_provision(&self) -> Duration {
        self.aws.post("settings", json!({"peering_provisioning_seconds": 0.5}));
        Duration::from_secs(1)
    }

    async fn let_time_change_roles(&self) -> Duration {
        // what is under way ends when it is looked at
        self.aws.post("settings", role_changes_last(0));
        self.aws.inventory(&text(&self.world["producer"]["account"]));
        self.aws.post("settings", role_changes_last(3600));
        Duration::ZERO
    }

    async fn set_cluster_status(&self, side: &Side, cluster: &str, status: &str) {
        let Scope { account, region } = side.at();
        let cluster = json!({"account": account.0, "region": region.0, "clusterIdentifier": cluster, "status": status});
        self.aws.post("cluster", cluster);
    }

    async fn make_bucket(&self, at: &Scope, name: &str) {
        let constraint = CreateBucketConfiguration::builder().location_constraint(at.region.0.as_str().into()).build();
        self.s3(at).create_bucket().bucket(name).create_bucket_configuration(constraint).send().await.expect("made");
    }

    async fn set_bucket_policy(&self, at: &Scope, bucket: &str, policy: &str) {
        self.s3(at).put_bucket_policy().bucket(bucket).policy(policy).send().await.expect("put");
    }

    async fn lock_objects(&self, at: &Scope, bucket: &str) {
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let request = self.s3(at).put_bucket_versioning().bucket(bucket).versioning_configuration(enabled);
        request.send().await.expect("versions");
        let retention = DefaultRetention::builder().mode(ObjectLockRetentionMode::Governance).days(30).build();
        let rule = ObjectLockRule::builder().default_retention(retention).build();
        let lock = ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled).rule(rule);
        let request = self.s3(at).put_object_lock_configuration().bucket(bucket);
        request.object_lock_configuration(lock.build()).send().await.expect("locked");
    }

    async fn make_endpoints(&self, side: &Side) {
        let ec2 = &self.of(&side.vpc.at.account).ec2;
        let service = format!("com.amazonaws.{}.s3", side.vpc.at.region);
        let request = ec2.create_vpc_endpoint().vpc_id(&side.vpc.id).service_name(&service);
        request.route_table_ids(&side.tables[0]).send().await.expect("made");
        let request = ec2.create_vpc_endpoint().vpc_id(&side.vpc.id).service_name(service);
        let request = request.vpc_endpoint_type(VpcEndpointType::Interface).subnet_ids(&side.subnets[0]);
        request.private_dns_enabled(true).send().await.expect("made");
    }

    async fn encrypt_by_default(&self, side: &Side, bucket: &str, key: Option<&str>) {
        let default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms);
        let default = default.set_kms_master_key_id(key.map(ToOwned::to_owned)).build().expect("a default");
        let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default).build();
        let rules = ServerSideEncryptionConfiguration::builder().rules(rule).build().expect("a rule");
        self.s3(&side.at())
            .put_bucket_encryption()
            .bucket(bucket)
            .server_side_encryption_configuration(rules)
            .send()
            .await
            .expect("put");
    }

    async fn begin_upload(&self, at: &Scope, bucket: &str, key: &str) -> String {
        let begun = self.s3(at).create_multipart_upload().bucket(bucket).key(key).send().await.expect("begun");
        begun.upload_id.expect("an id")
    }

    // they do what they say
    async fn let_statements_last(&self) {}

    async fn make_key(&self, side: &Side) -> String {
        let kms = aws_sdk_kms::Client::new(&self.of(&side.at().account).config);
        let made = kms.create_key().send().await.expect("made").key_metadata;
        made.and_then(|key| key.arn).expect("an ARN")
    }

    async fn make_secret(&self, at: &Scope, name: &str, key: Option<&str>) -> String {
        let secrets = aws_sdk_secretsmanager::Client::new(&self.of(&at.account).config);
        let request = secrets.create_secret().name(name).secret_string("{}").set_kms_key_id(key.map(Into::into));
        request.send().await.expect("made").arn.expect("an ARN")
    }

    async fn delete_secret(&self, at: &Scope, arn: &str) {
        let secrets = aws_sdk_secretsmanager::Client::new(&self.of(&at.account).config);
        secrets.delete_secret().secret_id(arn).send().await.expect("on its way");
    }

    async fn end_request(&self, peering: &str, status: PeeringStatus) {
        self.aws.post(&format!("peering/{peering}"), json!({"status": format!("{status:?}").to_lowercase()}));
    }

    async fn set_routes_per_table(&self, most: usize) {
        self.aws.post("settings", json!({"routes_per_table": most}));
    }

    async fn set_hostnames(&self, side: &Side, on: bool) {
        let request = self.of(&side.vpc.at.account).ec2.modify_vpc_attribute().vpc_id(&side.vpc.id);
        let value = AttributeBooleanValue::builder().value(on).build();
        request.enable_dns_hostnames(value).send().await.expect("switched");
    }

    async fn add_block(&self, side: &Side, block: Ipv4Net) {
        let request = self.of(&side.vpc.at.account).ec2.associate_vpc_cidr_block().vpc_id(&side.vpc.id);
        request.cidr_block(block.to_string()).send().await.expect("added");
    }

    async fn attach(&self, side: &Side, role: &str, on: bool) {
        let (iam, arn) = (&self.of(&side.vpc.at.account).iam, policy_arn(&side.at(), BOUNDARY));
        if on {
            iam.attach_role_policy().role_name(role).policy_arn(arn).send().await.expect("attached");
        } else {
            iam.detach_role_policy().role_name(role).policy_arn(arn).send().await.expect("detached");
        }
    }

    async fn add_profile(&self, side: &Side, domain: &str, name: &str) {
        let sagemaker = self.of(&side.vpc.at.account).sagemaker();
        sagemaker.create_user_profile().domain_id(domain).user_profile_name(name).send().await.expect("added");
    }

    async fn open_apps(&self, side: &Side, domain: &str) {
        let sagemaker = self.of(&side.vpc.at.account).sagemaker();
        for name in ["default", "closed"] {
            let request = sagemaker.create_app().domain_id(domain).user_profile_name("bob");
            request.app_type(AppType::JupyterLab).app_name(name).send().await.expect("opened");
        }
        let request = sagemaker.delete_app().domain_id(domain).user_profile_name("bob");
        request.app_type(AppType::JupyterLab).app_name("closed").send().await.expect("closed");
    }
}
