"""Keys and their policies (docs/aws-behaviour.md#kms)."""

import json

import pytest

from .client import CONSUMER, PRODUCER, REGION, allow, deny, document
from .testing import refused


def kms_of(bench, credentials, region=REGION):
    return bench.client(credentials, "kms", region)


@pytest.fixture
def owner(bench):
    return bench.admin(CONSUMER, "kms")


@pytest.fixture
def key(owner):
    return owner.create_key(Description="for tests")["KeyMetadata"]


def granting(principal, *actions, effect="Allow", **condition):
    statement = {"Effect": effect, "Principal": principal, "Action": list(actions) or "kms:*", "Resource": "*"}
    return {**statement, "Condition": condition} if condition else statement


def root(account=CONSUMER):
    return {"AWS": f"arn:aws:iam::{account}:root"}


def role(name, account=CONSUMER):
    return {"AWS": f"arn:aws:iam::{account}:role/{name}"}


def put_policy(owner, key, *statements, **options):
    owner.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=document(*statements), **options)


def test_a_key_tells_what_it_is(owner, key):
    found = owner.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert (found["Arn"], found["AWSAccountId"], found["KeyState"], found["Enabled"]) == (key["Arn"], CONSUMER, "Enabled", True)
    assert key["Arn"] == f"arn:aws:kms:{REGION}:{CONSUMER}:key/{key['KeyId']}"
    policy = json.loads(owner.get_key_policy(KeyId=key["Arn"])["Policy"])
    assert policy["Statement"][0]["Principal"] == root()


def test_what_is_not_there(bench, owner, key):
    for wrong in ("00000000-0000-0000-0000-000000000000", "alias/none", key["Arn"].replace(REGION, "eu-west-2")):
        with refused("NotFoundException", status=400):
            owner.describe_key(KeyId=wrong)
    with refused("NotFoundException"):
        owner.get_key_policy(KeyId=key["KeyId"], PolicyName="another")
    with refused("NotFoundException"):
        bench.admin(PRODUCER, "kms").describe_key(KeyId=key["KeyId"])
    with refused("AccessDeniedException", "does not exist in this Region"):
        bench.admin(PRODUCER, "kms").describe_key(KeyId=key["Arn"].replace(key["KeyId"], "none"))


def test_an_alias_is_a_name_for_describing_only(owner, key):
    owner.create_alias(AliasName="alias/mine", TargetKeyId=key["KeyId"])
    assert owner.describe_key(KeyId="alias/mine")["KeyMetadata"]["Arn"] == key["Arn"]
    assert [a["AliasName"] for a in owner.list_aliases()["Aliases"]] == ["alias/mine"]
    with refused("NotFoundException"):
        owner.get_key_policy(KeyId="alias/mine")
    with refused("AlreadyExistsException"):
        owner.create_alias(AliasName="alias/mine", TargetKeyId=key["KeyId"])
    with refused("InvalidAliasNameException"):
        owner.create_alias(AliasName="alias/aws/mine", TargetKeyId=key["KeyId"])


def test_the_default_policy_leaves_it_to_the_account(bench, key):
    able, silent = bench.role(CONSUMER, "able", allow("kms:DescribeKey", key["Arn"])), bench.role(CONSUMER, "silent")
    assert kms_of(bench, able).describe_key(KeyId=key["KeyId"])
    with refused("AccessDeniedException", "no identity-based policy allows the kms:DescribeKey action", 400):
        kms_of(bench, silent).describe_key(KeyId=key["KeyId"])
    with refused("AccessDeniedException"):
        kms_of(bench, able).get_key_policy(KeyId=key["KeyId"])


def test_a_key_whose_policy_leaves_nothing_to_the_account(bench, owner, key):
    able, keeper = bench.role(CONSUMER, "able", allow("kms:*")), bench.role(CONSUMER, "keeper")
    put_policy(owner, key, granting(role("keeper")), BypassPolicyLockoutSafetyCheck=True)
    assert kms_of(bench, keeper).describe_key(KeyId=key["KeyId"])
    with refused("AccessDeniedException", "no resource-based policy allows the kms:DescribeKey action"):
        kms_of(bench, able).describe_key(KeyId=key["KeyId"])
    with refused("AccessDeniedException"):
        owner.get_key_policy(KeyId=key["KeyId"])


def test_a_denial_wins_on_either_side(bench, owner, key):
    barred = bench.role(CONSUMER, "barred", allow("kms:*"), deny("kms:DescribeKey"))
    with refused("AccessDeniedException", "explicit deny in an identity-based policy"):
        kms_of(bench, barred).describe_key(KeyId=key["KeyId"])
    put_policy(owner, key, granting(root()), granting("*", "kms:DescribeKey", effect="Deny"))
    with refused("AccessDeniedException", "explicit deny in a resource-based policy"):
        owner.describe_key(KeyId=key["KeyId"])


def test_across_accounts_both_must_allow(bench, owner, key):
    able, silent = bench.role(PRODUCER, "able", allow("kms:DescribeKey", key["Arn"])), bench.role(PRODUCER, "silent")
    with refused("AccessDeniedException", "no resource-based policies allow access"):
        kms_of(bench, able).describe_key(KeyId=key["Arn"])
    put_policy(owner, key, granting(root()), granting(root(PRODUCER), "kms:DescribeKey"))
    assert kms_of(bench, able).describe_key(KeyId=key["Arn"])
    with refused("AccessDeniedException", "no identity-based policy"):
        kms_of(bench, silent).describe_key(KeyId=key["Arn"])


def test_what_cannot_be_done_from_another_account(bench, owner, key):
    put_policy(owner, key, granting(root()), granting(root(PRODUCER)))
    theirs = bench.admin(PRODUCER, "kms")
    assert theirs.describe_key(KeyId=key["Arn"])
    for call in ("get_key_policy", "disable_key", "enable_key", "schedule_key_deletion"):
        with refused("AccessDeniedException"):
            getattr(theirs, call)(KeyId=key["Arn"])


def test_a_condition_of_a_key_policy(bench, owner, key):
    able = kms_of(bench, bench.role(PRODUCER, "able", allow("kms:*")))
    for account, works in ((CONSUMER, False), (PRODUCER, True)):
        put_policy(owner, key, granting(root()), granting("*", StringEquals={"kms:CallerAccount": account}))
        if works:
            assert able.describe_key(KeyId=key["Arn"])
        else:
            with refused("AccessDeniedException"):
                able.describe_key(KeyId=key["Arn"])


@pytest.mark.parametrize(
    "statement, text",
    [
        (granting(role("none")), "invalid principals"),
        (granting(root(PRODUCER)), "not allow you to update the key policy"),
        (allow("kms:*"), "Missing required field Principal"),
    ],
)
def test_a_policy_must_make_sense(owner, key, statement, text):
    with refused("MalformedPolicyDocumentException", text, 400):
        put_policy(owner, key, statement)
    with refused("MalformedPolicyDocumentException", text):
        owner.create_key(Policy=document(statement))


def test_the_states_of_a_key(bench, owner, key):
    at = {"KeyId": key["KeyId"]}
    state = lambda: owner.describe_key(**at)["KeyMetadata"]["KeyState"]
    owner.disable_key(**at)
    assert state() == "Disabled"
    owner.enable_key(**at)
    assert state() == "Enabled"
    for days in (6, 31):
        with refused("ValidationException"):
            owner.schedule_key_deletion(**at, PendingWindowInDays=days)
    owner.schedule_key_deletion(**at, PendingWindowInDays=7)
    assert state() == "PendingDeletion" and "DeletionDate" in owner.describe_key(**at)["KeyMetadata"]
    for call in ("enable_key", "disable_key", "schedule_key_deletion"):
        with refused("KMSInvalidStateException", status=400):
            getattr(owner, call)(**at)
    owner.cancel_key_deletion(**at)
    assert state() == "Disabled"
    with refused("KMSInvalidStateException"):
        owner.cancel_key_deletion(**at)
    bench.post("key", arn=key["Arn"], status="Enabled")
    assert state() == "Enabled"
    bench.post("key", arn=key["Arn"], status=None)
    with refused("NotFoundException"):
        owner.describe_key(**at)


def test_each_operation_has_its_action(bench, key):
    for number, (method, action) in enumerate(
        {"get_key_policy": "GetKeyPolicy", "disable_key": "DisableKey", "enable_key": "EnableKey"}.items()
    ):
        with refused("AccessDeniedException", f"kms:{action}"):
            getattr(kms_of(bench, bench.role(CONSUMER, f"without-{number}", deny(f"kms:{action}"), allow("kms:*"))), method)(
                KeyId=key["KeyId"]
            )
        able = bench.role(CONSUMER, f"with-{number}", allow(f"kms:{action}", key["Arn"]))
        assert getattr(kms_of(bench, able), method)(KeyId=key["KeyId"])
    with refused("AccessDeniedException", "kms:CreateKey"):
        kms_of(bench, bench.role(CONSUMER, "maker", allow("kms:DescribeKey"))).create_key()
    tagger = kms_of(bench, bench.role(CONSUMER, "tagger", allow("kms:CreateKey")))
    with refused("AccessDeniedException", "kms:TagResource"):
        tagger.create_key(Tags=[{"TagKey": "a", "TagValue": "b"}])
    assert tagger.create_key()
    with refused("AccessDeniedException", "alias/mine"):
        kms_of(bench, bench.role(CONSUMER, "namer", allow("kms:CreateAlias", key["Arn"]))).create_alias(
            AliasName="alias/mine", TargetKeyId=key["KeyId"]
        )


def test_what_the_bench_lacks(owner):
    with refused("NotImplemented", status=501):
        owner.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
