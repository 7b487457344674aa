//! One attempt of a job: the names that are derived for it, and its fence.
//!
//! The derivations are frozen: tests pin them. Changing one loses statements that run.

use super::statement::{Destination, StatementError};
use crate::api::UnloadJob;
use crate::aws::effect::Submission;
use crate::aws::mark::Installation;
use crate::aws::scope::{Scope, parse_role_arn};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Folder of all fences, below the link's prefix. Folders of outputs begin with a letter or a digit.
const FENCES: &str = "_redshift-link/";

/// The prefix of the fences of all jobs below a link's prefix.
#[must_use]
pub fn fences_below(prefix: &str) -> String {
    format!("{prefix}{FENCES}")
}

/// Where a job's statements run, and where its fences and files lie: fixed once the job has its finalizer.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// The producer's account.
    pub account: String,
    /// The warehouse's region.
    pub region: String,
    /// Identifier of the cluster.
    pub cluster: String,
    /// ARN of the role that submits.
    pub role_arn: String,
    /// The bucket's account.
    pub bucket_account: String,
    /// The bucket's region.
    pub bucket_region: String,
    /// The bucket.
    pub bucket: String,
    /// The link's prefix in it.
    pub prefix: String,
}

impl Place {
    /// Where statements run.
    #[must_use]
    pub fn warehouse(&self) -> Scope {
        Scope::new(&self.account, &self.region)
    }

    /// Where the bucket is.
    #[must_use]
    pub fn storage(&self) -> Scope {
        Scope::new(&self.bucket_account, &self.bucket_region)
    }

    /// The prefix of all fences of a job.
    #[must_use]
    pub fn fences(&self, uid: &str) -> String {
        format!("{}{uid}/", fences_below(&self.prefix))
    }

    /// The key of a fence.
    #[must_use]
    pub fn fence(&self, uid: &str, attempt: u32) -> String {
        format!("{}{attempt}", self.fences(uid))
    }

    /// Where an attempt of a job writes.
    ///
    /// # Errors
    /// It cannot stand in a statement.
    pub fn destination(&self, job: &UnloadJob, attempt: u32) -> Result<Destination, StatementError> {
        let uid = job.metadata.uid.as_deref().unwrap_or_default();
        Destination::new(&self.bucket, &self.bucket_region, &self.prefix, &job.spec.output.path, uid, attempt)
    }

    /// The folder of an attempt: whatever lies below it is the attempt's.
    #[must_use]
    pub fn folder(&self, job: &UnloadJob, attempt: u32) -> String {
        let uid = job.metadata.uid.as_deref().unwrap_or_default();
        format!("{}{}{uid}/{attempt}/", self.prefix, job.spec.output.path)
    }

    /// As it stands in the job's annotation.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("texts alone are JSON")
    }

    /// From the job's annotation; none where that is not one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// What stands before an attempt: it is written before the statement may be submitted, and says what may be submitted.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Fence {
    /// Digest of all that is submitted.
    pub hash: String,
    /// Name of the statement.
    pub name: String,
    /// Token of the submission.
    pub token: String,
    /// Unique id of the role that submits: only that role sees the statement.
    pub role_id: String,
    /// ARN of that role.
    pub role_arn: String,
    /// Identifier of the cluster.
    pub cluster: String,
    /// The database.
    pub database: String,
    /// The database user, if not the role's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_user: Option<String>,
    /// When it was written, by AWS's clock, or a little before: the object itself tells when it was copied last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl Fence {
    /// The fence of a submission by the role of this id.
    #[must_use]
    pub fn of(submission: &Submission, role_id: &str, at: Timestamp) -> Self {
        Self {
            hash: hash(submission),
            name: submission.name.clone(),
            token: submission.token.clone(),
            role_id: role_id.into(),
            role_arn: submission.role_arn.clone(),
            cluster: submission.cluster.clone(),
            database: submission.database.clone(),
            database_user: submission.database_user.clone(),
            at: Some(at),
        }
    }

    /// As it stands in the bucket.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("texts alone are JSON")
    }

    /// From the bucket, whosoever job's it is; none where it is no fence of this installation.
    #[must_use]
    pub fn of_installation(text: &str, installation: &Installation) -> Option<Self> {
        let fence: Self = serde_json::from_str(text).ok()?;
        parse_role_arn(&fence.role_arn).is_some_and(|arn| arn.path == installation.role_path()).then_some(fence)
    }

    /// From the bucket; none where it is not the fence of this attempt.
    #[must_use]
    pub fn parse(text: &str, job: &UnloadJob, attempt: u32) -> Option<Self> {
        let fence: Self = serde_json::from_str(text).ok()?;
        (fence.name == statement_name(job, attempt)).then_some(fence)
    }
}

/// The name of an attempt's statement. The API finds names by how they begin: with its end, none begins another.
#[must_use]
pub fn statement_name(job: &UnloadJob, attempt: u32) -> String {
    let uid = job.metadata.uid.as_deref().unwrap_or_default();
    format!("{}/{}/{uid}/{attempt};", job.namespace().unwrap_or_default(), job.name_any())
}

/// The token of an attempt: 64 characters, as many as the API takes. A change of the spec does not change it.
#[must_use]
pub fn token(uid: &str, attempt: u32) -> String {
    digest(["token", uid, &attempt.to_string()])
}

/// The name of the statement that asks the warehouse what an attempt wrote.
#[must_use]
pub fn question_name(job: &UnloadJob, attempt: u32) -> String {
    format!("{}rows;", statement_name(job, attempt))
}

/// The token of that statement.
#[must_use]
pub fn question_token(uid: &str, attempt: u32) -> String {
    digest(["rows", uid, &attempt.to_string()])
}

/// The digest of all that is submitted, but for name and token, which follow from job and attempt.
#[must_use]
pub fn hash(submission: &Submission) -> String {
    let Submission { role_arn, cluster, database, database_user, sql, name: _, token: _ } = submission;
    // a user is never empty
    digest(["statement", role_arn, cluster, database, database_user.as_deref().unwrap_or_default(), sql])
}

fn digest<const N: usize>(parts: [&str; N]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0b6c9c7e-0000-4000-8000-000000000001";

    fn job() -> UnloadJob {
        let spec =
            serde_json::json!({"linkRef": {"name": "w"}, "query": "SELECT 1", "output": {"path": "a/", "csv": {}}});
        let mut job = UnloadJob::new("stores", serde_json::from_value(spec).unwrap());
        job.metadata.namespace = Some("ml".into());
        job.metadata.uid = Some(UID.into());
        job
    }

    fn place() -> Place {
        Place {
            account: "111122223333".into(),
            region: "eu-west-1".into(),
            cluster: "warehouse".into(),
            role_arn: "arn:aws:iam::111122223333:role/s".into(),
            bucket_account: "444455556666".into(),
            bucket_region: "eu-west-2".into(),
            bucket: "exports".into(),
            prefix: "warehouse/".into(),
        }
    }

    fn submission() -> Submission {
        Submission {
            role_arn: place().role_arn,
            cluster: "warehouse".into(),
            database: "analytics".into(),
            database_user: None,
            sql: "UNLOAD ('SELECT 1') TO 's3://exports/warehouse/a/'".into(),
            name: statement_name(&job(), 1),
            token: token(UID, 1),
        }
    }

    /// Changing one of these loses statements that run.
    #[test]
    fn derivations_are_frozen() {
        assert_eq!(statement_name(&job(), 2), format!("ml/stores/{UID}/2;"));
        assert_eq!(token(UID, 1), "6aa23649a593c59c374dbb5b6e39ce00f966d295b98dd247a9fb84bfd37e4bb3");
        assert_eq!(question_name(&job(), 2), format!("ml/stores/{UID}/2;rows;"));
        assert_eq!(question_token(UID, 1), "f78589932fda2388928d720463424f569f745ec644b72f66210db38ff07ee60b");
        assert_eq!(place().fence(UID, 12), format!("warehouse/_redshift-link/{UID}/12"));
        assert_eq!(place().folder(&job(), 3), format!("warehouse/a/{UID}/3/"));
        assert_eq!(place().destination(&job(), 3).unwrap().prefix(), place().folder(&job(), 3));
        assert_eq!(hash(&submission()), "90eb8802cd0ff78deccf8b8b7b757329f9dc62b8cbafe5af4198b66bf181b9e5");
        assert_eq!(
            Fence::of(&submission(), "AROA1", Timestamp::UNIX_EPOCH).text(),
            r#"{"hash":"90eb8802cd0ff78deccf8b8b7b757329f9dc62b8cbafe5af4198b66bf181b9e5","name":"ml/stores/0b6c9c7e-0000-4000-8000-000000000001/1;","token":"6aa23649a593c59c374dbb5b6e39ce00f966d295b98dd247a9fb84bfd37e4bb3","roleId":"AROA1","roleArn":"arn:aws:iam::111122223333:role/s","cluster":"warehouse","database":"analytics","at":"1970-01-01T00:00:00Z"}"#
        );
        assert_eq!(
            place().text(),
            r#"{"account":"111122223333","region":"eu-west-1","cluster":"warehouse","roleArn":"arn:aws:iam::111122223333:role/s","bucketAccount":"444455556666","bucketRegion":"eu-west-2","bucket":"exports","prefix":"warehouse/"}"#
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(Place::parse(&place().text()), Some(place()));
        let fence = Fence::of(&submission(), "AROA1", Timestamp::UNIX_EPOCH);
        assert_eq!(Fence::parse(&fence.text(), &job(), 1), Some(fence.clone()));
        assert_eq!(Fence::parse(&fence.text(), &job(), 2), None, "that of another attempt");
        assert_eq!(Fence::parse("{}", &job(), 1), None);
        let of = |installation: &str, path: &str| {
            let role = format!("arn:aws:iam::111122223333:role{path}s");
            let text = Fence { role_arn: role, ..fence.clone() }.text();
            Fence::of_installation(&text, &Installation::new(installation).unwrap()).is_some()
        };
        assert!(of("a", "/redshift-link/a/") && !of("b", "/redshift-link/a/") && !of("a", "/"), "each its own");
        assert_eq!(Place::parse("{}"), None);
    }

    #[test]
    fn whatever_is_submitted_changes_the_hash() {
        let mut hashes = std::collections::BTreeSet::from([hash(&submission())]);
        let changes: [fn(&mut Submission); 5] = [
            |s| s.role_arn.push('x'),
            |s| s.cluster.push('x'),
            |s| s.database.push('x'),
            |s| s.database_user = Some("x".into()),
            |s| s.sql.push('x'),
        ];
        for change in changes {
            let mut submission = submission();
            change(&mut submission);
            hashes.insert(hash(&submission));
        }
        assert_eq!(hashes.len(), 6);
        assert_ne!(token(UID, 1), token(UID, 11));
        assert_eq!(token(UID, 1).len(), 64);
    }
}
