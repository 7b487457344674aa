//! Worlds in which a link cannot work: each with its condition, its reason and a remedy; and all heal by themselves.

use crate::in_memory::driver::Driver;
use crate::in_memory::fake::world::{
    ACCOUNTS, ALICE_ROLE, CONSUMER, CONSUMER_VPC, EXECUTION_ROLE, PRODUCER, PRODUCER_VPC, STUDIO_GROUP, consumer, link,
    net, producer, role_arn,
};
use crate::in_memory::fake::{Fake, State};
use redshift_link::aws::model::{App, Destination, PeeringStatus, Route, StudioUsers, Target, VpcDns};
use redshift_link::aws::scope::AccountId;
use std::collections::BTreeSet;

/// A world that is broken and mended again.
struct World {
    name: &'static str,
    break_it: fn(&mut State),
    mend: fn(&mut State),
    condition: &'static str,
    reads: &'static str,
    says: &'static [&'static str],
    /// Nothing may have been made in it.
    nothing_made: bool,
}

fn domain(state: &mut State) -> &mut redshift_link::aws::model::Domain {
    state.domains.get_mut(&(consumer(), "d-1".into())).unwrap()
}

fn table_route(state: &mut State, destination: Destination, target: &str) {
    let table = state.tables.get_mut(&(consumer(), "rtb-0000ccc1".into())).unwrap();
    table.routes.push(Route { destination, target: Target::Other(target.into()), blackhole: false });
}

fn drop_routes_to(state: &mut State, target: &str) {
    let table = state.tables.get_mut(&(consumer(), "rtb-0000ccc1".into())).unwrap();
    table.routes.retain(|route| route.target != Target::Other(target.into()));
}

fn all_refusals(state: &mut State) {
    state.refusals.clear();
}

const WORLDS: &[World] = &[
    World {
        name: "overlapping blocks",
        break_it: |state| {
            let vpc = state.vpcs.get_mut(&(consumer(), CONSUMER_VPC.into())).unwrap();
            vpc.cidrs.insert(net("10.1.128.0/20"));
        },
        mend: |state| {
            let vpc = state.vpcs.get_mut(&(consumer(), CONSUMER_VPC.into())).unwrap();
            vpc.cidrs.remove(&net("10.1.128.0/20"));
        },
        condition: "PeeringReady",
        reads: "False CidrOverlap",
        says: &["10.1.0.0/16", "10.1.128.0/20", "remove one of the blocks"],
        nothing_made: true,
    },
    World {
        name: "a subnet of a third account",
        break_it: |state| {
            state.subnets.get_mut(&(consumer(), "subnet-0000ccc1".into())).unwrap().owner = "777788889999".into()
        },
        mend: |state| state.subnets.get_mut(&(consumer(), "subnet-0000ccc1".into())).unwrap().owner = CONSUMER.into(),
        condition: "RoutesReady",
        reads: "False SubnetOfOtherAccount",
        says: &["subnet-0000ccc1", "777788889999"],
        nothing_made: true,
    },
    World {
        name: "a broader route",
        break_it: |state| table_route(state, Destination::Cidr(net("10.0.0.0/8")), "tgw-1"),
        mend: |state| drop_routes_to(state, "tgw-1"),
        condition: "RoutesReady",
        reads: "False PathTakenOver",
        says: &["10.0.0.0/8", "tgw-1", "rtb-0000ccc1", "takeOverRoutes"],
        nothing_made: true,
    },
    World {
        name: "a broader route by a prefix list",
        break_it: |state| {
            state.prefix_lists.insert((consumer(), "pl-1".into()), BTreeSet::from([net("10.0.0.0/12")]));
            table_route(state, Destination::PrefixList("pl-1".into()), "tgw-1");
        },
        mend: |state| drop_routes_to(state, "tgw-1"),
        condition: "RoutesReady",
        reads: "False PathTakenOver",
        says: &["pl-1", "tgw-1"],
        nothing_made: true,
    },
    World {
        name: "no execution role is left",
        break_it: |state| {
            for role in [ALICE_ROLE, EXECUTION_ROLE] {
                state.delete_role(&AccountId(CONSUMER.into()), role);
            }
        },
        mend: |state| state.execution_role(EXECUTION_ROLE),
        condition: "ConsumerPolicyReady",
        reads: "False NoExecutionRole",
        says: &[ALICE_ROLE, EXECUTION_ROLE, "gone"],
        nothing_made: true,
    },
    World {
        name: "a trust policy that would outgrow its quota",
        break_it: |state| {
            for n in 0..40 {
                let name = format!("AmazonSageMaker-ExecutionRole-{n:02}");
                state.execution_role(&name);
                let users =
                    StudioUsers { execution_roles: BTreeSet::from([role_arn(&name)]), ..StudioUsers::default() };
                state.profiles.get_mut(&(consumer(), "d-1".into())).unwrap().insert(format!("user-{n:02}"), users);
            }
        },
        mend: |state| state.trust_quota = 8192,
        condition: "ProducerRoleReady",
        reads: "False TrustPolicyTooLarge",
        says: &["42 execution roles", "2048", "quota"],
        nothing_made: true,
    },
    World {
        name: "a Unified Studio domain",
        break_it: |state| domain(state).vpc = None,
        mend: |state| domain(state).vpc = Some(CONSUMER_VPC.into()),
        condition: "ConsumerPolicyReady",
        reads: "False UnifiedStudioDomain",
        says: &["d-1", "consumer.network"],
        nothing_made: true,
    },
    World {
        name: "a domain that is not VpcOnly",
        break_it: |state| domain(state).vpc_only = false,
        mend: |state| domain(state).vpc_only = true,
        condition: "ConsumerPolicyReady",
        reads: "False DomainNotVpcOnly",
        says: &["d-1", "VpcOnly"],
        nothing_made: true,
    },
    World {
        name: "a domain that passes no identity",
        break_it: |state| {
            domain(state).passes_source_identity = false;
            let app = App {
                owner: "alice".into(),
                kind: "JupyterLab".into(),
                name: "default".into(),
                status: "InService".into(),
            };
            state.apps.insert((consumer(), "d-1".into()), vec![app]);
        },
        mend: |state| domain(state).passes_source_identity = true,
        condition: "SourceIdentityReady",
        reads: "False SourceIdentityNotSet",
        says: &["aws sagemaker update-domain --domain-id d-1", "USER_PROFILE_NAME", "JupyterLab default of alice"],
        nothing_made: false,
    },
    World {
        name: "an execution role that SageMaker may give no identity",
        break_it: |state| {
            let role = state.roles.get_mut(&(AccountId(CONSUMER.into()), ALICE_ROLE.into())).unwrap();
            role.trust = role.trust.replace(",\"sts:SetSourceIdentity\"", "");
        },
        mend: |state| {
            let role = state.roles.get_mut(&(AccountId(CONSUMER.into()), ALICE_ROLE.into())).unwrap();
            role.trust = crate::in_memory::fake::world::SAGEMAKER_TRUST.into();
        },
        condition: "SourceIdentityReady",
        reads: "False ExecutionRoleTrust",
        says: &[ALICE_ROLE, "sts:SetSourceIdentity"],
        nothing_made: false,
    },
    World {
        name: "no cluster",
        break_it: |state| state.clusters.clear(),
        mend: |state| state.cluster("warehouse"),
        condition: "ProducerRoleReady",
        reads: "False ClusterNotFound",
        says: &["warehouse", "111122223333/eu-west-1"],
        nothing_made: true,
    },
    World {
        name: "a cluster that is being created",
        break_it: |state| state.clusters.get_mut(&(producer(), "warehouse".into())).unwrap().port = None,
        mend: |state| state.clusters.get_mut(&(producer(), "warehouse".into())).unwrap().port = Some(5439),
        condition: "ProducerRoleReady",
        reads: "Unknown ClusterNotReady",
        says: &["no endpoint yet"],
        nothing_made: true,
    },
    World {
        name: "no domain",
        break_it: |state| state.domains.clear(),
        mend: |state| state.domain("d-1"),
        condition: "ConsumerPolicyReady",
        reads: "False DomainNotFound",
        says: &["d-1", "444455556666/eu-west-1"],
        nothing_made: true,
    },
    World {
        name: "the producer's role cannot be assumed",
        break_it: |state| state.refuse(PRODUCER, "*", "RoleNotAssumable", "not authorized to perform: sts:AssumeRole"),
        mend: all_refusals,
        condition: "ProducerRoleReady",
        reads: "False RoleNotAssumable",
        says: &["account 111122223333", "trust policy and external id", "redshift-link iam"],
        nothing_made: true,
    },
    World {
        name: "the consumer's role leads to another account",
        break_it: |state| state.refuse(CONSUMER, "*", "WrongAccount", "the role leads to account 999900001111"),
        mend: all_refusals,
        condition: "ConsumerPolicyReady",
        reads: "False WrongAccount",
        says: &["999900001111", "roleArn"],
        nothing_made: true,
    },
    World {
        name: "a full route table",
        break_it: |state| state.routes_per_table = 2,
        mend: |state| state.routes_per_table = 50,
        condition: "RoutesReady",
        reads: "False QuotaExceeded",
        says: &["RouteLimitExceeded", "raise the quota"],
        nothing_made: false,
    },
    World {
        name: "denied by a service control policy",
        break_it: |state| {
            let text = "not authorized to perform: ec2:CreateRoute with an explicit deny in a service control policy";
            state.refuse(CONSUMER, "CreateRoute", "UnauthorizedOperation", text);
        },
        mend: all_refusals,
        condition: "RoutesReady",
        reads: "False DeniedByOrganization",
        says: &["service control policy", "00000000-fake", "account 444455556666"],
        nothing_made: false,
    },
    World {
        name: "a missing permission",
        break_it: |state| {
            state.refuse(PRODUCER, "AuthorizeSecurityGroupIngress", "UnauthorizedOperation", "You are not authorized")
        },
        mend: all_refusals,
        condition: "FirewallReady",
        reads: "False AccessDenied",
        says: &["ec2:AuthorizeSecurityGroupIngress", "redshift-link iam"],
        nothing_made: false,
    },
    World {
        name: "throttled",
        break_it: |state| state.refuse(PRODUCER, "CreateRole", "Throttling", "Rate exceeded"),
        mend: all_refusals,
        condition: "ProducerRoleReady",
        reads: "Unknown Throttled",
        says: &["tried again"],
        nothing_made: false,
    },
    World {
        name: "a read that fails",
        break_it: |state| state.refuse(CONSUMER, "DescribeDomain", "InternalFailure", "an internal error"),
        mend: all_refusals,
        condition: "ConsumerPolicyReady",
        reads: "Unknown Retrying",
        says: &["sagemaker:DescribeDomain"],
        nothing_made: true,
    },
    World {
        name: "no DNS hostnames, and a public cluster",
        break_it: |state| {
            state.clusters.get_mut(&(producer(), "warehouse".into())).unwrap().public = true;
            let dns = VpcDns { support: true, hostnames: false };
            state.vpc_dns.insert((producer(), PRODUCER_VPC.into()), dns);
        },
        mend: |state| {
            let dns = VpcDns { support: true, hostnames: true };
            state.vpc_dns.insert((producer(), PRODUCER_VPC.into()), dns);
        },
        condition: "PeeringReady",
        reads: "False DnsHostnamesDisabled",
        says: &["aws ec2 modify-vpc-attribute", "--enable-dns-hostnames", PRODUCER_VPC],
        nothing_made: false,
    },
];

#[tokio::test(start_paused = true)]
async fn each_has_its_reason_and_remedy_and_heals_by_itself() {
    for world in WORLDS {
        let mut driver = Driver::new();
        (world.break_it)(&mut driver.aws.state());
        driver.apply(link("a", |_| {}));
        driver.settle().await;
        let message = driver.message("a", world.condition);
        assert_eq!(driver.condition("a", world.condition), world.reads, "{}: {message}", world.name);
        for says in world.says {
            assert!(message.contains(says), "{}: {says:?} is missing in: {message}", world.name);
        }
        let human = world.reads.starts_with("False");
        assert_eq!(driver.ready("a"), world.reads, "{}", world.name);
        assert_eq!(!driver.condition("a", "Stalled").is_empty(), human, "{}", world.name);
        assert_eq!(!driver.condition("a", "Reconciling").is_empty(), !human, "{}", world.name);
        if world.nothing_made {
            assert_eq!(driver.aws.state().executed, [], "{}", world.name);
        }
        (world.mend)(&mut driver.aws.state());
        driver.pass(crate::in_memory::driver::INTERVAL).await;
        driver.settle().await;
        assert_eq!(driver.ready("a"), "True InPlace", "{}: {}", world.name, driver.message("a", "Ready"));
        assert_eq!(driver.condition("a", "Stalled"), "", "{}", world.name);
    }
}

/// A standing refusal is written once: no status that moves by itself, no hot loop.
#[tokio::test(start_paused = true)]
async fn what_stays_wrong_is_not_written_again_and_again() {
    for world in WORLDS {
        let mut driver = Driver::new();
        (world.break_it)(&mut driver.aws.state());
        driver.apply(link("a", |_| {}));
        driver.settle().await;
        driver.pass(crate::in_memory::driver::INTERVAL).await;
        let (version, loops) = (driver.kubernetes.get("a").unwrap().metadata.resource_version, driver.loops);
        driver.pass(crate::in_memory::driver::INTERVAL).await;
        assert_eq!(driver.kubernetes.get("a").unwrap().metadata.resource_version, version, "{}", world.name);
        assert!(driver.loops - loops < 12, "{}: {} loops in an interval", world.name, driver.loops - loops);
    }
}

/// With the broader route knowingly taken over, the link goes on.
#[tokio::test(start_paused = true)]
async fn a_route_may_be_taken_over_knowingly() {
    let mut driver = Driver::new();
    table_route(&mut driver.aws.state(), Destination::Cidr(net("10.0.0.0/8")), "tgw-1");
    driver.apply(link("a", |spec| spec["peering"] = serde_json::json!({"takeOverRoutes": true})));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "False NotAllowed", "the platform has a say in it");
    driver.set_accounts(&ACCOUNTS.replace("namespaces: [ml],", "namespaces: [ml], takeOverRoutes: true,"));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
}

/// A private cluster's name resolves to its private address from anywhere: only who insists on the option waits for it.
#[tokio::test(start_paused = true)]
async fn a_private_cluster_goes_without_the_dns_option_where_it_cannot_be_had() {
    let mut driver = Driver::new();
    driver.aws.state().vpc_dns.insert((consumer(), CONSUMER_VPC.into()), VpcDns { support: true, hostnames: false });
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
    assert!(
        driver.message("a", "PeeringReady").contains("does not need it"),
        "{}",
        driver.message("a", "PeeringReady")
    );
    driver.apply(link("a", |spec| spec["peering"] = serde_json::json!({"dnsResolution": true})));
    driver.settle().await;
    assert_eq!(driver.condition("a", "PeeringReady"), "False DnsHostnamesDisabled");
    assert!(driver.message("a", "PeeringReady").contains(CONSUMER_VPC));
}

/// A security group that a profile names and that is gone holds up nobody; with none left the whole VPC is not let in.
#[tokio::test(start_paused = true)]
async fn a_security_group_that_is_gone_is_left_out_and_named() {
    let mut driver = Driver::new();
    let key = (consumer(), "d-1".to_owned());
    let users = StudioUsers { security_groups: BTreeSet::from(["sg-0000dead".into()]), ..StudioUsers::default() };
    driver.aws.state().profiles.get_mut(&key).unwrap().insert("carol".into(), users);
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
    assert!(driver.message("a", "ConsumerPolicyReady").contains("sg-0000dead"));
    driver.aws.state().groups.remove(&(consumer(), STUDIO_GROUP.into()));
    driver.look_now();
    driver.settle().await;
    assert_eq!(driver.condition("a", "FirewallReady"), "False SecurityGroupNotFound");
}

/// Profiles whose names cannot be those of database users are named; the others get in.
#[tokio::test(start_paused = true)]
async fn profiles_that_cannot_be_database_users_are_named() {
    let mut driver = Driver::new();
    let profiles = (consumer(), "d-1".to_owned());
    driver.aws.state().profiles.get_mut(&profiles).unwrap().insert("1-carol".into(), StudioUsers::default());
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
    assert!(driver.message("a", "SourceIdentityReady").contains("1-carol"));
}

/// A request that was rejected is made again after a while, not at once.
#[tokio::test(start_paused = true)]
async fn a_rejected_request_is_not_repeated_at_once() {
    let mut driver = Driver::new();
    driver.aws.state().refuse(PRODUCER, "AcceptVpcPeeringConnection", "UnauthorizedOperation", "no");
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    assert_eq!(driver.condition("a", "PeeringReady"), "False AccessDenied");
    let requests = |aws: &Fake| aws.state().peerings.len();
    for peering in driver.aws.state().peerings.values_mut() {
        peering.status = PeeringStatus::Rejected;
    }
    all_refusals(&mut driver.aws.state());
    driver.look_now();
    driver.settle().await;
    assert_eq!(driver.condition("a", "PeeringReady"), "False PeeringRejected");
    assert_eq!(requests(&driver.aws), 1);
    driver.pass(crate::in_memory::driver::INTERVAL * 2).await;
    assert_eq!((driver.ready("a").as_str(), requests(&driver.aws)), ("True InPlace", 2));
}

/// Reads that fail for a while do not make a working link look broken; for long, they do.
#[tokio::test(start_paused = true)]
async fn a_ready_link_stays_ready_for_three_intervals_of_failing_reads() {
    let mut driver = Driver::new();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    driver.aws.state().refuse(CONSUMER, "DescribeDomain", "InternalFailure", "an internal error");
    driver.pass(crate::in_memory::driver::INTERVAL * 2).await;
    assert_eq!(driver.ready("a"), "True InPlace");
    assert_eq!(driver.condition("a", "ConsumerPolicyReady"), "Unknown Retrying");
    driver.pass(crate::in_memory::driver::INTERVAL * 3).await;
    assert_eq!(driver.ready("a"), "Unknown Retrying");
    all_refusals(&mut driver.aws.state());
    driver.pass(crate::in_memory::driver::INTERVAL).await;
    assert_eq!(driver.ready("a"), "True InPlace");
}

/// An execution role that is gone is left out and named; the others get in.
#[tokio::test(start_paused = true)]
async fn a_role_that_is_gone_is_left_out_and_named() {
    let mut driver = Driver::new();
    driver.aws.state().delete_role(&AccountId(CONSUMER.into()), ALICE_ROLE);
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
    let message = driver.message("a", "ConsumerPolicyReady");
    assert!(message.contains(&format!("{ALICE_ROLE} is gone")), "{message}");
}
