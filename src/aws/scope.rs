//! Where an AWS call goes: account, region and partition.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A twelve digit AWS account id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub String);

/// An AWS region name such as `eu-west-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Region(pub String);

/// One account in one region. IAM is global: its calls carry a scope too, of which only the account matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
}

impl Scope {
    /// A scope from its parts.
    pub fn new(account: impl Into<String>, region: impl Into<String>) -> Self {
        Self { account: AccountId(account.into()), region: Region(region.into()) }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

/// A VPC, with the account and region it lives in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VpcRef {
    /// Account and region.
    pub at: Scope,
    /// `vpc-...`.
    pub id: String,
}

impl fmt::Display for VpcRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.at, self.id)
    }
}

/// The first component of an ARN after `arn:`, as in `aws`, `aws-cn`, `aws-us-gov`.
///
/// Taken from the identity of the session, never assumed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Partition(pub String);

impl Partition {
    /// The ARN of an IAM role with a path that begins and ends with `/`.
    #[must_use]
    pub fn role_arn(&self, account: &AccountId, path: &str, name: &str) -> String {
        format!("arn:{}:iam::{account}:role{path}{name}", self.0)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The account, path and name in the ARN of an IAM role; none for anything else.
#[must_use]
pub fn parse_role_arn(arn: &str) -> Option<RoleArn<'_>> {
    let mut parts = arn.splitn(6, ':');
    let (prefix, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let resource = resource.strip_prefix("role")?;
    let slash = resource.rfind('/')?;
    let (path, name) = resource.split_at(slash + 1);
    (prefix == "arn" && service == "iam" && region.is_empty() && path.starts_with('/') && !name.is_empty())
        .then_some(RoleArn { partition, account, path, name })
}

/// The parts of a role's ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleArn<'a> {
    /// Partition.
    pub partition: &'a str,
    /// Account id.
    pub account: &'a str,
    /// Path, with both slashes.
    pub path: &'a str,
    /// Name without the path: what IAM's calls take.
    pub name: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arns_keep_their_path() {
        let arn = "arn:aws-cn:iam::444455556666:role/service-role/AmazonSageMaker-ExecutionRole-1";
        let parsed = parse_role_arn(arn).unwrap();
        assert_eq!(
            (parsed.account, parsed.path, parsed.name),
            ("444455556666", "/service-role/", "AmazonSageMaker-ExecutionRole-1")
        );
        assert_eq!(
            Partition("aws-cn".into()).role_arn(&AccountId(parsed.account.into()), parsed.path, parsed.name),
            arn
        );
        assert_eq!(parse_role_arn("arn:aws:iam::444455556666:role/plain").unwrap().path, "/");
        for bad in [
            "arn:aws:iam::444455556666:user/a",
            "AROAEXAMPLE",
            "arn:aws:sts::1:assumed-role/a/b",
            "arn:aws:iam::1:role/",
        ] {
            assert_eq!(parse_role_arn(bad), None, "{bad}");
        }
    }
}
