//! What users are told in documents is so: every reason has its remedy, every example is taken.

use crate::bench::control_plane::ControlPlane;
use crate::bench::root;
use kube::CustomResourceExt;
use redshift_link::api::UnloadJob;
use redshift_link::api::unload::status::EndReason;
use redshift_link::app::unload::end::remedy;
use redshift_link::aws::accounts::Accounts;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use strum::IntoEnumIterator;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// String literals that are written as reasons and types of conditions are, as in `TwoWords`; not those of tests.
fn names(source: &str) -> BTreeSet<String> {
    // the policy of the producer role is full of words that look like reasons
    let code = source.split("#[cfg(test)]").next().and_then(|code| code.split("/// Who may take on the role.").next());
    let code = code.unwrap_or_default().replace("\\\"", "");
    let two_words = |word: &&str| {
        let capitals = word.chars().filter(char::is_ascii_uppercase).count();
        capitals > 1 && capitals < word.len() / 2 && word.starts_with(|c: char| c.is_ascii_uppercase())
    };
    let literals = code.split('"').skip(1).step_by(2).filter(|word| word.chars().all(|c| c.is_ascii_alphabetic()));
    literals.filter(two_words).map(ToOwned::to_owned).collect()
}

#[test]
fn every_reason_stands_in_the_list_of_reasons() {
    let list = text(&root().join("docs/reasons.md"));
    let errors = text(&root().join("src/aws/error.rs"));
    let reasons = errors.split("pub fn reason").nth(1).and_then(|rest| rest.split("pub fn remedy").next());
    let mut found = names(reasons.expect("the reasons of errors"));
    found.extend(names(&text(&root().join("src/api/conditions.rs"))));
    // documents for IAM are full of words that look like reasons
    let speaks = |path: &&PathBuf| !path.ends_with("policies.rs");
    let loops = ["src/link", "src/unload"].map(|folder| files(&root().join(folder)));
    let own_tests = |path: &&PathBuf| !path.components().any(|part| part.as_os_str() == "tests");
    found.extend(loops.iter().flatten().filter(speaks).filter(own_tests).flat_map(|path| names(&text(path))));
    found.extend(EndReason::iter().map(|reason| <&str>::from(reason).to_owned()));
    assert!(found.len() > 40, "{found:?}");
    let missing: Vec<_> = found.iter().filter(|name| !list.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in docs/reasons.md: {missing:?}");
}

/// What the command line tells to do about a job that failed is what the list of reasons tells.
#[test]
fn remedies_of_jobs_are_the_same_everywhere() {
    let list = text(&root().join("docs/reasons.md"));
    for reason in EndReason::iter() {
        let row = format!("| `{}` | ", <&str>::from(reason));
        let ends = remedy(reason).map_or("| |".to_owned(), |remedy| format!("| {remedy} |"));
        assert!(list.lines().any(|line| line.starts_with(&row) && line.ends_with(&ends)), "{row}... {ends}");
    }
}

/// The table of options names each field of an output, and no field that there is not.
#[test]
fn every_field_of_an_output_stands_in_the_table_of_options() {
    let crd = serde_json::to_value(UnloadJob::crd()).unwrap();
    let schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/output");
    let fields = |schema: &Value| schema["properties"].as_object().cloned().unwrap_or_default();
    let mut there = BTreeSet::new();
    for (name, field) in fields(schema.expect("an output")) {
        there.extend(fields(&field).keys().map(|inner| format!("{name}.{inner}")));
        // a format is chosen by naming it, with options or without
        if field["properties"].is_null() || ["parquet", "csv", "json", "text"].contains(&name.as_str()) {
            there.insert(name);
        }
    }
    let list = text(&root().join("docs/unload-options.md"));
    let second = |line: &str| line.strip_prefix("| ")?.split(" | ").nth(1).map(ToOwned::to_owned);
    let columns: Vec<String> = list.lines().take_while(|line| !line.starts_with("## ")).filter_map(second).collect();
    let named = columns.iter().flat_map(|column| column.split('`').skip(1).step_by(2)).map(ToOwned::to_owned);
    let named: BTreeSet<String> = named.filter(|field| field != "spec.query").collect();
    assert!(named.len() > 20, "{named:?}");
    assert_eq!(named, there);
}

#[test]
fn every_metric_stands_in_the_list_of_metrics() {
    let list = text(&root().join("charts/redshift-link/README.md"));
    let code = text(&root().join("src/observability/metrics.rs"));
    let names: Vec<&str> = code.split(".register(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.len() > 10, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !list.contains(&format!("`redshift_link_{name}"))).collect();
    assert!(missing.is_empty(), "not in charts/redshift-link/README.md: {missing:?}");
}

#[test]
fn every_example_is_taken() {
    let plane = ControlPlane::shared();
    plane.namespace("examples");
    let mut links = 0;
    for path in files(&root().join("examples")) {
        let content: Value = serde_saphyr::from_str(&text(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if content.get("accounts").is_some() {
            Accounts::parse(&text(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            continue;
        }
        let mut object = content;
        object["metadata"]["namespace"] = "examples".into();
        plane
            .try_kubectl(&["create", "--dry-run=server", "--validate=strict", "-f", "-"], &object.to_string())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        links += 1;
    }
    assert!(links >= 2, "{links}");
}

/// The manifest that a reader copies from the README is the smallest example.
#[test]
fn the_readme_shows_the_smallest_example() {
    let example = text(&root().join("examples/studio.yaml"));
    let bare = |text: &str| {
        let lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default().trim_end());
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    };
    let readme = text(&root().join("README.md"));
    let shown = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).map(bare);
    let shown: Vec<_> = shown.collect();
    assert!(shown.contains(&bare(&example)), "none of these is examples/studio.yaml: {shown:#?}");
}
