//! Everything that a test with the built program needs, one test at a time.

use super::accounts::{make_roles, partition, printed_policies, write_file};
use super::control_plane::ControlPlane;
use super::local_aws::LocalAws;
use super::program::{Program, command, run};
use aws_sdk_s3::types::CreateBucketConfiguration;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// So many tests with the built program run side by side; most of their time they wait.
const STAGES: usize = 3;
static TURNS: Semaphore = Semaphore::const_new(STAGES);
/// Control planes that no test uses now: each test has one for itself, since a controller serves all namespaces.
static PLANES: Mutex<Vec<ControlPlane>> = Mutex::new(vec![]);

pub struct Stage {
    plane: Option<ControlPlane>,
    pub aws: LocalAws,
    pub world: Value,
    pub namespace: String,
    pub accounts: PathBuf,
    /// How long something is waited for: machines are slow at times.
    pub patience: Duration,
    controller: Value,
    _turn: SemaphorePermit<'static>,
}

impl Stage {
    /// A stage with the standard world.
    pub async fn set(test: &str) -> Self {
        Self::set_with(test, json!({})).await
    }

    /// A stage with a world of other options.
    pub async fn set_with(test: &str, world: Value) -> Self {
        let turn = TURNS.acquire().await.expect("never closed");
        let idle = PLANES.lock().unwrap().pop();
        let plane = idle.unwrap_or_else(ControlPlane::start);
        let aws = LocalAws::start();
        let world = aws.post("world", world);
        let accounts = plane.file(&format!("{test}-accounts.yaml"));
        write_file(&accounts, &world, |_| {});
        let printed = printed_policies(&plane, &aws, &world, &accounts);
        make_roles(&aws, &world, &printed).await;
        let (account, role) = (&world["platform"]["account"], &world["platform"]["roleName"]);
        let controller =
            aws.post("credentials", json!({"account": account, "role": role, "partition": partition(&world)}));
        let namespace = format!("ml-{test}");
        plane.namespace(&namespace);
        plane.kubectl(&["delete", "lease", "redshift-link", "-n", "default", "--ignore-not-found"]);
        let patience = Duration::from_secs(120);
        Self { plane: Some(plane), aws, world, namespace, accounts, patience, controller, _turn: turn }
    }

    /// The control plane.
    pub fn plane(&self) -> &ControlPlane {
        self.plane.as_ref().expect("given back only in the end")
    }

    /// The program's command line in this stage.
    pub fn command(&self) -> Command {
        command(self.plane(), &self.aws, &self.controller, &self.accounts)
    }

    /// Starts the controller.
    pub fn program(&self) -> Program {
        self.program_named("bench-0")
    }

    /// Starts the controller under a name of its own in the leader's lease.
    pub fn program_named(&self, identity: &str) -> Program {
        Program::start(self.command(), identity, "5s", "2s")
    }

    /// Runs a command of the program to its end: its exit code, and what it printed.
    pub fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = run(self.command(), arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap_or(-1), text)
    }

    /// Writes the accounts file anew, with a change; the program takes it within some seconds.
    pub fn set_accounts(&self, change: impl FnOnce(&mut Value)) {
        write_file(&self.accounts, &self.world, change);
    }

    pub fn pair(&self, index: usize) -> &Value {
        &self.world["pairs"][index]
    }

    /// The manifest of a link over the first pair.
    pub fn manifest(&self, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let (producer, consumer) = (&self.world["producer"], &self.world["consumer"]);
        let pair = self.pair(0);
        let mut link = json!({
            "apiVersion": "redshiftlink.dev/v1alpha1", "kind": "CrossAccountRedshiftLink",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "producer": {"accountId": producer["account"], "region": producer["region"],
                    "cluster": {"identifier": pair["producer"]["clusterIdentifier"], "database": pair["producer"]["database"]}},
                "consumer": {"accountId": consumer["account"], "region": consumer["region"],
                    "studio": {"domainId": pair["consumer"]["domainId"]}},
                "access": {"databaseGroups": ["readers"]},
            },
        });
        change(&mut link["spec"]);
        link
    }

    pub fn apply(&self, manifest: &Value) {
        self.plane().apply(&manifest.to_string());
    }

    pub fn link(&self, name: &str) -> Option<Value> {
        self.plane().get("crossaccountredshiftlink", &self.namespace, name)
    }

    pub fn delete(&self, name: &str) {
        self.plane().kubectl(&[
            "delete",
            "crossaccountredshiftlink",
            name,
            "-n",
            &self.namespace,
            "--wait=false",
            "--ignore-not-found",
        ]);
    }

    /// Waits until the Ready condition of a link reads `status reason`.
    pub async fn until_ready(&self, name: &str, wanted: &str) {
        self.until(&format!("{name} to be {wanted}"), || condition(self.link(name).as_ref(), "Ready") == wanted).await;
    }

    pub async fn until_gone(&self, name: &str) {
        self.until(&format!("{name} to be gone"), || self.link(name).is_none()).await;
    }

    /// Waits for something.
    pub async fn until(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + self.patience;
        while !done() {
            let all = || self.plane().kubectl(&["get", "crossaccountredshiftlinks", "-A", "-o", "yaml"]);
            assert!(Instant::now() < deadline, "waited in vain for {what}:\n{}", all());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Both accounts, as they can be compared.
    pub fn inventory(&self) -> (Value, Value) {
        let of = |side: &str| self.aws.inventory(self.world[side]["account"].as_str().expect("an account"));
        (of("producer"), of("consumer"))
    }

    /// EC2 as the administrator of a side sees it.
    pub async fn ec2(&self, side: &str) -> aws_sdk_ec2::Client {
        let region = self.world[side]["region"].as_str().expect("a region");
        aws_sdk_ec2::Client::new(&self.aws.config(&self.world[side]["admin"], region).await)
    }

    /// Makes a bucket in the consumer's account.
    pub async fn bucket(&self, name: &str) {
        let side = &self.world["consumer"];
        let region = side["region"].as_str().expect("a region");
        let constraint = CreateBucketConfiguration::builder().location_constraint(region.into()).build();
        let s3 = aws_sdk_s3::Client::new(&self.aws.config(&side["admin"], region).await);
        s3.create_bucket().bucket(name).create_bucket_configuration(constraint).send().await.expect("made");
    }

    /// Makes a secret in the producer's account, under a key of its own: its ARN.
    pub async fn secret(&self, name: &str, value: &str) -> String {
        let side = &self.world["producer"];
        let config = self.aws.config(&side["admin"], side["region"].as_str().expect("a region")).await;
        let key = aws_sdk_kms::Client::new(&config).create_key().send().await.expect("made").key_metadata;
        let key = key.and_then(|key| key.arn).expect("an ARN");
        let secrets = aws_sdk_secretsmanager::Client::new(&config);
        let request = secrets.create_secret().name(name).secret_string(value).kms_key_id(key);
        request.send().await.expect("made").arn.expect("an ARN")
    }

    /// Makes a role as Lambda functions of the consumer's run as: its ARN.
    pub async fn reader(&self, name: &str) -> String {
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]});
        let request = self.iam("consumer").await.create_role().role_name(name);
        let made = request.assume_role_policy_document(trust.to_string()).send().await.expect("made");
        made.role.expect("a role").arn
    }

    /// Takes on a role from a session.
    pub async fn enter(&self, session: &Value, role: &str) -> Result<Value, String> {
        let config = self.aws.config(session, "eu-west-1").await;
        let assumed = aws_sdk_sts::Client::new(&config).assume_role().role_arn(role).role_session_name("bench").send();
        let assumed = assumed.await.map_err(|error| format!("AssumeRole: {:?}", error.into_service_error()))?;
        let entered = assumed.credentials().expect("credentials");
        Ok(json!({"accessKeyId": entered.access_key_id(), "secretAccessKey": entered.secret_access_key(),
            "sessionToken": entered.session_token()}))
    }

    /// IAM as the administrator of a side sees it.
    pub async fn iam(&self, side: &str) -> aws_sdk_iam::Client {
        let region = self.world[side]["region"].as_str().expect("a region");
        aws_sdk_iam::Client::new(&self.aws.config(&self.world[side]["admin"], region).await)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let Some(plane) = self.plane.take() else { return };
        // whatever a failed test leaves must not hold up the next
        if std::thread::panicking() {
            return;
        }
        forget_all(&plane, &self.namespace);
        PLANES.lock().unwrap().push(plane);
    }
}

/// What a test left would be made in the accounts of the next one.
fn forget_all(plane: &ControlPlane, namespace: &str) {
    let left = plane.kubectl(&["get", "unloadjobs,crossaccountredshiftlinks", "-n", namespace, "-o", "name"]);
    for name in left.lines() {
        let patch = r#"{"metadata":{"finalizers":null}}"#;
        plane.kubectl(&["patch", name, "-n", namespace, "--type=merge", "-p", patch]);
        plane.kubectl(&["delete", name, "-n", namespace, "--ignore-not-found"]);
    }
}

/// A condition as `status reason`.
pub fn condition(link: Option<&Value>, kind: &str) -> String {
    let conditions = link.and_then(|link| link["status"]["conditions"].as_array()).into_iter().flatten();
    let found = conditions.into_iter().find(|c| c["type"] == kind);
    found
        .map(|c| format!("{} {}", c["status"].as_str().unwrap_or("?"), c["reason"].as_str().unwrap_or("?")))
        .unwrap_or_default()
}
