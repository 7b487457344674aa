//! A link from its manifest to its end: what it costs, that it is repaired, that it leaves nothing.

use crate::bench::stage::Stage;
use serde_json::{Value, json};
use std::time::Duration;

fn writes(calls: &[Value]) -> Vec<&str> {
    calls.iter().filter(|call| call["write"] == true).map(|call| call["action"].as_str().expect("an action")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_becomes_ready_is_repaired_and_leaves_nothing() {
    let stage = Stage::set("life").await;
    let before = stage.inventory();
    let mut program = stage.program();
    let from = stage.aws.calls(0).1;
    stage.apply(&stage.manifest("warehouse", |_| {}));
    stage.until_ready("warehouse", "True InPlace").await;
    let (calls, from) = stage.aws.calls(from);
    let mut made = writes(&calls);
    made.sort_unstable();
    let expected = [
        vec!["ec2:AcceptVpcPeeringConnection", "ec2:AuthorizeSecurityGroupIngress"],
        vec!["ec2:CreateRoute"; 4],
        vec!["ec2:CreateTags", "ec2:CreateVpcPeeringConnection", "ec2:ModifyVpcPeeringConnectionOptions"],
        vec!["iam:CreateRole"],
        vec!["iam:PutRolePolicy"; 3],
    ];
    assert_eq!(made, expected.concat(), "one for each thing; of a connection: asked for, accepted, tagged, DNS option");

    // settled means silent
    let version = |stage: &Stage| stage.link("warehouse").expect("there")["metadata"]["resourceVersion"].clone();
    let settled = version(&stage);
    let looks = |calls: &[Value]| calls.iter().filter(|call| call["action"] == "redshift:DescribeClusters").count();
    stage.until("three loops", || looks(&stage.aws.calls(from).0) >= 3).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (calls, _) = stage.aws.calls(from);
    assert_eq!(writes(&calls), Vec::<&str>::new());
    assert_eq!(version(&stage), settled);

    // sessions that somebody ended are taken up anew
    for side in ["producer", "consumer"] {
        let account = &stage.world[side]["account"];
        let ended = stage.aws.post("sessions/expire", json!({"account": account, "role": "redshift-link"}));
        assert_eq!(ended["expired"], 1);
    }
    let own = stage.pair(0)["consumer"]["routeTables"]["own"].as_str().unwrap();
    let cidr = stage.pair(0)["producer"]["cidr"].as_str().unwrap();
    let ec2 = stage.ec2("consumer").await;
    let whole = stage.inventory();
    ec2.delete_route().route_table_id(own).destination_cidr_block(cidr).send().await.expect("deleted behind its back");
    stage.until("the route to be repaired", || stage.inventory() == whole).await;
    stage.until_ready("warehouse", "True InPlace").await;

    stage.delete("warehouse");
    stage.until_gone("warehouse").await;
    assert_eq!(stage.inventory(), before);
    assert!(program.terminate(), "a clean end");
}

/// In another partition every ARN begins otherwise; across regions rules are by block.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_china_across_regions() {
    let sides = json!({"platform": {"region": "cn-north-1"}, "producer": {"region": "cn-north-1"},
        "consumer": {"region": "cn-northwest-1", "extraCidrs": ["100.64.0.0/16"], "egressRestricted": true}});
    let stage = Stage::set_with("partition", sides).await;
    let before = stage.inventory();
    let mut program = stage.program();
    stage.apply(&stage.manifest("warehouse", |_| {}));
    stage.until_ready("warehouse", "True InPlace").await;
    let link = stage.link("warehouse").expect("there");
    let role = link["status"]["roleArn"].as_str().expect("a role");
    assert!(role.starts_with("arn:aws-cn:iam::"), "{role}");
    let (producer, consumer) = stage.inventory();
    let ours = |side: &Value, region: &str| {
        let rules = side["regions"][region]["security_group_rules"].as_array().expect("rules");
        rules.iter().filter(|rule| !rule["Tags"].as_array().is_none_or(Vec::is_empty)).count()
    };
    assert_eq!((ours(&producer, "cn-north-1"), ours(&consumer, "cn-northwest-1")), (2, 1), "two blocks in, one out");
    stage.delete("warehouse");
    stage.until_gone("warehouse").await;
    assert_eq!(stage.inventory(), before);
    assert!(program.terminate(), "a clean end");
}
