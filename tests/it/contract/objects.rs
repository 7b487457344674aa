//! Objects in buckets: put once, listed whole, deleted in each version (docs/aws-behaviour.md#objects).

use super::scene::Scene;
use redshift_link::aws::effect::Effect;
use redshift_link::aws::error::Class;
use redshift_link::aws::model::{ObjectVersion, Upload};
use redshift_link::aws::read::Read;
use std::collections::BTreeSet;

const BUCKET: &str = "exports-of-the-contract";

fn place(rest: &str) -> (String, String) {
    (BUCKET.into(), rest.into())
}

impl Scene {
    async fn make_bucket(&self) {
        self.accounts.people.make_bucket(&self.accounts.consumer.at(), BUCKET).await;
    }

    fn puts(&self, key: &str, body: &str) -> Effect {
        let at = self.accounts.consumer.at();
        Effect::PutObject { at, bucket: BUCKET.into(), key: key.into(), body: body.into() }
    }

    fn deletes(&self, objects: &BTreeSet<ObjectVersion>) -> Effect {
        let at = self.accounts.consumer.at();
        Effect::DeleteObjects { at, bucket: BUCKET.into(), objects: objects.iter().cloned().collect() }
    }

    async fn text(&mut self, key: &str) -> Option<String> {
        let at = self.accounts.consumer.at();
        let seen = self.sees(Read::ObjectText(at.clone(), place(key))).await;
        seen.object_text(&at, place(key)).expect("answered").clone()
    }

    /// The keys and sizes below a prefix.
    async fn keys(&mut self, prefix: &str) -> Vec<(String, u64)> {
        let at = self.accounts.consumer.at();
        let seen = self.sees(Read::Objects(at.clone(), place(prefix))).await;
        let listing = seen.objects(&at, place(prefix)).expect("answered");
        let so = listing.objects.values().all(|object| object.modified <= listing.as_of);
        let found = listing.objects.iter().map(|(key, object)| (key.clone(), object.size)).collect();
        self.holds("nothing is younger than the answer", so);
        found
    }

    async fn versions(&mut self, prefix: &str) -> BTreeSet<ObjectVersion> {
        let at = self.accounts.consumer.at();
        let seen = self.sees(Read::ObjectVersions(at.clone(), place(prefix))).await;
        seen.object_versions(&at, place(prefix)).expect("answered").clone()
    }
}

pub async fn an_object_is_put_where_there_is_none(s: &mut Scene) {
    s.make_bucket().await;
    let so = s.text("a/1").await.is_none();
    s.holds("nothing is there", so);
    s.does(s.puts("a/1", "first")).await;
    s.refused("PreconditionFailed", Class::Stale, s.puts("a/1", "second")).await;
    let so = s.text("a/1").await.as_deref() == Some("first");
    s.holds("it is as it was put", so);
}

pub async fn objects_are_listed_by_prefix_and_deleted(s: &mut Scene) {
    s.make_bucket().await;
    for key in ["a/1", "a/2", "a/3", "ab", "b/1"] {
        s.does(s.puts(key, key)).await;
    }
    let so = s.keys("a/").await == [("a/1".to_owned(), 3), ("a/2".to_owned(), 3), ("a/3".to_owned(), 3)];
    s.holds("those below the prefix", so);
    let versions = s.versions("a/").await;
    s.holds("each in its one version", versions.len() == 3);
    s.does(s.deletes(&versions)).await;
    // again: nothing is to be done
    s.does(s.deletes(&versions)).await;
    let so = s.versions("a/").await.is_empty() && s.keys("").await.len() == 2;
    s.holds("the others stay", so);
}

pub async fn an_upload_is_given_up_once(s: &mut Scene) {
    s.make_bucket().await;
    let at = s.accounts.consumer.at();
    let id = s.accounts.people.begin_upload(&at, BUCKET, "a/1").await;
    s.name(&id, "<upload>");
    let upload = Upload { key: "a/1".into(), id };
    let seen = s.sees(Read::Uploads(at.clone(), place("a/"))).await;
    s.holds("it is listed", seen.uploads(&at, place("a/")).expect("answered").contains(&upload));
    let gives_up = Effect::AbortMultipartUpload { at: at.clone(), bucket: BUCKET.into(), upload };
    s.does(gives_up.clone()).await;
    s.refused("NoSuchUpload", Class::Stale, gives_up).await;
    let seen = s.sees(Read::Uploads(at.clone(), place("a/"))).await;
    s.holds("it is gone", seen.uploads(&at, place("a/")).expect("answered").is_empty());
}

pub async fn a_manifest_is_read_as_it_comes(s: &mut Scene) {
    s.make_bucket().await;
    let meta = r#"{"content_length":3,"record_count":2}"#;
    let good = format!(r#"{{"entries":[{{"url":"s3://b/a","meta":{meta}}}],"meta":{meta}}}"#);
    s.does(s.puts("good", &good)).await;
    s.does(s.puts("bad", &good[..20])).await;
    let at = s.accounts.consumer.at();
    let seen = s.sees_all(["good", "bad", "absent"].map(|key| Read::Manifest(at.clone(), place(key)))).await;
    let found = |key: &str| seen.manifest(&at, place(key)).expect("answered").clone();
    s.holds("two rows", found("good").is_some_and(|read| read.is_ok_and(|manifest| manifest.rows == 2)));
    s.holds("half of one is none", found("bad").is_some_and(|read| read.is_err()));
    s.holds("nothing is there", found("absent").is_none());
}
