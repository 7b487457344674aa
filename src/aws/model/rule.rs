//! Rules of security groups.

use super::Tags;
use crate::aws::scope::AccountId;
use ipnet::Ipv4Net;
use std::fmt;

/// Which way a security group rule lets traffic pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Direction {
    Ingress,
    Egress,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

/// The other end of a security group rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RulePeer {
    /// An IPv4 block.
    Cidr(Ipv4Net),
    /// A security group, perhaps of another account.
    Group {
        /// Owner.
        account: AccountId,
        /// `sg-...`.
        id: String,
    },
    /// An IPv6 block or a prefix list, as AWS writes it.
    Other(String),
}

impl fmt::Display for RulePeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(cidr) => write!(f, "{cidr}"),
            Self::Group { account, id } => write!(f, "{account}/{id}"),
            Self::Other(other) => f.write_str(other),
        }
    }
}

/// What a security group rule lets pass: its natural key within a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permit {
    /// In or out.
    pub direction: Direction,
    /// `tcp`, or `-1` for all.
    pub protocol: String,
    /// First and last port; absent for all.
    pub ports: Option<(u16, u16)>,
    /// From or to whom.
    pub peer: RulePeer,
}

impl Permit {
    /// TCP to one port.
    #[must_use]
    pub fn tcp(direction: Direction, port: u16, peer: RulePeer) -> Self {
        Self { direction, protocol: "tcp".into(), ports: Some((port, port)), peer }
    }

    /// True where everything that `other` lets pass also passes by this.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let protocol = self.protocol == "-1" || self.protocol == other.protocol;
        let ports = match (self.ports, other.ports) {
            (None, _) => true,
            (Some((from, to)), Some((a, b))) => from <= a && b <= to,
            (Some(_), None) => false,
        };
        let peer = match (&self.peer, &other.peer) {
            (RulePeer::Cidr(wide), RulePeer::Cidr(narrow)) => wide.contains(narrow),
            (a, b) => a == b,
        };
        self.direction == other.direction && protocol && ports && peer
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.direction, self.protocol)?;
        match self.ports {
            Some((from, to)) if from == to => write!(f, "/{from}")?,
            Some((from, to)) => write!(f, "/{from}-{to}")?,
            None => {}
        }
        let word = match self.direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        write!(f, " {word} {}", self.peer)
    }
}

/// One rule of a security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `sgr-...`.
    pub id: String,
    /// The group it belongs to.
    pub group: String,
    /// What it lets pass.
    pub permit: Permit,
    /// Tags of the rule.
    pub tags: Tags,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn permit(protocol: &str, ports: Option<(u16, u16)>, cidr: &str) -> Permit {
        let peer = RulePeer::Cidr(cidr.parse().unwrap());
        Permit { direction: Direction::Egress, protocol: protocol.into(), ports, peer }
    }

    fn some_permit() -> impl Strategy<Value = Permit> {
        let protocol = prop_oneof![Just("-1"), Just("tcp"), Just("udp")];
        let ports = proptest::option::of((0..8_u16, 0..8_u16));
        let block = (0..16_u32, 24..=32_u8);
        (any::<bool>(), protocol, ports, block).prop_map(|(egress, protocol, ports, (address, length))| Permit {
            direction: if egress { Direction::Egress } else { Direction::Ingress },
            protocol: protocol.into(),
            ports: ports.map(|(a, b)| (a.min(b), a.max(b))),
            peer: RulePeer::Cidr(Ipv4Net::new(address.into(), length).unwrap().trunc()),
        })
    }

    proptest! {
        /// A rule of others is used in place of ours only if every packet that ours lets pass passes by it as well.
        #[test]
        fn what_covers_a_rule_lets_all_of_its_packets_pass(
            wide in some_permit(),
            narrow in some_permit(),
            egress in any::<bool>(),
            (udp, port, address) in (any::<bool>(), 0..8_u16, 0..16_u32),
        ) {
            let passes = |by: &Permit| {
                let protocol = if udp { "udp" } else { "tcp" };
                let address: std::net::Ipv4Addr = address.into();
                (by.direction == Direction::Egress) == egress
                    && (by.protocol == "-1" || by.protocol == protocol)
                    && by.ports.is_none_or(|(from, to)| (from..=to).contains(&port))
                    && matches!(&by.peer, RulePeer::Cidr(cidr) if cidr.contains(&address))
            };
            if wide.covers(&narrow) && passes(&narrow) {
                prop_assert!(passes(&wide), "{} by {}", narrow, wide);
            }
            prop_assert!(narrow.covers(&narrow));
        }
    }

    #[test]
    fn a_wider_rule_covers_a_narrower_one() {
        let ours = permit("tcp", Some((5439, 5439)), "10.1.0.0/16");
        for wider in [
            permit("-1", None, "0.0.0.0/0"),
            permit("tcp", Some((5000, 6000)), "10.0.0.0/8"),
            permit("tcp", Some((5439, 5439)), "10.1.0.0/16"),
        ] {
            assert!(wider.covers(&ours), "{wider}");
        }
        for other in [
            permit("udp", Some((5439, 5439)), "10.1.0.0/16"),
            permit("tcp", Some((5440, 5440)), "10.1.0.0/16"),
            permit("tcp", Some((5439, 5439)), "10.1.0.0/17"),
            Permit { direction: Direction::Ingress, ..permit("-1", None, "0.0.0.0/0") },
        ] {
            assert!(!other.covers(&ours), "{other}");
        }
        assert_eq!(ours.to_string(), "egress tcp/5439 to 10.1.0.0/16");
    }
}
