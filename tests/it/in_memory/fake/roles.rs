//! What IAM says to changes of roles.

use super::effects::No;
use super::{Role, State};
use redshift_link::aws::policy::{meaning, named_aws_principals};
use redshift_link::aws::scope::{AccountId, parse_role_arn};

pub(super) fn the_role<'a>(state: &'a mut State, account: &AccountId, name: &str) -> Result<&'a mut Role, No> {
    let missing = || ("NoSuchEntity", format!("The role with name {name} cannot be found."));
    state.roles.get_mut(&(account.clone(), name.to_owned())).ok_or_else(missing)
}

impl State {
    /// Deletes a role as anybody might: where it was trusted, its id takes the place of its ARN.
    pub fn delete_role(&mut self, account: &AccountId, name: &str) {
        let gone = self.roles.remove(&(account.clone(), name.to_owned())).expect("there");
        let arn = format!("\"arn:aws:iam::{account}:role{}{name}\"", gone.path);
        for role in self.roles.values_mut() {
            role.trust = role.trust.replace(&arn, &format!("\"{}\"", gone.id));
        }
    }
}

pub(super) fn check_boundary(state: &State, boundary: Option<&String>) -> Result<(), No> {
    match boundary.filter(|arn| !state.managed_policies.contains(*arn)) {
        Some(arn) => Err(("NoSuchEntity", format!("Scope ARN: {arn} does not exist or is not attachable."))),
        None => Ok(()),
    }
}

pub(super) fn check_trust(state: &State, trust: &str) -> Result<(), No> {
    if meaning(trust).is_none() {
        return Err(("MalformedPolicyDocument", "This policy contains invalid Json".into()));
    }
    for principal in named_aws_principals(trust) {
        let there = parse_role_arn(&principal).is_some_and(|arn| {
            let role = state.roles.get(&(AccountId(arn.account.into()), arn.name.into()));
            role.is_some_and(|role| role.path == arn.path)
        });
        // whole accounts are always valid
        if !there && !principal.ends_with(":root") {
            return Err(("MalformedPolicyDocument", format!("Invalid principal in policy: \"AWS\":\"{principal}\"")));
        }
    }
    if trust.len() > state.trust_quota {
        return Err(("LimitExceeded", format!("Cannot exceed quota for ACLSizePerRole: {}", state.trust_quota)));
    }
    Ok(())
}
