//! The accounts file: which AWS accounts there are, by which role they are entered, and which namespace may use what.
//!
//! It belongs to the platform team. Absent lists mean none; `*` must be written.

mod allow;
mod reload;

pub use allow::{Denied, Grants, Tenant, allow, allows_bucket};
pub use reload::{AccountsWatch, watch_file};

use super::scope::{AccountId, parse_role_arn};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use wildmatch::WildMatch;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Accounts {
    /// One entry per account.
    #[serde(default)]
    pub accounts: Vec<Account>,
}

/// One AWS account.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    /// Twelve digit id.
    pub id: AccountId,
    /// The role of the controller in this account.
    pub role_arn: String,
    /// What the role's trust policy asks for as `sts:ExternalId`.
    pub external_id: String,
    /// ARN of a managed policy that bounds every role made in this account.
    #[serde(default)]
    pub permissions_boundary: Option<String>,
    /// Database users that no Studio user may become, beside the master user and `rdsdb`.
    #[serde(default)]
    pub protected_database_users: BTreeSet<String>,
    /// ARN patterns of the execution roles of this account's Studio domains, to which our inline policy may be added.
    /// `*` stands for any characters. The roles of network consumers stand in `allow[].roles`.
    #[serde(default)]
    pub execution_roles: BTreeSet<String>,
    /// The account is given up: what is left in it no longer holds up deletions.
    #[serde(default)]
    pub abandoned: bool,
    /// Who may use the account for what.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

/// The external id is kept out of logs: whoever knows it is a step nearer to the account's role.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("id", &self.id).field("role_arn", &self.role_arn).finish_non_exhaustive()
    }
}

/// What the objects of some namespaces may use in an account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allow {
    /// Names of namespaces, or a selector of their labels.
    pub namespaces: Namespaces,
    /// On which side of a link.
    #[serde(rename = "as")]
    pub side: Side,
    /// Cluster identifiers (producer).
    #[serde(default)]
    pub clusters: BTreeSet<String>,
    /// Database groups that may be joined (producer).
    #[serde(default)]
    pub database_groups: BTreeSet<String>,
    /// Database users that may be named in `access.databaseUsers` and `unload.databaseUser` (producer).
    #[serde(default)]
    pub database_users: BTreeSet<String>,
    /// Whether routes may be made although broader ones carry the same addresses today, which moves live traffic. Both
    /// sides must allow it.
    #[serde(default)]
    pub take_over_routes: bool,
    /// Studio domain ids (consumer).
    #[serde(default)]
    pub domains: BTreeSet<String>,
    /// VPC ids of network consumers.
    #[serde(default)]
    pub vpcs: BTreeSet<String>,
    /// Whole ARNs of roles of network consumers; no patterns.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// Buckets that UNLOADs may write to, each with a slash and perhaps a prefix: `exports/` or `exports/warehouse/`.
    #[serde(default)]
    pub buckets: BTreeSet<String>,
    /// ARNs of KMS keys that files may be encrypted with.
    #[serde(default)]
    pub keys: BTreeSet<String>,
    /// ARN patterns of secrets that may be read over a link (producer). `*` stands for any characters.
    #[serde(default)]
    pub secrets: BTreeSet<String>,
    /// Whole ARNs of roles that may read such secrets (consumer); no patterns. Nothing is written to them, so those of
    /// `roles` and `executionRoles` are not meant.
    #[serde(default)]
    pub secret_readers: BTreeSet<String>,
}

/// A side of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Side {
    Producer,
    Consumer,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        })
    }
}

/// Which namespaces an entry is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Namespaces {
    /// By name; `*` is any.
    Names(BTreeSet<String>),
    /// By the labels of the namespace: all of them must match.
    Labels(MatchLabels),
}

/// A selector of labels.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchLabels {
    /// Labels and their values; at least one.
    pub match_labels: BTreeMap<String, String>,
}

/// Why an accounts file was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// Not the YAML it should be.
    #[error("the accounts file does not parse: {0}")]
    Syntax(String),
    /// It says something that cannot be.
    #[error("the accounts file: account {account}: {problem}")]
    Content {
        /// The entry.
        account: AccountId,
        /// What is wrong with it.
        problem: String,
    },
    /// It cannot be read.
    #[error("the accounts file {path} cannot be read: {problem}")]
    Unreadable {
        /// Path of the file.
        path: String,
        /// What the system said.
        problem: String,
    },
}

impl Accounts {
    /// Reads a file's text.
    ///
    /// # Errors
    /// It does not parse, or an entry cannot be.
    pub fn parse(text: &str) -> Result<Self, AccountsError> {
        // an empty file has no accounts
        let parsed: Option<Self> = serde_saphyr::from_str(text).map_err(|e| AccountsError::Syntax(first_line(&e)))?;
        let accounts = parsed.unwrap_or_default();
        let mut ids = BTreeSet::new();
        for account in &accounts.accounts {
            let fail = |problem: String| AccountsError::Content { account: account.id.clone(), problem };
            if account.id.0.len() != 12 || !account.id.0.bytes().all(|b| b.is_ascii_digit()) {
                return Err(fail("id must have twelve digits, in quotes".into()));
            }
            if !ids.insert(&account.id) {
                return Err(fail("stands twice".into()));
            }
            match parse_role_arn(&account.role_arn) {
                None => return Err(fail("roleArn is not the ARN of a role".into())),
                Some(arn) if arn.account != account.id.0 => {
                    return Err(fail(format!("roleArn is of account {}", arn.account)));
                }
                Some(_) => {}
            }
            if account.external_id.len() < 2 {
                return Err(fail("externalId must have at least two characters".into()));
            }
            let pattern = |role: &&String| role.contains(['*', '?']) && *role != "*";
            for (list, roles) in account.allow.iter().flat_map(Allow::whole_roles) {
                if let Some(role) = roles.iter().find(pattern) {
                    return Err(fail(format!("{list}: {role} is a pattern: list whole ARNs, or \"*\" for all")));
                }
            }
            let unended = |bucket: &&String| !bucket.ends_with('/') && *bucket != "*";
            if let Some(bucket) = account.allow.iter().flat_map(|allow| &allow.buckets).find(unended) {
                return Err(fail(format!("buckets: {bucket} must end with a slash: {bucket}/, or be \"*\"")));
            }
            for allow in &account.allow {
                if matches!(&allow.namespaces, Namespaces::Labels(l) if l.match_labels.is_empty()) {
                    return Err(fail(
                        "an empty label selector would match every namespace: write namespaces: [\"*\"]".into(),
                    ));
                }
            }
        }
        Ok(accounts)
    }

    /// The accounts that were given up.
    #[must_use]
    pub fn abandoned(&self) -> BTreeSet<AccountId> {
        self.accounts.iter().filter(|account| account.abandoned).map(|account| account.id.clone()).collect()
    }

    /// The entry of an account.
    #[must_use]
    pub fn get(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == *id)
    }
}

impl Account {
    /// ARN patterns of all roles to which our inline policy may be added.
    #[must_use]
    pub fn extendable_roles(&self) -> BTreeSet<&str> {
        self.execution_roles
            .iter()
            .chain(self.allow.iter().flat_map(|allow| &allow.roles))
            .map(String::as_str)
            .collect()
    }

    /// True where our inline policy may be added to this role: it is listed, and is neither one that AWS keeps for
    /// itself nor the controller's own.
    #[must_use]
    pub fn may_extend_role(&self, arn: &str) -> bool {
        self.is_of_others(arn)
            && self.extendable_roles().into_iter().any(|pattern| WildMatch::new(pattern).matches(arn))
    }

    /// True where this is a role of the account, and neither one that AWS keeps for itself nor the controller's own.
    #[must_use]
    fn is_of_others(&self, arn: &str) -> bool {
        let Some(role) = parse_role_arn(arn) else { return false };
        let reserved = ["/aws-service-role/", "/aws-reserved/", "/redshift-link/"];
        role.account == self.id.0 && arn != self.role_arn && !reserved.iter().any(|path| role.path.starts_with(path))
    }
}

impl Allow {
    /// The lists in which roles stand whole.
    fn whole_roles(&self) -> [(&'static str, &BTreeSet<String>); 2] {
        [("roles", &self.roles), ("secretReaders", &self.secret_readers)]
    }
}

/// The library's error shows the lines around the place, which may hold an external id: only what is wrong is kept.
fn first_line(error: &serde_saphyr::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
accounts:
- id: "111122223333"
  roleArn: arn:aws:iam::111122223333:role/redshift-link
  externalId: 6f1c
  executionRoles: ["arn:aws:iam::111122223333:role/service-role/AmazonSageMaker-*"]
  allow:
  - namespaces: [ml-platform]
    as: producer
    clusters: [warehouse]
  - namespaces: {matchLabels: {team: ml}}
    as: consumer
    domains: ["*"]
"#;

    #[test]
    fn a_good_file_is_read() {
        let accounts = Accounts::parse(GOOD).unwrap();
        let account = accounts.get(&AccountId("111122223333".into())).unwrap();
        assert_eq!(account.allow[0].namespaces, Namespaces::Names(BTreeSet::from(["ml-platform".into()])));
        assert_eq!(account.allow[1].side, Side::Consumer);
        assert!(account.allow[0].database_groups.is_empty(), "absent means none");
        assert!(!format!("{account:?}").contains("6f1c"), "the external id is not printed");
        assert_eq!(Accounts::parse("").unwrap(), Accounts::default());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (bad, says) in [
            (GOOD.replace("accounts:", "acounts:"), "does not parse"),
            (GOOD.replace("\"111122223333\"", "\"1111\""), "twelve digits"),
            (
                GOOD.replace(
                    "  roleArn: arn:aws:iam::111122223333:role/redshift-link",
                    "  roleArn: arn:aws:iam::999922223333:role/x",
                ),
                "of account 999922223333",
            ),
            (GOOD.replace("role/redshift-link", "user/redshift-link"), "not the ARN of a role"),
            (GOOD.replace("6f1c", "''"), "two characters"),
            (GOOD.replace("{team: ml}", "{}"), "every namespace"),
            (GOOD.replace("clusters:", "cluster:"), "does not parse"),
            (GOOD.replace("domains:", "roles:").replace("[\"*\"]", "[\"arn:*\"]"), "list whole ARNs"),
            (GOOD.replace("domains:", "secretReaders:").replace("[\"*\"]", "[\"arn:*\"]"), "secretReaders: arn:* is a"),
            (GOOD.replace("domains:", "buckets:").replace("[\"*\"]", "[exports]"), "must end with a slash: exports/"),
            (format!("{GOOD}{}", GOOD.replace("\naccounts:\n", "")), "stands twice"),
        ] {
            let error = Accounts::parse(&bad).expect_err(&bad).to_string();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("6f1c"), "{error}");
        }
    }

    #[test]
    fn only_listed_roles_are_extended_and_reserved_ones_never() {
        let mut account = Accounts::parse(GOOD).unwrap().accounts.remove(0);
        assert!(account.may_extend_role("arn:aws:iam::111122223333:role/service-role/AmazonSageMaker-ExecutionRole-1"));
        assert!(!account.may_extend_role("arn:aws:iam::111122223333:role/admin"));
        account.execution_roles = BTreeSet::from(["*".into()]);
        assert!(account.may_extend_role("arn:aws:iam::111122223333:role/admin"));
        for never in [
            "arn:aws:iam::444455556666:role/admin",
            "arn:aws:iam::111122223333:role/redshift-link",
            "arn:aws:iam::111122223333:role/redshift-link/x/y",
            "arn:aws:iam::111122223333:role/aws-service-role/a.amazonaws.com/b",
            "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/c",
        ] {
            assert!(!account.may_extend_role(never), "{never}");
        }
    }
}
