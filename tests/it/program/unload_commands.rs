//! `redshift-link unload`, as a person at a terminal or a pipeline uses it: with the rights of a user, and no others.

use super::unload::{job, ready};
use crate::bench::stage::Stage;
use crate::bench::warehouse::Warehouse;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

const BUCKET: &str = "exports-terminal";
const USER: &str = "scientist";

/// Somebody who may do with UnloadJobs what the commands need, and nothing else.
struct User<'a> {
    stage: &'a Stage,
    kubeconfig: String,
}

impl<'a> User<'a> {
    fn of(stage: &'a Stage) -> Self {
        let (plane, namespace) = (stage.plane(), &stage.namespace);
        let verbs = "--verb=get,list,watch,create,patch,delete";
        plane.kubectl(&["create", "role", USER, verbs, "--resource=unloadjobs.redshiftlink.dev", "-n", namespace]);
        let (role, user) = (format!("--role={USER}"), format!("--user={USER}"));
        plane.kubectl(&["create", "rolebinding", USER, &role, &user, "-n", namespace]);
        let mut config: Value =
            serde_json::from_str(&plane.kubectl(&["config", "view", "--raw", "-o", "json"])).expect("JSON");
        let mut impersonates = config["users"][0].clone();
        impersonates["name"] = USER.into();
        impersonates["user"]["as"] = USER.into();
        config["users"].as_array_mut().expect("a list").push(impersonates);
        let context = json!({"cluster": config["clusters"][0]["name"], "user": USER, "namespace": namespace});
        config["contexts"].as_array_mut().expect("a list").push(json!({"name": USER, "context": context}));
        let path = plane.file("scientist-kubeconfig");
        std::fs::write(&path, config.to_string()).expect("a folder for tests");
        Self { stage, kubeconfig: path.to_str().expect("a path").to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.stage.command();
        command.env("KUBECONFIG", &self.kubeconfig).arg("unload").args(arguments).args(["--context", USER]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Exit code, standard output and standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        ended(self.command(arguments).output().expect("the program runs"))
    }

    /// The manifest of a job that names no namespace, in a file.
    fn manifest(&self, name: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut job = job(self.stage, change);
        job["metadata"] = json!({"name": name});
        let path = self.stage.accounts.with_file_name(format!("{name}.yaml"));
        std::fs::write(&path, job.to_string()).expect("a folder for tests");
        path.to_str().expect("a path").to_owned()
    }

    fn job(&self, name: &str) -> Option<Value> {
        self.stage.plane().get("unloadjob", &self.stage.namespace, name)
    }

    async fn until_state(&self, name: &str, state: &str) {
        let is = || self.job(name).is_some_and(|job| job["status"]["state"] == state);
        self.stage.until(&format!("{name} to be {state}"), is).await;
    }
}

fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_run_followed_and_cancelled_from_a_terminal() {
    let (stage, mut program) = ready("unload-terminal", BUCKET).await;
    let before = stage.inventory();
    let user = User::of(&stage);
    is_run_to_its_result(&user);
    waits_and_is_deleted(&user).await;
    is_cancelled_and_resumed(&user).await;
    for name in ["stores", "slow"] {
        stage.plane().kubectl(&["delete", "unloadjob", name, "-n", &stage.namespace]);
    }
    assert_eq!(stage.inventory(), before);
    assert!(program.terminate(), "a clean end");
}

fn is_run_to_its_result(user: &User<'_>) {
    let manifest = user.manifest("stores", |_| {});
    let (code, result, progress) = user.run(&["run", "-f", &manifest]);
    assert_eq!(code, 0, "{result}{progress}");
    let location = format!("Location:  s3://{BUCKET}/warehouse/stores/");
    for line in ["State:     Complete", "Rows:      3", &location, "Manifest:  s3://", "Duration:  "] {
        assert!(result.contains(line), "{line}: {result}");
    }
    let lines: Vec<_> = progress.lines().collect();
    assert!(lines.iter().any(|line| line.starts_with("stores: Running, attempt 1")), "{progress}");
    assert!(lines.windows(2).all(|two| two[0] != two[1]), "a line for each change: {progress}");

    let (code, result, progress) = user.run(&["run", "-f", &manifest]);
    assert_eq!((code, result.as_str()), (2, ""), "{progress}");
    assert!(progress.contains("exists already") && progress.contains("unload status stores -n ml-"), "{progress}");

    let there = user.job("stores");
    for flags in [&[][..], &["--delete", "--wait"]] {
        let (code, result, _) = user.run(&[&["cancel", "stores"], flags].concat());
        assert_eq!(code, 0, "{result}");
        assert!(result.contains("left as it is"), "{result}");
        assert_eq!(user.job("stores"), there, "not touched");
    }
    let (code, result, _) = user.run(&["status", "stores", "-o", "json", "--follow"]);
    let facts: Value = serde_json::from_str(&result).expect("JSON");
    assert_eq!((code, &facts["state"], &facts["rows"]), (0, &json!("Complete"), &json!(3)), "{facts:#}");
    let (_, result, _) = user.run(&["status", "stores", "-o", "yaml"]);
    assert_eq!(serde_saphyr::from_str::<Value>(&result).expect("YAML"), facts);
    let (code, _, error) = user.run(&["status", "stors"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("there is no UnloadJob ml-unload-terminal/stors"), "{error}");
}

/// It waits for a link that nobody makes; somebody follows it while it is deleted.
async fn waits_and_is_deleted(user: &User<'_>) {
    let manifest = user.manifest("waiting", |spec| spec["linkRef"]["name"] = "nowhere".into());
    let (code, made, _) = user.run(&["run", "-f", &manifest, "--detach"]);
    assert_eq!(code, 0, "{made}");
    assert!(made.contains("ml-unload-terminal/waiting is made"), "{made}");
    user.until_state("waiting", "Pending").await;
    let (code, result, _) = user.run(&["status", "waiting"]);
    assert_eq!(code, 0);
    assert!(result.contains("Message:   waits for a link named nowhere in this namespace"), "{result}");
    let mut follower = user.command(&["status", "waiting", "--follow"]).spawn().expect("the program runs");
    let mut followed = BufReader::new(follower.stderr.take().expect("piped"));
    followed.read_line(&mut String::new()).expect("it follows");
    let (code, result, _) = user.run(&["cancel", "waiting", "--delete", "--wait"]);
    assert_eq!(code, 0, "{result}");
    assert!(result.ends_with("waiting is gone\n") && user.job("waiting").is_none(), "{result}");
    let (code, ..) = ended(follower.wait_with_output().expect("it ends"));
    let mut progress = String::new();
    followed.read_to_string(&mut progress).expect("text");
    assert_eq!(code, 3, "{progress}");
    assert!(progress.contains("waiting is gone: it was deleted"), "{progress}");
}

async fn is_cancelled_and_resumed(user: &User<'_>) {
    let stage = user.stage;
    stage.aws.post("settings", json!({"unload_file_seconds": 60}));
    let manifest = user.manifest("slow", |_| {});
    let follower = user.command(&["run", "-f", &manifest]).spawn().expect("the program runs");
    user.until_state("slow", "Running").await;
    let interrupt = Command::new("kill").args(["-INT", &follower.id().to_string()]).status();
    assert!(interrupt.expect("kill runs").success());
    let (code, result, progress) = ended(follower.wait_with_output().expect("it ends"));
    assert_eq!((code, result.as_str()), (130, ""), "{progress}");
    let hints = ["slow goes on\n", "to follow it: redshift-link unload status slow -n ", "to cancel it: redshift-link"];
    assert!(hints.iter().all(|hint| progress.contains(hint)), "{progress}");
    assert_eq!(user.job("slow").expect("there")["status"]["state"], "Running", "nothing is cancelled silently");

    let (code, result, progress) = user.run(&["cancel", "slow", "--wait"]);
    assert_eq!(code, 0, "{result}{progress}");
    assert!(result.contains("slow is cancelled:") && result.contains("State:     Suspended"), "{result}");
    assert!(progress.contains("slow: Running, attempt 1"), "{progress}");
    stage.aws.post("settings", json!({"unload_file_seconds": 0}));
    let unloads = "SELECT status FROM sys_unload_history ORDER BY start_time DESC LIMIT 1";
    let warehouse = Warehouse::of(&stage.aws, &stage.world).await;
    assert_eq!(warehouse.texts(unloads).await, ["aborted"]);
    let slow = user.job("slow").expect("there");
    let folder = format!("warehouse/stores/{}/", slow["metadata"]["uid"].as_str().expect("a UID"));
    assert!(stage.files(BUCKET, &folder).await.is_empty(), "nothing is left of the attempt");
    let (code, result, _) = user.run(&["status", "slow", "--follow"]);
    assert_eq!(code, 3, "{result}");
    let (code, result, _) = user.run(&["cancel", "slow"]);
    assert_eq!(code, 0);
    assert!(result.contains("is suspended already"), "{result}");

    let resume = ["patch", "unloadjob", "slow", "-n", &stage.namespace, "--type=merge", "-p"];
    stage.plane().kubectl(&[&resume[..], &[r#"{"spec":{"suspend":false}}"#]].concat());
    let (code, result, progress) = user.run(&["status", "slow", "--follow"]);
    assert_eq!(code, 0, "{result}{progress}");
    assert!(result.contains("Attempt:   2\n") && result.contains("Rows:      3"), "{result}");
}
