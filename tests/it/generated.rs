//! Generated files are what the program writes now, and what the definitions promise holds.

use crate::bench::root;
use serde_json::Value;

#[test]
fn the_definitions_are_those_that_the_program_prints() {
    for file in redshift_link::api::crds() {
        for folder in ["crds", "charts/redshift-link/files/crds"] {
            let path = root().join(folder).join(&file.name);
            let there = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(there == file.yaml, "{} differs: run `make generated`", path.display());
        }
    }
}

/// A definition above this is refused by `kubectl apply` without `--server-side`, which keeps a copy in an annotation.
#[test]
fn each_definition_is_small_and_documented() {
    for file in redshift_link::api::crds() {
        assert!(file.yaml.len() < 100_000, "{}: {} bytes", file.name, file.yaml.len());
        let definition: Value = serde_saphyr::from_str(&file.yaml).expect("YAML");
        for version in definition["spec"]["versions"].as_array().expect("versions") {
            let mut wrong = vec![];
            let schema = &version["schema"]["openAPIV3Schema"];
            for part in ["spec", "status"] {
                look(&format!(".{part}"), &schema["properties"][part], part == "spec", &mut wrong);
            }
            assert!(wrong.is_empty(), "{wrong:#?}");
            assert_eq!(schema["properties"]["status"]["default"], serde_json::json!({"observedGeneration": -1}));
            assert!(schema["properties"]["status"].get("required").is_none(), "no status field is required");
        }
    }
}

/// Every field has a description; in a spec, every string, list and map has a bound, and nothing has a default.
fn look(path: &str, schema: &Value, spec: bool, wrong: &mut Vec<String>) {
    let bound = match schema["type"].as_str() {
        Some("string") if schema.get("enum").is_none() => "maxLength",
        Some("array") => "maxItems",
        Some("object") if schema.get("additionalProperties").is_some() => "maxProperties",
        _ => "type",
    };
    if spec && schema.get(bound).is_none() {
        wrong.push(format!("{path}: no {bound}"));
    }
    if spec && schema.get("default").is_some() {
        wrong.push(format!("{path}: a default, which GitOps tools take for drift"));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property["description"].as_str().is_none_or(str::is_empty) {
            wrong.push(format!("{path}: no description"));
        }
        look(&path, property, spec, wrong);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(inner).filter(|inner| inner.is_object()) {
            look(&format!("{path}[]"), inner, spec, wrong);
        }
    }
}
