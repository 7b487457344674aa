//! The accounts as a platform team sets them up: the accounts file, and in each account a role that has exactly the
//! permissions that the program prints.

use super::control_plane::ControlPlane;
use super::local_aws::LocalAws;
use super::program::{command, run};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Writes an accounts file for a world as the bench gave it; all namespaces named `ml...` may use all of it.
pub fn write_file(path: &Path, world: &Value, change: impl FnOnce(&mut Value)) {
    let (producer, consumer) = (&world["producer"]["account"], &world["consumer"]["account"]);
    let role = |account: &Value| format!("arn:aws:iam::{}:role/redshift-link", account.as_str().expect("an account"));
    let studio_roles =
        format!("arn:aws:iam::{}:role/service-role/AmazonSageMaker-*", consumer.as_str().expect("an account"));
    let mut file = json!({"accounts": [
        {"id": producer, "roleArn": role(producer), "externalId": "producer-external-id", "protectedDatabaseUsers": ["etl"],
         "allow": [{"namespaces": ["*"], "as": "producer", "clusters": ["*"], "databaseGroups": ["readers"], "databaseUsers": ["app"]}]},
        {"id": consumer, "roleArn": role(consumer), "externalId": "consumer-external-id", "executionRoles": [studio_roles],
         "allow": [{"namespaces": ["*"], "as": "consumer", "domains": ["*"], "vpcs": ["*"]}]},
    ]});
    change(&mut file);
    std::fs::write(path, file.to_string()).expect("a folder for tests");
}

/// What `redshift-link iam` prints for an accounts file.
pub fn printed_policies(plane: &ControlPlane, aws: &LocalAws, world: &Value, file: &Path) -> Value {
    let controller = world["platform"]["roleArn"].as_str().expect("an arn");
    let output = run(command(plane, aws, &Value::Null, file), &["iam", "--controller-role-arn", controller]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Makes the roles, or gives them new policies.
pub async fn make_roles(aws: &LocalAws, world: &Value, printed: &Value) {
    let platform = aws_sdk_iam::Client::new(&aws.config(&world["platform"]["admin"], "eu-west-1").await);
    let name = world["platform"]["roleName"].as_str().expect("a name");
    let own = printed["controller"]["permissionsPolicy"].to_string();
    platform.put_role_policy().role_name(name).policy_name("own").policy_document(own).send().await.expect("put");
    for (account, policies) in printed["accounts"].as_object().expect("accounts") {
        let iam = aws_sdk_iam::Client::new(&aws.config(&aws.admin(account), "eu-west-1").await);
        let name = policies["role"]["name"].as_str().expect("a name");
        let (trust, permissions) = (policies["trustPolicy"].to_string(), policies["permissionsPolicy"].to_string());
        if iam.get_role().role_name(name).send().await.is_err() {
            iam.create_role().role_name(name).assume_role_policy_document(&trust).send().await.expect("created");
        }
        iam.put_role_policy()
            .role_name(name)
            .policy_name("all")
            .policy_document(permissions)
            .send()
            .await
            .expect("put");
    }
}

/// A path for the accounts file of one test.
pub fn file_for(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("redshift-link-tests-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for tests");
    folder.join(format!("{test}-accounts.yaml"))
}
