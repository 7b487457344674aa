//! Everything in both accounts as sorted text, with ids that differ between runs put aside.

use super::{Fake, State};
use redshift_link::aws::model::Target;
use std::collections::BTreeMap;

impl Fake {
    /// All things, one a line. Two runs that made the same things have the same inventory.
    pub fn inventory(&self) -> Vec<String> {
        let state = self.state();
        let names = names(&state);
        let mut lines = vec![];
        for ((account, name), role) in &state.roles {
            lines.push(format!("role {account} {}{name} boundary {:?} tags {:?}", role.path, role.boundary, role.tags));
            lines.push(format!("trust {account} {name} {}", role.trust));
            let policies =
                role.inline.iter().map(|(policy, document)| format!("policy {account} {name} {policy} {document}"));
            lines.extend(policies.chain(role.attached.iter().map(|arn| format!("attached {account} {name} {arn}"))));
        }
        for p in state.peerings.values().filter(|p| p.status().is_live()) {
            lines.push(format!("{} {:?} dns {:?} tags {:?}", pair(p), p.status(), p.dns, p.tags));
        }
        for ((at, id), table) in &state.tables {
            lines.extend(table.routes.iter().map(|route| {
                let target = match &route.target {
                    Target::Peering(id) => names.get(id).cloned().unwrap_or_else(|| format!("gone {id}")),
                    other => other.to_string(),
                };
                format!("route {at} {id} {} via {target}", route.destination)
            }));
        }
        for (at, name) in state.clusters.keys() {
            let roles = state.cluster_now(at, name).expect("there").iam_roles;
            lines.extend(roles.iter().map(|(arn, status)| format!("cluster {at} {name} takes on {arn} {status}")));
        }
        for ((at, _), rule) in &state.rules {
            lines.push(format!("rule {at} {} {} tags {:?}", rule.group, rule.permit, rule.tags));
        }
        lines.sort();
        lines
    }
}

fn pair(p: &super::Peering) -> String {
    format!("peering {} {}", p.requester, p.accepter)
}

fn names(state: &State) -> BTreeMap<String, String> {
    state.peerings.iter().filter(|(_, p)| p.status().is_live()).map(|(id, p)| (id.clone(), pair(p))).collect()
}
