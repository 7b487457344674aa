//! Everything that a test with the built program needs, one test at a time.

use super::accounts::{file_for, make_roles, printed_policies, write_file};
use super::control_plane::ControlPlane;
use super::local_aws::LocalAws;
use super::program::{Program, command};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};

/// Tests with the built program run one after the other: each has the API server for itself.
static TURN: Mutex<()> = Mutex::const_new(());

pub struct Stage {
    pub plane: &'static ControlPlane,
    pub aws: LocalAws,
    pub world: Value,
    pub namespace: String,
    pub accounts: PathBuf,
    controller: Value,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// A stage with the standard world.
    pub async fn set(test: &str) -> Self {
        Self::set_with(test, json!({})).await
    }

    /// A stage with a world of other options.
    pub async fn set_with(test: &str, world: Value) -> Self {
        let turn = TURN.lock().await;
        let plane = ControlPlane::shared();
        let aws = LocalAws::start();
        let world = aws.post("world", world);
        let accounts = file_for(test);
        write_file(&accounts, &world, |_| {});
        let printed = printed_policies(plane, &aws, &world, &accounts);
        make_roles(&aws, &world, &printed).await;
        let (account, role) = (&world["platform"]["account"], &world["platform"]["roleName"]);
        let controller = aws.post("credentials", json!({"account": account, "role": role}));
        let namespace = format!("ml-{test}");
        plane.namespace(&namespace);
        plane.kubectl(&["delete", "lease", "redshift-link", "-n", "default", "--ignore-not-found"]);
        Self { plane, aws, world, namespace, accounts, controller, _turn: turn }
    }

    /// The program's command line in this stage.
    pub fn command(&self) -> Command {
        command(self.plane, &self.aws, &self.controller, &self.accounts)
    }

    /// Starts the controller.
    pub fn program(&self) -> Program {
        Program::start(self.command(), "5s", "2s")
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
        self.plane.apply(&manifest.to_string());
    }

    pub fn link(&self, name: &str) -> Option<Value> {
        self.plane.get("crossaccountredshiftlink", &self.namespace, name)
    }

    pub fn delete(&self, name: &str) {
        self.plane.kubectl(&[
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

    /// Waits for something, for half a minute.
    pub async fn until(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(40);
        while !done() {
            let all = || self.plane.kubectl(&["get", "crossaccountredshiftlinks", "-A", "-o", "yaml"]);
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

    /// IAM as the administrator of a side sees it.
    pub async fn iam(&self, side: &str) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.aws.config(&self.world[side]["admin"], "eu-west-1").await)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // whatever a failed test leaves must not hold up the next
        let links = self.plane.kubectl(&["get", "crossaccountredshiftlinks", "-A", "-o", "json"]);
        let links: Value = serde_json::from_str(&links).unwrap_or_default();
        for link in links["items"].as_array().into_iter().flatten() {
            let (name, namespace) = (&link["metadata"]["name"], &link["metadata"]["namespace"]);
            let (name, namespace) = (name.as_str().unwrap_or_default(), namespace.as_str().unwrap_or_default());
            let patch = r#"{"metadata":{"finalizers":null}}"#;
            let arguments = ["crossaccountredshiftlink", name, "-n", namespace];
            let _ = self.plane.try_kubectl(&[&["patch"], &arguments[..], &["--type=merge", "-p", patch]].concat(), "");
            let _ = self.plane.try_kubectl(&[&["delete"], &arguments[..], &["--ignore-not-found"]].concat(), "");
        }
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
