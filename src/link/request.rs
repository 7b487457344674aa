//! One link to be planned, with what the platform says about it.

use crate::api::CrossAccountRedshiftLink;
use crate::api::link::{CrossAccountRedshiftLinkSpec, Mode};
use crate::aws::accounts::Grants;
use crate::aws::mark::{Installation, Owner};
use crate::aws::scope::{AccountId, Scope};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use std::collections::BTreeSet;

/// Everything a plan is made from, besides what was seen and what others want.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The object.
    pub link: &'a CrossAccountRedshiftLink,
    /// This installation.
    pub installation: &'a Installation,
    /// The accounts, if the object may use them now.
    pub grants: Option<Grants<'a>>,
    /// Accounts that were given up: what is in them is taken for gone.
    pub abandoned: &'a BTreeSet<AccountId>,
    /// The producer's account and region.
    pub producer: &'a Scope,
    /// The consumer's account and region.
    pub consumer: &'a Scope,
    /// The moment of this plan.
    pub now: Timestamp,
    /// No call of ours whose answer was lost can still be executed. Before that, no ledger loses an entry.
    pub certain: bool,
    /// Jobs of this link that have, or may have, a statement under way: what lets it live stays.
    pub held_by: &'a BTreeSet<String>,
    /// How often a settled link is looked at.
    pub interval: SignedDuration,
}

impl<'a> Request<'a> {
    /// The spec.
    #[must_use]
    pub fn spec(&self) -> &'a CrossAccountRedshiftLinkSpec {
        &self.link.spec
    }

    /// For whom things are made.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner {
            uid: self.uid().to_owned(),
            namespace: self.link.namespace().unwrap_or_default(),
            name: self.link.name_any(),
        }
    }

    /// UID of the object; of an object that was not applied yet, one that none will have.
    #[must_use]
    pub fn uid(&self) -> &'a str {
        self.link.metadata.uid.as_deref().unwrap_or("00000000-0000-0000-0000-000000000000")
    }

    /// The generation of the spec.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.link.metadata.generation.unwrap_or_default()
    }

    /// The connection of others that is to be used.
    #[must_use]
    pub fn existing_peering(&self) -> Option<&'a str> {
        self.spec().peering.as_ref().and_then(|peering| peering.existing_id.as_deref())
    }

    /// Whether public names of the producer's VPC shall resolve to private addresses. None: where it can be had.
    #[must_use]
    pub fn dns_resolution(&self) -> Option<bool> {
        self.spec().peering.as_ref().and_then(|peering| peering.dns_resolution)
    }

    /// Whether live traffic may be moved to our routes.
    #[must_use]
    pub fn takes_over_routes(&self) -> bool {
        self.spec().peering.as_ref().and_then(|peering| peering.take_over_routes).unwrap_or(false)
    }

    /// Both accounts and regions, the consumer's first: it asks for the connection.
    #[must_use]
    pub const fn sides(&self) -> [&'a Scope; 2] {
        [self.consumer, self.producer]
    }

    /// Effects are shown, not executed.
    #[must_use]
    pub fn only_plans(&self) -> bool {
        self.spec().mode == Some(Mode::Plan)
    }

    /// AWS is left as it is.
    #[must_use]
    pub fn suspended(&self) -> bool {
        self.spec().suspend == Some(true)
    }

    /// Nothing is done at AWS, while the object is not being deleted.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        self.only_plans() || self.suspended()
    }

    /// True where the object is being deleted.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        self.link.metadata.deletion_timestamp.is_some()
    }

    /// True where the object is being deleted and leaves in place what it made.
    #[must_use]
    pub fn retains(&self) -> bool {
        self.is_deleted() && !self.spec().deletes()
    }

    /// ARN of the policy that bounds every role made on this side, if the platform set one.
    #[must_use]
    pub fn boundary(&self, at: &Scope) -> Option<&'a String> {
        let grants = self.grants?;
        let account = if at == self.producer { grants.producer } else { grants.consumer };
        account.permissions_boundary.as_ref()
    }

    /// True where what is in this account no longer matters.
    #[must_use]
    pub fn gave_up(&self, account: &AccountId) -> bool {
        self.abandoned.contains(account)
    }
}
