"""What each operation needs permission for, by resource type and condition key (docs/aws-behaviour.md#permissions)."""

import pytest

from .client import CONSUMER, PRODUCER, REGION, allow, by, deny, document
from .testing import World, refused, tags

OURS, THEIRS = f"arn:aws:ec2:{REGION}:{CONSUMER}", f"arn:aws:ec2:{REGION}:{PRODUCER}"


def ec2(bench, *statements, account=CONSUMER, name="r"):
    """EC2 for a role with these statements, written anew each time."""
    iam = bench.admin(account, "iam")
    if not any(role["RoleName"] == name for role in iam.list_roles()["Roles"]):
        bench.role(account, name)
    iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=document(*statements or [allow("none:None")]))
    return bench.client(bench.session(account, name), "ec2")


# Peering


def test_a_request_needs_the_vpc_and_the_connection(bench, world):
    on_vpc = allow("ec2:CreateVpcPeeringConnection", f"{OURS}:vpc/{world.c.vpcId}")
    on_connection = allow("ec2:CreateVpcPeeringConnection", f"{OURS}:vpc-peering-connection/*")
    for one in (on_vpc, on_connection):
        with refused("UnauthorizedOperation"):
            world.request(ec2(bench, one))
    assert world.request(ec2(bench, on_vpc, on_connection))


@pytest.mark.parametrize("key", ["AccepterVpc", "RequesterVpc"])
def test_a_request_may_be_bound_to_two_vpcs(bench, world, key):
    vpc = {"AccepterVpc": f"{THEIRS}:vpc/{world.p.vpcId}", "RequesterVpc": f"{OURS}:vpc/{world.c.vpcId}"}[key]
    on_vpc = allow("ec2:CreateVpcPeeringConnection", f"{OURS}:vpc/*")
    bound = lambda arn: allow("ec2:CreateVpcPeeringConnection", f"{OURS}:vpc-peering-connection/*", ArnEquals={f"ec2:{key}": arn})
    with refused("UnauthorizedOperation"):
        world.request(ec2(bench, on_vpc, bound(vpc + "0")))
    assert world.request(ec2(bench, on_vpc, bound(vpc)))


def test_tags_in_a_creating_call_are_a_permission_of_their_own(bench, world):
    create = allow("ec2:CreateVpcPeeringConnection")
    tagged = {"TagSpecifications": tags("vpc-peering-connection", owner="us")}
    with refused("UnauthorizedOperation", "ec2:CreateTags"):
        world.request(ec2(bench, create), **tagged)
    tagging = lambda **c: allow("ec2:CreateTags", f"{OURS}:vpc-peering-connection/*", StringEquals=c)
    with refused("UnauthorizedOperation"):
        world.request(ec2(bench, create, tagging(**{"ec2:CreateAction": "CreateVpc"})), **tagged)
    identifier = world.request(ec2(bench, create, tagging(**{"ec2:CreateAction": "CreateVpcPeeringConnection"})), **tagged)
    # Outside of a creating call the key is not there.
    with refused("UnauthorizedOperation"):
        ec2(bench, tagging(**{"ec2:CreateAction": "CreateVpcPeeringConnection"})).create_tags(
            Resources=[identifier], Tags=tags("", a="b")[0]["Tags"]
        )


def test_the_tags_of_a_request_may_be_demanded(bench, world):
    demanded = allow(
        "ec2:CreateVpcPeeringConnection", f"{OURS}:vpc-peering-connection/*", StringEquals={"aws:RequestTag/owner": "us"}
    )
    others = [allow("ec2:CreateVpcPeeringConnection", f"{OURS}:vpc/*"), allow("ec2:CreateTags")]
    with refused("UnauthorizedOperation"):
        world.request(ec2(bench, demanded, *others))
    with refused("UnauthorizedOperation"):
        world.request(ec2(bench, demanded, *others), TagSpecifications=tags("vpc-peering-connection", owner="you"))
    assert world.request(ec2(bench, demanded, *others), TagSpecifications=tags("vpc-peering-connection", owner="us"))


def test_acceptance_needs_the_connection_and_the_vpc(bench, world):
    identifier = world.request()
    action = "ec2:AcceptVpcPeeringConnection"
    accept = lambda *s: ec2(bench, *s, account=PRODUCER).accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    on_vpc = allow(action, f"{THEIRS}:vpc/{world.p.vpcId}")
    from_us = lambda vpc: allow(action, f"{THEIRS}:vpc-peering-connection/*", ArnEquals={"ec2:RequesterVpc": f"{OURS}:vpc/{vpc}"})
    for statements in ([on_vpc], [from_us(world.c.vpcId)], [on_vpc, from_us("vpc-0")]):
        with refused("UnauthorizedOperation"):
            accept(*statements)
    assert accept(on_vpc, from_us(world.c.vpcId))


@pytest.mark.parametrize("operation", ["delete_vpc_peering_connection", "modify_vpc_peering_connection_options"])
def test_an_own_connection_is_told_by_its_tag(bench, world, operation):
    identifier = world.join()
    options = {"RequesterPeeringConnectionOptions": {"AllowDnsResolutionFromRemoteVpc": True}} if "modify" in operation else {}
    change = lambda ours: getattr(ours, operation)(VpcPeeringConnectionId=identifier, **options)
    tagged = allow("ec2:*VpcPeeringConnection*", f"{OURS}:vpc-peering-connection/*", StringEquals={"aws:ResourceTag/owner": "us"})
    with refused("UnauthorizedOperation"):
        change(ec2(bench, tagged))
    # The other side's tag is not seen here.
    world.p_ec2.create_tags(Resources=[identifier], Tags=[{"Key": "owner", "Value": "us"}])
    with refused("UnauthorizedOperation"):
        change(ec2(bench, tagged))
    world.c_ec2.create_tags(Resources=[identifier], Tags=[{"Key": "owner", "Value": "us"}])
    assert change(ec2(bench, tagged))


# Routes and security groups


def test_routes_need_their_table(bench, world):
    identifier = world.join()
    route = {"RouteTableId": world.c.routeTables["own"], "DestinationCidrBlock": world.p.cidr}
    target = {"VpcPeeringConnectionId": identifier}
    table = lambda table_id, *actions: allow([f"ec2:{a}" for a in actions], f"{OURS}:route-table/{table_id}")
    steps = [("CreateRoute", target), ("ReplaceRoute", target), ("DeleteRoute", {})]
    for operation, more in steps:
        method = {"CreateRoute": "create_route", "ReplaceRoute": "replace_route", "DeleteRoute": "delete_route"}[operation]
        with refused("UnauthorizedOperation"):
            getattr(ec2(bench, table(world.c.routeTables["main"], operation)), method)(**route, **more)
        assert getattr(ec2(bench, table(world.c.routeTables["own"], operation)), method)(**route, **more)


def test_a_table_may_be_bound_to_its_vpc(bench, world):
    identifier = world.join()
    bound = lambda vpc: allow("ec2:CreateRoute", f"{OURS}:route-table/*", ArnEquals={"ec2:Vpc": f"{OURS}:vpc/{vpc}"})
    create = lambda client: client.create_route(
        RouteTableId=world.c.routeTables["own"], DestinationCidrBlock=world.p.cidr, VpcPeeringConnectionId=identifier
    )
    with refused("UnauthorizedOperation"):
        create(ec2(bench, bound("vpc-0")))
    assert create(ec2(bench, bound(world.c.vpcId)))


RULE = [{"IpProtocol": "tcp", "FromPort": 5439, "ToPort": 5439, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_rules_need_their_group(bench, world, direction):
    action = f"SecurityGroup{direction.capitalize()}"
    authorize = lambda c, **o: getattr(c, f"authorize_security_group_{direction}")(
        GroupId=world.c.securityGroupId, IpPermissions=RULE, **o
    )
    on_group = allow(f"ec2:Authorize{action}", f"{OURS}:security-group/{world.c.securityGroupId}")
    with refused("UnauthorizedOperation"):
        authorize(ec2(bench, allow(f"ec2:Authorize{action}", f"{OURS}:security-group/sg-0")))
    made = authorize(ec2(bench, on_group))["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    revoke = lambda c: getattr(c, f"revoke_security_group_{direction}")(
        GroupId=world.c.securityGroupId, SecurityGroupRuleIds=[made]
    )
    with refused("UnauthorizedOperation"):
        revoke(ec2(bench, on_group))
    # Revoking is a permission on the group: the tags of the rule do not come into it.
    assert revoke(ec2(bench, allow(f"ec2:Revoke{action}", f"{OURS}:security-group/*")))


def test_tagged_rules_need_the_rule_and_its_tags(bench, world):
    action = "ec2:AuthorizeSecurityGroupIngress"
    on_group, on_rule = allow(action, f"{OURS}:security-group/*"), allow(action, f"{OURS}:security-group-rule/*")
    tagging = allow(
        "ec2:CreateTags", f"{OURS}:security-group-rule/*", StringEquals={"ec2:CreateAction": "AuthorizeSecurityGroupIngress"}
    )
    authorize = lambda *s: ec2(bench, *s).authorize_security_group_ingress(
        GroupId=world.c.securityGroupId, IpPermissions=RULE, TagSpecifications=tags("security-group-rule", owner="us")
    )
    for statements in ([on_group, on_rule], [on_group, tagging], [on_rule, tagging]):
        with refused("UnauthorizedOperation"):
            authorize(*statements)
    assert authorize(on_group, on_rule, tagging)


def test_tags_are_changed_on_what_one_may_tag(bench, world):
    change = {"Resources": [world.c.vpcId], "Tags": [{"Key": "a", "Value": "b"}]}
    with refused("UnauthorizedOperation"):
        ec2(bench, allow("ec2:CreateTags", f"{OURS}:subnet/*")).create_tags(**change)
    assert ec2(bench, allow("ec2:CreateTags", f"{OURS}:vpc/*")).create_tags(**change)
    with refused("UnauthorizedOperation"):
        ec2(bench, allow("ec2:CreateTags", f"{OURS}:vpc/*")).delete_tags(**change)
    only_a = allow("ec2:DeleteTags", f"{OURS}:vpc/*", **{"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}})
    with refused("UnauthorizedOperation"):
        ec2(bench, only_a).delete_tags(Resources=[world.c.vpcId], Tags=[{"Key": "b"}])
    assert ec2(bench, only_a).delete_tags(**change)


def test_reading_is_by_action_but_for_the_attributes_of_a_vpc(bench, world):
    reader = ec2(bench, allow("ec2:DescribeVpcs"))
    assert reader.describe_vpcs()
    with refused("UnauthorizedOperation", "ec2:DescribeSubnets"):
        reader.describe_subnets()
    on = lambda vpc: ec2(bench, allow("ec2:DescribeVpcAttribute", f"{OURS}:vpc/{vpc}"))
    with refused("UnauthorizedOperation"):
        on("vpc-0").describe_vpc_attribute(VpcId=world.c.vpcId, Attribute="enableDnsSupport")
    assert on(world.c.vpcId).describe_vpc_attribute(VpcId=world.c.vpcId, Attribute="enableDnsSupport")


# IAM


@pytest.fixture
def iam(bench):
    """IAM for a role that may do these things."""

    def client(*statements):
        if not any(role["RoleName"] == "r" for role in bench.admin(PRODUCER, "iam").list_roles()["Roles"]):
            bench.role(PRODUCER, "r")
        bench.admin(PRODUCER, "iam").put_role_policy(RoleName="r", PolicyName="test", PolicyDocument=document(*statements))
        return bench.client(bench.session(PRODUCER, "r"), "iam")

    return client


PATH = f"arn:aws:iam::{PRODUCER}:role/ours/*"
NEW = {"RoleName": "new", "AssumeRolePolicyDocument": document(by("AWS", PRODUCER))}


def test_roles_are_made_under_the_allowed_path(iam):
    ours = iam(allow("iam:*", PATH))
    for path in ("/", "/theirs/"):
        with refused("AccessDenied"):
            ours.create_role(**NEW, Path=path)
    assert ours.create_role(**NEW, Path="/ours/1/")
    assert ours.put_role_policy(RoleName="new", PolicyName="p", PolicyDocument=document(allow("ec2:*")))
    assert ours.get_role(RoleName="new") and ours.list_role_policies(RoleName="new")
    with refused("AccessDenied"):
        ours.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document(allow("*")))


def test_a_role_that_is_not_there_is_forbidden_where_only_a_path_is_allowed(bench, iam):
    for name, call in (
        ("GetRole", lambda c: c.get_role(RoleName="none")),
        ("DeleteRole", lambda c: c.delete_role(RoleName="none")),
        ("ListRolePolicies", lambda c: c.list_role_policies(RoleName="none")),
    ):
        with refused("AccessDenied"):
            call(iam(allow(f"iam:{name}", PATH)))
        with refused("NoSuchEntity"):
            call(iam(allow(f"iam:{name}", f"arn:aws:iam::{PRODUCER}:role/*")))
    bench.post("settings", absent_role_is_not_found=True)
    with refused("NoSuchEntity"):
        iam(allow("iam:GetRole", PATH)).get_role(RoleName="none")


def test_tagged_roles_need_permission_to_tag(iam):
    tagged = {**NEW, "Path": "/ours/", "Tags": [{"Key": "owner", "Value": "us"}]}
    with refused("AccessDenied", "iam:TagRole"):
        iam(allow("iam:CreateRole", PATH)).create_role(**tagged)
    demanded = allow(["iam:CreateRole", "iam:TagRole"], PATH, StringEquals={"aws:RequestTag/owner": "us"})
    with refused("AccessDenied"):
        iam(demanded).create_role(**{**tagged, "Tags": [{"Key": "owner", "Value": "you"}]})
    assert iam(demanded).create_role(**tagged)


def test_roles_may_be_told_by_their_tags(bench, iam):
    bench.admin(PRODUCER, "iam").create_role(**NEW)
    for key in ("aws:ResourceTag/owner", "iam:ResourceTag/owner"):
        with refused("AccessDenied"):
            iam(allow("iam:DeleteRole", "*", StringEquals={key: "us"})).delete_role(RoleName="new")
    bench.admin(PRODUCER, "iam").tag_role(RoleName="new", Tags=[{"Key": "owner", "Value": "us"}])
    assert iam(allow("iam:DeleteRole", "*", StringEquals={"iam:ResourceTag/owner": "us"})).delete_role(RoleName="new")


def test_a_boundary_may_be_demanded(bench, iam):
    make = bench.admin(PRODUCER, "iam").create_policy
    edge, other = (make(PolicyName=n, PolicyDocument=document(allow("ec2:*")))["Policy"]["Arn"] for n in ("edge", "other"))
    bounded = allow(
        ["iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"],
        "*",
        StringEquals={"iam:PermissionsBoundary": edge},
    )
    ours = iam(bounded)
    for options in ({}, {"PermissionsBoundary": other}):
        with refused("AccessDenied"):
            ours.create_role(**NEW, **options)
    ours.create_role(**NEW, PermissionsBoundary=edge)
    policy = {"RoleName": "new", "PolicyName": "p", "PolicyDocument": document(allow("ec2:*"))}
    assert ours.put_role_policy(**policy)
    with refused("AccessDenied"):
        ours.put_role_permissions_boundary(RoleName="new", PermissionsBoundary=other)
    with refused("AccessDenied"):
        ours.delete_role_permissions_boundary(RoleName="new")
    bench.admin(PRODUCER, "iam").delete_role_permissions_boundary(RoleName="new")
    with refused("AccessDenied"):
        ours.put_role_policy(**policy)


def test_listings_are_allowed_on_everything_only(iam):
    with refused("AccessDenied"):
        iam(allow("iam:ListRoles", PATH)).list_roles()
    assert iam(allow("iam:ListRoles")).list_roles()


# Redshift and SageMaker


@pytest.fixture
def redshift(bench, world):
    def client(*statements, identity=None):
        iam = bench.admin(PRODUCER, "iam")
        if not any(role["RoleName"] == "r" for role in iam.list_roles()["Roles"]):
            bench.role(PRODUCER, "r")
        iam.put_role_policy(RoleName="r", PolicyName="test", PolicyDocument=document(*statements))
        return bench.client(bench.session(PRODUCER, "r", **({"sourceIdentity": identity} if identity else {})), "redshift")

    return client


def resource(kind):
    return f"arn:aws:redshift:{REGION}:{PRODUCER}:{kind}"


def test_clusters_are_described_one_or_all(redshift):
    one = redshift(allow("redshift:DescribeClusters", resource("cluster:warehouse")))
    assert one.describe_clusters(ClusterIdentifier="warehouse")
    with refused("AccessDenied"):
        one.describe_clusters()
    assert redshift(allow("redshift:Describe*")).describe_clusters()


# The policy of AWS's walkthrough, where the database user is the Studio user.
WALKTHROUGH = [
    allow(
        "redshift:GetClusterCredentials",
        [resource("dbname:warehouse/analytics"), resource("dbuser:warehouse/${redshift:DbUser}")],
        StringEquals={"redshift:DbUser": "${aws:SourceIdentity}"},
    ),
    allow(
        "redshift:CreateClusterUser",
        resource("dbuser:warehouse/${redshift:DbUser}"),
        StringEquals={"redshift:DbUser": "${aws:SourceIdentity}"},
    ),
    allow("redshift:JoinGroup", resource("dbgroup:warehouse/readers")),
]


def test_credentials_are_for_oneself_only(redshift):
    alice = redshift(*WALKTHROUGH, identity="alice")
    request = {"ClusterIdentifier": "warehouse", "DbUser": "alice"}
    assert alice.get_cluster_credentials(**request)["DbUser"] == "IAM:alice"
    assert (
        alice.get_cluster_credentials(**request, DbName="analytics", AutoCreate=True, DbGroups=["readers"])["DbUser"]
        == "IAMA:alice"
    )
    with refused("AccessDenied"):
        alice.get_cluster_credentials(**{**request, "DbUser": "bob"})
    with refused("AccessDenied", "dbname:warehouse/secret"):
        alice.get_cluster_credentials(**request, DbName="secret")
    with refused("AccessDenied", "redshift:JoinGroup"):
        alice.get_cluster_credentials(**request, DbGroups=["readers", "writers"])
    with refused("AccessDenied"):
        alice.get_cluster_credentials(**{**request, "ClusterIdentifier": "another"})
    nobody = redshift(*WALKTHROUGH)
    with refused("AccessDenied"):
        nobody.get_cluster_credentials(**request)


def test_new_users_and_groups_are_permissions_of_their_own(redshift):
    request = {"ClusterIdentifier": "warehouse", "DbUser": "alice"}
    only = redshift(allow("redshift:GetClusterCredentials"))
    assert only.get_cluster_credentials(**request)
    with refused("AccessDenied", "redshift:CreateClusterUser"):
        only.get_cluster_credentials(**request, AutoCreate=True)
    with refused("AccessDenied", "redshift:JoinGroup"):
        only.get_cluster_credentials(**request, DbGroups=["readers"])


def test_only_the_actions_on_users_know_the_user(redshift):
    request = {"ClusterIdentifier": "warehouse", "DbUser": "alice"}
    is_alice = {"StringEquals": {"redshift:DbUser": "alice"}}
    users = [allow(f"redshift:{action}", **is_alice) for action in ("GetClusterCredentials", "CreateClusterUser")]
    group = resource("dbgroup:warehouse/readers")
    assert redshift(*users).get_cluster_credentials(**request, AutoCreate=True)
    assert redshift(*users, allow("redshift:JoinGroup", group)).get_cluster_credentials(**request, DbGroups=["readers"])
    with refused("AccessDenied", "redshift:JoinGroup"):
        redshift(*users, allow("redshift:JoinGroup", group, **is_alice)).get_cluster_credentials(**request, DbGroups=["readers"])


def test_protected_users_may_be_denied_in_whatever_case(redshift):
    protected = deny(
        ["redshift:GetClusterCredentials", "redshift:CreateClusterUser"],
        "*",
        StringEqualsIgnoreCase={"redshift:DbUser": ["admin", "rdsdb"]},
    )
    matching = allow("redshift:GetClusterCredentials", "*", StringEqualsIgnoreCase={"redshift:DbUser": "${aws:SourceIdentity}"})
    client = redshift(matching, protected, identity="Admin")
    with refused("AccessDenied", "explicit deny"):
        client.get_cluster_credentials(ClusterIdentifier="warehouse", DbUser="admin")
    assert redshift(matching, protected, identity="Alice").get_cluster_credentials(ClusterIdentifier="warehouse", DbUser="alice")


def test_studio_is_by_domain_and_profile(bench, world):
    def sagemaker(*statements):
        ec2(bench, *statements)
        return bench.client(bench.session(CONSUMER, "r"), "sagemaker")

    base = f"arn:aws:sagemaker:{REGION}:{CONSUMER}"
    ours = sagemaker(allow("sagemaker:*", [f"{base}:domain/{world.c.domainId}", f"{base}:user-profile/{world.c.domainId}/alice"]))
    assert ours.describe_domain(DomainId=world.c.domainId)
    assert ours.describe_user_profile(DomainId=world.c.domainId, UserProfileName="alice")
    for call in (
        lambda: ours.describe_domain(DomainId="d-other"),
        lambda: ours.describe_user_profile(DomainId=world.c.domainId, UserProfileName="bob"),
        lambda: ours.list_apps(),
        lambda: ours.list_user_profiles(),
    ):
        with refused("AccessDeniedException"):
            call()
    with refused("AccessDeniedException", "iam:PassRole"):
        ours.update_user_profile(
            DomainId=world.c.domainId, UserProfileName="alice", UserSettings={"ExecutionRole": world.c.executionRoleArn}
        )
    passing = allow("iam:PassRole", world.c.executionRoleArn, StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"})
    assert sagemaker(allow("sagemaker:*"), passing).update_user_profile(
        DomainId=world.c.domainId, UserProfileName="alice", UserSettings={"ExecutionRole": world.c.executionRoleArn}
    )


def test_pairs_do_not_get_in_each_others_way(bench):
    made = bench.post("world", pairs=2)
    first, second = World(bench, made, 0), World(bench, made, 1)
    bound = allow("ec2:CreateVpcPeeringConnection", [f"{OURS}:vpc/{first.c.vpcId}", f"{OURS}:vpc-peering-connection/*"])
    assert first.request(ec2(bench, bound))
    with refused("UnauthorizedOperation"):
        second.request(ec2(bench, bound))
