//! What the ports to AWS promise, asked of the accounts in memory and, by the SDK, of the local AWS: both have to give the
//! same answers, and the same refusals in the same classes.
//!
//! The sweeps over the accounts in memory prove nothing if those are kinder than AWS. What the local AWS refuses, and
//! from which source that is known, stands in docs/aws-behaviour.md.

mod accounts;
mod cluster_roles;
mod memory;
mod objects;
mod peering;
mod reads;
mod roles;
mod routes;
mod rules;
mod scene;
mod served;
mod statements;

use crate::bench::local_aws::LocalAws;
use accounts::Accounts;
use futures::future::BoxFuture;
use redshift_link::aws::effect::EffectKind;
use redshift_link::aws::read::OPERATIONS;
use scene::Scene;
use served::Power;
use std::collections::BTreeSet;
use std::sync::Arc;
use strum::IntoEnumIterator;
use tokio::runtime::Builder;

type Property = for<'a> fn(&'a mut Scene) -> BoxFuture<'a, ()>;

macro_rules! properties {
    ($($module:ident: $($name:ident),+;)+) => {
        &[$($((concat!(stringify!($module), "::", stringify!($name)), |scene| Box::pin($module::$name(scene)))),+),+]
    };
}

/// Each is asked of accounts of its own.
const PROPERTIES: &[(&str, Property)] = properties! {
    roles:
        a_role_is_as_it_was_made,
        a_name_is_taken_whatever_its_path_and_case,
        only_a_role_that_is_there_is_trusted,
        a_trusted_role_that_goes_leaves_a_dead_id,
        an_inline_policy_is_written_and_removed,
        a_role_with_policies_stays,
        a_role_that_is_not_there_is_not_found,
        a_name_that_no_role_can_have_is_refused,
        tags_and_boundary_are_put_back,
        the_roles_under_our_path_are_listed,
        documents_have_a_size;
    peering:
        a_request_is_seen_by_both_and_marked_for_one,
        the_same_pair_again_is_the_same_connection,
        the_reversed_pair_cannot_be_joined_too,
        a_request_is_accepted_once_and_by_the_accepter,
        an_accepted_connection_becomes_active_by_itself,
        a_request_that_ended_is_no_connection,
        options_need_an_active_connection,
        names_are_resolved_only_with_host_names,
        what_cannot_be_joined_fails,
        a_connection_is_deleted_once,
        an_unknown_connection_is_not_found;
    routes:
        a_destination_has_one_route,
        the_own_network_is_not_routed_elsewhere,
        a_route_drops_traffic_unless_the_connection_is_active,
        only_a_route_that_is_there_is_replaced,
        a_connection_of_other_networks_is_no_target,
        tables_are_found_by_network_and_by_connection,
        a_full_table_takes_no_more_routes,
        a_table_that_is_not_there_is_not_found;
    rules:
        a_rule_is_made_once_and_marked,
        a_rule_is_revoked_by_its_id,
        a_group_of_the_other_account_needs_an_active_connection,
        a_group_of_the_own_network_needs_none,
        a_rule_is_given_up_by_its_tags,
        a_group_that_is_not_there_is_not_found;
    cluster_roles:
        a_role_is_added_and_removed_in_its_time,
        one_change_waits_for_the_other,
        a_cluster_that_is_not_available_takes_no_change,
        a_cluster_that_is_not_there_is_not_found;
    objects:
        an_object_is_put_where_there_is_none,
        objects_are_listed_by_prefix_and_deleted,
        an_upload_is_given_up_once,
        a_manifest_is_read_as_it_comes;
    statements:
        a_statement_is_submitted_once_for_a_token,
        a_statement_is_found_behind_pages_of_others,
        a_statement_that_runs_is_cancelled,
        a_statement_that_ended_cannot_be_cancelled;
    reads:
        a_session_knows_its_partition,
        the_warehouse,
        the_studio,
        networks,
        a_bucket_of_the_own_account,
        what_a_bucket_refuses,
        the_key_of_a_bucket,
        a_key,
        a_secret,
        endpoints_of_a_network,
        what_is_not_there_is_left_out,
        a_prefix_list_that_is_not_seen_is_refused,
        many_are_read_at_once;
};

/// All properties, each as it went.
async fn run(whose: &str, accounts: impl AsyncFn() -> Accounts) -> Vec<Scene> {
    let mut scenes = vec![];
    for (name, property) in PROPERTIES {
        // the last of these stands above a panic
        println!("{whose}: {name}");
        let mut scene = Scene::new(accounts().await);
        property(&mut scene).await;
        scenes.push(scene);
    }
    scenes
}

fn in_memory() -> Vec<Scene> {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(run("in memory", async || memory::accounts()))
}

fn served(power: Power) -> Vec<Scene> {
    let aws = Arc::new(LocalAws::start());
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run("local AWS", async || served::accounts(&aws, power).await))
}

/// The promises that were not kept, each with its property.
fn broken(scenes: &[Scene]) -> Vec<String> {
    let named = PROPERTIES.iter().zip(scenes);
    named.flat_map(|((name, _), scene)| scene.broken.iter().map(move |what| format!("{name}\n    {what}"))).collect()
}

/// The first line of each property in which both tell something else; but for lines that `may` differ.
fn differences(one: &[Scene], other: &[Scene], may: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut found = vec![];
    for ((name, _), (one, other)) in PROPERTIES.iter().zip(one.iter().zip(other)) {
        let line = |scene: &Scene, n: usize| scene.lines.get(n).cloned().unwrap_or_else(|| "nothing more".into());
        let lines = (0..one.lines.len().max(other.lines.len())).map(|n| (n, line(one, n), line(other, n)));
        if let Some((n, one, other)) = lines.into_iter().find(|(_, one, other)| one != other && !may(one, other)) {
            found.push(format!("{name}, line {}\n    in memory: {one}\n    local AWS: {other}", n + 1));
        }
    }
    found
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn the_accounts_in_memory_keep_every_promise() {
    let scenes = in_memory();
    assert_none("promises that are not kept in memory", &broken(&scenes));
    let executed: BTreeSet<EffectKind> = scenes.iter().flat_map(|scene| scene.executed.clone()).collect();
    assert_eq!(executed, EffectKind::iter().collect(), "each kind of effect is executed");
    let read: BTreeSet<&str> = scenes.iter().flat_map(|scene| scene.read.iter().map(String::as_str)).collect();
    assert_eq!(read, OPERATIONS.iter().map(|(method, _)| *method).collect(), "each kind of read is read");
}

#[test]
fn the_local_aws_keeps_them_in_the_same_words() {
    let (memory, served) = (in_memory(), served(Power::Full));
    assert_none("promises that the local AWS does not keep", &broken(&served));
    assert_none("what both tell differently", &differences(&memory, &served, |_, _| false));
}

/// With the permissions that the program prints, what is done is done and what is read is read. Only what is not there
/// may be refused for want of permission instead: it has no path and no tags by which it could be allowed.
#[test]
fn the_printed_permissions_are_enough() {
    let (memory, served) = (in_memory(), served(Power::Printed));
    let absent = |memory: &str, served: &str| memory.contains(" not-found, by") && served.contains(" denied, by");
    assert_none("what the printed permissions change", &differences(&memory, &served, absent));
}
