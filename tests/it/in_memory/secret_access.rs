//! The pair of roles by which a secret is read: who may take them on, what is in their way, and that they go without a
//! trace.

use crate::in_memory::driver::{Driver, GRACE, INTERVAL};
use crate::in_memory::fake::world::{
    ACCOUNTS, CONSUMER, PRODUCER, READER, SECRET, SECRET_KEY, link, producer, unload_link, whole_link,
};
use crate::in_memory::fake::{Role, State};
use crate::in_memory::unload_worlds::{World, each_shows_and_heals};
use redshift_link::aws::mark::{Installation, RoleKind};
use redshift_link::aws::model::{Key, Secret};
use redshift_link::aws::scope::AccountId;
use serde_json::{Value, json};

const CONDITION: &str = "SecretAccessReady";

fn name(kind: RoleKind) -> String {
    Installation::new("test").unwrap().role(kind, "uid-of-a")
}

fn arn(account: &str, kind: RoleKind) -> String {
    format!("arn:aws:iam::{account}:role/redshift-link/test/{}", name(kind))
}

fn reader_arn() -> String {
    arn(CONSUMER, RoleKind::Reader)
}

fn reading_arn() -> String {
    arn(PRODUCER, RoleKind::Secret)
}

/// The trust and the access policy of a role.
fn says(state: &State, account: &str, kind: RoleKind) -> [Value; 2] {
    let role = &state.roles[&(AccountId(account.into()), name(kind))];
    [&role.trust, &role.inline["redshift-link-access"]].map(|text| serde_json::from_str(text).unwrap())
}

async fn ready() -> Driver {
    let mut driver = Driver::new();
    driver.apply(whole_link("a"));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace", "{}", driver.message("a", "Ready"));
    driver
}

fn spec(spec: &mut Value) {
    spec["unload"] =
        json!({"bucket": "exports", "prefix": "warehouse/", "secretArn": SECRET, "secretReaders": [READER]});
}

#[tokio::test(start_paused = true)]
async fn each_role_trusts_exactly_who_comes_before_it() {
    let mut driver = ready().await;
    let [trust, access] = says(&driver.aws.state(), CONSUMER, RoleKind::Reader);
    assert_eq!(trust["Statement"][0]["Principal"], json!({"AWS": READER}));
    assert_eq!(access["Statement"].as_array().unwrap().len(), 1);
    assert_eq!(access["Statement"][0]["Resource"], reading_arn());
    let [trust, access] = says(&driver.aws.state(), PRODUCER, RoleKind::Secret);
    assert_eq!(trust["Statement"][0]["Principal"], json!({"AWS": reader_arn()}));
    let read = &access["Statement"][0];
    assert_eq!(read["Resource"], SECRET);
    assert!(read["Action"].to_string().contains("secretsmanager:GetSecretValue"), "{read}");
    let decrypt = &access["Statement"][1];
    assert_eq!((decrypt["Action"].as_str(), decrypt["Resource"].as_str()), (Some("kms:Decrypt"), Some(SECRET_KEY)));
    let only = &decrypt["Condition"]["StringEquals"];
    assert_eq!(only["kms:ViaService"][0], "secretsmanager.eu-west-1.amazonaws.com");
    assert_eq!(only["kms:EncryptionContext:SecretARN"], SECRET);
    let told = driver.message("a", CONDITION);
    assert!(told.contains(&reader_arn()) && told.contains(&reading_arn()), "{told}");

    // under the key that AWS keeps for secrets nothing has to be decrypted by the reader
    driver.aws.state().secrets.get_mut(&(producer(), SECRET.into())).unwrap().key = None;
    driver.pass(INTERVAL * 2).await;
    let [_, access] = says(&driver.aws.state(), PRODUCER, RoleKind::Secret);
    assert_eq!(access["Statement"].as_array().unwrap().len(), 1, "{access}");

    // an alias is no resource of a policy
    {
        let mut state = driver.aws.state();
        let alias = "arn:aws:kms:eu-west-1:111122223333:alias/secrets";
        let key = state.keys[&(producer(), SECRET_KEY.into())].clone();
        state.keys.insert((producer(), alias.into()), key);
        state.secrets.get_mut(&(producer(), SECRET.into())).unwrap().key = Some(alias.into());
    }
    driver.pass(INTERVAL * 2).await;
    let [_, access] = says(&driver.aws.state(), PRODUCER, RoleKind::Secret);
    assert_eq!(access["Statement"][1]["Resource"], SECRET_KEY);
}

/// Nothing is written to the readers, to the secret or to its key.
#[tokio::test(start_paused = true)]
async fn a_reader_comes_and_goes_by_the_spec() {
    let mut driver = ready().await;
    driver.aws.state().role(CONSUMER, "/", "report");
    let report = "arn:aws:iam::444455556666:role/report";
    driver.apply(link("a", |changed| {
        spec(changed);
        changed["unload"]["secretReaders"] = json!([report]);
    }));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
    let [trust, _] = says(&driver.aws.state(), CONSUMER, RoleKind::Reader);
    assert_eq!(trust["Statement"][0]["Principal"], json!({"AWS": report}));
    for reader in ["extract", "report"] {
        let role = &driver.aws.state().roles[&(AccountId(CONSUMER.into()), reader.to_owned())];
        assert_eq!(role.inline.keys().collect::<Vec<_>>(), ["mine"], "{reader}");
    }
}

/// IAM keeps the id of a role that is gone, and does not know the one that took its name.
#[tokio::test(start_paused = true)]
async fn a_role_that_was_made_anew_is_trusted_again() {
    let mut driver = ready().await;
    let whole = driver.aws.inventory();
    let gone =
        [(CONSUMER, name(RoleKind::Reader)), (CONSUMER, "extract".to_owned()), (PRODUCER, name(RoleKind::Secret))];
    for (account, role) in gone {
        driver.aws.state().delete_role(&AccountId(account.into()), &role);
        if role == "extract" {
            driver.aws.state().role(CONSUMER, "/", "extract");
        }
        driver.pass(INTERVAL * 3).await;
        assert_eq!(driver.ready("a"), "True InPlace", "{role}: {}", driver.message("a", "Ready"));
        assert_eq!(driver.aws.inventory(), whole, "{role}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_whose_secret_is_no_longer_named_loses_the_pair_alone() {
    let mut driver = Driver::new();
    driver.apply(unload_link("a"));
    driver.settle().await;
    let without = driver.aws.inventory();
    assert_eq!(driver.condition("a", CONDITION), "", "not asked for, not spoken of");
    for wiped in [false, true] {
        driver.apply(whole_link("a"));
        driver.settle().await;
        assert_eq!(driver.condition("a", CONDITION), "True InPlace");
        if wiped {
            driver.wipe_status();
        }
        driver.apply(unload_link("a"));
        driver.settle().await;
        assert_eq!(driver.ready("a"), "True InPlace");
        assert_eq!(driver.aws.inventory(), without, "wiped {wiped}");
        assert_eq!(driver.condition("a", CONDITION), "");
    }
}

/// Withdrawn permission makes and changes nothing; and a link that asks for what is not allowed makes no call.
#[tokio::test(start_paused = true)]
async fn what_the_accounts_file_does_not_list_is_not_read() {
    for withdrawn in ["secret:warehouse/*", "role/extract"] {
        let mut driver = Driver::new();
        driver.set_accounts(&ACCOUNTS.replace(withdrawn, "none"));
        driver.apply(whole_link("a"));
        driver.settle().await;
        assert_eq!(driver.ready("a"), "False NotAllowed", "{withdrawn}");
        assert!(driver.aws.state().reads.is_empty() && driver.aws.state().executed.is_empty(), "{withdrawn}");
    }
    let empty = Driver::new().aws.inventory();
    let mut driver = ready().await;
    driver.set_accounts(&ACCOUNTS.replace("secret:warehouse/*", "none"));
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    assert!(driver.kubernetes.get("a").is_none());
    assert_eq!(driver.aws.inventory(), empty);
}

fn secret(state: &mut State) -> &mut Secret {
    state.secrets.get_mut(&(producer(), SECRET.into())).unwrap()
}

fn put_secret(state: &mut State, arn: &str, of: &str) {
    let secret = Secret { arn: of.into(), key: None, being_deleted: false };
    state.secrets.insert((producer(), arn.into()), secret);
}

fn key(state: &mut State) -> &mut Key {
    state.keys.get_mut(&(producer(), SECRET_KEY.into())).unwrap()
}

const WORLDS: [World; 9] = [
    World {
        name: "no secret",
        spec,
        break_it: |state| state.secrets.clear(),
        mend: |state| put_secret(state, SECRET, SECRET),
        reads: "False SecretNotFound",
        says: &[SECRET, "make it"],
    },
    World {
        name: "an ARN without its end",
        spec,
        break_it: |state| put_secret(state, SECRET, "arn:of-another-xyz123"),
        mend: |state| put_secret(state, SECRET, SECRET),
        reads: "False SecretNotFound",
        says: &[SECRET, "a part of arn:of-another-xyz123"],
    },
    World {
        name: "a secret that goes",
        spec,
        break_it: |state| secret(state).being_deleted = true,
        mend: |state| secret(state).being_deleted = false,
        reads: "False SecretBeingDeleted",
        says: &[SECRET, "restore it"],
    },
    World {
        name: "a key that is gone",
        spec,
        break_it: |state| drop(state.keys.remove(&(producer(), SECRET_KEY.into()))),
        mend: |state| secret(state).key = None,
        reads: "False KeyNotFound",
        says: &[SECRET_KEY, SECRET],
    },
    World {
        name: "a key that is switched off",
        spec,
        break_it: |state| key(state).state = "Disabled".into(),
        mend: |state| key(state).state = "Enabled".into(),
        reads: "False KeyNotUsable",
        says: &[SECRET_KEY, "Disabled", "enable it"],
    },
    World {
        name: "a secret that the controller may not look at",
        spec,
        break_it: |state| state.refuse(PRODUCER, "DescribeSecret", "AccessDeniedException", "no resource-based policy"),
        mend: |state| state.refusals.clear(),
        reads: "False AccessDenied",
        says: &["secretsmanager:DescribeSecret", PRODUCER, "redshift-link iam"],
    },
    World {
        name: "no reader",
        spec,
        break_it: |state| drop(state.roles.remove(&(AccountId(CONSUMER.into()), "extract".into()))),
        mend: |state| state.role(CONSUMER, "/", "extract"),
        reads: "False ReaderNotFound",
        says: &[READER, CONSUMER],
    },
    World {
        name: "one reader of two",
        spec: |changed| {
            spec(changed);
            changed["unload"]["secretReaders"] = json!([READER, "arn:aws:iam::444455556666:role/report"]);
        },
        break_it: |_| {},
        mend: |state| state.role(CONSUMER, "/", "report"),
        reads: "False ReaderNotFound",
        says: &["role/report"],
    },
    World {
        name: "a role of others with our name",
        spec,
        break_it: |state| {
            let role =
                Role { path: "/".into(), ..state.roles[&(AccountId(CONSUMER.into()), "extract".into())].clone() };
            state.roles.insert((AccountId(PRODUCER.into()), name(RoleKind::Secret)), role);
        },
        mend: |state| drop(state.roles.remove(&(AccountId(PRODUCER.into()), name(RoleKind::Secret)))),
        reads: "False NotOurs",
        says: &["does not carry our mark"],
    },
];

#[tokio::test(start_paused = true)]
async fn what_is_in_the_way_has_its_reason_and_heals_by_itself() {
    each_shows_and_heals(&WORLDS, CONDITION).await;
}

/// The others are let in meanwhile.
#[tokio::test(start_paused = true)]
async fn a_reader_that_is_gone_does_not_hold_up_the_others() {
    let mut driver = Driver::new();
    driver.apply(link("a", WORLDS[7].spec));
    driver.settle().await;
    let [trust, _] = says(&driver.aws.state(), CONSUMER, RoleKind::Reader);
    assert_eq!(trust["Statement"][0]["Principal"], json!({"AWS": READER}));
}

/// What was stored before the API server knew the rule.
#[tokio::test(start_paused = true)]
async fn a_secret_of_another_region_is_refused() {
    let mut driver = Driver::new();
    let elsewhere = SECRET.replace("eu-west-1", "eu-west-2");
    driver.set_accounts(&ACCOUNTS.replace("secretsmanager:eu-west-1", "secretsmanager:*"));
    driver.apply(link("a", |changed| {
        spec(changed);
        changed["unload"]["secretArn"] = elsewhere.clone().into();
    }));
    driver.settle().await;
    assert_eq!(driver.condition("a", CONDITION), "False SecretElsewhere");
    assert!(driver.message("a", CONDITION).contains(&elsewhere));
}
