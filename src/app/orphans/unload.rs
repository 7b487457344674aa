//! What UNLOADs leave: fences of jobs that are gone, and roles on clusters whose links are gone.

use super::Living;
use crate::aws::accounts::{Account, Side};
use crate::aws::mark::{Installation, RoleKind};
use crate::aws::read::Seen;
use crate::aws::scope::{AccountId, Scope};
use crate::link::parts::{Halt, gather};
use crate::unload::attempt::{Fence, fences_below};
use std::collections::{BTreeMap, BTreeSet};

/// A bucket, and a prefix in it.
type Place = (String, String);

/// Where unloads write, and from which clusters, as living objects say.
#[derive(Default)]
pub(super) struct Unloads {
    pub jobs: BTreeSet<String>,
    pub places: BTreeSet<(AccountId, Place)>,
    pub clusters: BTreeSet<(Scope, String)>,
}

impl Unloads {
    /// Where fences may be: the prefixes that the accounts file lists, and those of living objects below them.
    fn places_in(&self, account: &Account) -> BTreeSet<Place> {
        let listed: BTreeSet<&str> =
            account.allow.iter().flat_map(|allow| &allow.buckets).map(String::as_str).collect();
        let readable = |(bucket, prefix): &&Place| {
            listed.iter().any(|above| *above == "*" || format!("{bucket}/{prefix}").starts_with(above))
        };
        let living = self.places.iter().filter(|(id, _)| *id == account.id).map(|(_, place)| place);
        let places = listed.iter().filter_map(|listed| listed.split_once('/'));
        let places = places.map(|(bucket, prefix)| (bucket.to_owned(), prefix.to_owned()));
        places.chain(living.filter(readable).cloned()).collect()
    }

    fn clusters_in(&self, account: &Account, living: &Living) -> BTreeSet<(Scope, String)> {
        let as_producer = |side| side == Side::Producer;
        if !account.allow.is_empty() && !account.allow.iter().any(|allow| as_producer(allow.side)) {
            return BTreeSet::new();
        }
        let listed = account.allow.iter().flat_map(|allow| &allow.clusters).filter(|cluster| *cluster != "*");
        let everywhere = listed.flat_map(|cluster| {
            let at = |region| Scope { account: account.id.clone(), region };
            living.regions.iter().cloned().map(move |region| (at(region), cluster.clone()))
        });
        everywhere.chain(self.clusters.iter().filter(|(at, _)| at.account == account.id).cloned()).collect()
    }
}

/// Fences of jobs that are gone. One of another installation is that one's.
pub(super) fn fences(
    any: &Scope,
    account: &Account,
    living: &Living,
    installation: &Installation,
    seen: &Seen,
) -> Result<Vec<String>, Halt> {
    let places = living.unloads.places_in(account);
    let looks = places.iter().map(|(bucket, prefix)| {
        let Some(region) = seen.bucket(any, bucket.clone())?.clone() else { return Ok(vec![]) };
        let at = Scope { account: account.id.clone(), region };
        let below = fences_below(prefix);
        let listing = seen.objects(&at, (bucket.clone(), below.clone()))?;
        // one key for each job
        let jobs: BTreeMap<&str, &String> = listing.objects.keys().filter_map(|key| job_of(key, &below)).collect();
        let left = jobs.into_iter().filter(|(uid, _)| !living.unloads.jobs.contains(*uid));
        gather(left.map(|(uid, key)| {
            let text = seen.object_text(&at, (bucket.clone(), key.clone()))?;
            let fence = text.as_ref().and_then(|text| Fence::of_installation(text, installation));
            let line = |fence: Fence| format!("fences s3://{bucket}/{below}{uid}/ of statement {}", fence.name);
            Ok::<_, Halt>(fence.map(line))
        }))
    });
    Ok(gather(looks)?.into_iter().flatten().flatten().collect())
}

fn job_of<'a>(key: &'a String, below: &str) -> Option<(&'a str, &'a String)> {
    Some((key.strip_prefix(below)?.split_once('/')?.0, key))
}

/// Roles of ours on clusters whose links are gone. One that was retained is somebody else's.
pub(super) fn cluster_roles(
    account: &Account,
    living: &Living,
    installation: &Installation,
    seen: &Seen,
) -> Result<Vec<String>, Halt> {
    let names: BTreeSet<String> = living.uids.iter().map(|uid| installation.role(RoleKind::Unload, uid)).collect();
    let clusters = living.unloads.clusters_in(account, living);
    let looks = clusters.iter().map(|(at, identifier)| {
        let roles = seen.cluster(at, identifier.clone())?.as_ref().map(|cluster| cluster.iam_roles.keys());
        let ours = format!(":role{}", installation.role_path());
        let named = roles.into_iter().flatten().filter_map(|arn| Some((arn, arn.split_once(&ours)?.1)));
        gather(named.filter(|(_, name)| !names.contains(*name)).map(|(arn, name)| {
            let role = seen.role(at, name)?.as_ref();
            let is_ours = role.is_none_or(|role| installation.owns_role(role));
            Ok::<_, Halt>(is_ours.then(|| format!("cluster-role {} {identifier} {arn}", at.region)))
        }))
    });
    Ok(gather(looks)?.into_iter().flatten().flatten().collect())
}
