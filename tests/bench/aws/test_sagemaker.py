"""Studio (docs/aws-behaviour.md#sagemaker-studio)."""

import pytest

from ..failure import Failure
from .client import CONSUMER, allow, by, document
from .testing import refused

ON = {"ExecutionRoleIdentityConfig": "USER_PROFILE_NAME"}
OFF = {"ExecutionRoleIdentityConfig": "DISABLED"}


@pytest.fixture
def sagemaker(bench, world):
    return bench.client(world.made["consumer"]["admin"], "sagemaker")


def app(world, name="default", user="alice"):
    return {"DomainId": world.c.domainId, "UserProfileName": user, "AppType": "JupyterLab", "AppName": name}


def test_a_domain_tells_what_a_link_needs(world, sagemaker):
    domain = sagemaker.describe_domain(DomainId=world.c.domainId)
    assert (domain["VpcId"], domain["AppNetworkAccessType"], domain["Status"]) == (world.c.vpcId, "VpcOnly", "InService")
    assert domain["SubnetIds"] == [world.c.subnets["own"], world.c.subnets["main"]]
    assert domain["DefaultUserSettings"] == {
        "ExecutionRole": world.c.executionRoleArn,
        "SecurityGroups": [world.c.securityGroupId],
    }
    assert domain["DomainSettings"] == ON
    assert domain["DomainArn"].endswith(f":domain/{world.c.domainId}")
    with refused("ResourceNotFound"):
        sagemaker.describe_domain(DomainId="d-000000000000")


@pytest.mark.parametrize(
    "option, key, value",
    [
        ({"vpcOnly": False}, "AppNetworkAccessType", "PublicInternetOnly"),
        ({"identityConfig": False}, "DomainSettings", OFF),
        ({"unifiedStudio": True}, "VpcId", None),
    ],
)
def test_other_domains(bench, build, option, key, value):
    world = build(consumer=option)
    assert bench.admin(CONSUMER, "sagemaker").describe_domain(DomainId=world.c.domainId).get(key) == value


def test_profiles_may_have_a_role_of_their_own(world, sagemaker):
    describe = lambda name: sagemaker.describe_user_profile(DomainId=world.c.domainId, UserProfileName=name)
    assert describe("alice")["UserSettings"] == {"ExecutionRole": world.c.profiles["alice"]}
    assert "ExecutionRole" not in describe("bob").get("UserSettings", {})
    with refused("ResourceNotFound"):
        describe("carol")


def test_profiles_come_and_go(world, sagemaker):
    at = {"DomainId": world.c.domainId, "UserProfileName": "carol"}
    sagemaker.create_user_profile(**at)
    with refused("ResourceInUse"):
        sagemaker.create_user_profile(**at)
    before = sagemaker.describe_user_profile(**at)["LastModifiedTime"]
    sagemaker.update_user_profile(**at, UserSettings={"SecurityGroups": ["sg-1"]})
    after = sagemaker.describe_user_profile(**at)
    assert after["UserSettings"] == {"SecurityGroups": ["sg-1"]} and after["LastModifiedTime"] > before
    listed = sagemaker.list_user_profiles(DomainIdEquals=world.c.domainId)["UserProfiles"]
    assert [p["UserProfileName"] for p in listed] == ["alice", "bob", "carol"]
    assert listed[2]["LastModifiedTime"] == after["LastModifiedTime"] and "UserSettings" not in listed[0]
    sagemaker.delete_user_profile(**at)
    with refused("ResourceNotFound"):
        sagemaker.delete_user_profile(**at)
    with refused("ResourceNotFound"):
        sagemaker.create_user_profile(DomainId="d-000000000000", UserProfileName="carol")


def test_profiles_come_in_pages(world, sagemaker):
    for number in range(23):
        sagemaker.create_user_profile(DomainId=world.c.domainId, UserProfileName=f"user-{number:02}")
    first = sagemaker.list_user_profiles(DomainIdEquals=world.c.domainId)
    assert len(first["UserProfiles"]) == 10 and first["NextToken"]
    pages = list(sagemaker.get_paginator("list_user_profiles").paginate(DomainIdEquals=world.c.domainId))
    assert sum(len(page["UserProfiles"]) for page in pages) == 25
    assert len(sagemaker.list_user_profiles(DomainIdEquals=world.c.domainId, MaxResults=100)["UserProfiles"]) == 25


@pytest.mark.parametrize(
    "status, free", [("InService", False), ("Pending", False), ("Deleting", False), ("Failed", True), ("Deleted", True)]
)
def test_the_identity_setting_waits_for_apps(bench, world, sagemaker, status, free):
    sagemaker.create_app(**app(world))
    bench.post("app", account=CONSUMER, domainId=world.c.domainId, appName="default", status=status)
    assert [a["Status"] for a in sagemaker.list_apps(DomainIdEquals=world.c.domainId)["Apps"]] == [status]
    update = lambda: sagemaker.update_domain(DomainId=world.c.domainId, DomainSettingsForUpdate=OFF)
    if free:
        update()
    else:
        with refused("ResourceInUse", "JupyterLab/default"):
            update()
        assert sagemaker.describe_domain(DomainId=world.c.domainId)["DomainSettings"] == ON
        bench.post("app", account=CONSUMER, domainId=world.c.domainId, appName="default", status="Deleted")
        update()
    assert sagemaker.describe_domain(DomainId=world.c.domainId)["DomainSettings"] == OFF


def test_an_update_changes_only_what_it_names(bench, world, sagemaker):
    before = sagemaker.describe_domain(DomainId=world.c.domainId)
    sagemaker.update_domain(DomainId=world.c.domainId, DomainSettingsForUpdate=OFF)
    after = sagemaker.describe_domain(DomainId=world.c.domainId)
    changed = {key for key in before if before[key] != after[key]} - {"ResponseMetadata"}
    assert changed == {"DomainSettings", "LastModifiedTime"}


def test_an_update_takes_time(bench, world, sagemaker):
    bench.post("settings", domain_updating_seconds=60)
    sagemaker.update_domain(DomainId=world.c.domainId, DomainSettingsForUpdate=OFF)
    assert sagemaker.describe_domain(DomainId=world.c.domainId)["Status"] == "Updating"
    with refused("ResourceInUse"):
        sagemaker.update_domain(DomainId=world.c.domainId, DomainSettingsForUpdate=ON)
    bench.post("settings", domain_updating_seconds=0)
    sagemaker.update_domain(DomainId=world.c.domainId, DomainSettingsForUpdate=ON)


def test_apps(world, sagemaker):
    sagemaker.create_app(**app(world))
    sagemaker.create_app(**app(world, "other", "bob"))
    names = lambda **o: [a["AppName"] for a in sagemaker.list_apps(**o)["Apps"]]
    assert names(DomainIdEquals=world.c.domainId) == ["default", "other"]
    assert names(UserProfileNameEquals="bob") == ["other"]
    assert names(DomainIdEquals="d-000000000000") == []
    with refused("ResourceInUse"):
        sagemaker.delete_user_profile(DomainId=world.c.domainId, UserProfileName="bob")
    sagemaker.delete_app(**app(world, "other", "bob"))
    sagemaker.delete_user_profile(DomainId=world.c.domainId, UserProfileName="bob")
    with refused("ResourceNotFound"):
        sagemaker.delete_app(**app(world, "other", "bob"))
    with refused("ResourceNotFound"):
        sagemaker.create_app(**app(world, user="nobody"))


# The sessions of notebooks


def notebook(bench, world, profile="alice"):
    return bench.client(bench.post("studio-session", account=CONSUMER, domainId=world.c.domainId, profile=profile), "sts")


def test_a_notebook_runs_as_the_profiles_role_with_its_name(bench, world):
    for profile, arn in world.c.profiles.items():
        bench.post("calls/clear")
        name = arn.rpartition("/")[2]
        assert (
            notebook(bench, world, profile).get_caller_identity()["Arn"]
            == f"arn:aws:sts::{CONSUMER}:assumed-role/{name}/SageMaker"
        )
        assert bench.get("calls")[-1]["source_identity"] == profile


def test_without_the_setting_it_has_no_name(bench, build):
    world = build(consumer={"identityConfig": False})
    notebook(bench, world).get_caller_identity()
    assert bench.get("calls")[-1]["source_identity"] is None


def test_the_role_must_let_sagemaker_set_the_name(bench, world, sagemaker):
    iam = bench.admin(CONSUMER, "iam")
    trust = document(by("Service", "sagemaker.amazonaws.com"))
    iam.update_assume_role_policy(RoleName=world.c.profiles["alice"].rpartition("/")[2], PolicyDocument=trust)
    with pytest.raises(Failure, match="sts:SetSourceIdentity"):
        notebook(bench, world)
    assert notebook(bench, world, "bob")
    sagemaker.update_domain(DomainId=world.c.domainId, DomainSettingsForUpdate=OFF)
    assert notebook(bench, world)


def test_the_walkthrough_from_notebook_to_database(bench, world):
    """The whole chain of AWS's walkthrough; each missing piece breaks it."""
    execution = world.c.profiles["alice"]
    both = ["sts:AssumeRole", "sts:SetSourceIdentity"]
    producer, consumer = bench.admin("111122223333", "iam"), bench.admin(CONSUMER, "iam")
    producer.create_role(RoleName="studio", AssumeRolePolicyDocument=document(by("AWS", execution, *both)))
    user = "arn:aws:redshift:eu-west-1:111122223333:dbuser:warehouse/${redshift:DbUser}"
    policy = allow("redshift:*", user, StringEquals={"redshift:DbUser": "${aws:SourceIdentity}"})
    producer.put_role_policy(RoleName="studio", PolicyName="p", PolicyDocument=document(policy))
    assume = lambda: notebook(bench, world).assume_role(
        RoleArn="arn:aws:iam::111122223333:role/studio", RoleSessionName="RedshiftSession"
    )
    grant = lambda *actions: consumer.put_role_policy(
        RoleName=execution.rpartition("/")[2],
        PolicyName="link",
        PolicyDocument=document(allow(list(actions), "arn:aws:iam::111122223333:role/studio")),
    )
    with refused("AccessDenied", "sts:AssumeRole"):
        assume()
    grant("sts:AssumeRole")
    with refused("AccessDenied", "sts:SetSourceIdentity"):
        assume()
    grant(*both)
    redshift = bench.client(bench.assumed(assume()), "redshift")
    request = {"ClusterIdentifier": "warehouse", "AutoCreate": True}
    assert redshift.get_cluster_credentials(**request, DbUser="alice")["DbUser"] == "IAMA:alice"
    with refused("AccessDenied"):
        redshift.get_cluster_credentials(**request, DbUser="bob")
