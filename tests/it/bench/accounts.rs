//! The accounts as a platform team sets them up: the accounts file, and in each account a role that has exactly the
//! permissions that the program prints.

use super::control_plane::ControlPlane;
use super::local_aws::LocalAws;
use super::program::{command, run};
use serde_json::{Value, json};
use std::path::Path;

/// Writes an accounts file for a world as the bench gave it; all namespaces named `ml...` may use all of it.
pub fn write_file(path: &Path, world: &Value, change: impl FnOnce(&mut Value)) {
    let (producer, consumer) = (&world["producer"]["account"], &world["consumer"]["account"]);
    let partition = partition(world);
    let arn = |account: &Value, role: &str| {
        format!("arn:{partition}:iam::{}:role/{role}", account.as_str().expect("an account"))
    };
    let role = |account: &Value| arn(account, "redshift-link");
    let studio_roles = arn(consumer, "service-role/AmazonSageMaker-*");
    let app = arn(consumer, "app");
    let mut file = json!({"accounts": [
        {"id": producer, "roleArn": role(producer), "externalId": "producer-external-id", "protectedDatabaseUsers": ["etl"],
         "allow": [{"namespaces": ["*"], "as": "producer", "clusters": ["*"], "databaseGroups": ["readers"], "databaseUsers": ["app"],
            "secrets": ["*"]}]},
        {"id": consumer, "roleArn": role(consumer), "externalId": "consumer-external-id", "executionRoles": [studio_roles],
         "allow": [{"namespaces": ["*"], "as": "consumer", "domains": ["*"], "vpcs": ["*"], "roles": [app],
            "buckets": ["*"], "keys": ["*"], "secretReaders": ["*"]}]},
    ]});
    change(&mut file);
    std::fs::write(path, file.to_string()).expect("a folder for tests");
}

/// The partition that a world is in.
pub fn partition(world: &Value) -> &str {
    world["platform"]["roleArn"].as_str().and_then(|arn| arn.split(':').nth(1)).expect("an ARN")
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
    let administrator = async |side: &str| {
        let region = world[side]["region"].as_str().expect("a region");
        aws_sdk_iam::Client::new(&aws.config(&world[side]["admin"], region).await)
    };
    let platform = administrator("platform").await;
    let name = world["platform"]["roleName"].as_str().expect("a name");
    let own = printed["controller"]["permissionsPolicy"].to_string();
    platform.put_role_policy().role_name(name).policy_name("own").policy_document(own).send().await.expect("put");
    for side in ["producer", "consumer"] {
        let iam = administrator(side).await;
        let policies = &printed["accounts"][world[side]["account"].as_str().expect("an account")];
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
