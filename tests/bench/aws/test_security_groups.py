"""Security group rules, one by one (docs/aws-behaviour.md#security-group-rules)."""

import pytest

from .client import CONSUMER, PLATFORM, PRODUCER
from .testing import refused, tags, where


def tcp(port=5439, **source):
    return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **source}]


def block(*cidrs, port=5439, **more):
    return tcp(port, IpRanges=[{"CidrIp": cidr, **more} for cidr in cidrs])


def group_of(world, account=CONSUMER, port=5439):
    return tcp(port, UserIdGroupPairs=[{"UserId": account, "GroupId": world.c.securityGroupId}])


def ingress(world, permissions, **options):
    return world.p_ec2.authorize_security_group_ingress(GroupId=world.p.securityGroupId, IpPermissions=permissions, **options)


def rules(world, **filters):
    found = world.p_ec2.describe_security_group_rules(Filters=where(group_id=world.p.securityGroupId, **filters))
    return [rule for rule in found["SecurityGroupRules"] if not rule["IsEgress"]]


def test_a_rule_has_an_id_and_tags_from_the_start(world):
    answer = ingress(world, block("10.2.0.0/16", Description="Studio"), TagSpecifications=tags("security-group-rule", owner="us"))
    made = answer["SecurityGroupRules"][0]
    assert rules(world) == [made]
    assert made["SecurityGroupRuleId"].startswith("sgr-")
    assert (made["GroupId"], made["GroupOwnerId"]) == (world.p.securityGroupId, PRODUCER)
    assert (made["IpProtocol"], made["FromPort"], made["ToPort"], made["CidrIpv4"]) == ("tcp", 5439, 5439, "10.2.0.0/16")
    assert (made["Description"], made["Tags"]) == ("Studio", [{"Key": "owner", "Value": "us"}])


def test_rules_are_told_apart_by_what_they_let_through(world):
    ingress(world, block("10.2.0.0/16", Description="one"))
    for same in (
        block("10.2.0.0/16", Description="another"),
        block("10.2.3.4/16"),
        [{**block("10.2.0.0/16")[0], "IpProtocol": "6"}],
        [{**block("10.2.0.0/16")[0], "IpProtocol": "TCP"}],
    ):
        with refused("InvalidPermission.Duplicate", "peer: 10.2.0.0/16, TCP, from port: 5439, to port: 5439, ALLOW"):
            ingress(world, same, TagSpecifications=tags("security-group-rule", owner="us"))
    for other in (block("10.3.0.0/16"), block("10.2.0.0/16", port=5440), [{**block("10.2.0.0/16")[0], "IpProtocol": "udp"}]):
        ingress(world, other)
    assert len(rules(world)) == 4


def test_all_rules_of_a_call_or_none(world):
    ingress(world, block("10.2.0.0/16"))
    with refused("InvalidPermission.Duplicate"):
        ingress(world, block("10.3.0.0/16", "10.2.0.0/16"))
    with refused("InvalidPermission.Duplicate"):
        ingress(world, block("10.4.0.0/16", "10.4.0.0/16"))
    assert len(rules(world)) == 1
    assert len(ingress(world, block("10.3.0.0/16", "10.4.0.0/16"))["SecurityGroupRules"]) == 2


def test_directions_are_apart(world):
    ingress(world, block("10.2.0.0/16"))
    made = world.p_ec2.authorize_security_group_egress(GroupId=world.p.securityGroupId, IpPermissions=block("10.2.0.0/16"))
    egress = made["SecurityGroupRules"][0]
    assert egress["IsEgress"] is True
    with refused("InvalidPermission.Duplicate"):
        world.p_ec2.authorize_security_group_egress(GroupId=world.p.securityGroupId, IpPermissions=block("10.2.0.0/16"))
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        world.p_ec2.revoke_security_group_ingress(
            GroupId=world.p.securityGroupId, SecurityGroupRuleIds=[egress["SecurityGroupRuleId"]]
        )
    world.p_ec2.revoke_security_group_egress(
        GroupId=world.p.securityGroupId, SecurityGroupRuleIds=[egress["SecurityGroupRuleId"]]
    )
    assert len(rules(world)) == 1


def test_everything_may_go_out_at_first(build):
    world = build()
    find = lambda w: [
        rule
        for rule in w.c_ec2.describe_security_group_rules(Filters=where(group_id=w.c.securityGroupId))["SecurityGroupRules"]
        if rule["IsEgress"]
    ]
    rule = find(world)[0]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["CidrIpv4"]) == ("-1", -1, -1, "0.0.0.0/0")
    world.bench.post("reset")
    restricted = find(build(consumer={"egressRestricted": True}))
    assert [rule["FromPort"] for rule in restricted] == [443]


@pytest.mark.parametrize(
    "permissions, code",
    [
        (block("10.2.0.0/33"), "InvalidParameterValue"),
        (block("nonsense"), "InvalidParameterValue"),
        ([{"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}], "InvalidParameterValue"),
        ([{"IpProtocol": "tcp", "FromPort": 2, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}], "InvalidParameterValue"),
        ([{"FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}], "InvalidParameterValue"),
        (tcp(), "MissingParameter"),
        (block("10.2.0.0/16", Description="<script>"), "InvalidParameterValue"),
        (block("10.2.0.0/16", Description="x" * 256), "InvalidParameterValue"),
    ],
)
def test_rules_are_checked(world, permissions, code):
    with refused(code):
        ingress(world, permissions)
    assert rules(world) == []


def test_a_group_that_is_not_there(world):
    for call in (world.p_ec2.authorize_security_group_ingress, world.p_ec2.revoke_security_group_ingress):
        with refused("InvalidGroup.NotFound"):
            call(GroupId="sg-00000000000000000", IpPermissions=block("10.2.0.0/16"))
    with refused("InvalidGroup.NotFound"):
        world.c_ec2.authorize_security_group_ingress(GroupId=world.p.securityGroupId, IpPermissions=block("10.2.0.0/16"))
    with refused("InvalidGroup.NotFound"):
        world.p_ec2.describe_security_groups(GroupIds=["sg-00000000000000000"])


def test_revoking_by_id_or_by_content(world):
    first = ingress(world, block("10.2.0.0/16"))["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    ingress(world, block("10.3.0.0/16"))
    revoke = lambda **how: world.p_ec2.revoke_security_group_ingress(GroupId=world.p.securityGroupId, **how)
    gone = revoke(SecurityGroupRuleIds=[first])["RevokedSecurityGroupRules"]
    assert [rule["SecurityGroupRuleId"] for rule in gone] == [first]
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        revoke(SecurityGroupRuleIds=[first])
    with refused("InvalidPermission.NotFound"):
        revoke(IpPermissions=block("10.3.0.0/16", "10.2.0.0/16"))
    assert len(rules(world)) == 1
    revoke(IpPermissions=block("10.3.0.0/16", Description="whatever"))
    assert rules(world) == []


def test_in_a_default_vpc_revoking_nothing_succeeds(bench):
    ec2 = bench.admin(PRODUCER, "ec2")
    group = ec2.describe_security_groups(Filters=where(group_name="default"))["SecurityGroups"][0]["GroupId"]
    answer = ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=block("10.2.0.0/16"))
    assert answer["UnknownIpPermissions"]


# Groups of the other account


def test_a_group_of_the_other_account_needs_an_active_connection(bench, world):
    with refused("InvalidGroup.NotFound", "different networks"):
        ingress(world, group_of(world))
    bench.post("settings", peering_provisioning_seconds=0)
    pcx = world.request()
    with refused("InvalidGroup.NotFound"):
        ingress(world, group_of(world))
    world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    with refused("InvalidGroup.NotFound"):
        ingress(world, group_of(world, account=PRODUCER))
    made = ingress(world, group_of(world))["SecurityGroupRules"][0]
    assert made["ReferencedGroupInfo"] == {
        "GroupId": world.c.securityGroupId,
        "UserId": CONSUMER,
        "VpcId": world.c.vpcId,
        "VpcPeeringConnectionId": pcx,
        "PeeringStatus": "active",
    }
    with refused("InvalidPermission.Duplicate"):
        ingress(world, group_of(world))


def test_a_group_in_a_shared_vpc_is_reached_over_its_owners_connection(bench, build):
    world = build(consumer={"subnetOwner": PLATFORM})
    bench.post("settings", peering_provisioning_seconds=0)
    pcx = world.request(bench.admin(PLATFORM, "ec2"))
    with refused("InvalidGroup.NotFound"):
        ingress(world, group_of(world))
    world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    made = ingress(world, group_of(world))["SecurityGroupRules"][0]
    assert made["ReferencedGroupInfo"]["VpcPeeringConnectionId"] == pcx
    with refused("InvalidPermission.NotFound"):
        world.c_ec2.revoke_security_group_egress(GroupId=world.c.securityGroupId, IpPermissions=block("10.1.0.0/16"))


def test_such_a_rule_outlives_the_connection(world):
    pcx = world.join()
    made = ingress(world, group_of(world))["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    world.p_ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    assert rules(world)[0]["ReferencedGroupInfo"]["PeeringStatus"] == "deleted"
    world.p_ec2.revoke_security_group_ingress(GroupId=world.p.securityGroupId, SecurityGroupRuleIds=[made])
    assert rules(world) == []


def test_groups_are_not_known_across_regions(build):
    world = build(producer={"region": "eu-west-2"})
    world.join()
    with refused("InvalidGroup.NotFound"):
        ingress(world, group_of(world))
    assert ingress(world, block(world.c.cidr))


def test_a_group_of_the_same_vpc_needs_none(world):
    other = world.p_ec2.create_security_group(GroupName="other", Description="other", VpcId=world.p.vpcId)["GroupId"]
    made = ingress(world, tcp(UserIdGroupPairs=[{"GroupId": other}]))["SecurityGroupRules"][0]
    assert made["ReferencedGroupInfo"] == {"GroupId": other, "UserId": PRODUCER}
    with refused("DependencyViolation"):
        world.p_ec2.delete_security_group(GroupId=other)
    world.p_ec2.revoke_security_group_ingress(GroupId=world.p.securityGroupId, SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])
    world.p_ec2.delete_security_group(GroupId=other)


# Finding, tagging, quotas


def test_only_three_filters_for_rules(world):
    made = ingress(world, block("10.2.0.0/16"), TagSpecifications=tags("security-group-rule", owner="us"))["SecurityGroupRules"][
        0
    ]
    ingress(world, block("10.3.0.0/16"))
    find = lambda **f: world.p_ec2.describe_security_group_rules(Filters=[{"Name": n, "Values": [v]} for n, v in f.items()])
    assert find(**{"tag:owner": "us"})["SecurityGroupRules"] == [made]
    assert find(**{"security-group-rule-id": made["SecurityGroupRuleId"]})["SecurityGroupRules"] == [made]
    for unknown in ("tag-key", "vpc-id", "is-egress", "cidr"):
        with refused("InvalidParameterValue", f"The filter '{unknown}' is invalid"):
            find(**{unknown: "x"})
    with refused("InvalidGroupId.Malformed"):
        find(**{"group-id": "nonsense"})
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        world.p_ec2.describe_security_group_rules(SecurityGroupRuleIds=["sgr-00000000000000000"])


def test_rules_are_tagged_later_too(world):
    made = ingress(world, block("10.2.0.0/16"))["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    world.p_ec2.create_tags(Resources=[made], Tags=[{"Key": "owner", "Value": "us"}])
    assert rules(world, **{"tag:owner": "us"})
    world.p_ec2.delete_tags(Resources=[made], Tags=[{"Key": "owner"}])
    assert not rules(world, **{"tag:owner": "us"})
    with refused("InvalidParameterValue"):
        ingress(world, block("10.3.0.0/16"), TagSpecifications=tags("security-group", owner="us"))


def test_groups_have_a_quota_for_each_direction_and_version(bench, world):
    bench.post("settings", rules_per_security_group=2)
    ingress(world, block("10.2.0.0/16", "10.3.0.0/16"))
    with refused("RulesPerSecurityGroupLimitExceeded"):
        ingress(world, block("10.4.0.0/16"))
    ingress(world, tcp(Ipv6Ranges=[{"CidrIpv6": "fd00::/8"}]))
    world.p_ec2.authorize_security_group_egress(GroupId=world.p.securityGroupId, IpPermissions=block("10.4.0.0/16"))


def test_the_older_listing_shows_the_same(world):
    ingress(world, block("10.2.0.0/16", "10.3.0.0/16", Description="d"))
    found = world.p_ec2.describe_security_groups(GroupIds=[world.p.securityGroupId])["SecurityGroups"][0]
    assert found["IpPermissions"] == [
        {
            "IpProtocol": "tcp",
            "FromPort": 5439,
            "ToPort": 5439,
            "IpRanges": [{"CidrIp": "10.2.0.0/16", "Description": "d"}, {"CidrIp": "10.3.0.0/16", "Description": "d"}],
            "Ipv6Ranges": [],
            "PrefixListIds": [],
            "UserIdGroupPairs": [],
        }
    ]
    assert "FromPort" not in found["IpPermissionsEgress"][0]
    find = lambda **f: [g["GroupId"] for g in world.p_ec2.describe_security_groups(Filters=where(**f))["SecurityGroups"]]
    assert find(vpc_id=world.p.vpcId, group_name="warehouse") == [world.p.securityGroupId]
    assert find(**{"ip_permission.cidr": "10.2.0.0/16"}) == [world.p.securityGroupId]


def test_icmp_and_the_flat_form(world):
    icmp = [{"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
    ingress(world, icmp)
    with refused("InvalidPermission.Duplicate"):
        ingress(world, icmp)
    flat = {"GroupId": world.p.securityGroupId, "IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "CidrIp": "10.0.0.0/8"}
    world.p_ec2.authorize_security_group_ingress(**flat)
    world.p_ec2.revoke_security_group_ingress(**flat)
    assert len(rules(world)) == 1
