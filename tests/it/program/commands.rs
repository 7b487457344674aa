//! The commands beside `run`, as a person or a pipeline uses them.

use crate::bench::stage::Stage;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn plan_tells_what_is_to_do_and_orphans_what_was_left() {
    let stage = Stage::set("commands").await;
    let before = stage.inventory();
    let manifest = stage.manifest("warehouse", |_| {});
    let file = stage.accounts.with_file_name("commands-link.yaml");
    std::fs::write(&file, manifest.to_string()).expect("a folder for tests");
    let file = file.to_str().expect("a path");
    let plan = ["plan", "-f", file];

    // the whole plan of a link that nobody applied, by reading alone
    let since = stage.aws.calls(0).1;
    let (code, text) = stage.run(&plan);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("13 to do") && text.contains("CreateVpcPeeringConnection vpc-"), "{text}");
    let written = stage.aws.calls(since).0.into_iter().filter(|call| call["write"] == true).collect::<Vec<_>>();
    assert_eq!((written, stage.inventory()), (vec![], before.clone()));
    let (code, offline) = stage.run(&["plan", "-f", file, "--offline"]);
    assert_eq!((code, &offline), (2, &text), "the cluster knows nothing of it yet");

    // what it said is what is done
    let mut program = stage.program();
    stage.apply(&manifest);
    stage.until_ready("warehouse", "True InPlace").await;
    let (code, text) = stage.run(&plan);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("0 to do"), "{text}");
    assert_eq!(stage.run(&["orphans"]), (0, String::new()));

    // what stands in the way is no plan that could be carried out
    let mut refused = manifest.clone();
    refused["spec"]["producer"]["accountId"] = json!("121212121212");
    std::fs::write(file, refused.to_string()).expect("written");
    let (code, text) = stage.run(&plan);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("account 121212121212 is not in the accounts file"), "{text}");

    // somebody takes the finalizer off by force while the controller is down: nobody knows of its things any more
    program.kill();
    let patch = r#"{"metadata":{"finalizers":null}}"#;
    let object = ["crossaccountredshiftlink", "warehouse", "-n", &stage.namespace];
    stage.delete("warehouse");
    stage.plane().kubectl(&[&["patch"], &object[..], &["--type=merge", "-p", patch]].concat());
    stage.until_gone("warehouse").await;
    let (code, text) = stage.run(&["orphans", "--region", "eu-west-1"]);
    assert_eq!(code, 2, "{text}");
    // a role; a connection with its mark on both sides; two routes on each side; a rule
    let count = |word: &str| text.lines().filter(|line| line.split(' ').nth(1) == Some(word)).count();
    assert_eq!((count("role"), count("peering"), count("route"), count("rule")), (1, 2, 4, 1), "{text}");

    // the same link applied again takes up what is shared; its role is another's, for its UID is another
    let mut program = stage.program();
    stage.apply(&manifest);
    stage.until_ready("warehouse", "True InPlace").await;
    let (code, text) = stage.run(&["orphans"]);
    assert_eq!((code, text.lines().count()), (2, 1), "{text}");
    assert!(text.contains("role arn:aws:iam::"), "{text}");
    stage.delete("warehouse");
    stage.until_gone("warehouse").await;
    assert!(program.terminate(), "a clean end");
}

/// What is printed is what the roles of this very bench were made of: here only its form.
#[tokio::test(flavor = "multi_thread")]
async fn iam_prints_the_policies_of_each_account() {
    let stage = Stage::set("iam").await;
    let arn = stage.world["platform"]["roleArn"].as_str().expect("an ARN");
    let (code, text) = stage.run(&["iam", "--controller-role-arn", arn]);
    assert_eq!(code, 0, "{text}");
    let printed: Value = serde_json::from_str(&text).expect("JSON");
    for side in ["producer", "consumer"] {
        let policies = &printed["accounts"][stage.world[side]["account"].as_str().expect("an account")];
        let trust = &policies["trustPolicy"]["Statement"][0];
        assert_eq!(trust["Principal"]["AWS"], arn);
        assert_eq!(trust["Condition"]["StringEquals"]["sts:ExternalId"], format!("{side}-external-id"));
        assert!(policies["permissionsPolicy"].to_string().len() < 6144, "it fits a managed policy");
    }
    assert_eq!(printed["controller"]["permissionsPolicy"]["Statement"][0]["Action"][0], "sts:AssumeRole");
    let (code, text) = stage.run(&["iam", "--controller-role-arn", arn, "--account", "121212121212"]);
    assert_eq!(code, 1, "{text}");
}
