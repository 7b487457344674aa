//! What several links may need at once, by natural key.

use crate::api::CrossAccountRedshiftLink;
use crate::api::status::ENTRIES;
use crate::aws::model::{Direction, Permit, RulePeer};
use crate::aws::scope::{AccountId, Scope, VpcRef};
use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Something that AWS allows only once, and that several links may therefore share.
///
/// Its text stands in the status of links, where a later version of this program has to read it: the form is frozen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// A connection between two VPCs.
    Peering(VpcPair),
    /// Public names of the first VPC resolve to private addresses for the second.
    DnsResolution {
        /// Whose names.
        of: VpcRef,
        /// For whom.
        to: VpcRef,
    },
    /// A route in a table.
    Route {
        /// Account and region of the table.
        at: Scope,
        /// `rtb-...`.
        table: String,
        /// Destination.
        cidr: Ipv4Net,
    },
    /// A rule in a security group.
    Rule {
        /// Account and region of the group.
        at: Scope,
        /// `sg-...`.
        group: String,
        /// What passes.
        permit: Permit,
    },
}

/// Two VPCs, whichever of them asked for the connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VpcPair(VpcRef, VpcRef);

impl VpcPair {
    /// The pair of two VPCs.
    #[must_use]
    pub fn of(a: &VpcRef, b: &VpcRef) -> Self {
        Self(a.min(b).clone(), a.max(b).clone())
    }
}

impl Want {
    /// The accounts and regions that this thing lives in.
    #[must_use]
    pub fn scopes(&self) -> Vec<&Scope> {
        match self {
            Self::Peering(VpcPair(a, b)) | Self::DnsResolution { of: a, to: b } => vec![&a.at, &b.at],
            Self::Route { at, .. } | Self::Rule { at, .. } => vec![at],
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peering(VpcPair(a, b)) => write!(f, "peering {a} {b}"),
            Self::DnsResolution { of, to } => write!(f, "dns {of} {to}"),
            Self::Route { at, table, cidr } => write!(f, "route {at} {table} {cidr}"),
            Self::Rule { at, group, permit } => {
                let Permit { direction, protocol, ports, peer } = permit;
                let ports = ports.map_or_else(|| "all".to_owned(), |(from, to)| format!("{from}-{to}"));
                write!(f, "rule {at} {group} {direction} {protocol} {ports} {peer}")
            }
        }
    }
}

/// The text is not that of a [`Want`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not something that links share: {0:?}")]
pub struct UnknownWant(String);

impl FromStr for Want {
    type Err = UnknownWant;

    fn from_str(text: &str) -> Result<Self, UnknownWant> {
        parse(text).ok_or_else(|| UnknownWant(text.into()))
    }
}

fn parse(text: &str) -> Option<Want> {
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        ["peering", a, b] => Some(Want::Peering(VpcPair::of(&vpc(a)?, &vpc(b)?))),
        ["dns", of, to] => Some(Want::DnsResolution { of: vpc(of)?, to: vpc(to)? }),
        ["route", at, table, cidr] => {
            Some(Want::Route { at: scope(at)?, table: (*table).into(), cidr: cidr.parse().ok()? })
        }
        ["rule", at, group, direction, protocol, ports, peer] => {
            let direction = match *direction {
                "ingress" => Direction::Ingress,
                "egress" => Direction::Egress,
                _ => return None,
            };
            let ports = match ports.split_once('-') {
                Some((from, to)) => Some((from.parse().ok()?, to.parse().ok()?)),
                None => None,
            };
            let peer = match peer.parse() {
                Ok(cidr) => RulePeer::Cidr(cidr),
                Err(_) => {
                    let (account, id) = peer.split_once('/')?;
                    RulePeer::Group { account: AccountId(account.into()), id: id.into() }
                }
            };
            let permit = Permit { direction, protocol: (*protocol).into(), ports, peer };
            Some(Want::Rule { at: scope(at)?, group: (*group).into(), permit })
        }
        _ => None,
    }
}

fn scope(text: &str) -> Option<Scope> {
    let (account, region) = text.split_once('/')?;
    Some(Scope::new(account, region))
}

fn vpc(text: &str) -> Option<VpcRef> {
    let (at, id) = text.rsplit_once('/')?;
    Some(VpcRef { at: scope(at)?, id: id.into() })
}

/// What the status says that this link wants; none where it says nothing, or something this version cannot read.
#[must_use]
pub fn in_status(link: &CrossAccountRedshiftLink) -> Option<BTreeSet<Want>> {
    let status = link.status.as_ref().filter(|status| !status.wants.is_empty())?;
    status.wants.iter().map(|want| want.parse().ok()).collect()
}

/// What a link wants, and what it wanted before; where that is too much for the status, only what it has of it.
#[must_use]
pub fn held(link: &CrossAccountRedshiftLink, wants: &BTreeSet<Want>) -> BTreeSet<Want> {
    let before = in_status(link).unwrap_or_default();
    let mut held: BTreeSet<Want> = wants.union(&before).cloned().collect();
    if held.len() > ENTRIES {
        let has = |want: &&Want| link.status.as_ref().is_some_and(|s| s.resources.contains(&want.to_string()));
        let room = ENTRIES.saturating_sub(wants.len());
        held = wants.iter().chain(before.difference(wants).filter(has).take(room)).cloned().collect();
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_in_status_is_frozen_and_read_back() {
        for text in [
            "peering 111122223333/eu-west-1/vpc-p 444455556666/eu-west-2/vpc-c",
            "dns 111122223333/eu-west-1/vpc-p 444455556666/eu-west-2/vpc-c",
            "route 444455556666/eu-west-2 rtb-1 10.1.0.0/16",
            "rule 111122223333/eu-west-1 sg-1 ingress tcp 5439-5439 10.2.0.0/16",
            "rule 111122223333/eu-west-1 sg-1 ingress tcp 5439-5439 444455556666/sg-2",
            "rule 444455556666/eu-west-1 sg-2 egress -1 all 10.1.0.0/16",
        ] {
            assert_eq!(text.parse::<Want>().unwrap().to_string(), text);
        }
        for bad in ["", "peering a", "route 1/r rtb", "route 1/r rtb 10.1.0.0/99", "rule 1/r sg up tcp all 10.0.0.0/8"]
        {
            assert!(bad.parse::<Want>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// What one version wrote into a status, and what a process reads from it after a restart, is the same.
        #[test]
        fn any_want_is_read_back(
            at in "[0-9]{12}/[a-z]{2}-[a-z]{4,9}-[1-9]",
            ids in "[a-z]{2,3}-[0-9a-f]{8,17} [a-z]{2,3}-[0-9a-f]{8,17}",
            address in any::<u32>(),
            length in 0..=32_u8,
            ports in proptest::option::of(any::<(u16, u16)>()),
            (egress, by_group, kind) in (any::<bool>(), any::<bool>(), 0..4),
        ) {
            let at = scope(&at).unwrap();
            let (one, other) = ids.split_once(' ').unwrap();
            let vpc = |id: &str| VpcRef { at: at.clone(), id: id.into() };
            let cidr = Ipv4Net::new(address.into(), length).unwrap().trunc();
            let peer = if by_group {
                RulePeer::Group { account: at.account.clone(), id: other.into() }
            } else {
                RulePeer::Cidr(cidr)
            };
            let direction = if egress { Direction::Egress } else { Direction::Ingress };
            let permit = Permit { direction, protocol: "tcp".into(), ports, peer };
            let want = match kind {
                0 => Want::Peering(VpcPair::of(&vpc(one), &vpc(other))),
                1 => Want::DnsResolution { of: vpc(one), to: vpc(other) },
                2 => Want::Route { at: at.clone(), table: one.into(), cidr },
                _ => Want::Rule { at: at.clone(), group: one.into(), permit },
            };
            prop_assert_eq!(want.to_string().parse::<Want>(), Ok(want));
        }
    }

    #[test]
    fn a_pair_has_no_direction() {
        let vpc = |id: &str| VpcRef { at: Scope::new("111122223333", "eu-west-1"), id: id.into() };
        assert_eq!(VpcPair::of(&vpc("a"), &vpc("b")), VpcPair::of(&vpc("b"), &vpc("a")));
    }
}
