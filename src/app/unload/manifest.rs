//! The manifest of a job, as a user writes it: read strictly, and checked as the controller checks it. Pure.

use crate::api::UnloadJob;
use crate::api::unload::rules;
use crate::unload::query;
use kube::Resource;
use serde_json::Value;

/// The one job of a manifest.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn job(text: &str) -> Result<UnloadJob, String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    let documents: Vec<Value> = documents.into_iter().filter(|document| !document.is_null()).collect();
    let [given] = &documents[..] else {
        return Err(format!("it has {} objects: give one UnloadJob", documents.len()));
    };
    let (version, kind) = (UnloadJob::api_version(&()), UnloadJob::kind(&()));
    if given["kind"] != *kind || given["apiVersion"] != *version {
        return Err(format!("it is no {kind} of {version}: correct kind and apiVersion"));
    }
    let job: UnloadJob = serde_json::from_value(given.clone()).map_err(|error| error.to_string())?;
    let taken = serde_json::to_value(&job).map_err(|error| error.to_string())?;
    if let Some(path) = unknown(given, &taken) {
        return Err(format!("{path} is not known: correct its name, or take it out"));
    }
    if job.status.is_some() {
        return Err("status is the controller's to write: take it out".into());
    }
    let given_name = job.metadata.name.as_ref().or(job.metadata.generate_name.as_ref());
    if given_name.is_none_or(String::is_empty) {
        return Err("it has no name: give metadata.name, or metadata.generateName for a new one each time".into());
    }
    query::check(&job.spec.query).map_err(|error| format!("spec.query: {error}"))?;
    rules::check(&job.spec.output).map_err(|error| format!("spec.{error}"))?;
    Ok(job)
}

/// The first field that was given and not taken, by its path.
fn unknown(given: &Value, taken: &Value) -> Option<String> {
    let below = |at: String, given: &Value, taken: Option<&Value>| match taken {
        None if given.is_null() => None,
        None => Some(at),
        Some(taken) => unknown(given, taken).map(|rest| format!("{at}.{rest}")),
    };
    match (given, taken) {
        (Value::Object(given), Value::Object(taken)) => {
            given.iter().find_map(|(name, value)| below(name.clone(), value, taken.get(name)))
        }
        (Value::Array(given), Value::Array(taken)) => {
            given.iter().enumerate().find_map(|(index, value)| below(index.to_string(), value, taken.get(index)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(change: impl FnOnce(&mut Value)) -> Result<UnloadJob, String> {
        let mut manifest = json!({
            "apiVersion": "redshiftlink.dev/v1alpha1", "kind": "UnloadJob", "metadata": {"name": "stores"},
            "spec": {"linkRef": {"name": "exports"}, "query": "SELECT 1", "output": {"path": "a/", "csv": {}}},
        });
        change(&mut manifest);
        job(&manifest.to_string())
    }

    #[test]
    fn the_example_is_taken() {
        let example = include_str!("../../../examples/unload-job.yaml");
        assert_eq!(job(example).unwrap().metadata.name.as_deref(), Some("stores"));
        let generated = with(|m| m["metadata"] = json!({"generateName": "stores-", "creationTimestamp": null}));
        assert!(generated.is_ok(), "{generated:?}");
    }

    #[test]
    fn what_the_controller_would_not_take_is_refused_with_its_place() {
        type Change = fn(&mut Value);
        let rows: [(&str, Change); 13] = [
            ("kind and apiVersion", |m| m["kind"] = "Job".into()),
            ("kind and apiVersion", |m| m["apiVersion"] = "redshiftlink.dev/v1".into()),
            ("sepc is not known", |m| m["sepc"] = json!({})),
            ("metadata.lables is not known", |m| m["metadata"]["lables"] = json!({"a": "b"})),
            ("unknown field `qurey`", |m| m["spec"]["qurey"] = "SELECT 1".into()),
            ("unknown field `headers`", |m| m["spec"]["output"]["csv"] = json!({"headers": true})),
            ("missing field `query`", |m| drop(m["spec"].as_object_mut().unwrap().remove("query"))),
            ("status is the controller's", |m| m["status"] = json!({"rows": 1})),
            ("no name", |m| m["metadata"] = json!({"labels": {}})),
            ("spec.query: ", |m| m["spec"]["query"] = "DELETE FROM stores".into()),
            ("spec.output: exactly one of", |m| m["spec"]["output"]["json"] = json!({})),
            ("spec.output.path", |m| m["spec"]["output"]["path"] = "a".into()),
            ("invalid type", |m| m["spec"]["activeDeadlineSeconds"] = "soon".into()),
        ];
        for (expected, change) in rows {
            let error = with(change).expect_err(expected);
            assert!(error.contains(expected), "{expected}: {error}");
        }
        let example = include_str!("../../../examples/unload-job.yaml");
        assert!(job(&format!("{example}---\n{example}")).unwrap_err().contains("2 objects"));
        assert!(job("").unwrap_err().contains("0 objects"));
        assert!(job("{").is_err());
    }
}
