//! The secret with the warehouse's credentials, as a program of the consumer's reads it: by the pair of roles that the
//! link tells, and by no other way.

use crate::bench::stage::Stage;
use serde_json::{Value, json};

const NAME: &str = "warehouse";
const BUCKET: &str = "exports-of-the-readers";
const VALUE: &str = r#"{"engine":"redshift","username":"extract"}"#;

/// What is in a secret, as a session sees it.
async fn read(stage: &Stage, session: &Value, secret: &str) -> Result<String, String> {
    let secrets = aws_sdk_secretsmanager::Client::new(&stage.aws.config(session, "eu-west-1").await);
    let answer = secrets.get_secret_value().secret_id(secret).send().await;
    let answer = answer.map_err(|error| format!("GetSecretValue: {:?}", error.into_service_error()))?;
    Ok(answer.secret_string.expect("a text"))
}

/// Through both roles, as the condition tells them.
async fn read_through(stage: &Stage, session: &Value, pair: &[String; 2], secret: &str) -> Result<String, String> {
    let first = stage.enter(session, &pair[0]).await.map_err(|error| format!("first {error}"))?;
    let second = stage.enter(&first, &pair[1]).await.map_err(|error| format!("second {error}"))?;
    read(stage, &second, secret).await
}

/// The roles that the condition tells.
fn pair(stage: &Stage) -> [String; 2] {
    let link = stage.link(NAME).expect("there");
    let conditions = link["status"]["conditions"].as_array().expect("conditions");
    let told = conditions.iter().find(|condition| condition["type"] == "SecretAccessReady").expect("told");
    let words = told["message"].as_str().expect("a text").split([' ', ',']);
    let roles: Vec<String> = words.filter(|word| word.starts_with("arn:aws:iam:")).map(Into::into).collect();
    roles.try_into().expect("two roles")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_reads_the_secret_and_nobody_else_does() {
    let stage = Stage::set("readers").await;
    stage.bucket(BUCKET).await;
    let (secret, other) = (stage.secret("warehouse/extract", VALUE).await, stage.secret("warehouse/other", "{}").await);
    let reader = stage.reader("extract").await;
    // may do whatever the other account lets it
    stage.reader("stranger").await;
    let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let iam = stage.iam("consumer").await;
    let put = iam.put_role_policy().role_name("stranger").policy_name("all").policy_document(all.to_string());
    put.send().await.expect("put");
    let mut program = stage.program();
    let manifest = |secret: Option<&str>| {
        stage.manifest(NAME, |spec| {
            spec["unload"] = json!({"bucket": BUCKET, "prefix": "warehouse/"});
            if let Some(secret) = secret {
                spec["unload"]["secretArn"] = secret.into();
                spec["unload"]["secretReaders"] = json!([reader]);
            }
        })
    };
    stage.apply(&manifest(None));
    stage.until_ready(NAME, "True InPlace").await;
    let without = stage.inventory();
    stage.apply(&manifest(Some(&secret)));
    let told = || stage.link(NAME).is_some_and(|link| link.to_string().contains("a reader takes on"));
    stage.until("the pair to be told", told).await;
    stage.until_ready(NAME, "True InPlace").await;

    let account = &stage.world["consumer"]["account"];
    let session = |role: &str, with: Value| {
        let mut wanted = json!({"account": account, "role": role});
        wanted.as_object_mut().expect("a map").extend(with.as_object().expect("a map").clone());
        stage.aws.post("credentials", wanted)
    };
    let (pair, extract) = (pair(&stage), session("extract", json!({})));
    assert_eq!(read_through(&stage, &extract, &pair, &secret).await, Ok(VALUE.into()));
    // as a Studio user's session, and as one of EKS Pod Identity
    for with in [json!({"sourceIdentity": "alice"}), json!({"tags": {"eks-cluster-name": "platform"}})] {
        let session = session("extract", with.clone());
        assert_eq!(read_through(&stage, &session, &pair, &secret).await, Ok(VALUE.into()), "{with}");
    }

    let stranger = session("stranger", json!({}));
    let controller = |side: &str| {
        stage.aws.post("credentials", json!({"account": stage.world[side]["account"], "role": "redshift-link"}))
    };
    let refused = [
        ("another role of the account", read_through(&stage, &stranger, &pair, &secret).await, "first AssumeRole"),
        ("the second role alone", stage.enter(&stranger, &pair[1]).await.map(|_| String::new()), "AssumeRole"),
        ("another secret", read_through(&stage, &extract, &pair, &other).await, "GetSecretValue"),
        ("without the roles", read(&stage, &stranger, &secret).await, "GetSecretValue"),
        ("the controller", read(&stage, &controller("producer"), &secret).await, "GetSecretValue"),
        ("the controller over there", read_through(&stage, &controller("consumer"), &pair, &secret).await, "first"),
    ];
    for (who, answer, at) in refused {
        let refusal = answer.expect_err(who);
        assert!(refusal.starts_with(at) && refusal.contains("AccessDenied"), "{who}: {refusal}");
    }

    stage.apply(&manifest(None));
    stage.until("the pair to be gone", || stage.inventory() == without).await;
    let refusal = read_through(&stage, &extract, &pair, &secret).await.expect_err("the pair is gone");
    assert!(refusal.contains("AccessDenied"), "{refusal}");
    stage.delete(NAME);
    stage.until_gone(NAME).await;
    assert!(program.terminate(), "a clean end");
}
