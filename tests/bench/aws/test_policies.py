"""Policy documents: layers, conditions and variables (docs/aws-behaviour.md#permissions)."""

import json

import pytest

from .client import CONSUMER, PRODUCER, allow, by, deny, document
from .testing import refused, tags

EVERYTHING = allow("*")


@pytest.fixture
def vpc(bench):
    """A VPC with the tag team=blue."""
    ec2 = bench.admin(PRODUCER, "ec2")
    made = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags("vpc", team="blue"))["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=made, EnableDnsHostnames={"Value": True})
    return made


def touch(bench, credentials, vpc, region="eu-west-1"):
    """An action on the VPC that needs permission on it."""
    return bench.client(credentials, "ec2", region).modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})


def arn(vpc, region="eu-west-1"):
    return f"arn:aws:ec2:{region}:{PRODUCER}:vpc/{vpc}"


def test_nothing_is_allowed_by_itself(bench, vpc):
    with refused("UnauthorizedOperation", "because no identity-based policy allows the ec2:ModifyVpcAttribute action", 403):
        touch(bench, bench.role(PRODUCER, "r"), vpc)
    with refused("AccessDenied", "iam:ListRoles", 403):
        bench.client(bench.session(PRODUCER, "r"), "iam").list_roles()
    with refused("AccessDeniedException", "sagemaker:ListDomains", 400):
        bench.client(bench.session(PRODUCER, "r"), "sagemaker").list_domains()


def test_a_denial_wins_wherever_it_stands(bench, vpc):
    with refused("UnauthorizedOperation", "with an explicit deny in an identity-based policy"):
        touch(bench, bench.role(PRODUCER, "r", EVERYTHING, deny("ec2:Modify*")), vpc)
    assert bench.client(bench.session(PRODUCER, "r"), "ec2").describe_vpcs()


@pytest.mark.parametrize(
    "action, resource, works",
    [
        ("ec2:ModifyVpcAttribute", "{arn}", True),
        ("EC2:modifyvpcattribute", "{arn}", True),
        ("ec2:Modify*", "arn:aws:ec2:*:*:vpc/*", True),
        ("ec2:ModifyVpcAttribut?", "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-*", True),
        ("ec2:ModifyVpcAttribute", "arn:aws:ec2:eu-west-2:111122223333:vpc/*", False),
        ("ec2:ModifyVpcAttribute", "arn:aws:ec2:eu-west-1:444455556666:vpc/*", False),
        ("ec2:ModifyVpcAttribute", "arn:aws:ec2:eu-west-1:111122223333:subnet/*", False),
        ("ec2:ModifyVpc", "*", False),
        ("iam:ModifyVpcAttribute", "*", False),
    ],
)
def test_actions_and_resources_match_with_wildcards(bench, vpc, action, resource, works):
    credentials = bench.role(PRODUCER, "r", allow(action, resource.format(arn=arn(vpc))))
    if works:
        assert touch(bench, credentials, vpc)
    else:
        with refused("UnauthorizedOperation"):
            touch(bench, credentials, vpc)


def test_the_negative_elements(bench, vpc):
    assert touch(bench, bench.role(PRODUCER, "a", {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}), vpc)
    with refused("UnauthorizedOperation"):
        touch(bench, bench.role(PRODUCER, "b", {"Effect": "Allow", "NotAction": "ec2:*", "Resource": "*"}), vpc)
    with refused("UnauthorizedOperation"):
        touch(bench, bench.role(PRODUCER, "c", {"Effect": "Allow", "Action": "*", "NotResource": arn("*")}), vpc)


BLUE, ABSENT = "aws:ResourceTag/team", "aws:ResourceTag/none"


@pytest.mark.parametrize(
    "condition, works",
    [
        ({"StringEquals": {BLUE: "blue"}}, True),
        ({"StringEquals": {BLUE: ["red", "blue"]}}, True),
        ({"StringEquals": {BLUE: "Blue"}}, False),
        ({"StringEquals": {"AWS:resourcetag/team": "blue"}}, True),
        ({"StringEquals": {ABSENT: "blue"}}, False),
        ({"StringEqualsIfExists": {ABSENT: "blue"}}, True),
        ({"StringEqualsIfExists": {BLUE: "red"}}, False),
        ({"StringNotEquals": {BLUE: "red"}}, True),
        ({"StringNotEquals": {BLUE: ["red", "blue"]}}, False),
        ({"StringNotEquals": {ABSENT: "blue"}}, True),
        ({"StringEqualsIgnoreCase": {BLUE: "BLUE"}}, True),
        ({"StringNotEqualsIgnoreCase": {BLUE: "BLUE"}}, False),
        ({"StringLike": {BLUE: "b*e"}}, True),
        ({"StringLike": {BLUE: "B*"}}, False),
        ({"StringNotLike": {BLUE: "b*"}}, False),
        ({"Null": {BLUE: "false"}}, True),
        ({"Null": {BLUE: "true"}}, False),
        ({"Null": {ABSENT: "true"}}, True),
        ({"StringEquals": {"ec2:ResourceTag/team": "blue"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-2"}}, False),
        ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/r"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/?"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:sts::*:assumed-role/r/*"}}, False),
        ({"StringEquals": {"aws:PrincipalAccount": PRODUCER}}, True),
        ({"StringEquals": {"aws:ResourceAccount": PRODUCER}}, True),
        ({"StringEquals": {"aws:ResourceAccount": CONSUMER}}, False),
        ({"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}, True),
        ({"Null": {"s3:ResourceAccount": "true"}}, True),
        ({"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": "198.51.100.0/24"}}, False),
        ({"Null": {"aws:SourceVpce": "true", "aws:SourceVpc": "true"}}, True),
        ({"Bool": {"aws:PrincipalIsAWSService": "false"}}, True),
        ({"StringEquals": {BLUE: "blue"}, "Null": {ABSENT: "false"}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
    ],
)
def test_conditions(bench, vpc, condition, works):
    credentials = bench.role(PRODUCER, "r", allow("ec2:*", "*", **condition))
    if works:
        assert touch(bench, credentials, vpc)
    else:
        with refused("UnauthorizedOperation"):
            touch(bench, credentials, vpc)


@pytest.mark.parametrize(
    "condition, keys, works",
    [
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, "a", True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, "ab", True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, "abc", False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a", "b"]}}, "bc", True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a", "b"]}}, "cd", False),
        ({"StringEquals": {"aws:RequestTag/a": "1"}}, "ab", True),
        ({"StringEquals": {"aws:RequestTag/c": "1"}}, "ab", False),
        ({"Null": {"aws:RequestTag/c": "true"}}, "ab", True),
    ],
)
def test_conditions_on_the_tags_of_a_request(bench, vpc, condition, keys, works):
    credentials = bench.role(PRODUCER, "r", allow("ec2:CreateTags", "*", **condition))
    create = lambda: bench.client(credentials, "ec2").create_tags(Resources=[vpc], Tags=[{"Key": k, "Value": "1"} for k in keys])
    if works:
        assert create()
    else:
        with refused("UnauthorizedOperation"):
            create()


def test_variables_take_their_values_from_the_request(bench):
    ec2 = bench.admin(PRODUCER, "ec2")
    own, other = (
        ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags("vpc", owner=who))["Vpc"]["VpcId"]
        for who in ("alice", "bob")
    )
    bench.role(PRODUCER, "r", allow("ec2:*", "*", StringEquals={"aws:ResourceTag/owner": "${aws:SourceIdentity}"}))
    alice = bench.session(PRODUCER, "r", sourceIdentity="alice")
    bench.client(alice, "ec2").modify_vpc_attribute(VpcId=own, EnableDnsHostnames={"Value": True})
    with refused("UnauthorizedOperation"):
        touch(bench, alice, other)
    # Without the key the statement says nothing.
    with refused("UnauthorizedOperation"):
        touch(bench, bench.session(PRODUCER, "r"), own)


def test_a_variable_may_have_a_default(bench, vpc):
    policy = allow("ec2:*", "*", StringEquals={"aws:ResourceTag/team": "${aws:SourceIdentity, 'blue'}"})
    assert touch(bench, bench.role(PRODUCER, "r", policy), vpc)
    with refused("UnauthorizedOperation"):
        touch(bench, bench.session(PRODUCER, "r", sourceIdentity="alice"), vpc)


def test_variables_stand_in_resources_too(bench, vpc):
    bench.role(PRODUCER, "r", allow("ec2:ModifyVpcAttribute", "arn:aws:ec2:*:*:vpc/${aws:SourceIdentity}"))
    assert touch(bench, bench.session(PRODUCER, "r", sourceIdentity=vpc), vpc)
    with refused("UnauthorizedOperation"):
        touch(bench, bench.session(PRODUCER, "r", sourceIdentity="vpc-1"), vpc)
    with refused("UnauthorizedOperation"):
        touch(bench, bench.session(PRODUCER, "r"), vpc)


def test_a_boundary_only_takes_away(bench, vpc):
    iam = bench.admin(PRODUCER, "iam")
    edge = iam.create_policy(PolicyName="edge", PolicyDocument=document(allow(["ec2:ModifyVpcAttribute", "iam:ListRoles"])))[
        "Policy"
    ]["Arn"]
    bounded = bench.role(PRODUCER, "r", allow("ec2:*"), PermissionsBoundary=edge)
    assert touch(bench, bounded, vpc)
    with refused("UnauthorizedOperation", "because no permissions boundary allows"):
        bench.client(bounded, "ec2").describe_vpcs()
    with refused("AccessDenied", "because no identity-based policy allows"):
        bench.client(bounded, "iam").list_roles()


def test_a_boundary_also_limits_who_is_assumed(bench):
    iam = bench.admin(CONSUMER, "iam")
    edge = iam.create_policy(PolicyName="edge", PolicyDocument=document(allow("ec2:*")))["Policy"]["Arn"]
    caller = bench.role(CONSUMER, "caller", allow("sts:AssumeRole"), PermissionsBoundary=edge)
    bench.admin(PRODUCER, "iam").create_role(
        RoleName="target", AssumeRolePolicyDocument=document(by("AWS", f"arn:aws:iam::{CONSUMER}:role/caller"))
    )
    assume = lambda: bench.client(caller, "sts").assume_role(
        RoleArn=f"arn:aws:iam::{PRODUCER}:role/target", RoleSessionName="test"
    )
    with refused("AccessDenied", "because no permissions boundary allows the sts:AssumeRole action"):
        assume()
    iam.delete_role_permissions_boundary(RoleName="caller")
    assert assume()


def test_attached_policies_count_like_inline_ones(bench, vpc):
    iam = bench.admin(PRODUCER, "iam")
    credentials = bench.role(PRODUCER, "r")
    managed = iam.create_policy(PolicyName="m", PolicyDocument=document(allow("ec2:Modify*")))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="r", PolicyArn=managed)
    assert touch(bench, credentials, vpc)
    iam.detach_role_policy(RoleName="r", PolicyArn=managed)
    with refused("UnauthorizedOperation"):
        touch(bench, credentials, vpc)


def test_another_accounts_things_are_not_reached_by_a_star(bench, world):
    everything = bench.client(bench.role(CONSUMER, "r", EVERYTHING), "ec2")
    with refused("InvalidVpcID.NotFound"):
        everything.modify_vpc_attribute(VpcId=world.p.vpcId, EnableDnsHostnames={"Value": True})
    assert everything.modify_vpc_attribute(VpcId=world.c.vpcId, EnableDnsHostnames={"Value": True})


def test_a_policy_change_counts_at_once_for_sessions_that_are_there(bench, vpc):
    credentials = bench.role(PRODUCER, "r", allow("ec2:Modify*"))
    assert touch(bench, credentials, vpc)
    bench.admin(PRODUCER, "iam").put_role_policy(RoleName="r", PolicyName="test", PolicyDocument=document(allow("iam:*")))
    with refused("UnauthorizedOperation"):
        touch(bench, credentials, vpc)


def test_a_single_statement_need_not_be_in_a_list(bench, vpc):
    credentials = bench.role(PRODUCER, "r")
    text = json.dumps({"Version": "2012-10-17", "Statement": allow("ec2:*")})
    bench.admin(PRODUCER, "iam").put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=text)
    assert touch(bench, credentials, vpc)


def test_tags_of_the_role_are_tags_of_the_caller(bench, vpc):
    blue = allow("ec2:ModifyVpcAttribute", StringEquals={"aws:PrincipalTag/team": "${aws:ResourceTag/team}"})
    assert touch(bench, bench.role(PRODUCER, "blue", blue, Tags=[{"Key": "team", "Value": "blue"}]), vpc)
    red = bench.role(PRODUCER, "red", blue, Tags=[{"Key": "team", "Value": "red"}])
    with refused("UnauthorizedOperation"):
        touch(bench, red, vpc)
    assert touch(bench, bench.session(PRODUCER, "red", tags={"team": "blue"}), vpc)


def test_calls_count_as_made_over_tls(bench, vpc):
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    assert touch(bench, bench.role(PRODUCER, "r", EVERYTHING, deny("*", **insecure)), vpc)
    with refused("UnauthorizedOperation"):
        touch(bench, bench.role(PRODUCER, "s", allow("*", **insecure)), vpc)
