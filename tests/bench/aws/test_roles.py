"""Roles: their trust, names, quotas and end (docs/aws-behaviour.md#roles)."""

import json

import pytest

from .client import CONSUMER, PLATFORM, PRODUCER, allow, by, document
from .testing import refused

FRIEND = f"arn:aws:iam::{CONSUMER}:role/service-role/friend"


@pytest.fixture
def iam(bench):
    return bench.admin(PRODUCER, "iam")


@pytest.fixture
def friend(bench):
    """A role of the other account, which may be trusted."""
    theirs = bench.admin(CONSUMER, "iam")
    create = lambda: theirs.create_role(
        RoleName="friend", Path="/service-role/", AssumeRolePolicyDocument=document(by("Service", "sagemaker.amazonaws.com"))
    )["Role"]
    role = create()
    role["again"] = create
    role["delete"] = lambda: theirs.delete_role(RoleName="friend")
    return role


def create(iam, name="ours", *statements, **options):
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(*statements or [by("AWS", PRODUCER)]), **options)[
        "Role"
    ]


def trusted(iam, name="ours"):
    return iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]


def test_a_principal_must_exist_path_included(iam, friend):
    for wrong in (FRIEND + "s", f"arn:aws:iam::{CONSUMER}:role/friend", f"arn:aws:iam::{CONSUMER}:role/service-role/*"):
        with refused("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{wrong}"', 400):
            create(iam, "ours", by("AWS", wrong))
    create(iam, "ours", by("AWS", FRIEND))
    with refused("MalformedPolicyDocument", "Invalid principal"):
        iam.update_assume_role_policy(RoleName="ours", PolicyDocument=document(by("AWS", [FRIEND, FRIEND + "s"])))
    assert trusted(iam) == FRIEND


@pytest.mark.parametrize("principal", [CONSUMER, f"arn:aws:iam::{CONSUMER}:root", "*"])
def test_accounts_and_everybody_are_valid_principals(iam, principal):
    create(iam, "ours", by("AWS", principal))
    assert trusted(iam) == ("*" if principal == "*" else f"arn:aws:iam::{CONSUMER}:root")


def test_a_list_of_one_comes_back_as_the_one(iam, friend):
    create(iam, "ours", by("AWS", [FRIEND]))
    assert trusted(iam) == FRIEND
    iam.update_assume_role_policy(RoleName="ours", PolicyDocument=document(by("AWS", [FRIEND, PRODUCER])))
    assert trusted(iam) == [FRIEND, f"arn:aws:iam::{PRODUCER}:root"]


def test_trust_dies_with_the_trusted_role(bench, iam, friend):
    create(iam, "ours", by("AWS", FRIEND))
    friend["delete"]()
    assert trusted(iam) == friend["RoleId"]
    again = friend["again"]()
    assert again["RoleId"] != friend["RoleId"]
    assert trusted(iam) == friend["RoleId"]

    bench.admin(CONSUMER, "iam").put_role_policy(
        RoleName="friend", PolicyName="p", PolicyDocument=document(allow("sts:AssumeRole"))
    )
    assume = bench.client(bench.session(CONSUMER, "friend"), "sts").assume_role
    with refused("AccessDenied"):
        assume(RoleArn=f"arn:aws:iam::{PRODUCER}:role/ours", RoleSessionName="test")
    with refused("MalformedPolicyDocument", f'"AWS":"{friend["RoleId"]}"'):
        iam.update_assume_role_policy(RoleName="ours", PolicyDocument=document(by("AWS", [friend["RoleId"], FRIEND])))
    iam.update_assume_role_policy(RoleName="ours", PolicyDocument=document(by("AWS", FRIEND)))
    assert assume(RoleArn=f"arn:aws:iam::{PRODUCER}:role/ours", RoleSessionName="test")


def test_the_id_of_a_living_role_is_shown_as_its_arn(iam, friend):
    create(iam, "ours", by("AWS", friend["RoleId"]))
    assert trusted(iam) == FRIEND


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "Syntax errors"),
        (document({"Effect": "Allow", "Action": "sts:AssumeRole"}), "must contain principals"),
        (document({**by("AWS", PRODUCER), "Resource": "*"}), "prohibited field Resource"),
        (document(by("AWS", PRODUCER, "s3:GetObject")), "Trust Policy statement actions"),
        (document(by("Service", "nonsense")), '"SERVICE":"nonsense"'),
    ],
)
def test_trust_that_is_no_trust_policy_is_refused(iam, text, message):
    with refused("MalformedPolicyDocument", message):
        iam.create_role(RoleName="ours", AssumeRolePolicyDocument=text)
    create(iam)
    with refused("MalformedPolicyDocument", message):
        iam.update_assume_role_policy(RoleName="ours", PolicyDocument=text)


def test_names_are_unique_ignoring_case_and_path(iam):
    create(iam, "Ours", Path="/one/")
    for name in ("Ours", "ours"):
        with refused("EntityAlreadyExists", status=409):
            create(iam, name, Path="/two/")
    assert create(iam, "theirs")["Path"] == "/"


@pytest.mark.parametrize("options", [{"name": "a b"}, {"name": "x" * 65}, {"Path": "no-slashes"}])
def test_names_and_paths_are_checked(iam, options):
    with refused("ValidationError"):
        create(iam, **options)
    assert create(iam, "x" * 64, Path="/a/b/")


def test_the_trust_policy_has_a_quota(bench, iam):
    def sized(characters):
        base = by("AWS", PRODUCER)
        return document({**base, "Sid": "x" * (characters - len("".join(document({**base, "Sid": ""}).split())))})

    create(iam)
    iam.update_assume_role_policy(RoleName="ours", PolicyDocument=sized(2048))
    with refused("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", 409):
        iam.update_assume_role_policy(RoleName="ours", PolicyDocument=sized(2049))
    assert iam.get_account_summary()["SummaryMap"]["AssumeRolePolicySizeQuota"] == 2048
    bench.post("settings", trust_policy_characters=4096)
    iam.update_assume_role_policy(RoleName="ours", PolicyDocument=sized(4096))
    assert iam.get_account_summary()["SummaryMap"]["AssumeRolePolicySizeQuota"] == 4096


def test_inline_policies_have_a_quota_together(iam):
    def sized(characters):
        base = len("".join(document(allow("ec2:*", "")).split()))
        return json.dumps(json.loads(document(allow("ec2:*", "arn:aws:ec2:*:*:vpc/" + "x" * (characters - base - 20)))), indent=8)

    create(iam)
    iam.put_role_policy(RoleName="ours", PolicyName="one", PolicyDocument=sized(5000))
    iam.put_role_policy(RoleName="ours", PolicyName="two", PolicyDocument=sized(5240))
    with refused("LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role ours", 409):
        iam.put_role_policy(RoleName="ours", PolicyName="three", PolicyDocument=sized(100))
    iam.put_role_policy(RoleName="ours", PolicyName="two", PolicyDocument=sized(4000))


def test_roles_have_a_quota(bench, iam):
    bench.post("settings", roles_per_account=1)
    create(iam)
    with refused("LimitExceeded", status=409):
        create(iam, "another")


def test_only_an_empty_role_is_deleted(iam):
    create(iam)
    iam.put_role_policy(RoleName="ours", PolicyName="p", PolicyDocument=document(allow("ec2:*")))
    managed = iam.create_policy(PolicyName="m", PolicyDocument=document(allow("ec2:*")))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="ours", PolicyArn=managed)
    with refused("DeleteConflict", "must detach all policies first", 409):
        iam.delete_role(RoleName="ours")
    iam.detach_role_policy(RoleName="ours", PolicyArn=managed)
    with refused("DeleteConflict", "must delete policies first", 409):
        iam.delete_role(RoleName="ours")
    iam.delete_role_policy(RoleName="ours", PolicyName="p")
    iam.delete_role(RoleName="ours")
    for gone in (
        lambda: iam.get_role(RoleName="ours"),
        lambda: iam.delete_role(RoleName="ours"),
        lambda: iam.delete_role_policy(RoleName="ours", PolicyName="p"),
        lambda: iam.put_role_policy(RoleName="ours", PolicyName="p", PolicyDocument=document(allow("ec2:*"))),
        lambda: iam.list_role_policies(RoleName="ours"),
    ):
        with refused("NoSuchEntity", status=404):
            gone()


@pytest.mark.parametrize(
    "text", ["{", document({"Effect": "Allow", "Action": "ec2:*"}), document({**allow("ec2:*"), "Principal": "*"})]
)
def test_an_inline_policy_must_be_one(iam, text):
    create(iam)
    with refused("MalformedPolicyDocument"):
        iam.put_role_policy(RoleName="ours", PolicyName="p", PolicyDocument=text)


def test_an_inline_policy_is_kept_as_it_was_written(iam):
    create(iam)
    text = json.dumps({"Version": "2012-10-17", "Statement": allow("sts:AssumeRole", ["arn:aws:iam::1:role/a"])}, indent=3)
    iam.put_role_policy(RoleName="ours", PolicyName="p", PolicyDocument=text)
    assert iam.get_role_policy(RoleName="ours", PolicyName="p")["PolicyDocument"] == json.loads(text)


def test_a_boundary_must_exist(iam):
    arn = f"arn:aws:iam::{PRODUCER}:policy/edge"
    with refused("NoSuchEntity", status=404):
        create(iam, PermissionsBoundary=arn)
    iam.create_policy(PolicyName="edge", PolicyDocument=document(allow("ec2:*")))
    create(iam, PermissionsBoundary=arn)
    assert iam.get_role(RoleName="ours")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn
    iam.delete_role_permissions_boundary(RoleName="ours")
    assert "PermissionsBoundary" not in iam.get_role(RoleName="ours")["Role"]
    iam.put_role_permissions_boundary(RoleName="ours", PermissionsBoundary=arn)
    with refused("NoSuchEntity"):
        iam.put_role_permissions_boundary(RoleName="ours", PermissionsBoundary=arn + "x")


def test_tags_and_description(iam):
    role = create(iam, Tags=[{"Key": "a", "Value": "1"}], Description="ours", MaxSessionDuration=7200)
    assert role["Tags"] == [{"Key": "a", "Value": "1"}]
    iam.tag_role(RoleName="ours", Tags=[{"Key": "b", "Value": ""}])
    iam.untag_role(RoleName="ours", TagKeys=["a"])
    found = iam.get_role(RoleName="ours")["Role"]
    assert (found["Tags"], found["Description"], found["MaxSessionDuration"]) == ([{"Key": "b", "Value": ""}], "ours", 7200)
    assert iam.list_role_tags(RoleName="ours")["Tags"] == [{"Key": "b", "Value": ""}]


def test_listings_come_in_pages_and_by_path(bench, iam):
    for number in range(7):
        create(iam, f"r{number}", Path="/mine/" if number < 5 else "/")
    pages = list(iam.get_paginator("list_roles").paginate(PathPrefix="/mine/", PaginationConfig={"PageSize": 2}))
    assert [len(page["Roles"]) for page in pages] == [2, 2, 1]
    bench.post("settings", page_limit=3)
    pages = list(iam.get_paginator("list_roles").paginate())
    assert sum(len(page["Roles"]) for page in pages) == 7 and len(pages) == 3
    # Listings leave out tags and boundary.
    assert "Tags" not in pages[0]["Roles"][0]
    for number in range(4):
        iam.put_role_policy(RoleName="r0", PolicyName=f"p{number}", PolicyDocument=document(allow("ec2:*")))
    pages = list(iam.get_paginator("list_role_policies").paginate(RoleName="r0"))
    assert [page["PolicyNames"] for page in pages] == [["p0", "p1", "p2"], ["p3"]]


def test_a_services_own_role_is_left_alone(iam):
    create(iam, "AWSServiceRoleForRedshift", Path="/aws-service-role/redshift.amazonaws.com/")
    for change in (
        lambda name: iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(allow("ec2:*"))),
        lambda name: iam.update_assume_role_policy(RoleName=name, PolicyDocument=document(by("AWS", PRODUCER))),
        lambda name: iam.delete_role(RoleName=name),
        lambda name: iam.tag_role(RoleName=name, Tags=[]),
    ):
        with refused("UnmodifiableEntity"):
            change("AWSServiceRoleForRedshift")


def test_accounts_have_roles_of_their_own(bench, iam):
    create(iam)
    with refused("NoSuchEntity"):
        bench.admin(PLATFORM, "iam").get_role(RoleName="ours")


def test_a_name_that_no_role_can_have_is_not_looked_for(iam):
    for name in ("ours and more", "a" * 65, "path/ours"):
        with refused("ValidationError", "roleName is invalid", 400):
            iam.get_role_policy(RoleName=name, PolicyName="p")
        with refused("ValidationError"):
            iam.get_role(RoleName=name)
