//! Objects in buckets, with versions where a bucket has them, and uploads that nobody ended.

use super::effects::No;
use super::{Fake, State};
use crate::in_memory::driver::clock;
use k8s_openapi::jiff::Timestamp;
use redshift_link::aws::model::{Listing, Object, ObjectVersion, Upload};
use std::collections::BTreeMap;

/// A version of an object, or a delete marker.
#[derive(Clone, Debug)]
pub struct Version {
    pub id: Option<String>,
    /// None: a delete marker.
    pub content: Option<Content>,
    pub modified: Timestamp,
}

#[derive(Clone, Debug, Default)]
pub struct Content {
    pub size: u64,
    pub body: String,
}

/// By bucket and key; the newest version last.
pub type Objects = BTreeMap<(String, String), Vec<Version>>;

impl State {
    /// Somebody puts an object.
    pub fn put(&mut self, bucket: &str, key: &str, content: Content) {
        let version = Version { id: self.new_version(), content: Some(content), modified: clock() };
        let versions = self.objects.entry((bucket.into(), key.into())).or_default();
        if version.id.is_none() {
            versions.clear();
        }
        versions.push(version);
    }

    pub fn put_size(&mut self, bucket: &str, key: &str, size: u64) {
        self.put(bucket, key, Content { size, body: String::new() });
    }

    /// Somebody deletes an object, as without a version id.
    pub fn delete(&mut self, bucket: &str, key: &str) {
        let marker = Version { id: self.new_version(), content: None, modified: clock() };
        let at = (bucket.to_owned(), key.to_owned());
        if marker.id.is_some() {
            self.objects.entry(at).or_default().push(marker);
        } else {
            self.objects.remove(&at);
        }
    }

    fn new_version(&mut self) -> Option<String> {
        self.versioned.then(|| self.next_id("v"))
    }

    pub(super) fn put_new(&mut self, bucket: &str, key: &str, body: &str) -> Result<(), No> {
        if !self.buckets.contains_key(bucket) {
            return Err(("NoSuchBucket", "The specified bucket does not exist".into()));
        }
        if self.content(bucket, key).is_some() {
            return Err(("PreconditionFailed", "At least one of the pre-conditions you specified did not hold".into()));
        }
        self.put(bucket, key, Content { size: body.len() as u64, body: body.into() });
        Ok(())
    }

    pub fn content(&self, bucket: &str, key: &str) -> Option<&Content> {
        self.objects.get(&(bucket.to_owned(), key.to_owned()))?.last()?.content.as_ref()
    }

    pub(super) fn delete_versions(&mut self, bucket: &str, gone: &[ObjectVersion]) {
        for ObjectVersion { key, version } in gone {
            if let Some(versions) = self.objects.get_mut(&(bucket.to_owned(), key.clone())) {
                versions.retain(|there| there.id != *version);
            }
        }
        self.objects.retain(|_, versions| !versions.is_empty());
    }

    pub(super) fn abort_upload(&mut self, bucket: &str, upload: &Upload) -> Result<(), No> {
        let gone = self.uploads.remove(&(bucket.to_owned(), upload.clone()));
        if gone { Ok(()) } else { Err(("NoSuchUpload", "The specified upload does not exist.".into())) }
    }

    pub fn listing(&self, bucket: &str, prefix: &str) -> Listing {
        let live = self.objects.iter().filter(|((b, key), _)| b == bucket && key.starts_with(prefix));
        let object = |((_, key), versions): (&(String, String), &Vec<Version>)| {
            let last = versions.last()?;
            Some((key.clone(), Object { size: last.content.as_ref()?.size, modified: last.modified }))
        };
        Listing { as_of: clock(), objects: live.filter_map(object).collect() }
    }
}

impl Fake {
    /// Whatever lies in buckets: versions, markers and uploads.
    pub fn in_buckets(&self) -> Vec<String> {
        let state = self.state();
        let objects = state.objects.iter().flat_map(|((bucket, key), versions)| {
            versions.iter().map(move |version| {
                let size = version.content.as_ref().map_or("deleted".into(), |content| content.size.to_string());
                format!("object {bucket}/{key} {size}")
            })
        });
        let uploads = state.uploads.iter().map(|(bucket, upload)| format!("upload {bucket}/{}", upload.key));
        objects.chain(uploads).collect()
    }
}
