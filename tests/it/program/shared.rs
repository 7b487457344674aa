//! Links over one pair of VPCs in many orders of coming, changing and going, with the program killed in between: the
//! record of calls shows no moment at which a living link lost what it has, and the last takes all with it.

use crate::bench::stage::{Stage, condition};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Copy, Debug)]
enum Event {
    Create(usize),
    Change(usize),
    Delete(usize),
}

use Event::{Change, Create, Delete};

/// Of the orders that the in-memory accounts see all of, those in which each link is once the first and once the last.
const ORDERS: [&[Event]; 4] = [
    &[Create(0), Create(1), Delete(0), Change(1), Delete(1)],
    &[Create(1), Create(2), Change(1), Create(0), Delete(2), Delete(1), Delete(0)],
    &[Create(2), Create(0), Delete(2), Create(1), Change(0), Delete(0), Delete(1)],
    &[Create(0), Change(0), Create(2), Delete(0), Change(2), Delete(2)],
];

/// Two links of the same domain, and one of a network in the same VPC; changed, they want other tables and groups.
fn manifest(stage: &Stage, index: usize, changed: bool) -> Value {
    let (producer, consumer) = (&stage.pair(0)["producer"], &stage.pair(0)["consumer"]);
    let table = |name: &str| producer["routeTables"][name].clone();
    stage.manifest(NAMES[index], |spec| match (index, changed) {
        (0, false) => {}
        (0, true) => spec["peering"] = json!({"dnsResolution": false}),
        (1, _) => {
            let tables = if changed { json!([table("own"), table("other")]) } else { json!([table("own")]) };
            spec["producer"]["routeTableIds"] = tables;
        }
        (_, _) => {
            let role = format!("arn:aws:iam::{}:role/app", stage.world["consumer"]["account"].as_str().expect("an id"));
            spec["consumer"].as_object_mut().expect("a map").remove("studio");
            spec["consumer"]["network"] = json!({"vpcId": consumer["vpcId"], "roleArns": [role],
                "subnetIds": [consumer["subnets"]["own"]]});
            spec["access"] = json!({"databaseUsers": ["app"]});
            if changed {
                spec["consumer"]["network"]["securityGroupIds"] = json!([consumer["securityGroupId"]]);
            }
        }
    })
}

/// What the links have that are Ready and were neither changed nor deleted since.
fn wanted(stage: &Stage, names: &BTreeSet<&str>) -> BTreeMap<String, String> {
    let of = |name: &&str| {
        let link = stage.link(name).expect("there");
        assert_eq!(condition(Some(&link), "Ready"), "True InPlace", "{name}");
        let wants = link["status"]["wants"].as_array().expect("wants").clone();
        let name = (*name).to_owned();
        wants.into_iter().map(move |want| (want.as_str().expect("text").to_owned(), name.clone()))
    };
    names.iter().flat_map(of).collect()
}

/// The rules of both accounts by id, as wants.
fn rules(stage: &Stage) -> BTreeMap<String, String> {
    let mut rules = BTreeMap::new();
    let (producer, consumer) = stage.inventory();
    for (side, account) in [(producer, "producer"), (consumer, "consumer")] {
        let at = format!("{}/eu-west-1", stage.world[account]["account"].as_str().expect("an account"));
        for rule in side["regions"]["eu-west-1"]["security_group_rules"].as_array().expect("rules") {
            let text = |name: &str| rule[name].as_str().unwrap_or_default();
            let direction = if rule["IsEgress"] == true { "egress" } else { "ingress" };
            let group = &rule["ReferencedGroupInfo"];
            let peer = match rule["CidrIpv4"].as_str() {
                Some(cidr) => cidr.to_owned(),
                None => {
                    format!("{}/{}", group["UserId"].as_str().unwrap_or("?"), group["GroupId"].as_str().unwrap_or("?"))
                }
            };
            let (group, protocol) = (text("GroupId"), text("IpProtocol"));
            let ports = format!("{}-{}", rule["FromPort"], rule["ToPort"]);
            let want = format!("rule {at} {group} {direction} {protocol} {ports} {peer}");
            rules.insert(text("SecurityGroupRuleId").to_owned(), want);
        }
    }
    rules
}

/// What an executed call took away, as a want; none where it took nothing away.
fn taken(call: &Value, rules: &BTreeMap<String, String>) -> Option<String> {
    let (action, with) = (call["action"].as_str()?, &call["parameters"]);
    let at = || format!("{}/eu-west-1", call["account"].as_str().unwrap_or("?"));
    match action.strip_prefix("ec2:")? {
        "DeleteRoute" | "ReplaceRoute" => {
            let (table, cidr) = (with["RouteTableId"].as_str()?, with["DestinationCidrBlock"].as_str()?);
            Some(format!("route {} {table} {cidr}", at()))
        }
        "RevokeSecurityGroupIngress" | "RevokeSecurityGroupEgress" => {
            rules.get(with["SecurityGroupRuleIds"][0].as_str()?).cloned()
        }
        "DeleteVpcPeeringConnection" => Some("peering".into()),
        "ModifyVpcPeeringConnectionOptions" => {
            let on = with["AccepterPeeringConnectionOptions"]["AllowDnsResolutionFromRemoteVpc"].to_string();
            on.contains("alse").then(|| "dns".into())
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_living_link_is_cut_and_the_last_takes_all() {
    let stage = Stage::set("shared").await;
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "ec2.amazonaws.com"}}]});
    let iam = stage.iam("consumer").await;
    iam.create_role().role_name("app").assume_role_policy_document(trust.to_string()).send().await.expect("created");
    let before = stage.inventory();
    let mut program = stage.program();
    let (mut checked, mut taken_away) = (0, 0);
    for (number, order) in ORDERS.into_iter().enumerate() {
        let mut living: BTreeSet<&str> = BTreeSet::new();
        for (step, event) in order.iter().enumerate() {
            let (Create(index) | Change(index) | Delete(index)) = *event;
            living.remove(NAMES[index]);
            let (wanted, rules, since) = (wanted(&stage, &living), rules(&stage), stage.aws.calls(0).1);
            match event {
                Create(_) => stage.apply(&manifest(&stage, index, false)),
                Change(_) => stage.apply(&manifest(&stage, index, true)),
                Delete(_) => stage.delete(NAMES[index]),
            }
            // killed at another moment each time
            if (number + step) % 2 == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(150 * (step as u64 + 1))).await;
                program.kill();
                program = stage.program();
            }
            match event {
                Create(_) | Change(_) => {
                    living.insert(NAMES[index]);
                    let current = || {
                        let link = stage.link(NAMES[index]).unwrap_or_default();
                        condition(Some(&link), "Ready") == "True InPlace"
                            && link["status"]["observedGeneration"] == link["metadata"]["generation"]
                    };
                    stage.until(&format!("{event:?} of {order:?}"), current).await;
                }
                Delete(_) => stage.until_gone(NAMES[index]).await,
            }
            for call in stage.aws.calls(since).0.iter().filter(|call| call["executed"] == true) {
                checked += 1;
                let Some(taken) = taken(call, &rules) else { continue };
                taken_away += 1;
                let cut = wanted.iter().find(|(want, _)| **want == taken || want.split(' ').next() == Some(&taken));
                assert_eq!(cut, None, "{event:?} of {order:?}: {call}");
            }
        }
        assert_eq!(stage.inventory(), before, "{order:?}: left behind");
    }
    assert!(taken_away > 20, "the record is understood: {taken_away} of {checked} calls");
    println!("shared: {} orders, {checked} calls looked at, {taken_away} that took something away", ORDERS.len());
    assert!(program.terminate(), "a clean end");
}
