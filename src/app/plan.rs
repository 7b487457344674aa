//! `redshift-link plan`: the plan of a manifest, by the same code as in the cluster.

use super::{AppError, client, installation, read, sdk};
use crate::api::{CrossAccountRedshiftLink, FINALIZER};
use crate::aws::accounts::{Accounts, Tenant, allow, watch_file};
use crate::aws::mark::Installation;
use crate::aws::moment::{Freshness, Moment};
use crate::aws::read::Seen;
use crate::aws::scope::Scope;
use crate::aws::shared::SharedReads;
use crate::cli::Plan as Settings;
use crate::link::observe::observe;
use crate::link::others::Others;
use crate::link::plan::{Plan, Reach, keep, take_down};
use crate::link::request::Request;
use crate::link::status::planned;
use crate::observability::metrics::Metrics;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

const NOTHING_TO_DO: u8 = 0;
const SOMETHING_TO_DO: u8 = 2;
const NO_PLAN: u8 = 1;

/// Prints the plan of every link of a manifest.
///
/// # Errors
/// The manifest, the accounts file or the cluster cannot be read.
pub async fn plan(settings: Settings) -> Result<ExitCode, AppError> {
    let manifest = links(&read(&settings.filename)?)?;
    if manifest.is_empty() {
        return Err(AppError::Setting(format!("{}: no CrossAccountRedshiftLink in it", settings.filename.display())));
    }
    let (accounts, _) = watch_file(&settings.place.accounts).await?;
    let client = if settings.offline { None } else { Some(client().await?) };
    let installation = installation(&settings.place, client.as_ref()).await?;
    let reads = SharedReads::new(Arc::new(sdk(accounts.clone(), &installation, Metrics::default()).await));
    let accounts = accounts.borrow().accounts.clone();
    let cluster = Cluster::ask(client, &settings).await?;
    let mut code = NOTHING_TO_DO;
    for link in manifest {
        let link = cluster.place(link);
        let name = format!("{}/{}", link.namespace().unwrap_or_default(), link.name_any());
        let labels = cluster.labels(&link).await?;
        match of(&link, &labels, &accounts, &installation, &reads, &cluster.others(&link)).await {
            Err(denied) => {
                println!("{name}: {denied}");
                code = NO_PLAN;
            }
            Ok(plan) => {
                print(&name, &link, &plan);
                if plan.halted_at.is_some() {
                    code = NO_PLAN;
                } else if code == NOTHING_TO_DO && !(plan.steps.is_empty() && plan.findings.is_empty()) {
                    code = SOMETHING_TO_DO;
                }
            }
        }
    }
    Ok(ExitCode::from(code))
}

async fn of(
    link: &CrossAccountRedshiftLink,
    labels: &BTreeMap<String, String>,
    accounts: &Accounts,
    installation: &Installation,
    reads: &SharedReads,
    others: &Others,
) -> Result<Plan, String> {
    let namespace = link.namespace().unwrap_or_default();
    let tenant = Tenant { namespace: &namespace, labels };
    let grants = allow(&link.spec, tenant, accounts).map_err(|denied| denied.to_string())?;
    let producer = Scope::new(&link.spec.producer.account_id, &link.spec.producer.region);
    let consumer = Scope::new(&link.spec.consumer.account_id, link.spec.consumer_region());
    let abandoned = accounts.abandoned();
    let request = Request {
        link,
        installation,
        grants: Some(grants),
        abandoned: &abandoned,
        producer: &producer,
        consumer: &consumer,
        now: Timestamp::now(),
        certain: true,
        held_by: &BTreeSet::new(),
        interval: SignedDuration::ZERO,
    };
    let any = Freshness { after: Moment::default(), age: Duration::from_secs(60) };
    let compute = |seen: &Seen| match link.metadata.deletion_timestamp {
        Some(_) => take_down(&request, seen, others, Reach::All),
        None => keep(&request, seen, others),
    };
    Ok(observe(reads, &mut Seen::default(), |_| any, compute).await)
}

fn print(name: &str, link: &CrossAccountRedshiftLink, plan: &Plan) {
    println!("{name}: {} to do, {} in place, {} of others used", plan.steps.len(), plan.ours.len(), plan.used.len());
    if link.uid().is_none() && !plan.steps.is_empty() {
        println!("  (names of roles and policies follow from the object's UID: they will be others than these)");
    }
    for step in &plan.steps {
        let line = planned(step);
        let place = line.region.map_or(line.account.clone(), |region| format!("{}/{region}", line.account));
        println!("  {place:<26} {:<16} {}", line.part, line.effect);
        if let Some(policy) = step.effect.document().and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            let text = format!("{policy:#}");
            text.lines().for_each(|line| println!("      {line}"));
        }
    }
    for finding in &plan.findings {
        println!("  in the way: {} {}: {}", finding.part.condition(), finding.reason, finding.message);
    }
}

/// What the cluster says of the objects of a manifest.
struct Cluster {
    client: Option<Client>,
    namespace: String,
    links: Vec<CrossAccountRedshiftLink>,
}

impl Cluster {
    async fn ask(client: Option<Client>, settings: &Settings) -> Result<Self, AppError> {
        let mut links = vec![];
        if let Some(client) = &client {
            links = Api::all(client.clone()).list(&ListParams::default()).await?.items;
        }
        let own = client.as_ref().map_or("default", |client| client.default_namespace()).to_owned();
        Ok(Self { client, namespace: settings.namespace.clone().unwrap_or(own), links })
    }

    /// The object as it would be once applied: with the UID and status of the one that is there.
    fn place(&self, link: CrossAccountRedshiftLink) -> CrossAccountRedshiftLink {
        let namespace = link.namespace().unwrap_or_else(|| self.namespace.clone());
        let there =
            self.links.iter().find(|l| l.namespace().as_ref() == Some(&namespace) && l.name_any() == link.name_any());
        let mut placed = match there {
            Some(there) => CrossAccountRedshiftLink { spec: link.spec, ..there.clone() },
            None => link,
        };
        placed.metadata.namespace = Some(namespace);
        placed
    }

    async fn labels(&self, link: &CrossAccountRedshiftLink) -> Result<BTreeMap<String, String>, AppError> {
        let Some(client) = &self.client else { return Ok(BTreeMap::new()) };
        let namespaces: Api<Namespace> = Api::all(client.clone());
        // by a listing, which is all that the controller's own ServiceAccount may do
        let name = format!("metadata.name={}", link.namespace().unwrap_or_default());
        let found = namespaces.list_metadata(&ListParams::default().fields(&name)).await?;
        Ok(found.items.first().map(|namespace| namespace.labels().clone()).unwrap_or_default())
    }

    /// What the other links want, as their status says.
    fn others(&self, link: &CrossAccountRedshiftLink) -> Others {
        let live = self.links.iter().filter(|other| {
            let held = other.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
            held && other.metadata.deletion_timestamp.is_none() && other.uid() != link.uid()
        });
        let mut others = Others::default();
        for other in live {
            let name = format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any());
            let wants = other.status.iter().flat_map(|status| &status.wants).filter_map(|want| want.parse().ok());
            others.wanted.extend(wants.map(|want| (want, name.clone())));
        }
        others
    }
}

/// The links of a manifest with any number of objects, in documents or lists.
fn links(text: &str) -> Result<Vec<CrossAccountRedshiftLink>, AppError> {
    let bad = |error: String| AppError::Setting(format!("the manifest: {error}"));
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| bad(error.to_string()))?;
    let mut links = vec![];
    let mut queue = documents;
    while let Some(object) = queue.pop() {
        match object.get("kind").and_then(Value::as_str) {
            Some("CrossAccountRedshiftLink") => {
                let name =
                    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("without a name").to_owned();
                links.push(serde_json::from_value(object).map_err(|error| bad(format!("link {name}: {error}")))?);
            }
            Some("List") => queue.extend(object.get("items").and_then(Value::as_array).cloned().unwrap_or_default()),
            _ => {}
        }
    }
    links.reverse();
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_links_of_a_manifest_are_found_in_order() {
        let link = |name: &str| {
            format!(
                "{{apiVersion: redshiftlink.dev/v1alpha1, kind: CrossAccountRedshiftLink, metadata: {{name: {name}}}, spec: {{producer: \
                 {{accountId: '111122223333', region: eu-west-1, cluster: {{identifier: w, database: d}}}}, consumer: \
                 {{accountId: '444455556666', studio: {{domainId: d-1}}}}}}}}"
            )
        };
        let text = format!("{}\n---\nkind: ConfigMap\n---\nkind: List\nitems: [{}]\n", link("a"), link("b"));
        let names: Vec<_> = links(&text).unwrap().iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(links("kind: CrossAccountRedshiftLink\nspec: {}").is_err());
    }
}
