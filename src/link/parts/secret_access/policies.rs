//! Who may take on the roles, and what they allow.

use crate::aws::policy::{self, Statement};
use crate::aws::scope::Region;

/// What taking on a role of the pair needs, on both sides: a session that carries a source identity, or tags that are
/// passed on, brings them along (docs/aws-behaviour.md#assuming-roles). Here they decide nothing.
const ENTER: [&str; 3] = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"];

/// These roles, and nobody else.
pub fn trusts(roles: impl IntoIterator<Item = String>) -> String {
    policy::document(&[Statement::allow("", &ENTER).by("AWS", roles)])
}

/// And one of ours may take on the next.
pub fn assumes(role: &str) -> String {
    policy::document(&[Statement::allow("", &ENTER).on([role.to_owned()])])
}

/// Reading this one secret, and decrypting it and nothing else with its key
/// (docs/aws-behaviour.md#secrets-manager).
pub fn reads(region: &Region, secret: &str, key: Option<&str>) -> String {
    let read = ["GetSecretValue", "DescribeSecret", "GetResourcePolicy", "ListSecretVersionIds"];
    let read = read.map(|operation| format!("secretsmanager:{operation}"));
    let mut statements = vec![Statement::allow("", &read.each_ref().map(String::as_str)).on([secret.to_owned()])];
    if let Some(key) = key {
        // how the service is called in China is not confirmed
        let services = ["", ".cn"].map(|end| format!("secretsmanager.{region}.amazonaws.com{end}"));
        let decrypt = Statement::allow("", &["kms:Decrypt"]).on([key.to_owned()]);
        let decrypt = decrypt.when("StringEquals", "kms:ViaService", services);
        statements.push(decrypt.when("StringEquals", "kms:EncryptionContext:SecretARN", [secret.to_owned()]));
    }
    policy::document(&statements)
}
