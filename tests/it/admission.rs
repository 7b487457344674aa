//! The API server refuses what can never work, with a message, and takes what can: each rule both ways.

use crate::bench::control_plane::ControlPlane;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const NAMESPACE: &str = "admission";

pub type Make = fn() -> Value;
pub type Change = fn(&mut Value);

fn studio() -> Value {
    json!({
        "producer": {"accountId": "111122223333", "region": "eu-west-1",
            "cluster": {"identifier": "warehouse", "database": "analytics"}},
        "consumer": {"accountId": "444455556666", "studio": {"domainId": "d-abcdefghijkl"}},
    })
}

fn network() -> Value {
    let mut spec = studio();
    spec["consumer"].as_object_mut().unwrap().remove("studio");
    spec["consumer"]["network"] = json!({"vpcId": "vpc-0123abcd", "subnetIds": ["subnet-0123abcd"],
        "roleArns": ["arn:aws:iam::444455556666:role/app"]});
    spec["access"] = json!({"databaseUsers": ["app"]});
    spec
}

fn unloading() -> Value {
    let mut spec = studio();
    spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/2026/"});
    spec
}

fn secret_arn(place: &str) -> String {
    format!("arn:aws:secretsmanager:{place}:secret:warehouse/extract_1-a1B2c3")
}

fn reading() -> Value {
    let mut spec = unloading();
    spec["unload"]["secretArn"] = secret_arn("eu-west-1:111122223333").into();
    spec["unload"]["secretReaders"] = json!(["arn:aws:iam::444455556666:role/extract"]);
    spec
}

fn object(name: &str, spec: &Value) -> String {
    json!({"apiVersion": "redshiftlink.dev/v1alpha1", "kind": "CrossAccountRedshiftLink",
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
    .to_string()
}

/// A good object, a change that is refused with a message, and one nearby that is taken.
pub struct Rule {
    pub of: Make,
    pub refused: Change,
    pub message: &'static str,
    pub taken: Change,
}

const CREATION: [Rule; 13] = [
    Rule {
        of: studio,
        refused: |spec| spec["consumer"]["accountId"] = "111122223333".into(),
        message: "producer and consumer must be two accounts",
        taken: |spec| spec["consumer"]["accountId"] = "111122223334".into(),
    },
    Rule {
        of: network,
        refused: |spec| drop(spec.as_object_mut().unwrap().remove("access")),
        message: "a network consumer needs access.databaseUsers: whom its roles may become in the database",
        taken: |spec| spec["access"]["databaseUsers"] = json!(["app", "report"]),
    },
    Rule {
        of: network,
        refused: |spec| spec["access"]["sourceIdentity"] = "Require".into(),
        message: "sourceIdentity is for Studio consumers: a network has no user profiles",
        taken: |spec| spec["access"]["sourceIdentity"] = "Ignore".into(),
    },
    Rule {
        of: studio,
        refused: |spec| spec["access"] = json!({"sourceIdentity": "Ignore"}),
        message: "sourceIdentity: Ignore needs access.databaseUsers: nothing else says whom a Studio user may become in the database",
        taken: |spec| spec["access"] = json!({"sourceIdentity": "Ignore", "databaseUsers": ["studio"]}),
    },
    Rule {
        of: studio,
        refused: |spec| spec["access"] = json!({"databaseUsers": ["studio"]}),
        message: "access.databaseUsers needs sourceIdentity: Ignore: otherwise each Studio user becomes the database user of his own name",
        taken: |spec| spec["access"] = json!({"sourceIdentity": "Require", "databaseGroups": ["readers"]}),
    },
    Rule {
        of: studio,
        refused: |spec| spec["consumer"]["network"] = network()["consumer"]["network"].clone(),
        message: "exactly one of studio and network must be given",
        taken: |_| {},
    },
    Rule {
        of: studio,
        refused: |spec| spec["tags"] = json!({"AWS:team": "ml"}),
        message: "tag keys beginning with aws: are reserved by AWS",
        taken: |spec| spec["tags"] = json!({"team": "ml", "cost:centre": "4 711 ä"}),
    },
    Rule {
        of: studio,
        refused: |spec| spec["tags"] = json!({"RedshiftDbUser": "admin"}),
        message: "tag keys beginning with redshift are refused: such tags confer database users and roles, or are our own mark",
        taken: |spec| spec["tags"] = json!({"for-redshift": "yes"}),
    },
    Rule {
        of: studio,
        refused: |spec| spec["tags"] = json!({"team?": "ml"}),
        message: "a tag key has letters, digits, spaces and _.:/=+@- only",
        taken: |spec| spec["tags"] = json!({"Team/@sub-1": ""}),
    },
    Rule {
        of: unloading,
        refused: |spec| spec["unload"]["kmsKeyArn"] = "arn:aws:kms:eu-west-1:111122223333:key/k-1".into(),
        message: "unload.kmsKeyArn must be a key of the consumer's account",
        taken: |spec| spec["unload"]["kmsKeyArn"] = "arn:aws:kms:eu-west-1:444455556666:key/k-1".into(),
    },
    Rule {
        of: unloading,
        refused: |spec| spec["unload"]["secretArn"] = secret_arn("eu-west-1:111122223333").into(),
        message: "unload.secretArn and unload.secretReaders go together: a secret, and who may read it",
        taken: |spec| *spec = reading(),
    },
    Rule {
        of: reading,
        refused: |spec| spec["unload"]["secretArn"] = secret_arn("eu-central-1:111122223333").into(),
        message: "unload.secretArn must be a secret of the producer's account and region",
        taken: |spec| spec["unload"]["secretArn"] = format!("{}-AbCdEf", secret_arn("eu-west-1:111122223333")).into(),
    },
    Rule {
        of: reading,
        refused: |spec| spec["unload"]["secretReaders"] = json!(["arn:aws:iam::111122223333:role/extract"]),
        message: "unload.secretReaders must be roles of the consumer's account",
        taken: |spec| spec["unload"]["secretReaders"] = json!(["arn:aws:iam::444455556666:role/service-role/extract"]),
    },
];

/// Changes of an object that exists.
const UPDATES: [Rule; 10] = [
    Rule {
        of: studio,
        refused: |spec| spec["producer"]["accountId"] = "111122223334".into(),
        message: "producer.accountId is immutable: make another link",
        taken: |spec| spec["producer"]["routeTableIds"] = json!(["rtb-0123abcd"]),
    },
    Rule {
        of: studio,
        refused: |spec| spec["producer"]["region"] = "eu-central-1".into(),
        message: "producer.region is immutable: make another link",
        taken: |spec| spec["producer"]["securityGroupId"] = "sg-0123abcd".into(),
    },
    Rule {
        of: studio,
        refused: |spec| spec["producer"]["cluster"]["identifier"] = "other".into(),
        message: "producer.cluster.identifier is immutable: make another link",
        taken: |spec| spec["producer"]["cluster"]["database"] = "other".into(),
    },
    Rule {
        of: studio,
        refused: |spec| spec["consumer"]["accountId"] = "444455556667".into(),
        message: "consumer.accountId is immutable: make another link",
        taken: |spec| spec["mode"] = "Plan".into(),
    },
    Rule {
        of: studio,
        refused: |spec| spec["consumer"]["region"] = "eu-central-1".into(),
        message: "consumer.region is immutable: make another link",
        taken: |spec| spec["suspend"] = true.into(),
    },
    Rule {
        of: studio,
        refused: |spec| *spec = network(),
        message: "a consumer stays Studio or network: make another link",
        taken: |spec| spec["deletionPolicy"] = "Retain".into(),
    },
    Rule {
        of: studio,
        refused: |spec| spec["consumer"]["studio"]["domainId"] = "d-other".into(),
        message: "consumer.studio.domainId is immutable: make another link",
        taken: |spec| spec["peering"] = json!({"existingId": "pcx-0123abcd", "dnsResolution": false}),
    },
    Rule {
        of: network,
        refused: |spec| spec["consumer"]["network"]["vpcId"] = "vpc-0123abce".into(),
        message: "consumer.network.vpcId is immutable: make another link",
        taken: |spec| spec["consumer"]["network"]["subnetIds"] = json!(["subnet-0123abcd", "subnet-0123abce"]),
    },
    Rule {
        of: studio,
        refused: |spec| spec["tags"] = json!({"": "x"}),
        message: "a tag key has 1 to 128 characters",
        taken: |spec| spec["tags"] = json!({"x": "x"}),
    },
    Rule {
        of: network,
        refused: |spec| drop(spec["access"].as_object_mut().unwrap().remove("databaseUsers")),
        message: "a network consumer needs access.databaseUsers: whom its roles may become in the database",
        taken: |spec| spec["access"]["createUsers"] = false.into(),
    },
];

/// What a schema refuses without a rule: by pattern, bound, set, enum or unknown field.
const SHAPES: [(&str, Make, Change); 35] = [
    ("spec.producer.accountId", studio, |spec| spec["producer"]["accountId"] = "1111".into()),
    ("spec.producer.accountId", studio, |spec| spec["producer"]["accountId"] = 111_122_223_333_u64.into()),
    ("spec.producer.region", studio, |spec| spec["producer"]["region"] = "Ireland".into()),
    ("spec.producer.cluster.identifier", studio, |spec| spec["producer"]["cluster"]["identifier"] = "*".into()),
    ("spec.producer.cluster.identifier", studio, |spec| spec["producer"]["cluster"]["identifier"] = "a--b".into()),
    ("spec.producer.cluster.database", studio, |spec| spec["producer"]["cluster"]["database"] = "a*".into()),
    ("spec.producer.cluster.database", studio, |spec| spec["producer"]["cluster"]["database"] = "${x}".into()),
    ("spec.producer.routeTableIds", studio, |spec| spec["producer"]["routeTableIds"] = json!([])),
    ("spec.producer.routeTableIds[1]", studio, |spec| {
        spec["producer"]["routeTableIds"] = json!(["rtb-0123abcd", "rtb-0123abcd"]);
    }),
    ("spec.producer.securityGroupId", studio, |spec| spec["producer"]["securityGroupId"] = "default".into()),
    ("spec.consumer.studio.domainId", studio, |spec| spec["consumer"]["studio"]["domainId"] = "D-1".into()),
    ("spec.consumer.network.vpcId", network, |spec| spec["consumer"]["network"]["vpcId"] = "vpc-x".into()),
    ("spec.consumer.network.subnetIds[0]", network, |spec| {
        spec["consumer"]["network"]["subnetIds"] = json!(["subnet-*"]);
    }),
    ("spec.consumer.network.securityGroupIds", network, |spec| {
        spec["consumer"]["network"]["securityGroupIds"] = json!([]);
    }),
    ("spec.consumer.network.roleArns[0]", network, |spec| {
        spec["consumer"]["network"]["roleArns"] = json!(["arn:aws:iam::444455556666:role/*"]);
    }),
    ("spec.consumer.network.roleArns[0]", network, |spec| {
        spec["consumer"]["network"]["roleArns"] = json!(["arn:aws:iam::444455556666:user/app"]);
    }),
    ("spec.access.databaseUsers[0]", network, |spec| spec["access"]["databaseUsers"] = json!(["*"])),
    ("spec.access.databaseUsers", network, |spec| {
        spec["access"]["databaseUsers"] = (0..21).map(|n| json!(format!("user{n}"))).collect();
    }),
    ("spec.access.databaseGroups[0]", studio, |spec| spec["access"] = json!({"databaseGroups": ["Readers*"]})),
    ("spec.access.sourceIdentity", studio, |spec| spec["access"] = json!({"sourceIdentity": "Manage"})),
    ("spec.peering.existingId", studio, |spec| spec["peering"] = json!({"existingId": "pcx-"})),
    ("spec.unload.bucket", unloading, |spec| spec["unload"]["bucket"] = "Exports".into()),
    ("spec.unload.prefix", unloading, |spec| spec["unload"]["prefix"] = "".into()),
    ("spec.unload.prefix", unloading, |spec| spec["unload"]["prefix"] = "warehouse".into()),
    ("spec.unload.prefix", unloading, |spec| spec["unload"]["prefix"] = "../".into()),
    ("spec.unload.kmsKeyArn", unloading, |spec| spec["unload"]["kmsKeyArn"] = "alias/exports".into()),
    ("spec.unload.secretArn", reading, |spec| spec["unload"]["secretArn"] = "warehouse/extract".into()),
    ("spec.unload.secretArn", reading, |spec| {
        let managed = secret_arn("eu-west-1:111122223333").replace("warehouse/", "redshift!");
        spec["unload"]["secretArn"] = managed.into();
    }),
    ("spec.unload.secretArn", reading, |spec| {
        spec["unload"]["secretArn"] = secret_arn("eu-west-1:111122223333").replace("extract", "*").into();
    }),
    ("spec.unload.secretReaders", reading, |spec| spec["unload"]["secretReaders"] = json!([])),
    ("spec.unload.secretReaders[0]", reading, |spec| {
        spec["unload"]["secretReaders"] = json!(["arn:aws:iam::444455556666:root"]);
    }),
    ("spec.unload.databaseUser", unloading, |spec| spec["unload"]["databaseUser"] = "*".into()),
    ("spec.mode", studio, |spec| spec["mode"] = "DryRun".into()),
    ("spec.deletionPolicy", studio, |spec| spec["deletionPolicy"] = "Orphan".into()),
    ("unknown field \"spec.endpoint\"", studio, |spec| spec["endpoint"] = "https://example.com".into()),
];

fn plane() -> &'static ControlPlane {
    let plane = ControlPlane::shared();
    plane.namespace(NAMESPACE);
    plane
}

/// The messages of all rules of a definition.
pub fn messages(schema: &Value) -> BTreeSet<String> {
    let own = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let own = own.map(|rule| rule["message"].as_str().expect("each rule has a message").to_owned());
    let below = schema.as_object().into_iter().flat_map(|fields| fields.values());
    own.chain(below.filter(|value| value.is_object()).flat_map(messages)).collect()
}

/// Asks the API server to take an object, without keeping it.
pub fn ask(plane: &ControlPlane, verb: &str, object: &str) -> Result<String, String> {
    plane.try_kubectl(&[verb, "--dry-run=server", "--validate=strict", "-f", "-"], object)
}

#[test]
fn each_rule_refuses_and_takes() {
    let plane = plane();
    for (index, kind) in [studio, network].into_iter().enumerate() {
        plane.apply(&object(&format!("there-{index}"), &kind()));
    }
    let mut tried = BTreeSet::new();
    let creation = CREATION.iter().map(|rule| (rule, "create", "new"));
    let updates = UPDATES.iter().map(|rule| {
        let there = if (rule.of)()["consumer"].get("studio").is_some() { "there-0" } else { "there-1" };
        (rule, "replace", there)
    });
    for (rule, verb, name) in creation.chain(updates) {
        let mut bad = (rule.of)();
        (rule.refused)(&mut bad);
        let refusal = ask(plane, verb, &object(name, &bad)).expect_err(rule.message);
        assert!(refusal.contains(rule.message), "{}: {refusal}", rule.message);
        let mut good = (rule.of)();
        (rule.taken)(&mut good);
        ask(plane, verb, &object(name, &good)).unwrap_or_else(|error| panic!("beside {}: {error}", rule.message));
        tried.insert(rule.message.to_owned());
    }
    let definition: Value = serde_saphyr::from_str(&redshift_link::api::crds()[0].yaml).expect("YAML");
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(tried, messages(schema), "each rule is tried");
    for name in ["there-0", "there-1"] {
        plane.kubectl(&["delete", "crossaccountredshiftlink", name, "-n", NAMESPACE]);
    }
}

#[test]
fn what_has_the_wrong_shape_is_refused_with_its_field() {
    let plane = plane();
    for (field, kind, change) in SHAPES {
        let mut spec = kind();
        change(&mut spec);
        let refusal = ask(plane, "create", &object("new", &spec)).expect_err(field);
        assert!(refusal.contains(field), "{field}: {refusal}");
    }
}

/// A tool that waits by kstatus must not take an object for finished that nobody has looked at.
#[test]
fn an_object_just_made_has_observed_no_generation() {
    let plane = plane();
    plane.apply(&object("fresh", &studio()));
    let made = plane.get("rslink", NAMESPACE, "fresh").expect("there");
    assert_eq!(made["status"], json!({"observedGeneration": -1}));
    let found = plane.kubectl(&["get", "redshiftlink", "-n", NAMESPACE]);
    assert!(found.contains("crossaccountredshiftlink.redshiftlink.dev/fresh"), "all kinds by their category: {found}");
    let found = plane.kubectl(&[
        "get",
        "rslink",
        "-n",
        NAMESPACE,
        "--field-selector",
        "spec.producer.accountId=111122223333,spec.producer.cluster.identifier=warehouse,spec.consumer.accountId=444455556666",
    ]);
    assert!(found.contains("fresh") && found.contains("READY"), "{found}");
    let explained = plane.explain("rslink.spec.producer.cluster.identifier");
    assert!(explained.contains("Immutable"), "{explained}");
    plane.kubectl(&["delete", "rslink", "fresh", "-n", NAMESPACE]);
}
