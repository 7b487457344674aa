//! What is there: whole, many at once, and without what is not there.

use super::accounts::{BLOCKS, Side};
use super::scene::Scene;
use redshift_link::aws::error::Class;
use redshift_link::aws::model::{AWS_MANAGED, BucketGuards, VpcDns};
use redshift_link::aws::policy::{Statement, document, same_meaning};
use redshift_link::aws::read::{Gap, Read};
use redshift_link::aws::scope::{Region, Scope};

pub async fn a_session_knows_its_partition(s: &mut Scene) {
    for at in [s.accounts.producer.at(), s.accounts.consumer.at()] {
        let seen = s.sees(Read::Identity(at.clone(), ())).await;
        let partition = seen.identity(&at, ()).expect("answered").clone();
        s.holds("the partition", partition.is_some_and(|partition| partition.to_string() == "aws"));
    }
}

pub async fn the_warehouse(s: &mut Scene) {
    let at = s.accounts.producer.at();
    let of = |name: &str| [Read::Cluster(at.clone(), name.into()), Read::SubnetGroup(at.clone(), name.into())];
    let seen = s.sees_all([of("warehouse"), of("absent"), of("WAREHOUSE")].concat()).await;
    let cluster = seen.cluster(&at, "warehouse").expect("answered").clone().expect("there");
    s.holds("in its network", cluster.vpc == Some(s.accounts.producer.vpc.id.clone()));
    let subnets = seen.subnet_group(&at, "warehouse").expect("answered").clone().expect("there");
    s.holds("in two subnets", subnets.into_iter().eq(sorted(&s.accounts.producer.subnets[..2])));
    let absent = |name: &str| {
        seen.cluster(&at, name).expect("answered").is_none()
            && seen.subnet_group(&at, name).expect("answered").is_none()
    };
    s.holds("names are exact", absent("absent") && absent("WAREHOUSE"));
}

pub async fn a_bucket_of_the_own_account(s: &mut Scene) {
    let at = s.accounts.consumer.at();
    let names = ["exports-of-the-contract", "exports-elsewhere", "absent-in-the-contract"];
    s.accounts.people.make_bucket(&at, names[0]).await;
    let other_region = Scope { region: Region("eu-central-1".into()), ..at.clone() };
    s.accounts.people.make_bucket(&other_region, names[1]).await;
    let seen = s.sees_all(names.map(|name| Read::Bucket(at.clone(), name.into()))).await;
    let found = |name: &str| seen.bucket(&at, name).expect("answered").clone();
    s.holds("in its region", found(names[0]) == Some(at.region.clone()));
    s.holds("in another region", found(names[1]) == Some(other_region.region));
    s.holds("no such bucket", found(names[2]).is_none());
}

pub async fn what_a_bucket_refuses(s: &mut Scene) {
    let (at, name) = (s.accounts.consumer.at(), "exports-of-the-contract");
    s.accounts.people.make_bucket(&at, name).await;
    let both = [Read::BucketPolicy(at.clone(), name.into()), Read::BucketGuards(at.clone(), name.into())];
    let seen = s.sees_all(both.clone()).await;
    s.holds("no policy", seen.bucket_policy(&at, name).expect("answered").is_none());
    let guards = seen.bucket_guards(&at, name).expect("answered").clone();
    s.holds("nothing is kept", guards == BucketGuards::default());
    let role = format!("arn:aws:iam::{}:role/none", at.account);
    let denial = Statement::deny("", &["s3:PutObject"]).by("AWS", ["*".into()]).on([format!("arn:aws:s3:::{name}/*")]);
    let policy = document(&[denial.when("ArnNotEquals", "aws:PrincipalArn", [role])]);
    s.accounts.people.set_bucket_policy(&at, name, &policy).await;
    s.accounts.people.lock_objects(&at, name).await;
    let seen = s.sees_all(both).await;
    let found = seen.bucket_policy(&at, name).expect("answered").clone();
    s.holds("its policy", found.is_some_and(|found| same_meaning(&found, &policy)));
    let guards = seen.bucket_guards(&at, name).expect("answered").clone();
    s.holds("objects are locked", guards.retention.as_deref() == Some("GOVERNANCE for 30 days"));
}

pub async fn endpoints_of_a_network(s: &mut Scene) {
    let (at, vpc, table) =
        (s.accounts.producer.at(), s.accounts.producer.vpc.id.clone(), s.accounts.producer.tables[0].clone());
    let read = Read::EndpointsOfVpc(at.clone(), vpc.clone());
    let seen = s.sees(read.clone()).await;
    s.holds("none", seen.endpoints_of_vpc(&at, vpc.clone()).expect("answered").is_empty());
    s.accounts.people.make_endpoints(&s.accounts.producer).await;
    let seen = s.sees(read).await;
    let found = seen.endpoints_of_vpc(&at, vpc).expect("answered").clone();
    let so = |gateway: bool| {
        let mut of_kind = found.iter().filter(|endpoint| endpoint.private_dns != gateway && endpoint.available);
        of_kind.any(|endpoint| endpoint.tables.iter().eq(gateway.then_some(&table)))
    };
    s.holds("one of each kind", found.len() == 2 && so(true) && so(false));
}

pub async fn the_key_of_a_bucket(s: &mut Scene) {
    let (at, bucket) = (s.accounts.consumer.at(), "exports-of-the-contract");
    s.accounts.people.make_bucket(&at, bucket).await;
    let key = s.accounts.people.make_key(&s.accounts.consumer).await;
    s.name(&key, "<key>");
    for (default, read) in [(None, None), (Some(None), Some(AWS_MANAGED)), (Some(Some(&*key)), Some(&*key))] {
        if let Some(default) = default {
            s.accounts.people.encrypt_by_default(&s.accounts.consumer, bucket, default).await;
        }
        let seen = s.sees(Read::BucketKey(at.clone(), bucket.into())).await;
        s.holds("as it was set", seen.bucket_key(&at, bucket).expect("answered").as_deref() == read);
    }
}

pub async fn a_key(s: &mut Scene) {
    let at = s.accounts.consumer.at();
    let arn = s.accounts.people.make_key(&s.accounts.consumer).await;
    s.name(&arn, "<key>");
    let absent = format!("arn:aws:kms:{}:{}:key/00000000-0000-4000-8000-000000000000", at.region, at.account);
    let both = |arn: &String| [Read::Key(at.clone(), arn.clone()), Read::KeyPolicy(at.clone(), arn.clone())];
    let seen = s.sees_all([&arn, &absent].map(both).concat()).await;
    let policy = seen.key_policy(&at, arn.clone()).expect("answered").clone();
    s.holds("its policy", policy.is_some_and(|policy| policy.contains(":root")));
    let key = seen.key(&at, arn).expect("answered").clone().expect("there");
    s.holds("it can be used", key.state == "Enabled" && key.symmetric);
    s.holds("no such key", seen.key(&at, absent).expect("answered").is_none());
}

pub async fn a_secret(s: &mut Scene) {
    let at = s.accounts.producer.at();
    let key = s.accounts.people.make_key(&s.accounts.producer).await;
    let plain = s.accounts.people.make_secret(&at, "plain", None).await;
    let encrypted = s.accounts.people.make_secret(&at, "encrypted", Some(&key)).await;
    for (id, word) in [(&key, "<key>"), (&plain, "<plain>"), (&encrypted, "<encrypted>")] {
        s.name(id, word);
    }
    let absent = format!("arn:aws:secretsmanager:{}:{}:secret:absent-AbCdEf", at.region, at.account);
    let seen = s.sees_all([&plain, &encrypted, &absent].map(|arn| Read::Secret(at.clone(), arn.clone()))).await;
    let secret = |arn: &String| seen.secret(&at, arn.clone()).expect("answered").clone();
    s.holds("under AWS's key", secret(&plain).is_some_and(|secret| secret.key.is_none() && secret.arn == plain));
    s.holds("under a key of one's own", secret(&encrypted).is_some_and(|secret| secret.key == Some(key)));
    s.holds("no such secret", secret(&absent).is_none());
    s.accounts.people.delete_secret(&at, &plain).await;
    let seen = s.sees(Read::Secret(at.clone(), plain.clone())).await;
    let secret = seen.secret(&at, plain).expect("answered").clone();
    s.holds("it is there until it is deleted", secret.is_some_and(|secret| secret.being_deleted));
}

pub async fn the_studio(s: &mut Scene) {
    let (at, domain) = (s.accounts.consumer.at(), s.accounts.domain.clone());
    let of = |domain: &str| {
        let (at, domain) = (|| at.clone(), || domain.to_owned());
        [Read::Domain(at(), domain()), Read::UserProfiles(at(), domain()), Read::LiveApps(at(), domain())]
    };
    let seen = s.sees_all([of(&domain), of("d-abcdefghijkl")].concat()).await;
    let found = seen.domain(&at, domain.clone()).expect("answered").clone().expect("there");
    s.holds("in its network", found.vpc == Some(s.accounts.consumer.vpc.id.clone()));
    let users = seen.user_profiles(&at, domain.clone()).expect("answered");
    s.holds("alice has a role of her own, bob has none", users.execution_roles.len() == 1);
    s.holds("no such domain", seen.domain(&at, "d-abcdefghijkl").expect("answered").is_none());
    s.holds("no apps", seen.live_apps(&at, domain.clone()).expect("answered").is_empty());

    s.accounts.people.open_apps(&s.accounts.consumer, &domain).await;
    s.accounts.people.add_profile(&s.accounts.consumer, &domain, "1a").await;
    let seen = s.sees_all(of(&domain)).await;
    s.holds("the app that runs", seen.live_apps(&at, domain.clone()).expect("answered").len() == 1);
    let users = seen.user_profiles(&at, domain).expect("answered");
    s.holds("a name that no database user has", users.unfit.iter().eq(["1a"]));
}

pub async fn networks(s: &mut Scene) {
    for side in [&s.accounts.producer, &s.accounts.consumer, &s.accounts.elsewhere].map(everything) {
        s.sees_all(side).await;
    }
    let (at, vpc) = (s.accounts.consumer.at(), s.accounts.consumer.vpc.id.clone());
    s.accounts.people.set_hostnames(&s.accounts.consumer, false).await;
    s.accounts.people.add_block(&s.accounts.consumer, "100.64.0.0/16".parse().expect("a block")).await;
    let seen = s.sees_all([Read::VpcDns(at.clone(), vpc.clone()), Read::Vpc(at.clone(), vpc.clone())]).await;
    let dns = *seen.vpc_dns(&at, vpc.clone()).expect("answered");
    s.holds("without host names", dns == Some(VpcDns { support: true, hostnames: false }));
    let blocks = seen.vpc(&at, vpc).expect("answered").clone().expect("there").cidrs;
    s.holds("two blocks", blocks.len() == 2);
}

/// The other account's things are not there, and neither is what never was.
pub async fn what_is_not_there_is_left_out(s: &mut Scene) {
    let at = s.accounts.consumer.at();
    let id = |kind: &str| format!("{kind}-0123456789abcdef0");
    let theirs = everything(&s.accounts.producer).into_iter().map(|read| match read {
        Read::Vpc(_, id) => Read::Vpc(at.clone(), id),
        Read::VpcDns(_, id) => Read::VpcDns(at.clone(), id),
        Read::Subnet(_, id) => Read::Subnet(at.clone(), id),
        Read::SecurityGroup(_, id) => Read::SecurityGroup(at.clone(), id),
        other => unreachable!("{other:?}"),
    });
    let never = [
        Read::Vpc(at.clone(), id("vpc")),
        Read::VpcDns(at.clone(), id("vpc")),
        Read::Subnet(at.clone(), id("subnet")),
        Read::SecurityGroup(at.clone(), id("sg")),
    ];
    let seen = s.sees_all(theirs.chain(never)).await;
    let (vpc, group) = (&s.accounts.producer.vpc.id, &s.accounts.producer.group);
    let none = seen.vpc(&at, vpc).expect("answered").is_none()
        && seen.vpc_dns(&at, vpc).expect("answered").is_none()
        && seen.subnet(&at, &s.accounts.producer.subnets[0]).expect("answered").is_none()
        && seen.security_group(&at, group).expect("answered").is_none();
    s.holds("none of them", none);
}

/// A route names it, so that it is somewhere: what cannot be looked into must not count as empty.
pub async fn a_prefix_list_that_is_not_seen_is_refused(s: &mut Scene) {
    let (at, known, unknown) = (s.accounts.consumer.at(), s.accounts.prefix_list.clone(), "pl-0123456789abcdef0");
    let seen = s.sees(Read::PrefixList(at.clone(), known.clone())).await;
    s.holds("all its blocks", seen.prefix_list(&at, known).expect("answered").len() == BLOCKS.len());
    let seen = s.sees(Read::PrefixList(at.clone(), unknown.into())).await;
    let refused = match seen.prefix_list(&at, unknown) {
        Err(Gap::Refused(error)) => (error.code == "InvalidPrefixListID.NotFound") && error.class == Class::Stale,
        _ => false,
    };
    s.holds("refused", refused);
}

/// More than fit one call.
pub async fn many_are_read_at_once(s: &mut Scene) {
    let at = s.accounts.consumer.at();
    let many = |at: &Scope| (0..450).map(|n| Read::Subnet(at.clone(), format!("subnet-{n:017x}"))).collect::<Vec<_>>();
    let known = s.accounts.consumer.subnets.clone();
    let reads = many(&at).into_iter().chain(known.iter().map(|id| Read::Subnet(at.clone(), id.clone())));
    let seen = s.sees_all(reads).await;
    s.lines.retain(|line| !line.starts_with("Subnet(<consumer>, \"subnet-"));
    let there = known.iter().filter(|id| seen.subnet(&at, *id).expect("answered").is_some()).count();
    s.holds("all that are there", there == known.len());
}

fn everything(side: &Side) -> Vec<Read> {
    let (at, vpc) = (|| side.at(), side.vpc.id.clone());
    let subnets = side.subnets.iter().map(|id| Read::Subnet(at(), id.clone()));
    let network =
        [Read::Vpc(at(), vpc.clone()), Read::VpcDns(at(), vpc), Read::SecurityGroup(at(), side.group.clone())];
    subnets.chain(network).collect()
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}
