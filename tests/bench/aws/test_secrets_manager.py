"""Secrets, who may read them, and their keys (docs/aws-behaviour.md#secrets-manager)."""

import re

import pytest

from .client import CONSUMER, PRODUCER, REGION, allow, by, document
from .testing import refused

KMS_REFUSES = ("AccessDeniedException", "Access to KMS is not allowed", 400)


def secrets_of(bench, credentials):
    return bench.client(credentials, "secretsmanager")


@pytest.fixture
def owner(bench):
    return bench.admin(PRODUCER, "secretsmanager")


@pytest.fixture
def kms(bench):
    return bench.admin(PRODUCER, "kms")


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]["Arn"]


def made(owner, name="warehouse/app", **options):
    return owner.create_secret(Name=name, SecretString="open sesame", **options)["ARN"]


def read(*resources):
    return allow("secretsmanager:GetSecretValue", list(resources))


def test_a_secret_tells_what_it_is_and_not_what_is_in_it(owner, key):
    arn = made(owner)
    assert re.fullmatch(f"arn:aws:secretsmanager:{REGION}:{PRODUCER}:secret:warehouse/app-[A-Za-z0-9]{{6}}", arn)
    told = owner.describe_secret(SecretId=arn)
    assert (told["ARN"], told["Name"]) == (arn, "warehouse/app")
    assert "KmsKeyId" not in told and "DeletedDate" not in told and "open sesame" not in str(told)
    assert owner.describe_secret(SecretId=made(owner, "other", KmsKeyId=key))["KmsKeyId"] == key
    for identifier in (arn, "warehouse/app", arn[:-7]):
        assert owner.get_secret_value(SecretId=identifier)["SecretString"] == "open sesame"
    assert len(owner.list_secret_version_ids(SecretId=arn)["Versions"]) == 1


def test_what_is_not_there(bench, owner):
    arn = made(owner)
    for wrong in ("none", arn[:-1] + "?", arn.replace(REGION, "eu-west-2"), "arn:aws:iam::1:role/x"):
        with refused("ResourceNotFoundException", "can't find", 400):
            owner.describe_secret(SecretId=wrong)
    with refused("ResourceNotFoundException"):
        bench.admin(CONSUMER, "secretsmanager").describe_secret(SecretId="warehouse/app")
    with refused("ResourceExistsException"):
        made(owner)


def test_only_who_is_allowed_reads_and_only_that_secret(bench, owner):
    mine, other = made(owner), made(owner, "other")
    able = secrets_of(bench, bench.role(PRODUCER, "able", read(mine)))
    assert able.get_secret_value(SecretId=mine)["SecretString"] == "open sesame"
    with refused("AccessDeniedException", "secretsmanager:GetSecretValue", 400):
        able.get_secret_value(SecretId=other)
    with refused("AccessDeniedException", "secretsmanager:DescribeSecret"):
        able.describe_secret(SecretId=mine)
    with refused("AccessDeniedException"):
        secrets_of(bench, bench.role(PRODUCER, "silent")).get_secret_value(SecretId=mine)


def test_a_key_of_the_customers_has_to_be_allowed_too(bench, owner, key):
    arn = made(owner, KmsKeyId=key)
    with refused(*KMS_REFUSES):
        secrets_of(bench, bench.role(PRODUCER, "half", read(arn))).get_secret_value(SecretId=arn)
    conditions = {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com", "kms:EncryptionContext:SecretARN": arn}
    decrypt = lambda **conditions: allow("kms:Decrypt", key, StringEquals=conditions)
    able = bench.role(PRODUCER, "able", read(arn), decrypt(**conditions))
    assert secrets_of(bench, able).get_secret_value(SecretId=arn)
    for name, value in conditions.items():
        wrong = bench.role(PRODUCER, f"wrong-{name[4:7]}", read(arn), decrypt(**{**conditions, name: value + "x"}))
        with refused(*KMS_REFUSES):
            secrets_of(bench, wrong).get_secret_value(SecretId=arn)


def test_the_policy_of_the_key_decides(bench, owner, kms, key):
    arn = made(owner, KmsKeyId=key)
    able = secrets_of(bench, bench.role(PRODUCER, "able", read(arn), allow("kms:Decrypt", key)))
    assert able.get_secret_value(SecretId=arn)
    alone = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{PRODUCER}:role/able"}, "Action": "kms:Put*", "Resource": "*"}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document(alone), BypassPolicyLockoutSafetyCheck=True)
    with refused(*KMS_REFUSES):
        able.get_secret_value(SecretId=arn)


def test_a_key_that_is_switched_off_decrypts_nothing(owner, kms, key):
    arn = made(owner, KmsKeyId=key)
    kms.disable_key(KeyId=key)
    with refused("DecryptionFailure"):
        owner.get_secret_value(SecretId=arn)
    assert owner.describe_secret(SecretId=arn)


def test_from_another_account_both_policies_and_a_customers_key(bench, owner, kms, key):
    plain, encrypted = made(owner, "plain"), made(owner, "encrypted", KmsKeyId=key)
    able = bench.role(CONSUMER, "able", read("*"), allow("kms:Decrypt"))
    there = secrets_of(bench, able)
    with refused("AccessDeniedException", "no resource-based policy"):
        there.get_secret_value(SecretId=plain)
    lets = {**read("*"), "Principal": {"AWS": f"arn:aws:iam::{CONSUMER}:role/able"}}
    for arn in (plain, encrypted):
        owner.put_resource_policy(SecretId=arn, ResourcePolicy=document(lets))
        with refused(*KMS_REFUSES):
            there.get_secret_value(SecretId=arn)
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{PRODUCER}:root"}, "Action": "kms:*", "Resource": "*"}
    lets = {**allow("kms:Decrypt"), "Principal": {"AWS": f"arn:aws:iam::{CONSUMER}:role/able"}}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document(root, lets))
    assert there.get_secret_value(SecretId=encrypted)
    with refused(*KMS_REFUSES):
        there.get_secret_value(SecretId=plain)


def test_a_policy_of_the_secret_may_deny(bench, owner):
    arn = made(owner)
    able = secrets_of(bench, bench.role(PRODUCER, "able", read(arn)))
    denies = {**read("*"), "Effect": "Deny", "Principal": "*"}
    owner.put_resource_policy(SecretId=arn, ResourcePolicy=document(denies))
    assert "Deny" in owner.get_resource_policy(SecretId=arn)["ResourcePolicy"]
    with refused("AccessDeniedException", "explicit deny in a resource-based policy"):
        able.get_secret_value(SecretId=arn)
    nobody = {**read("*"), "Principal": {"AWS": f"arn:aws:iam::{CONSUMER}:role/nobody"}}
    with refused("MalformedPolicyDocumentException", "principal"):
        owner.put_resource_policy(SecretId=arn, ResourcePolicy=document(nobody))


def test_a_role_that_is_gone_is_not_let_in_under_its_old_name(bench, owner):
    arn = made(owner)
    bench.role(PRODUCER, "able")
    lets = {**read("*"), "Principal": {"AWS": f"arn:aws:iam::{PRODUCER}:role/able"}}
    owner.put_resource_policy(SecretId=arn, ResourcePolicy=document(lets))
    assert secrets_of(bench, bench.session(PRODUCER, "able")).get_secret_value(SecretId=arn)
    iam = bench.admin(PRODUCER, "iam")
    iam.delete_role(RoleName="able")
    iam.create_role(RoleName="able", AssumeRolePolicyDocument=document(by("AWS", PRODUCER)))
    with refused("AccessDeniedException"):
        secrets_of(bench, bench.session(PRODUCER, "able")).get_secret_value(SecretId=arn)


def test_a_secret_that_goes_is_told_and_not_read(owner):
    arn = made(owner)
    with refused("InvalidParameterException"):
        owner.delete_secret(SecretId=arn, RecoveryWindowInDays=6)
    owner.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
    assert owner.describe_secret(SecretId=arn)["DeletedDate"]
    with refused("InvalidRequestException", "marked for deletion"):
        owner.get_secret_value(SecretId=arn)
    with refused("InvalidRequestException", "already scheduled for deletion"):
        made(owner)
    owner.restore_secret(SecretId=arn)
    assert owner.get_secret_value(SecretId=arn)
    owner.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    with refused("ResourceNotFoundException"):
        owner.describe_secret(SecretId=arn)
    assert made(owner) != arn
