//! What the controller reports of a link.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What was found and done.
///
/// A convenience: wiped at any moment, nothing at AWS is lost and nothing is made twice.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LinkStatus {
    /// The generation of the spec that the rest of the status is about; -1 before the controller saw the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled as kstatus reads them, and one condition for each part of the link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 32))]
    pub conditions: Vec<Condition>,
    /// The value of the annotation redshiftlink.dev/reconcile-requested-at that was acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// ARN of the role that users take on in the producer's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub role_arn: Option<String>,
    /// Id of the peering connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub peering_connection_id: Option<String>,
    /// Ids of connections that this link's routes go through, or went through: once AWS has forgotten a connection, its
    /// routes are found by its id alone.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(schema_with = "ids")]
    pub connections: BTreeSet<String>,
    /// What this link needs of what several links share, written before the first of it is made.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(schema_with = "names")]
    pub wants: BTreeSet<String>,
    /// What exists at AWS and carries this program's mark, for this link.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(schema_with = "names")]
    pub resources: BTreeSet<String>,
    /// What others made and this link uses: never changed, never deleted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(schema_with = "names")]
    pub used: BTreeSet<String>,
    /// What would be done, in order: in mode Plan all of it, otherwise what is still to be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub plan: Vec<PlannedEffect>,
    /// What somebody else undid lately, and when. Three times in an hour is left alone for a day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub undone: Vec<Undone>,
}

/// So many entries stand in a list of the status.
pub const ENTRIES: usize = 500;

/// One step of the plan.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PlannedEffect {
    /// The account that it changes.
    #[schemars(length(max = 12))]
    pub account: String,
    /// The region; absent for IAM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub region: Option<String>,
    /// The part of the link that it is for.
    #[schemars(length(max = 64))]
    pub part: String,
    /// The API operation and its target.
    #[schemars(length(max = 1024))]
    pub effect: String,
}

/// Something of ours that somebody else removed or changed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Undone {
    /// What.
    #[schemars(length(max = 512))]
    pub resource: String,
    /// When it was found missing, of the last hour or, where it is left alone, of that hour.
    #[schemars(length(max = 8))]
    pub times: Vec<Time>,
    /// The generation of the spec at that time: a change of the spec starts anew.
    pub generation: i64,
}

/// A few ids in an order that does not change.
fn ids(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": 50, "items": {"type": "string", "maxLength": 32}, "x-kubernetes-list-type": "atomic"
    })
}

/// A set of keys in an order that does not change, and with bounds.
fn names(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": ENTRIES, "items": {"type": "string", "maxLength": 512}, "x-kubernetes-list-type": "atomic"
    })
}
