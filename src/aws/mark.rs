//! The mark on what this program makes, and the names that are derived.
//!
//! Something is ours only if it carries the installation's mark **and** has the shape that follows from it: a role its
//! derived name, a connection or rule a digest of its own natural key. Copied tags make nothing ours.
//! The derivations are frozen: tests pin them.

use super::model::{Permit, Role, Tags};
use super::scope::VpcRef;
use ipnet::Ipv4Net;
use sha2::{Digest, Sha256};
use strum::IntoEnumIterator;

/// Tag key of the installation's id.
pub const INSTALLATION: &str = "redshiftlink.dev/installation";
/// Tag key of the digest of a thing's natural key.
pub const KEY: &str = "redshiftlink.dev/key";
/// Tag key of the UID of the object that a thing was made for: for people, and for a role's derived name.
pub const UID: &str = "redshiftlink.dev/uid";
/// Tag key of that object's namespace.
pub const NAMESPACE: &str = "redshiftlink.dev/namespace";
/// Tag key of that object's name.
pub const NAME: &str = "redshiftlink.dev/name";
/// Takes the place of the installation's id on what was given up: from then on it is foreign.
const RETAINED: &str = "retained";

/// The tags that give something up.
#[must_use]
pub fn retained() -> Tags {
    Tags::from([(INSTALLATION.into(), RETAINED.into())])
}

/// One installation of this program: its id is in every mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation(String);

/// The roles that are made for one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumIter)]
pub enum RoleKind {
    /// What users take on, in the producer's account.
    Producer,
    /// What statements are submitted by, in the producer's account.
    Submit,
    /// What the cluster takes on for an UNLOAD, in the producer's account.
    Unload,
    /// What writes the files of an UNLOAD, in the consumer's account.
    Write,
    /// What readers of the secret take on, in the consumer's account.
    Reader,
    /// What reads the secret, in the producer's account.
    Secret,
}

impl RoleKind {
    /// Frozen: names of roles follow from it.
    const fn word(self) -> &'static str {
        match self {
            Self::Producer => "producer-role",
            Self::Submit => "submit-role",
            Self::Unload => "unload-role",
            Self::Write => "write-role",
            Self::Reader => "reader-role",
            Self::Secret => "secret-role",
        }
    }
}

/// The object that something is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// UID of the object.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Installation {
    /// An installation's id: 1 to 63 lower case letters, digits and hyphens.
    ///
    /// # Errors
    /// The id has another form.
    pub fn new(id: impl Into<String>) -> Result<Self, String> {
        let id = id.into();
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=63).contains(&id.len()) && id.bytes().all(allowed) && id != RETAINED {
            return Ok(Self(id));
        }
        Err(format!("installation id {id:?}: 1 to 63 lower case letters, digits and hyphens are needed"))
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0
    }

    /// The path of all roles of this installation.
    #[must_use]
    pub fn role_path(&self) -> String {
        format!("/redshift-link/{}/", self.0)
    }

    /// The name of a role of an object.
    #[must_use]
    pub fn role(&self, kind: RoleKind, uid: &str) -> String {
        format!("redshift-link-{}", self.digest(&[kind.word(), uid]))
    }

    /// The tags of a role.
    #[must_use]
    pub fn role_tags(&self, owner: &Owner) -> Tags {
        Tags::from([
            (INSTALLATION.into(), self.0.clone()),
            (UID.into(), owner.uid.clone()),
            (NAMESPACE.into(), owner.namespace.clone()),
            (NAME.into(), owner.name.clone()),
        ])
    }

    /// The tags of something with this natural key.
    #[must_use]
    pub fn tags(&self, owner: &Owner, key: &str) -> Tags {
        let mut tags = self.role_tags(owner);
        tags.insert(KEY.into(), self.digest(&["key", key]));
        tags
    }

    /// True where these are the tags of something with this natural key that is ours.
    #[must_use]
    pub fn owns(&self, tags: &Tags, key: &str) -> bool {
        self.marks(tags) && tags.get(KEY) == Some(&self.digest(&["key", key]))
    }

    /// True where a role is ours: path, mark, and a name that follows from the UID in its tags.
    #[must_use]
    pub fn owns_role(&self, role: &Role) -> bool {
        let derived = |uid: &String| RoleKind::iter().any(|kind| self.role(kind, uid) == role.name);
        role.path == self.role_path() && self.marks(&role.tags) && role.tags.get(UID).is_some_and(derived)
    }

    /// The key of the tag on an adopted connection that says a route through it is ours.
    #[must_use]
    pub fn adopted_route_tag(&self, table: &str, cidr: Ipv4Net) -> String {
        format!("redshiftlink.dev/{}/{table}/{cidr}", self.0)
    }

    /// The table and block in the key of such a tag.
    #[must_use]
    pub fn parse_adopted_route_tag<'a>(&self, key: &'a str) -> Option<(&'a str, Ipv4Net)> {
        let (table, cidr) =
            key.strip_prefix("redshiftlink.dev/")?.strip_prefix(&self.0)?.strip_prefix('/')?.split_once('/')?;
        Some((table, cidr.parse().ok()?))
    }

    fn marks(&self, tags: &Tags) -> bool {
        tags.get(INSTALLATION) == Some(&self.0)
    }

    /// 24 hexadecimal digits of the parts and the installation.
    fn digest(&self, parts: &[&str]) -> String {
        let mut hash = Sha256::new();
        for part in std::iter::once(self.0.as_str()).chain(parts.iter().copied()) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The inline policy on roles of ours.
pub const ACCESS_POLICY: &str = "redshift-link-access";

/// The name of the inline policy on execution roles: it carries the UID, for policies carry no tags.
#[must_use]
pub fn consumer_policy(uid: &str) -> String {
    format!("redshift-link-{uid}")
}

/// The natural key of a connection that the first VPC asked for.
#[must_use]
pub fn peering_key(requester: &VpcRef, accepter: &VpcRef) -> String {
    format!("peering {requester} {accepter}")
}

/// The natural key of a security group rule.
#[must_use]
pub fn rule_key(group: &str, permit: &Permit) -> String {
    format!("rule {group} {permit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::model::{Direction, RulePeer};
    use crate::aws::scope::Scope;

    fn installation() -> Installation {
        Installation::new("prod").unwrap()
    }

    fn owner() -> Owner {
        Owner { uid: "0b6c9c7e-0000-4000-8000-000000000001".into(), namespace: "ml".into(), name: "warehouse".into() }
    }

    /// Changing one of these loses everything that is out there.
    #[test]
    fn derivations_are_frozen() {
        let i = installation();
        assert_eq!(i.role_path(), "/redshift-link/prod/");
        let roles = RoleKind::iter().map(|kind| i.role(kind, &owner().uid));
        let frozen = [
            "redshift-link-4077f892901db162665554f8",
            "redshift-link-287db85486632696f3817abf",
            "redshift-link-125fef013d20df130e4c5651",
            "redshift-link-afdaa5166daed1d4efcdeac5",
            "redshift-link-4f809c37062b1e9de705e631",
            "redshift-link-fde0f0f4563c380bb0f3ec82",
        ];
        assert!(roles.eq(frozen));
        assert_eq!(consumer_policy(&owner().uid), "redshift-link-0b6c9c7e-0000-4000-8000-000000000001");
        let vpc = |account: &str, id: &str| VpcRef { at: Scope::new(account, "eu-west-1"), id: id.into() };
        let peering = peering_key(&vpc("444455556666", "vpc-c"), &vpc("111122223333", "vpc-p"));
        assert_eq!(peering, "peering 444455556666/eu-west-1/vpc-c 111122223333/eu-west-1/vpc-p");
        assert_eq!(i.tags(&owner(), &peering)[KEY], "50ec473a9c292620df90e8f5");
        let permit = Permit::tcp(Direction::Ingress, 5439, RulePeer::Cidr("10.2.0.0/16".parse().unwrap()));
        assert_eq!(rule_key("sg-1", &permit), "rule sg-1 ingress tcp/5439 from 10.2.0.0/16");
        let cidr = "10.1.0.0/16".parse().unwrap();
        assert_eq!(i.adopted_route_tag("rtb-1", cidr), "redshiftlink.dev/prod/rtb-1/10.1.0.0/16");
        assert_eq!(i.parse_adopted_route_tag("redshiftlink.dev/prod/rtb-1/10.1.0.0/16"), Some(("rtb-1", cidr)));
    }

    #[test]
    fn a_mark_without_the_shape_is_somebody_elses() {
        let i = installation();
        let tags = i.tags(&owner(), "peering a b");
        assert!(i.owns(&tags, "peering a b"));
        assert!(!i.owns(&tags, "peering a c"), "copied to another thing");
        assert!(!Installation::new("other").unwrap().owns(&tags, "peering a b"));
        let role = Role {
            name: i.role(RoleKind::Producer, &owner().uid),
            path: i.role_path(),
            arn: String::new(),
            id: String::new(),
            trust: String::new(),
            boundary: None,
            tags: i.role_tags(&owner()),
        };
        assert!(i.owns_role(&role));
        assert!(!i.owns_role(&Role { path: "/".into(), ..role.clone() }));
        assert!(!i.owns_role(&Role { name: "redshift-link-other".into(), ..role.clone() }));
        assert!(!i.owns_role(&Role { tags: Tags::new(), ..role }));
    }

    #[test]
    fn an_id_that_would_not_fit_is_refused() {
        for bad in ["", "Prod", "a b", "retained", &"x".repeat(64)] {
            assert!(Installation::new(bad).is_err(), "{bad}");
        }
    }
}
