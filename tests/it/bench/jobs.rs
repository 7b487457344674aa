//! Jobs on a stage, and what lies in its buckets.

use super::stage::{Stage, condition};
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Stage {
    /// The manifest of a job of this name over a link.
    pub fn job_manifest(&self, name: &str, link: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut job = json!({
            "apiVersion": "redshiftlink.dev/v1alpha1", "kind": "UnloadJob",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"linkRef": {"name": link}, "query": "SELECT id, city FROM stores WHERE city <> 'Espoo'",
                "output": {"path": "stores/", "text": {"delimiter": "|"}}, "dataPolicy": "Delete"},
        });
        change(&mut job["spec"]);
        job
    }

    pub fn job(&self, name: &str) -> Option<Value> {
        self.plane().get("unloadjob", &self.namespace, name)
    }

    /// Waits until a job is complete, or has failed.
    pub async fn until_job_ends(&self, name: &str) -> Value {
        let ended = || ["Complete", "Failed"].map(|kind| condition(self.job(name).as_ref(), kind)).concat();
        self.until(&format!("job {name} to end"), || !ended().is_empty()).await;
        self.job(name).expect("there")
    }

    pub async fn until_job_complete(&self, name: &str) -> Value {
        let job = self.until_job_ends(name).await;
        assert!(condition(Some(&job), "Complete").starts_with("True"), "{job:#}");
        job
    }

    pub fn delete_job(&self, name: &str) {
        self.plane().kubectl(&["delete", "unloadjob", name, "-n", &self.namespace, "--wait=false"]);
    }

    pub async fn until_job_gone(&self, name: &str) {
        self.until(&format!("job {name} to be gone"), || self.job(name).is_none()).await;
    }

    /// S3 as the administrator of the consumer sees it.
    pub async fn s3(&self) -> aws_sdk_s3::Client {
        let side = &self.world["consumer"];
        let region = side["region"].as_str().expect("a region");
        aws_sdk_s3::Client::new(&self.aws.config(&side["admin"], region).await)
    }

    /// The contents of all files below a prefix of a bucket, by key.
    pub async fn files(&self, bucket: &str, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let s3 = self.s3().await;
        let listed = s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await.expect("listed");
        let mut found = BTreeMap::new();
        for key in listed.contents.unwrap_or_default().into_iter().filter_map(|object| object.key) {
            let object = s3.get_object().bucket(bucket).key(&key).send().await.expect("there");
            found.insert(key, object.body.collect().await.expect("read").into_bytes().to_vec());
        }
        found
    }
}

/// The prefix of a job's files in its bucket.
pub fn prefix(job: &Value) -> String {
    let location = job["status"]["location"].as_str().expect("a location");
    location.splitn(4, '/').nth(3).expect("below a bucket").to_owned()
}
