//! What a link lets its users do, asked of IAM as they would: a Studio user becomes the database user of his own name,
//! and nobody else.

use crate::bench::stage::Stage;
use serde_json::{Value, json};

/// Who asks for which database user, and how.
struct Try<'a> {
    user: &'a str,
    group: Option<&'a str>,
    database: Option<&'a str>,
    creates: bool,
}

const fn user(user: &str) -> Try<'_> {
    Try { user, group: None, database: Some("analytics"), creates: false }
}

/// Enters the producer role from a session, and asks for credentials.
async fn credentials(stage: &Stage, session: &Value, role: &str, wanted: &Try<'_>) -> Result<String, String> {
    let entered = stage.enter(session, role).await?;
    let cluster = stage.pair(0)["producer"]["clusterIdentifier"].as_str().expect("a cluster");
    aws_sdk_redshift::Client::new(&stage.aws.config(&entered, "eu-west-1").await)
        .get_cluster_credentials()
        .cluster_identifier(cluster)
        .db_user(wanted.user)
        .set_db_name(wanted.database.map(Into::into))
        .set_db_groups(wanted.group.map(|group| vec![group.into()]))
        .auto_create(wanted.creates)
        .send()
        .await
        .map(|given| given.db_user().unwrap_or_default().to_owned())
        .map_err(|error| format!("GetClusterCredentials: {:?}", error.into_service_error()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_studio_user_becomes_himself_only() {
    let stage = Stage::set("access").await;
    let mut program = stage.program();
    stage.apply(&stage.manifest("warehouse", |_| {}));
    stage.until_ready("warehouse", "True InPlace").await;
    let link = stage.link("warehouse").expect("there");
    let role = link["status"]["roleArn"].as_str().expect("a role").to_owned();
    let (account, domain) = (&stage.world["consumer"]["account"], &stage.pair(0)["consumer"]["domainId"]);
    let session = |profile: &str| {
        stage.aws.post("studio-session", json!({"account": account, "domainId": domain, "profile": profile}))
    };

    for name in ["alice", "bob"] {
        let session = session(name);
        let own = [
            (user(name), format!("IAM:{name}")),
            (Try { creates: true, ..user(name) }, format!("IAMA:{name}")),
            (Try { group: Some("readers"), ..user(name) }, format!("IAM:{name}")),
        ];
        for (wanted, given) in own {
            assert_eq!(credentials(&stage, &session, &role, &wanted).await, Ok(given));
        }
        let others = if name == "alice" { "bob" } else { "alice" };
        let refused = [
            user(others),
            user("admin"),
            user("Admin"),
            user("rdsdb"),
            user("etl"),
            Try { creates: true, ..user("newcomer") },
            Try { group: Some("writers"), ..user(name) },
            Try { database: Some("payroll"), ..user(name) },
        ];
        for wanted in refused {
            let refusal = credentials(&stage, &session, &role, &wanted).await.expect_err(wanted.user);
            assert!(refusal.contains("AccessDenied"), "{name} as {}: {refusal}", wanted.user);
        }
    }

    // a session of the same role without a name enters nothing
    let execution_role = stage.pair(0)["consumer"]["executionRoleName"].clone();
    let nameless = stage.aws.post("credentials", json!({"account": account, "role": execution_role}));
    let refusal = credentials(&stage, &nameless, &role, &user("bob")).await.expect_err("no source identity");
    assert!(refusal.contains("AssumeRole") && refusal.contains("AccessDenied"), "{refusal}");

    // neither does a role of the account that the domain does not use
    let stranger = aws_sdk_iam::Client::new(&stage.aws.config(&stage.world["consumer"]["admin"], "eu-west-1").await);
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "ec2.amazonaws.com"}}]});
    let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let create = stranger.create_role().role_name("stranger").assume_role_policy_document(trust.to_string());
    create.send().await.expect("created");
    let put = stranger.put_role_policy().role_name("stranger").policy_name("all").policy_document(all.to_string());
    put.send().await.expect("put");
    let stranger = json!({"account": account, "role": "stranger", "sourceIdentity": "alice"});
    let stranger = stage.aws.post("credentials", stranger);
    let refusal = credentials(&stage, &stranger, &role, &user("alice")).await.expect_err("a stranger");
    assert!(refusal.contains("AssumeRole") && refusal.contains("AccessDenied"), "{refusal}");

    stage.delete("warehouse");
    stage.until_gone("warehouse").await;
    assert!(program.terminate(), "a clean end");
}

/// A pod's role becomes the database users that the spec names, with the session tags that EKS gives it and no others.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_becomes_the_named_users_only() {
    let stage = Stage::set("pods").await;
    let iam = stage.iam("consumer").await;
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Action": ["sts:AssumeRole", "sts:TagSession"], "Principal": {"Service": "pods.eks.amazonaws.com"}}]});
    let create = iam.create_role().role_name("app").assume_role_policy_document(trust.to_string()).send().await;
    let arn = create.expect("created").role().expect("a role").arn().to_owned();
    let mut program = stage.program();
    let consumer = &stage.pair(0)["consumer"];
    stage.apply(&stage.manifest("warehouse", |spec| {
        spec["consumer"].as_object_mut().expect("a map").remove("studio");
        spec["consumer"]["network"] = json!({"vpcId": consumer["vpcId"], "roleArns": [arn],
            "subnetIds": [consumer["subnets"]["own"]]});
        spec["access"] = json!({"databaseUsers": ["app"]});
    }));
    stage.until_ready("warehouse", "True InPlace").await;
    let link = stage.link("warehouse").expect("there");
    let role = link["status"]["roleArn"].as_str().expect("a role").to_owned();
    let account = &stage.world["consumer"]["account"];
    let session = |tags: Value| stage.aws.post("credentials", json!({"account": account, "role": "app", "tags": tags}));

    let pod = session(json!({"eks-cluster-name": "platform", "kubernetes-namespace": "ml"}));
    assert_eq!(credentials(&stage, &pod, &role, &user("app")).await, Ok("IAM:app".into()));
    assert_eq!(credentials(&stage, &session(json!({})), &role, &user("app")).await, Ok("IAM:app".into()));
    for other in ["admin", "alice", "rdsdb"] {
        let refusal = credentials(&stage, &pod, &role, &user(other)).await.expect_err(other);
        assert!(refusal.contains("GetClusterCredentials") && refusal.contains("AccessDenied"), "{other}: {refusal}");
    }
    for tags in
        [json!({"RedshiftDbUser": "admin"}), json!({"eks-cluster-name": "a", "RedshiftDbRoles": "sys:superuser"})]
    {
        let refusal = credentials(&stage, &session(tags.clone()), &role, &user("app")).await.expect_err("such tags");
        assert!(refusal.contains("AssumeRole") && refusal.contains("AccessDenied"), "{tags}: {refusal}");
    }
    stage.delete("warehouse");
    stage.until_gone("warehouse").await;
    assert!(program.terminate(), "a clean end");
}
