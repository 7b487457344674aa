//! The roles of an UNLOAD may do what it takes, and nothing more: with any one permission left out something fails.
//! Nobody else gets anything by naming them.

use super::unload::LINK;
use crate::bench::program::Program;
use crate::bench::stage::{Stage, condition};
use crate::bench::warehouse::Warehouse;
use aws_sdk_iam::Client as Iam;
use aws_sdk_kms::Client as Kms;
use aws_sdk_redshiftdata::Client as Data;
use aws_sdk_redshiftdata::types::StatusString;
use redshift_link::api::unload::output::{Csv, Encryption, Output};
use redshift_link::aws::mark::{ACCESS_POLICY, Installation, RoleKind};
use redshift_link::unload::query::check;
use redshift_link::unload::statement::{Destination, statement};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

const BUCKET: &str = "exports-by-roles";
/// What the local warehouse never asks for: whether Redshift does is not known (docs/aws-behaviour.md).
const NOT_ASKED_FOR: [&str; 1] = ["s3:AbortMultipartUpload"];

/// A link whose loop rests, so that its roles stay as a test makes them.
struct Roles {
    stage: Stage,
    key: String,
    producer: Iam,
    consumer: Iam,
    database_user: Option<&'static str>,
    /// Each UNLOAD writes to a folder of its own.
    unloads: AtomicU32,
}

impl Roles {
    fn name(&self, kind: RoleKind) -> String {
        let link = self.stage.link(LINK).expect("there");
        Installation::new("test").expect("an id").role(kind, link["metadata"]["uid"].as_str().expect("a uid"))
    }

    fn iam(&self, kind: RoleKind) -> &Iam {
        if kind == RoleKind::Write { &self.consumer } else { &self.producer }
    }

    async fn arn(&self, kind: RoleKind) -> String {
        let found = self.iam(kind).get_role().role_name(self.name(kind)).send().await.expect("there");
        found.role.expect("a role").arn
    }

    async fn policy(&self, kind: RoleKind) -> Value {
        let request = self.iam(kind).get_role_policy().role_name(self.name(kind)).policy_name(ACCESS_POLICY);
        let Ok(found) = request.send().await else { return json!({"Statement": []}) };
        let text = percent_encoding::percent_decode_str(&found.policy_document).decode_utf8().expect("text");
        serde_json::from_str(&text).expect("JSON")
    }

    async fn put_policy(&self, kind: RoleKind, document: &Value) {
        let (iam, name) = (self.iam(kind), self.name(kind));
        if document["Statement"] == json!([]) {
            iam.delete_role_policy().role_name(name).policy_name(ACCESS_POLICY).send().await.expect("deleted");
            return;
        }
        let request = iam.put_role_policy().role_name(name).policy_name(ACCESS_POLICY);
        request.policy_document(document.to_string()).send().await.expect("put");
    }

    /// An UNLOAD by the link's roles, to a fresh folder; under the key of the bucket, or its own.
    async fn unload(&self, auto: bool) -> String {
        let encryption = auto.then(|| Encryption { auto: Some(true), ..Encryption::default() });
        let output = Output { path: "p/".into(), csv: Some(Csv::default()), encryption, ..Output::default() };
        let number = self.unloads.fetch_add(1, Ordering::Relaxed) + 1;
        let to = Destination::new(BUCKET, "eu-west-1", "warehouse/", "p/", "0b6c", number).expect("a destination");
        let to = if auto { to } else { to.with_key(&self.key).expect("a key") };
        let query = check("SELECT 1 AS one").expect("a query");
        let roles = [self.arn(RoleKind::Unload).await, self.arn(RoleKind::Write).await];
        statement(&query, &output, &to, &roles.each_ref().map(String::as_str), "eu-west-1").expect("a statement")
    }

    /// The Data API as a session of the submitting role sees it.
    async fn data(&self) -> Data {
        let account = &self.stage.world["producer"]["account"];
        let session = json!({"account": account, "role": self.name(RoleKind::Submit), "sessionName": "test"});
        let session = self.stage.aws.post("credentials", session);
        Data::new(&self.stage.aws.config(&session, "eu-west-1").await)
    }

    async fn submit(&self, data: &Data, auto: bool) -> Result<String, String> {
        let cluster = &self.stage.pair(0)["producer"];
        let text = |name: &str| cluster[name].as_str().expect("a text");
        let request = data.execute_statement().cluster_identifier(text("clusterIdentifier")).database(text("database"));
        let request = request.set_db_user(self.database_user.map(Into::into)).sql(self.unload(auto).await);
        request.send().await.map(|answer| answer.id.expect("an id")).map_err(refusal)
    }

    /// Everything that a job does with the roles, until something is refused.
    async fn all(&self) -> Result<(), String> {
        let data = self.data().await;
        let list = data.list_statements().statement_name("ml/").status(StatusString::All).send().await;
        list.map_err(refusal)?;
        for (auto, multipart) in [(false, true), (true, false)] {
            self.stage.aws.post("settings", json!({"unload_multipart": multipart, "unload_file_seconds": 0}));
            let id = self.submit(&data, auto).await?;
            loop {
                let found = data.describe_statement().id(&id).wait_time_seconds(5).send().await.map_err(refusal)?;
                match found.status {
                    Some(StatusString::Finished) => break,
                    Some(StatusString::Failed) => return Err(found.error.unwrap_or_default()),
                    _ => {}
                }
            }
        }
        self.stage.aws.post("settings", json!({"unload_file_seconds": 30}));
        let id = self.submit(&data, false).await?;
        while data.describe_statement().id(&id).send().await.map_err(refusal)?.status != Some(StatusString::Started) {}
        let cancelled = data.cancel_statement().id(&id).send().await.map(|_| ()).map_err(refusal);
        self.stage.aws.post(&format!("statement/{id}"), json!({"error": "over"}));
        cancelled
    }

    /// Leaves out each permission of a role, one at a time: the ones without which all goes well.
    async fn superfluous(&self, kind: RoleKind) -> Vec<String> {
        assert_eq!(self.all().await, Ok(()), "with all of them");
        let (whole, mut found) = (self.policy(kind).await, vec![]);
        for (what, document) in without_one(&whole) {
            self.put_policy(kind, &document).await;
            match self.all().await {
                Ok(()) => found.push(what),
                Err(said) => assert!(said.contains(says(&what)), "without {what}: {said}"),
            }
        }
        self.put_policy(kind, &whole).await;
        found
    }
}

fn refusal<E: std::error::Error + 'static>(error: E) -> String {
    std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// What is said where a permission is missing.
fn says(left_out: &str) -> &str {
    match left_out {
        // of a chain Redshift does not tell where it broke
        "sts:AssumeRole" => "not authorized to assume IAM Role",
        // an answer to HEAD has no words
        "s3:ListBucket" => "Access Denied",
        other => other,
    }
}

/// The document without one action, or without one of several resources, each in turn.
fn without_one(document: &Value) -> Vec<(String, Value)> {
    let mut found = vec![];
    for (number, statement) in document["Statement"].as_array().expect("a list").iter().enumerate() {
        for field in ["Action", "Resource"] {
            let values = statement[field].as_array().cloned().unwrap_or_else(|| vec![statement[field].clone()]);
            if field == "Resource" && values.len() == 1 {
                continue;
            }
            for value in &values {
                let left: Vec<_> = values.iter().filter(|other| *other != value).cloned().collect();
                let mut document = document.clone();
                let statements = document["Statement"].as_array_mut().expect("a list");
                if left.is_empty() {
                    statements.remove(number);
                } else {
                    statements[number][field] = left.into();
                }
                found.push((value.as_str().expect("a text").to_owned(), document));
            }
        }
    }
    found
}

/// Roles of a link in whose bucket files are under a key.
async fn roles(test: &str) -> (Roles, Program) {
    let stage = Stage::set(test).await;
    stage.bucket(BUCKET).await;
    let consumer = &stage.world["consumer"];
    let kms = Kms::new(&stage.aws.config(&consumer["admin"], consumer["region"].as_str().expect("a region")).await);
    let key = kms.create_key().send().await.expect("made").key_metadata.expect("a key").arn.expect("an ARN");
    // its loop does not come back to repair the roles
    let program = Program::start(stage.command(), "bench-0", "1h", "1s");
    let (producer, consumer) = (stage.iam("producer").await, stage.iam("consumer").await);
    let roles = Roles { stage, key, producer, consumer, database_user: None, unloads: AtomicU32::new(0) };
    roles.link(None).await;
    (roles, program)
}

impl Roles {
    /// Applies the link, and waits until it is ready and rests.
    async fn link(&self, database_user: Option<&str>) {
        let (stage, key) = (&self.stage, &self.key);
        stage.apply(&stage.manifest(LINK, |spec| {
            spec["unload"] = json!({"bucket": BUCKET, "prefix": "warehouse/", "kmsKeyArn": key});
            if let Some(user) = database_user {
                spec["unload"]["databaseUser"] = user.into();
            }
        }));
        let current = || {
            let link = stage.link(LINK).unwrap_or_default();
            condition(Some(&link), "Ready") == "True InPlace"
                && link["status"]["observedGeneration"] == link["metadata"]["generation"]
        };
        stage.until("the link to be ready", current).await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_role_has_a_permission_too_many() {
    let (mut roles, _program) = roles("unload-access").await;
    let mut found = vec![];
    for kind in [RoleKind::Submit, RoleKind::Unload, RoleKind::Write] {
        found.extend(roles.superfluous(kind).await);
    }
    assert_eq!(found, NOT_ASKED_FOR);

    // as a database user that there is
    let warehouse = Warehouse::of(&roles.stage.aws, &roles.stage.world).await;
    warehouse.does("CREATE USER app").await;
    roles.link(Some("app")).await;
    roles.database_user = Some("app");
    assert_eq!(roles.superfluous(RoleKind::Submit).await, Vec::<String>::new());
}

/// What a job says of a permission that is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_roles_lack_a_permission_says_which() {
    let (roles, _program) = roles("unload-lacks").await;
    let stage = &roles.stage;
    let rows = [
        (RoleKind::Write, "s3:PutObject", "StatementFailed"),
        (RoleKind::Write, "s3:ListBucket", "StatementFailed"),
        (RoleKind::Write, "kms:GenerateDataKey", "StatementFailed"),
        (RoleKind::Unload, "sts:AssumeRole", "StatementFailed"),
        (RoleKind::Submit, "redshift-data:ExecuteStatement", "True AccessDenied"),
        (RoleKind::Submit, "redshift-data:ListStatements", "True AccessDenied"),
    ];
    for (number, (kind, left_out, reason)) in rows.into_iter().enumerate() {
        let whole = roles.policy(kind).await;
        let (_, document) = without_one(&whole).into_iter().find(|(what, _)| what == left_out).expect("there");
        roles.put_policy(kind, &document).await;
        let name = format!("lacks-{number}");
        stage.apply(&stage.job_manifest(&name, LINK, |spec| spec["query"] = "SELECT 1 AS one".into()));
        let found = || {
            let job = stage.job(&name).unwrap_or_default();
            let ended = job["status"]["ended"]["reason"].as_str().map(ToOwned::to_owned);
            (ended.unwrap_or_else(|| condition(Some(&job), "Stalled")), job)
        };
        stage
            .until(&format!("{name} to stand still"), || !["", "False"].contains(&found().0.split(' ').next().unwrap()))
            .await;
        let (found, job) = found();
        assert_eq!(found, reason, "{left_out}: {job:#}");
        assert!(job["status"].to_string().contains(says(left_out)), "{left_out}: {job:#}");
        assert_eq!(roles.policy(kind).await["Statement"], document["Statement"], "nobody repaired it meanwhile");
        roles.put_policy(kind, &whole).await;
    }
    stage.apply(&stage.job_manifest("whole", LINK, |spec| spec["query"] = "SELECT 1 AS one".into()));
    stage.until_job_complete("whole").await;
}

/// The trust of the first role asks for our database user; the second is not attached to the cluster.
#[tokio::test(flavor = "multi_thread")]
async fn another_user_of_the_warehouse_gets_nothing_by_our_roles() {
    let (roles, _program) = roles("unload-others").await;
    let administrator = Warehouse::of(&roles.stage.aws, &roles.stage.world).await;
    administrator.does("CREATE USER mallory").await;
    let (first, last) = (roles.arn(RoleKind::Unload).await, roles.arn(RoleKind::Write).await);
    for warehouse in [administrator.as_user("mallory"), administrator] {
        let ours = roles.unload(false).await;
        for sql in
            [ours.clone(), ours.replace(&format!("{first},{last}"), &first), ours.replace(&format!("{first},"), "")]
        {
            let refused = warehouse.tries(&sql).await.expect_err("refused");
            assert!(refused.contains("is not authorized to assume IAM Role"), "{refused}");
        }
    }
    assert!(roles.stage.files(BUCKET, "").await.is_empty());
    assert_eq!(roles.all().await, Ok(()), "our own user does");
}
