//! `redshift-link orphans`: what carries our mark and belongs to no living object.

mod unload;

use super::{AppError, client, installation, sdk};
use crate::api::{CrossAccountRedshiftLink, FINALIZER, PLACE, UnloadJob};
use crate::aws::accounts::{Account, watch_file};
use crate::aws::mark::{Installation, UID, peering_key, rule_key};
use crate::aws::moment::{Freshness, Moment};
use crate::aws::read::{Gap, Seen};
use crate::aws::scope::{AccountId, Region, Scope};
use crate::aws::shared::SharedReads;
use crate::cli::Orphans as Settings;
use crate::link::observe::observe;
use crate::link::parts::{Halt, gather};
use crate::link::plan::Unread;
use crate::link::reconcile::Loop;
use crate::link::want::{VpcPair, Want};
use crate::observability::metrics::Metrics;
use crate::unload::attempt::Place;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use unload::Unloads;

/// Orphans are counted every so many intervals.
const INTERVALS: u32 = 6;

/// What living objects have or want.
#[derive(Default)]
struct Living {
    uids: BTreeSet<String>,
    wants: BTreeSet<Want>,
    regions: BTreeSet<Region>,
    unloads: Unloads,
}

impl Living {
    async fn list(client: &Client) -> Result<Self, kube::Error> {
        let links: Api<CrossAccountRedshiftLink> = Api::all(client.clone());
        let mut living = Self::default();
        for link in links.list(&ListParams::default()).await? {
            if !link.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
                continue;
            }
            living.uids.extend(link.uid());
            let wants = link.status.iter().flat_map(|status| status.wants.iter().chain(&status.resources));
            living.wants.extend(wants.filter_map(|want| want.parse().ok()));
            living.regions.insert(Region(link.spec.producer.region.clone()));
            living.regions.insert(Region(link.spec.consumer_region().to_owned()));
            let (producer, consumer) = (&link.spec.producer, AccountId(link.spec.consumer.account_id.clone()));
            let cluster = (Scope::new(&producer.account_id, &producer.region), producer.cluster.identifier.clone());
            living.unloads.clusters.insert(cluster);
            let unload = link.spec.unload.into_iter();
            living.unloads.places.extend(unload.map(|unload| (consumer.clone(), (unload.bucket, unload.prefix))));
        }
        let jobs: Api<UnloadJob> = Api::all(client.clone());
        for job in jobs.list(&ListParams::default()).await? {
            living.unloads.jobs.extend(job.uid());
            let place = job.annotations().get(PLACE).and_then(|text| Place::parse(text));
            let place = place.map(|at| (AccountId(at.bucket_account), (at.bucket, at.prefix)));
            living.unloads.places.extend(place);
        }
        Ok(living)
    }
}

/// Lists orphans in all accounts.
///
/// # Errors
/// The accounts file or the cluster cannot be read.
pub async fn orphans(settings: Settings) -> Result<ExitCode, AppError> {
    let (accounts, _) = watch_file(&settings.place.accounts).await?;
    let client = client().await?;
    let installation = installation(&settings.place, Some(&client)).await?;
    let mut living = Living::list(&client).await?;
    living.regions.extend(settings.region.iter().cloned().map(Region));
    if living.regions.is_empty() {
        return Err(AppError::Setting("no link says which regions to look into: name them with --region".into()));
    }
    let reads = SharedReads::new(Arc::new(sdk(accounts.clone(), &installation, Metrics::default()).await));
    let accounts = accounts.borrow().accounts.clone();
    let (mut found, mut failed) = (0, false);
    for account in accounts.accounts.iter().filter(|account| !account.abandoned) {
        match of_account(account, &living, &installation, &reads).await {
            Ok(orphans) => {
                orphans.iter().for_each(|orphan| println!("{} {orphan}", account.id));
                found += orphans.len();
            }
            Err(problem) => {
                eprintln!("{}: {problem}", account.id);
                failed = true;
            }
        }
    }
    Ok(ExitCode::from(if failed {
        1
    } else if found > 0 {
        2
    } else {
        0
    }))
}

/// Counts orphans now and then, for as long as the process leads.
pub async fn measure(client: Client, around: Arc<Loop>, metrics: Metrics, interval: Duration) {
    // what the last link in a region left is still to be found
    let mut regions = BTreeSet::new();
    loop {
        tokio::time::sleep(interval * INTERVALS).await;
        let mut living = match Living::list(&client).await {
            Ok(living) => living,
            Err(error) => {
                tracing::warn!(%error, "orphans were not counted");
                continue;
            }
        };
        regions.append(&mut living.regions);
        living.regions.clone_from(&regions);
        let accounts = around.accounts.borrow().accounts.clone();
        for account in accounts.accounts.iter().filter(|account| !account.abandoned) {
            match of_account(account, &living, &around.installation, &around.reads).await {
                Ok(orphans) => metrics.set_orphans(&account.id.0, orphans.len()),
                Err(problem) => tracing::warn!(account = %account.id, problem, "orphans were not counted"),
            }
        }
    }
}

async fn of_account(
    account: &Account,
    living: &Living,
    installation: &Installation,
    reads: &SharedReads,
) -> Result<Vec<String>, String> {
    let any = Freshness { after: Moment::default(), age: Duration::from_secs(60) };
    let mut found = vec![];
    for region in &living.regions {
        let at = Scope { account: account.id.clone(), region: region.clone() };
        let look = |seen: &Seen| answered(of_scope(&at, living, installation, seen));
        found.extend(observe(reads, &mut Seen::default(), |_| any, look).await?);
    }
    let Some(any_region) = living.regions.first() else { return Ok(found) };
    let at = Scope { account: account.id.clone(), region: any_region.clone() };
    let look = |seen: &Seen| answered(roles(&at, living, installation, seen));
    found.extend(observe(reads, &mut Seen::default(), |_| any, look).await?);
    let look = |seen: &Seen| answered(unload::fences(&at, account, living, installation, seen));
    found.extend(observe(reads, &mut Seen::default(), |_| any, look).await?);
    let look = |seen: &Seen| answered(unload::cluster_roles(account, living, installation, seen));
    found.extend(observe(reads, &mut Seen::default(), |_| any, look).await?);
    Ok(found)
}

/// What is unread is asked for; what is refused ends the search.
fn answered(result: Result<Vec<String>, Halt>) -> Result<Result<Vec<String>, String>, Unread> {
    match result {
        Ok(found) => Ok(Ok(found)),
        Err(Halt::Unread(unread)) => Err(unread),
        Err(Halt::Refused(error)) => Ok(Err(error.to_string())),
        Err(Halt::Found(finding)) => Ok(Err(finding.message)),
    }
}

fn of_scope(at: &Scope, living: &Living, installation: &Installation, seen: &Seen) -> Result<Vec<String>, Halt> {
    let mut found = vec![];
    let peerings = seen.peerings(at, ());
    let rules = seen.marked_rules(at, ());
    let (peerings, rules) = crate::link::parts::both(peerings, rules)?;
    let ours: Vec<_> =
        peerings.iter().filter(|p| installation.owns(&p.tags, &peering_key(&p.requester, &p.accepter))).collect();
    let tables = ours.iter().map(|p| Ok::<_, Gap>((p, seen.tables_through(at, p.id.clone())?)));
    for (peering, tables) in gather(tables)? {
        let want = Want::Peering(VpcPair::of(&peering.requester, &peering.accepter));
        if peering.status.is_live() && !living.wants.contains(&want) {
            found.push(format!("{want} ({})", peering.id));
        }
        for route in tables.iter().flat_map(|table| crate::link::parts::routes::through(table, &peering.id)) {
            let want = Want::Route { at: at.clone(), table: route.0.to_owned(), cidr: route.1 };
            if !living.wants.contains(&want) {
                found.push(want.to_string());
            }
        }
    }
    for rule in rules.iter().filter(|rule| installation.owns(&rule.tags, &rule_key(&rule.group, &rule.permit))) {
        let want = Want::Rule { at: at.clone(), group: rule.group.clone(), permit: rule.permit.clone() };
        if !living.wants.contains(&want) {
            found.push(format!("{want} ({})", rule.id));
        }
    }
    Ok(found)
}

fn roles(at: &Scope, living: &Living, installation: &Installation, seen: &Seen) -> Result<Vec<String>, Halt> {
    // the listing has no tags: each role is looked at for itself
    let looks = seen.marked_roles(at, ())?.iter().map(|role| seen.role(at, role.name.clone()));
    let roles = gather(looks)?.into_iter().flatten().filter(|role| installation.owns_role(role));
    let orphaned = roles.filter(|role| role.tags.get(UID).is_none_or(|uid| !living.uids.contains(uid)));
    Ok(orphaned.map(|role| format!("role {}", role.arn)).collect())
}
