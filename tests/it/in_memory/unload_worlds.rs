//! What is in the way of an UNLOAD's roles: each has its reason, and heals by itself once it is mended.

use super::unload_roles::{CONDITION, KEY, arn, status};
use crate::in_memory::driver::Driver;
use crate::in_memory::fake::State;
use crate::in_memory::fake::world::{ACCOUNT_DECIDES, CONSUMER, PRODUCER_VPC, consumer, link, producer};
use redshift_link::aws::mark::RoleKind;
use redshift_link::aws::model::{BucketGuards, Key, VpcEndpoint};
use serde_json::{Value, json};
use std::time::Duration;

/// Something that is in the way of a part, and how it is put right.
pub struct World {
    pub name: &'static str,
    pub spec: fn(&mut Value),
    pub break_it: fn(&mut State),
    pub mend: fn(&mut State),
    pub reads: &'static str,
    pub says: &'static [&'static str],
}

fn plain(spec: &mut Value) {
    spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/", "kmsKeyArn": KEY});
}

fn key(state: &mut State) -> &mut Key {
    state.keys.get_mut(&(consumer(), KEY.into())).unwrap()
}

fn bucket_policy(state: &mut State, condition: &Value) {
    let statement = json!({"Sid": "OnlyOurs", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::exports", "arn:aws:s3:::exports/*"], "Condition": condition});
    state.bucket_policies.insert("exports".into(), json!({"Statement": [statement]}).to_string());
}

fn enhanced_routing(state: &mut State, on: bool) {
    state.clusters.get_mut(&(producer(), "warehouse".into())).unwrap().enhanced_vpc_routing = on;
}

/// An endpoint for S3 in the tables of the cluster, of which one has a default route too.
fn endpoint(state: &mut State, policy: Option<&Value>) {
    let endpoint = VpcEndpoint {
        id: "vpce-1".into(),
        service: "com.amazonaws.eu-west-1.s3".into(),
        available: true,
        tables: ["rtb-0000aaa1", "rtb-0000aaa2"].map(str::to_owned).into(),
        private_dns: false,
        policy: policy.map(Value::to_string),
    };
    state.endpoints.insert((producer(), PRODUCER_VPC.into()), vec![endpoint]);
}

const WORLDS: [World; 14] = [
    World {
        name: "no bucket",
        spec: plain,
        break_it: |state| state.buckets.clear(),
        mend: |state| drop(state.buckets.insert("exports".into(), consumer())),
        reads: "False BucketNotFound",
        says: &["exports", "444455556666"],
    },
    World {
        name: "a bucket of another account",
        spec: plain,
        break_it: |state| drop(state.buckets.insert("exports".into(), producer())),
        mend: |state| drop(state.buckets.insert("exports".into(), consumer())),
        reads: "False AccessDenied",
        says: &["exports", "name a bucket of account 444455556666", "s3:GetBucketLocation"],
    },
    World {
        name: "no key",
        spec: plain,
        break_it: |state| state.keys.clear(),
        mend: |state| {
            let key = Key { arn: KEY.into(), state: "Enabled".into(), symmetric: true };
            state.keys.insert((consumer(), KEY.into()), key);
        },
        reads: "False KeyNotFound",
        says: &[KEY],
    },
    World {
        name: "a key that goes",
        spec: plain,
        break_it: |state| key(state).state = "PendingDeletion".into(),
        mend: |state| key(state).state = "Enabled".into(),
        reads: "False KeyNotUsable",
        says: &[KEY, "PendingDeletion"],
    },
    World {
        name: "a key that S3 cannot use",
        spec: plain,
        break_it: |state| key(state).symmetric = false,
        mend: |state| key(state).symmetric = true,
        reads: "False KeyNotUsable",
        says: &[KEY, "symmetric"],
    },
    World {
        name: "a key of another region",
        spec: plain,
        break_it: |state| state.buckets.get_mut("exports").unwrap().region.0 = "eu-west-2".into(),
        mend: |state| state.buckets.get_mut("exports").unwrap().region.0 = "eu-west-1".into(),
        reads: "False KeyOfOtherRegion",
        says: &["exports", "eu-west-1", "eu-west-2"],
    },
    World {
        name: "a bucket that is open only to an endpoint",
        spec: plain,
        break_it: |state| bucket_policy(state, &json!({"StringNotEquals": {"aws:SourceVpce": "vpce-9"}})),
        mend: |state| {
            let others = json!({"StringNotEquals": {"aws:SourceVpce": "vpce-9"},
                "ArnNotEquals": {"aws:PrincipalArn": [arn(CONSUMER, RoleKind::Write)]}});
            bucket_policy(state, &others);
        },
        reads: "False BucketPolicyDenies",
        says: &[
            "exports",
            "statement OnlyOurs",
            "s3:PutObject",
            "enhanced VPC routing",
            "aws:PrincipalArn",
            "444455556666",
        ],
    },
    World {
        name: "a bucket that is open only to another network",
        spec: plain,
        break_it: |state| {
            enhanced_routing(state, true);
            endpoint(state, None);
            bucket_policy(state, &json!({"StringNotEquals": {"aws:SourceVpc": "vpc-9"}}));
        },
        mend: |state| {
            bucket_policy(
                state,
                &json!({"StringNotEquals": {"aws:SourceVpc": [PRODUCER_VPC, "vpc-9"]},
            "Bool": {"aws:PrincipalIsAWSService": "false"}, "StringNotEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}),
            )
        },
        reads: "False BucketPolicyDenies",
        says: &["exports", "endpoint vpce-1", PRODUCER_VPC],
    },
    World {
        name: "a bucket that keeps what it has",
        spec: plain,
        break_it: |state| {
            let retention = Some("COMPLIANCE for 30 days".to_owned());
            state.bucket_guards.insert("exports".into(), BucketGuards { retention, mfa_delete: false });
        },
        mend: |state| state.bucket_guards.clear(),
        reads: "False BucketKeepsObjects",
        says: &["exports", "COMPLIANCE for 30 days"],
    },
    World {
        name: "a key that denies whom S3 asks for",
        spec: plain,
        break_it: |state| {
            let denial = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*",
                "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}});
            state.key_policies.insert(KEY.into(), json!({"Statement": denial}).to_string());
        },
        mend: |state| drop(state.key_policies.insert(KEY.into(), ACCOUNT_DECIDES.into())),
        reads: "False KeyPolicyDenies",
        says: &[KEY, "statement 1", "kms:GenerateDataKey", "aws:PrincipalArn"],
    },
    World {
        name: "a key that lets nobody of the account in",
        spec: plain,
        break_it: |state| {
            let administrator = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:role/keeper"},
                "Action": "kms:*", "Resource": "*"});
            state.key_policies.insert(KEY.into(), json!({"Statement": administrator}).to_string());
        },
        mend: |state| drop(state.key_policies.insert(KEY.into(), ACCOUNT_DECIDES.into())),
        reads: "False KeyPolicyDenies",
        says: &[KEY, "add a statement"],
    },
    World {
        name: "a network without a way to S3",
        spec: plain,
        break_it: |state| enhanced_routing(state, true),
        mend: |state| endpoint(state, None),
        reads: "False NoPathToS3",
        says: &["warehouse", PRODUCER_VPC, "rtb-0000aaa1", "gateway endpoint"],
    },
    World {
        name: "an endpoint for other buckets",
        spec: plain,
        break_it: |state| {
            enhanced_routing(state, true);
            let own = json!({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "arn:aws:s3:::ours*"});
            endpoint(state, Some(&json!({"Statement": [own]})));
        },
        mend: |state| endpoint(state, None),
        reads: "False NoPathToS3",
        says: &["vpce-1", "s3:PutObject", "arn:aws:s3:::exports/warehouse/"],
    },
    World {
        name: "a paused cluster",
        spec: plain,
        break_it: |state| status(state, "paused"),
        mend: |state| status(state, "available"),
        reads: "False ClusterNotAvailable",
        says: &["warehouse", "paused", "resume it"],
    },
];

#[tokio::test(start_paused = true)]
async fn what_is_in_the_way_has_its_reason_and_heals_by_itself() {
    each_shows_and_heals(&WORLDS, CONDITION).await;
}

pub async fn each_shows_and_heals(worlds: &[World], condition: &str) {
    for world in worlds {
        let mut driver = Driver::new();
        (world.break_it)(&mut driver.aws.state());
        driver.apply(link("a", world.spec));
        driver.settle().await;
        assert_eq!(driver.condition("a", condition), world.reads, "{}", world.name);
        assert_eq!(
            driver.condition("a", "RoutesReady"),
            "True InPlace",
            "{}: the path does not wait for it",
            world.name
        );
        let message = driver.message("a", condition);
        for said in world.says {
            assert!(message.contains(said), "{}: {message}", world.name);
        }
        (world.mend)(&mut driver.aws.state());
        driver.pass(Duration::from_secs(3600)).await;
        assert_eq!(driver.ready("a"), "True InPlace", "{}", world.name);
    }
}
