"""AssumeRole: both sides must allow it, and a source identity goes along (docs/aws-behaviour.md#assuming-roles)."""

import datetime

import pytest

from .client import CONSUMER, PLATFORM, PRODUCER, allow, by, deny, document
from .testing import refused

TARGET = f"arn:aws:iam::{PRODUCER}:role/target"
CALLER = f"arn:aws:iam::{CONSUMER}:role/caller"
BOTH = ["sts:AssumeRole", "sts:SetSourceIdentity"]


def assume(bench, credentials, arn=TARGET, **options):
    return bench.client(credentials, "sts").assume_role(RoleArn=arn, RoleSessionName="test", **options)


def target(bench, *statements, **options):
    """The role that is to be assumed."""
    bench.admin(PRODUCER, "iam").create_role(RoleName="target", AssumeRolePolicyDocument=document(*statements), **options)


def test_the_callers_policy_and_the_targets_trust_must_both_allow(bench):
    caller = bench.role(CONSUMER, "caller")
    target(bench, by("AWS", CALLER))
    with refused("AccessDenied", "no identity-based policy allows the sts:AssumeRole action", 403):
        assume(bench, caller)
    bench.admin(CONSUMER, "iam").put_role_policy(
        RoleName="caller", PolicyName="p", PolicyDocument=document(allow("sts:AssumeRole", TARGET))
    )
    answer = assume(bench, caller)
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{PRODUCER}:assumed-role/target/test"
    who = bench.client(bench.assumed(answer), "sts").get_caller_identity()
    assert (who["Account"], who["Arn"]) == (PRODUCER, answer["AssumedRoleUser"]["Arn"])
    assert who["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]

    bench.role(CONSUMER, "stranger", allow("sts:AssumeRole"))
    with refused("AccessDenied", "no resource-based policy"):
        assume(bench, bench.session(CONSUMER, "stranger"))


def test_trust_in_an_account_leaves_it_to_the_accounts_policies(bench):
    target(bench, by("AWS", CONSUMER))
    with refused("AccessDenied"):
        assume(bench, bench.role(CONSUMER, "silent"))
    assert assume(bench, bench.role(CONSUMER, "caller", allow("sts:AssumeRole")))
    with refused("AccessDenied", "explicit deny in an identity-based policy"):
        assume(bench, bench.role(CONSUMER, "denied", allow("sts:AssumeRole"), deny("sts:AssumeRole")))
    with refused("AccessDenied"):
        assume(bench, bench.role(PLATFORM, "elsewhere", allow("sts:AssumeRole")))


def test_in_one_account_trust_in_the_role_itself_is_enough(bench):
    inside = bench.role(PRODUCER, "inside")
    target(bench, by("AWS", f"arn:aws:iam::{PRODUCER}:role/inside"))
    assert assume(bench, inside)
    bench.admin(PRODUCER, "iam").update_assume_role_policy(RoleName="target", PolicyDocument=document(by("AWS", PRODUCER)))
    with refused("AccessDenied"):
        assume(bench, inside)


def test_a_denial_in_the_trust_policy_wins(bench):
    caller = bench.role(CONSUMER, "caller", allow("sts:AssumeRole"))
    target(bench, by("AWS", CALLER), {**by("AWS", CONSUMER), "Effect": "Deny"})
    with refused("AccessDenied", "explicit deny in a resource-based policy"):
        assume(bench, caller)


def test_a_role_that_is_not_there_looks_like_one_that_is_forbidden(bench):
    with refused("AccessDenied", status=403):
        assume(bench, bench.role(CONSUMER, "caller", allow("sts:AssumeRole")))


def test_the_path_belongs_to_the_arn(bench):
    caller = bench.role(CONSUMER, "caller", allow("sts:AssumeRole"))
    target(bench, by("AWS", CALLER), Path="/team/")
    with refused("AccessDenied"):
        assume(bench, caller)
    assert assume(bench, caller, f"arn:aws:iam::{PRODUCER}:role/team/target")


def test_an_external_id_must_match(bench):
    caller = bench.role(CONSUMER, "caller", allow("sts:AssumeRole"))
    target(bench, by("AWS", CALLER, StringEquals={"sts:ExternalId": "secret"}))
    for options in ({}, {"ExternalId": "another"}):
        with refused("AccessDenied"):
            assume(bench, caller, **options)
    assert assume(bench, caller, ExternalId="secret")


@pytest.mark.parametrize("account, works", [(PRODUCER, True), (CONSUMER, False)])
def test_a_role_is_of_the_account_in_its_arn(bench, account, works):
    target(bench, by("AWS", CONSUMER))
    caller = bench.role(CONSUMER, "caller", allow("sts:AssumeRole", StringEquals={"aws:ResourceAccount": account}))
    if works:
        assert assume(bench, caller)
    else:
        with refused("AccessDenied"):
            assume(bench, caller)


def test_trust_may_ask_whence_a_call_comes(bench):
    caller = bench.role(CONSUMER, "caller", allow("sts:AssumeRole"))
    target(bench, by("AWS", CONSUMER, StringEquals={"aws:SourceVpce": "vpce-1"}))
    with refused("AccessDenied"):
        assume(bench, caller)
    bench.post("settings", source_vpce="vpce-1")
    assert assume(bench, caller)


# Source identity


@pytest.mark.parametrize("theirs, ours, works", [(BOTH, BOTH, True), (BOTH[:1], BOTH, False), (BOTH, BOTH[:1], False)])
def test_a_carried_source_identity_needs_permission_on_both_sides(bench, theirs, ours, works):
    bench.role(CONSUMER, "caller", allow(ours, TARGET))
    target(bench, by("AWS", CALLER, *theirs))
    carried = bench.session(CONSUMER, "caller", sourceIdentity="alice")
    if works:
        answer = assume(bench, carried)
        assert answer["SourceIdentity"] == "alice"
    else:
        with refused("AccessDenied", "sts:SetSourceIdentity"):
            assume(bench, carried)
    # Without one it is not asked for.
    assert "SourceIdentity" not in assume(bench, bench.session(CONSUMER, "caller"))


def test_a_new_source_identity_needs_the_same(bench):
    caller = bench.role(CONSUMER, "caller", allow("sts:AssumeRole"))
    target(bench, by("AWS", CALLER, *BOTH))
    with refused("AccessDenied", "sts:SetSourceIdentity"):
        assume(bench, caller, SourceIdentity="alice")
    bench.admin(CONSUMER, "iam").put_role_policy(RoleName="caller", PolicyName="test", PolicyDocument=document(allow(BOTH)))
    assert assume(bench, caller, SourceIdentity="alice")["SourceIdentity"] == "alice"


def test_a_source_identity_stays_along_the_chain_and_cannot_be_changed(bench):
    bench.role(CONSUMER, "caller", allow(BOTH))
    target(bench, by("AWS", CALLER, *BOTH))
    bench.admin(PRODUCER, "iam").put_role_policy(RoleName="target", PolicyName="on", PolicyDocument=document(allow(BOTH)))
    last = f"arn:aws:iam::{PLATFORM}:role/last"
    bench.admin(PLATFORM, "iam").create_role(RoleName="last", AssumeRolePolicyDocument=document(by("AWS", TARGET, *BOTH)))

    middle = bench.assumed(assume(bench, bench.session(CONSUMER, "caller", sourceIdentity="alice")))
    with refused("AccessDenied", "cannot be changed"):
        assume(bench, middle, last, SourceIdentity="bob")
    assert assume(bench, middle, last, SourceIdentity="alice")["SourceIdentity"] == "alice"
    end = bench.assumed(assume(bench, middle, last))
    bench.post("calls/clear")
    bench.client(end, "sts").get_caller_identity()
    assert bench.get("calls")[-1]["source_identity"] == "alice"


def test_trust_may_ask_who_it_is(bench):
    bench.role(CONSUMER, "caller", allow(BOTH))
    target(bench, by("AWS", CALLER, *BOTH, StringEquals={"aws:SourceIdentity": ["alice"]}))
    assert assume(bench, bench.session(CONSUMER, "caller", sourceIdentity="alice"))
    for options in ({"sourceIdentity": "bob"}, {}):
        with refused("AccessDenied"):
            assume(bench, bench.session(CONSUMER, "caller", **options))


def test_trust_may_ask_for_the_identity_that_is_set(bench):
    caller = bench.role(CONSUMER, "caller", allow(BOTH))
    target(bench, by("AWS", CALLER, *BOTH, StringLike={"sts:SourceIdentity": "a*"}))
    assert assume(bench, caller, SourceIdentity="alice")
    with refused("AccessDenied"):
        assume(bench, caller, SourceIdentity="bob")


# Tags, durations, session policies


def test_transitive_tags_need_tag_session_on_both_sides(bench):
    bench.role(CONSUMER, "caller", allow(["sts:AssumeRole", "sts:TagSession"]))
    target(bench, by("AWS", CALLER))
    tagged = bench.session(CONSUMER, "caller", tags={"cluster": "one"})
    with refused("AccessDenied", "sts:TagSession"):
        assume(bench, tagged)
    trust = document(by("AWS", CALLER, "sts:AssumeRole", "sts:TagSession", StringEquals={"aws:PrincipalTag/cluster": "one"}))
    bench.admin(PRODUCER, "iam").update_assume_role_policy(RoleName="target", PolicyDocument=trust)
    assert assume(bench, tagged)
    with refused("AccessDenied"):
        assume(bench, bench.session(CONSUMER, "caller", tags={"cluster": "two"}))


def test_a_chained_session_lasts_an_hour_at_most(bench):
    caller = bench.role(CONSUMER, "caller", allow("sts:AssumeRole"))
    target(bench, by("AWS", CONSUMER), MaxSessionDuration=7200)
    with refused("ValidationError", "role chaining"):
        assume(bench, caller, DurationSeconds=3601)
    expiration = assume(bench, caller, DurationSeconds=3600)["Credentials"]["Expiration"]
    assert expiration - datetime.datetime.now(datetime.UTC) < datetime.timedelta(seconds=3601)
    admin = bench.post("credentials", account=CONSUMER, admin=True)
    assert assume(bench, admin, DurationSeconds=7200)
    with refused("ValidationError", "MaxSessionDuration"):
        assume(bench, admin, DurationSeconds=7201)


@pytest.mark.parametrize(
    "options",
    [
        {"DurationSeconds": 899},
        {"RoleSessionName": "x"},
        {"RoleSessionName": "a b"},
        {"ExternalId": "x"},
        {"SourceIdentity": "aws:alice"},
        {"SourceIdentity": "a"},
    ],
)
def test_parameters_are_checked(bench, options):
    caller = bench.role(CONSUMER, "caller", allow(BOTH))
    target(bench, by("AWS", CALLER, *BOTH))
    with refused("ValidationError"):
        bench.client(caller, "sts").assume_role(**{"RoleArn": TARGET, "RoleSessionName": "test", **options})


def test_a_session_policy_only_takes_away(bench):
    caller = bench.role(CONSUMER, "caller", allow("sts:AssumeRole"))
    target(bench, by("AWS", CALLER))
    bench.admin(PRODUCER, "iam").put_role_policy(
        RoleName="target", PolicyName="p", PolicyDocument=document(allow("ec2:Describe*"))
    )
    session = bench.assumed(assume(bench, caller, Policy=document(allow(["ec2:DescribeVpcs", "iam:*"]))))
    assert bench.client(session, "ec2").describe_vpcs()
    with refused("UnauthorizedOperation", "no session policy allows"):
        bench.client(session, "ec2").describe_subnets()
    with refused("AccessDenied", "no identity-based policy allows"):
        bench.client(session, "iam").list_roles()


def test_a_session_policy_must_be_one(bench):
    caller = bench.role(CONSUMER, "caller", allow("sts:AssumeRole"))
    target(bench, by("AWS", CALLER))
    with refused("MalformedPolicyDocument"):
        assume(bench, caller, Policy="{")


def test_sessions_end(bench):
    session = bench.role(PRODUCER, "mine", allow("ec2:*"))
    assert bench.client(session, "ec2").describe_vpcs()
    bench.post("sessions/expire", account=PRODUCER, role="mine")
    with refused("ExpiredToken"):
        bench.client(session, "sts").get_caller_identity()
    with refused("RequestExpired"):
        bench.client(session, "ec2").describe_vpcs()


def test_the_sessions_of_a_deleted_role_are_void(bench):
    session = bench.role(PRODUCER, "mine")
    bench.admin(PRODUCER, "iam").delete_role(RoleName="mine")
    with refused("InvalidClientTokenId"):
        bench.client(session, "sts").get_caller_identity()
    again = bench.role(PRODUCER, "mine")
    assert bench.client(again, "sts").get_caller_identity()
    with refused("InvalidClientTokenId"):
        bench.client(session, "sts").get_caller_identity()


def test_a_new_role_is_not_known_everywhere_at_once(bench):
    bench.post("settings", iam_propagation_seconds=60)
    caller = bench.role(CONSUMER, "caller", allow("sts:AssumeRole"))
    iam = bench.admin(PRODUCER, "iam")
    with refused("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{CALLER}"'):
        iam.create_role(RoleName="target", AssumeRolePolicyDocument=document(by("AWS", CALLER)))
    target(bench, by("AWS", CONSUMER))
    assert iam.get_role(RoleName="target")
    with refused("AccessDenied"):
        assume(bench, caller)
    bench.post("settings", iam_propagation_seconds=0)
    iam.update_assume_role_policy(RoleName="target", PolicyDocument=document(by("AWS", CALLER)))
    assert assume(bench, caller)


def test_partitions_do_not_mix(bench):
    china = bench.post("credentials", account=PRODUCER, admin=True, partition="aws-cn")
    assert bench.client(china, "sts", "cn-north-1").get_caller_identity()["Arn"].startswith("arn:aws-cn:")
    with refused("InvalidClientTokenId"):
        bench.client(china, "sts").get_caller_identity()
