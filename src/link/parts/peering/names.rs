//! The DNS option of a connection: public names of the producer's VPC resolve to private addresses for the other.

use crate::aws::effect::{Effect, PeeringSide, ResourceId};
use crate::aws::model::Peering;
use crate::aws::read::Seen;
use crate::aws::scope::VpcRef;
use crate::link::facts::Facts;
use crate::link::parts::{Finding, Halt, Part, both};
use crate::link::request::Request;

/// The attribute of one of the VPCs without which the DNS option is refused, if there is one.
pub fn lacking_attribute(facts: &Facts, seen: &Seen) -> Result<Option<Finding>, Halt> {
    let attributes = |vpc: &VpcRef| seen.vpc_dns(&vpc.at, vpc.id.clone());
    let (p, c) = both(attributes(&facts.producer.vpc), attributes(&facts.consumer.vpc))?;
    for (vpc, dns) in [(&facts.producer.vpc, p), (&facts.consumer.vpc, c)] {
        let missing = match dns {
            Some(dns) if !dns.support => "enable-dns-support",
            Some(dns) if !dns.hostnames => "enable-dns-hostnames",
            _ => continue,
        };
        let message = format!(
            "{} lacks {missing}, so the cluster's name would not resolve to its private address: run `aws ec2 modify-vpc-attribute \
             --vpc-id {} --{missing} --region {}` in account {}, or set peering.dnsResolution to false",
            vpc.id, vpc.id, vpc.at.region, vpc.at.account
        );
        return Ok(Some(Finding::blocked(Part::Peering, "DnsHostnamesDisabled", message)));
    }
    Ok(None)
}

/// The producer's side of a connection, and whether its names resolve to private addresses for the other: as the
/// producer sees it, for whether an account sees the other's option is not known.
pub fn producer_side(request: &Request<'_>, found: &Peering, there: &[Peering]) -> (PeeringSide, bool) {
    let seen = there.iter().find(|p| p.id == found.id);
    if found.accepter.at == *request.producer {
        (PeeringSide::Accepter, seen.is_some_and(|p| p.accepter_dns))
    } else {
        (PeeringSide::Requester, seen.is_some_and(|p| p.requester_dns))
    }
}

/// Switches it on or off.
pub fn resolve(request: &Request<'_>, peering: ResourceId, side: PeeringSide, resolve_remote_dns: bool) -> Effect {
    let at = request.producer.clone();
    Effect::ModifyVpcPeeringConnectionOptions { at, peering, side, resolve_remote_dns }
}
