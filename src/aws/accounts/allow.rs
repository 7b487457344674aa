//! May the objects of a namespace use this warehouse, this domain, these roles?

use super::{Account, Accounts, Allow, Namespaces, Side};
use crate::api::link::CrossAccountRedshiftLinkSpec;
use crate::aws::scope::AccountId;
use std::collections::{BTreeMap, BTreeSet};
use wildmatch::WildMatch;

/// Whose object it is.
#[derive(Clone, Copy, Debug)]
pub struct Tenant<'a> {
    /// Name of the namespace.
    pub namespace: &'a str,
    /// Labels of the namespace.
    pub labels: &'a BTreeMap<String, String>,
}

/// The accounts that an object may use, and so their entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants<'a> {
    /// The warehouse's account.
    pub producer: &'a Account,
    /// The users' account.
    pub consumer: &'a Account,
}

/// Why an object may not do what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The file has no such account.
    #[error("account {0} is not in the accounts file: ask the platform team to add it")]
    NotConfigured(AccountId),
    /// The account is there, but not for this.
    #[error(
        "namespace {namespace} may not use {what} in account {account} as {side}: ask the platform team to allow it in the accounts file"
    )]
    NotAllowed {
        /// The account.
        account: AccountId,
        /// The namespace.
        namespace: String,
        /// As which side.
        side: Side,
        /// What is not allowed.
        what: String,
    },
}

/// Checks a whole spec, before any call.
///
/// # Errors
/// An account is unknown, or something of the spec is not allowed to this namespace.
pub fn allow<'a>(
    spec: &CrossAccountRedshiftLinkSpec,
    tenant: Tenant<'_>,
    accounts: &'a Accounts,
) -> Result<Grants<'a>, Denied> {
    let (producer, consumer) = (&spec.producer, &spec.consumer);
    let access = spec.access.as_ref();
    let empty = BTreeSet::new();
    let groups = access.and_then(|a| a.database_groups.as_ref()).unwrap_or(&empty);
    let users = access.and_then(|a| a.database_users.as_ref()).unwrap_or(&empty);
    let unload = spec.unload.as_ref();
    let unloads_as = unload.and_then(|unload| unload.database_user.as_ref());
    let all_users: BTreeSet<String> = users.iter().chain(unloads_as).cloned().collect();
    let cluster = BTreeSet::from([producer.cluster.identifier.clone()]);
    let secret = unload.and_then(|unload| unload.secret_arn.clone()).into_iter().collect();
    let producer_asks: Vec<Ask> = vec![
        ("cluster", &cluster, |a| &a.clusters, has),
        ("database group", groups, |a| &a.database_groups, has),
        ("database user", &all_users, |a| &a.database_users, has),
        ("secret", &secret, |a| &a.secrets, fits),
    ];
    let domain: BTreeSet<_> = consumer.studio.iter().map(|s| s.domain_id.clone()).collect();
    let vpc: BTreeSet<_> = consumer.network.iter().map(|n| n.vpc_id.clone()).collect();
    let roles = consumer.network.as_ref().map_or(&empty, |n| &n.role_arns);
    let bucket = unload.iter().map(|unload| format!("{}/{}", unload.bucket, unload.prefix)).collect();
    let key = unload.and_then(|unload| unload.kms_key_arn.clone()).into_iter().collect();
    let readers = unload.and_then(|unload| unload.secret_readers.as_ref()).unwrap_or(&empty);
    let consumer_asks: Vec<Ask> = vec![
        ("Studio domain", &domain, |a| &a.domains, has),
        ("VPC", &vpc, |a| &a.vpcs, has),
        ("role", roles, |a| &a.roles, has),
        ("bucket", &bucket, |a| &a.buckets, is_below),
        ("KMS key", &key, |a| &a.keys, has),
        ("reader of secrets", readers, |a| &a.secret_readers, has),
    ];
    let takes_over = spec.peering.as_ref().and_then(|peering| peering.take_over_routes).unwrap_or(false);
    let side = |id: &str, which, asks: &[Ask]| side(accounts, id, tenant, which, asks, takes_over);
    let producer = side(&producer.account_id, Side::Producer, &producer_asks)?;
    let consumer = side(&consumer.account_id, Side::Consumer, &consumer_asks)?;
    let never = |user: &&String| user.as_str() == "rdsdb";
    let protected = |user: &&String| never(user) || producer.protected_database_users.contains(*user);
    if let Some(user) = users.iter().find(protected).or(unloads_as.filter(never)) {
        return Err(denied(producer, tenant, Side::Producer, format!("the protected database user {user}")));
    }
    let reserved = readers.iter().find(|reader| !consumer.is_of_others(reader));
    if let Some(role) = roles.iter().find(|role| !consumer.may_extend_role(role)).or(reserved) {
        return Err(denied(
            consumer,
            tenant,
            Side::Consumer,
            format!("role {role}, which is reserved or another account's,"),
        ));
    }
    Ok(Grants { producer, consumer })
}

/// May the objects of a namespace write below this place of a bucket, given as `bucket/prefix/`?
#[must_use]
pub fn allows_bucket(accounts: &Accounts, tenant: Tenant<'_>, account: &AccountId, place: &str) -> bool {
    let entries = accounts.get(account).into_iter().flat_map(|account| &account.allow);
    let mut entries = entries.filter(|entry| entry.side == Side::Consumer && is_for(&entry.namespaces, tenant));
    entries.any(|entry| is_below(&entry.buckets, place))
}

/// What is asked for, which list has to allow it, and how.
type Ask<'a> = (&'a str, &'a BTreeSet<String>, fn(&Allow) -> &BTreeSet<String>, fn(&BTreeSet<String>, &str) -> bool);

fn side<'a>(
    accounts: &'a Accounts,
    id: &str,
    tenant: Tenant<'_>,
    side: Side,
    asks: &[Ask<'_>],
    takes_over: bool,
) -> Result<&'a Account, Denied> {
    let id = AccountId(id.to_owned());
    let account = accounts.get(&id).ok_or_else(|| Denied::NotConfigured(id.clone()))?;
    // One entry must allow all of it: a cluster of one entry does not go with the groups of another.
    let missing = |entry: &Allow| {
        let unlisted = asks.iter().enumerate().find_map(|(depth, (noun, wanted, field, allows))| {
            let refused = wanted.iter().find(|one| !allows(field(entry), one))?;
            Some((depth, format!("{noun} {refused}")))
        });
        let moves_traffic = takes_over && !entry.take_over_routes;
        unlisted.or(moves_traffic.then(|| (asks.len(), "peering.takeOverRoutes, which moves live traffic,".into())))
    };
    let mut nearest = None;
    for entry in account.allow.iter().filter(|entry| entry.side == side && is_for(&entry.namespaces, tenant)) {
        match missing(entry) {
            None => return Ok(account),
            refusal => nearest = nearest.max(refusal),
        }
    }
    Err(denied(account, tenant, side, nearest.map_or_else(|| "anything".into(), |(_, what)| what)))
}

fn denied(account: &Account, tenant: Tenant<'_>, side: Side, what: String) -> Denied {
    Denied::NotAllowed { account: account.id.clone(), namespace: tenant.namespace.into(), side, what }
}

fn has(list: &BTreeSet<String>, one: &str) -> bool {
    list.contains("*") || list.contains(one)
}

fn fits(list: &BTreeSet<String>, one: &str) -> bool {
    list.iter().any(|pattern| WildMatch::new(pattern).matches(one))
}

/// Each place in the list ends with a slash and stands for all below it.
fn is_below(list: &BTreeSet<String>, place: &str) -> bool {
    list.contains("*") || list.iter().any(|above| place.starts_with(above.as_str()))
}

fn is_for(namespaces: &Namespaces, tenant: Tenant<'_>) -> bool {
    match namespaces {
        Namespaces::Names(names) => has(names, tenant.namespace),
        Namespaces::Labels(l) => l.match_labels.iter().all(|(key, value)| tenant.labels.get(key) == Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const FILE: &str = r#"
accounts:
- id: "111122223333"
  roleArn: arn:aws:iam::111122223333:role/redshift-link
  externalId: p-id
  protectedDatabaseUsers: [etl]
  allow:
  - {namespaces: [ml], as: producer, clusters: [warehouse], databaseGroups: [readers], databaseUsers: [etl, rdsdb, app],
     secrets: ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:warehouse/*"]}
  - {namespaces: [ml], as: producer, clusters: [finance], takeOverRoutes: true}
  - {namespaces: [trusting], as: producer, clusters: ["*"], databaseGroups: ["*"], secrets: ["*"]}
  - {namespaces: {matchLabels: {tier: test}}, as: producer, clusters: ["*"]}
- id: "444455556666"
  roleArn: arn:aws:iam::444455556666:role/redshift-link
  externalId: c-id
  allow:
  - {namespaces: [ml], as: consumer, domains: [d-1], vpcs: [vpc-1], roles: ["arn:aws:iam::444455556666:role/app"],
     buckets: [exports/warehouse/], keys: ["arn:aws:kms:eu-west-1:444455556666:key/k-1"],
     secretReaders: ["arn:aws:iam::444455556666:role/extract"]}
  - {namespaces: [trusting], as: consumer, domains: ["*"], buckets: ["*"], secretReaders: ["*"]}
  - {namespaces: {matchLabels: {tier: test}}, as: consumer, domains: [d-2]}
"#;

    fn spec(change: &Value) -> CrossAccountRedshiftLinkSpec {
        let mut spec = json!({
            "producer": {"accountId": "111122223333", "region": "eu-west-1", "cluster": {"identifier": "warehouse", "database": "analytics"}},
            "consumer": {"accountId": "444455556666", "studio": {"domainId": "d-1"}}
        });
        for (pointer, value) in change.as_object().unwrap() {
            match pointer.rsplit_once('/').unwrap() {
                (parent, key) if value.is_null() => {
                    drop(spec.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key))
                }
                (parent, key) => spec.pointer_mut(parent).unwrap()[key] = value.clone(),
            }
        }
        serde_json::from_value(spec).unwrap()
    }

    fn network() -> Value {
        json!({"vpcId": "vpc-1", "subnetIds": ["subnet-1"], "roleArns": ["arn:aws:iam::444455556666:role/app"]})
    }

    fn unload(bucket: &str, prefix: &str) -> Value {
        json!({"/unload": {"bucket": bucket, "prefix": prefix}})
    }

    fn secret(name: &str, reader: &str) -> Value {
        json!({"/unload": {"bucket": "exports", "prefix": "warehouse/",
            "secretArn": format!("arn:aws:secretsmanager:eu-west-1:111122223333:secret:{name}"),
            "secretReaders": [format!("arn:aws:iam::{reader}")]}})
    }

    #[test]
    fn what_is_listed_may_be_used() {
        let accounts = Accounts::parse(FILE).unwrap();
        let labels = BTreeMap::from([("tier".to_owned(), "test".to_owned())]);
        let none = BTreeMap::new();
        for (namespace, labels, change) in [
            ("ml", &none, json!({})),
            ("ml", &none, json!({"/access": {"databaseGroups": ["readers"]}})),
            ("ml", &none, json!({"/producer/cluster/identifier": "finance"})),
            ("other", &labels, json!({"/consumer/studio/domainId": "d-2"})),
            ("ml", &none, unload("exports", "warehouse/")),
            ("ml", &none, secret("warehouse/app-AbCdEf", "444455556666:role/extract")),
            // a protected user is nobody's to become, and may still be unloaded as
            (
                "ml",
                &none,
                json!({"/unload": {"bucket": "exports", "prefix": "warehouse/2026/", "databaseUser": "etl"}}),
            ),
            (
                "ml",
                &none,
                json!({"/consumer/studio": null, "/consumer/network": network(), "/access": {"databaseUsers": ["app"]}}),
            ),
        ] {
            let tenant = Tenant { namespace, labels };
            let grants = allow(&spec(&change), tenant, &accounts).unwrap_or_else(|e| panic!("{change}: {e}"));
            assert_eq!((grants.producer.external_id.as_str(), grants.consumer.external_id.as_str()), ("p-id", "c-id"));
        }
    }

    /// Every way for one who may only make objects in his namespace to reach what is another's.
    #[test]
    fn tries_to_reach_what_is_not_listed_are_refused() {
        let accounts = Accounts::parse(FILE).unwrap();
        let none = BTreeMap::new();
        let network_with = |key: &str, value: Value| {
            let mut network = network();
            network[key] = value;
            json!({"/consumer/studio": null, "/consumer/network": network, "/access": {"databaseUsers": ["app"]}})
        };
        for (namespace, change, says) in [
            ("other", json!({}), "namespace other may not use anything in account 111122223333 as producer"),
            ("ml2", json!({}), "may not use anything"),
            ("ml", json!({"/producer/cluster/identifier": "payroll"}), "cluster payroll"),
            ("ml", json!({"/producer/cluster/identifier": "WAREHOUSE"}), "cluster WAREHOUSE"),
            ("ml", json!({"/producer/accountId": "999900001111"}), "account 999900001111 is not in the accounts file"),
            ("ml", json!({"/consumer/accountId": "999900001111"}), "account 999900001111 is not in the accounts file"),
            (
                "ml",
                json!({"/producer/accountId": "444455556666", "/consumer/accountId": "111122223333"}),
                "account 444455556666 as producer",
            ),
            ("ml", json!({"/consumer/studio/domainId": "d-2"}), "Studio domain d-2"),
            ("ml", json!({"/access": {"databaseGroups": ["readers", "admins"]}}), "database group admins"),
            // the groups of one entry do not go with the cluster of another
            (
                "ml",
                json!({"/producer/cluster/identifier": "finance", "/access": {"databaseGroups": ["readers"]}}),
                "may not use",
            ),
            // each side must allow that live traffic moves
            (
                "ml",
                json!({"/peering": {"takeOverRoutes": true}}),
                "peering.takeOverRoutes, which moves live traffic, in account 1111",
            ),
            (
                "ml",
                json!({"/peering": {"takeOverRoutes": true}, "/producer/cluster/identifier": "finance"}),
                "peering.takeOverRoutes, which moves live traffic, in account 4444",
            ),
            ("ml", network_with("vpcId", json!("vpc-2")), "VPC vpc-2"),
            (
                "ml",
                network_with("roleArns", json!(["arn:aws:iam::444455556666:role/admin"])),
                "role arn:aws:iam::444455556666:role/admin",
            ),
            ("ml", network_with("roleArns", json!(["arn:aws:iam::444455556666:role/redshift-link"])), "role arn:"),
            (
                "ml",
                json!({"/access": {"sourceIdentity": "Ignore", "databaseUsers": ["etl"]}}),
                "protected database user etl",
            ),
            (
                "ml",
                json!({"/access": {"sourceIdentity": "Ignore", "databaseUsers": ["rdsdb"]}}),
                "protected database user rdsdb",
            ),
            ("ml", json!({"/access": {"sourceIdentity": "Ignore", "databaseUsers": ["admin"]}}), "database user admin"),
            ("ml", unload("others", "warehouse/"), "bucket others/warehouse/"),
            ("ml", unload("exports", "warehouses/"), "bucket exports/warehouses/"),
            ("ml", unload("exports", "other/warehouse/"), "bucket exports/other/warehouse/"),
            (
                "ml",
                json!({"/unload": {"bucket": "exports", "prefix": "warehouse/", "kmsKeyArn": "arn:aws:kms:eu-west-1:444455556666:key/k-2"}}),
                "KMS key arn:aws:kms:eu-west-1:444455556666:key/k-2",
            ),
            (
                "ml",
                secret("payroll-AbCdEf", "444455556666:role/extract"),
                "secret arn:aws:secretsmanager:eu-west-1:1111",
            ),
            (
                "ml",
                secret("warehouse/app-AbCdEf", "444455556666:role/app"),
                "reader of secrets arn:aws:iam::444455556666:role/app",
            ),
            // whatever is listed: not by another account, not by the controller
            ("trusting", secret("warehouse/app-AbCdEf", "777788889999:role/extract"), "reserved"),
            ("trusting", secret("warehouse/app-AbCdEf", "444455556666:role/redshift-link"), "reserved"),
            (
                "ml",
                json!({"/unload": {"bucket": "exports", "prefix": "warehouse/", "databaseUser": "admin"}}),
                "database user admin",
            ),
            (
                "ml",
                json!({"/unload": {"bucket": "exports", "prefix": "warehouse/", "databaseUser": "rdsdb"}}),
                "protected database user rdsdb",
            ),
        ] {
            let error =
                allow(&spec(&change), Tenant { namespace, labels: &none }, &accounts).expect_err(&change.to_string());
            assert!(error.to_string().contains(says), "{change}: {error}");
        }
    }
}
