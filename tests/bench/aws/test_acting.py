"""Services that take on roles, and act as them, inside the process (docs/aws-behaviour.md#roles-that-a-warehouse-takes-on)."""

import pytest

from . import services, world  # noqa: F401
from .acting import REDSHIFT, assume_as_service, assume_chain, assume_next
from .client import CONSUMER, PRODUCER, REGION, allow, by, document
from .cluster_roles import set_role, usable
from .engine import Engine
from .errors import AwsError
from .faults import Fault
from .origin import Origin
from .state import state

NAME = "bench-bucket"
# moto's remark on codes that the service models do not list.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:moto")

READER, WRITER = f"arn:aws:iam::{PRODUCER}:role/unload", f"arn:aws:iam::{CONSUMER}:role/writer"
ALICE = f"arn:aws:redshift:{REGION}:{PRODUCER}:dbuser:warehouse/alice"


@pytest.fixture
def engine():
    engine = Engine()
    engine.reset()
    yield engine
    engine.reset()


def admin(engine, account, action, **params):
    return engine.perform_as(world.session(account, admin=True), action, REGION, **params)


def role(engine, arn, trust, *statements):
    account, name = arn.split(":")[4], arn.rpartition("/")[2]
    admin(engine, account, "iam:CreateRole", RoleName=name, AssumeRolePolicyDocument=document(trust))
    if statements:
        admin(engine, account, "iam:PutRolePolicy", RoleName=name, PolicyName="p", PolicyDocument=document(*statements))


def first(engine, **options):
    return assume_as_service(
        engine, **{"service": REDSHIFT, "role_arn": READER, "region": REGION, "session_name": "s1", **options}
    )


class refused:
    """The call within is refused with this code."""

    def __init__(self, code):
        self._raises = pytest.raises(AwsError)
        self._code = code

    def __enter__(self):
        self._caught = self._raises.__enter__()

    def __exit__(self, *raised):
        caught = self._raises.__exit__(*raised)
        assert self._caught.value.code == self._code, self._caught.value
        return caught


def test_the_trust_of_the_first_role_decides(engine):
    role(engine, READER, by("Service", REDSHIFT))
    session = first(engine)
    assert session.arn == f"arn:aws:sts::{PRODUCER}:assumed-role/unload/s1"
    for wrong in ({"service": "ec2.amazonaws.com"}, {"role_arn": READER + "2"}):
        with refused("AccessDenied"):
            first(engine, **wrong)


def test_a_role_that_does_not_trust_the_service(engine):
    role(engine, READER, by("AWS", PRODUCER))
    with refused("AccessDenied"):
        first(engine)


@pytest.mark.parametrize(
    "service, works", [(f"redshift.{REGION}.amazonaws.com", True), ("redshift.eu-west-2.amazonaws.com", False)]
)
def test_trust_may_be_in_one_region(engine, service, works):
    role(engine, READER, by("Service", service))
    if works:
        assert first(engine)
    else:
        with refused("AccessDenied"):
            first(engine)


@pytest.mark.parametrize(
    "condition, given, works",
    [
        ({"StringEquals": {"sts:ExternalId": ALICE}}, ALICE, True),
        ({"StringEquals": {"sts:ExternalId": ALICE}}, ALICE.replace("alice", "bob"), False),
        ({"StringEquals": {"sts:ExternalId": ALICE}}, None, False),
        ({"StringLike": {"sts:ExternalId": ALICE.replace("alice", "*")}}, ALICE, True),
        ({"StringEquals": {"aws:PrincipalAccount": PRODUCER}}, ALICE, False),
    ],
)
def test_trust_may_be_in_one_database_user(engine, condition, given, works):
    role(engine, READER, by("Service", REDSHIFT, **condition))
    if works:
        assert first(engine, external_id=given)
    else:
        with refused("AccessDenied"):
            first(engine, external_id=given)


def test_a_chain_needs_both_at_each_step(engine):
    role(engine, READER, by("Service", REDSHIFT))
    role(engine, WRITER, by("AWS", READER))
    with refused("AccessDenied"):
        assume_next(engine, first(engine), WRITER, REGION, "s1")
    policy = {"RoleName": "unload", "PolicyName": "p", "PolicyDocument": document(allow("sts:AssumeRole", WRITER))}
    admin(engine, PRODUCER, "iam:PutRolePolicy", **policy)
    session = assume_chain(engine, REDSHIFT, [READER, WRITER], REGION, "s1", ALICE)
    assert (session.account, session.arn) == (CONSUMER, f"arn:aws:sts::{CONSUMER}:assumed-role/writer/s1")
    trust = {"RoleName": "writer", "PolicyDocument": document(by("AWS", PRODUCER, StringEquals={"sts:ExternalId": ALICE}))}
    admin(engine, CONSUMER, "iam:UpdateAssumeRolePolicy", **trust)
    # The second role does not hear of the external id.
    with refused("AccessDenied"):
        assume_chain(engine, REDSHIFT, [READER, WRITER], REGION, "s1", ALICE)


def test_a_cluster_takes_on_only_roles_that_are_in_sync(engine):
    world.build(engine, {})
    at = {"account": PRODUCER, "region": REGION, "cluster_identifier": "warehouse", "role_arn": READER}
    for status, works in (("adding", False), ("in-sync", True), ("removing", False), (None, False)):
        set_role(**at, status=status)
        assert usable(**at) is works


@pytest.fixture
def writer(engine):
    """The last role of a chain, in an account with a bucket."""
    here = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    admin(engine, CONSUMER, "s3:CreateBucket", Bucket=NAME, **here)
    role(engine, READER, by("Service", REDSHIFT), allow("sts:AssumeRole", WRITER))
    role(engine, WRITER, by("AWS", READER), allow(["s3:PutObject", "s3:GetObject"], f"arn:aws:s3:::{NAME}/in/*"))
    return assume_chain(engine, REDSHIFT, [READER, WRITER], REGION, "s1", ALICE)


def test_a_session_acts_with_its_rights_and_is_recorded(engine, writer):
    engine.journal.clear()
    put = engine.perform_as(writer, "s3:PutObject", REGION, Bucket=NAME, Key="in/a", Body=b"1")
    assert put["ETag"] and engine.perform_as(writer, "s3:GetObject", REGION, Bucket=NAME, Key="in/a")["Body"] == b"1"
    with refused("AccessDenied"):
        engine.perform_as(writer, "s3:PutObject", REGION, Bucket=NAME, Key="out/a", Body=b"1")
    with refused("NoSuchBucket"):
        engine.perform_as(writer, "s3:PutObject", REGION, Bucket="no-such-bucket", Key="in/a")
    with refused("NotImplemented"):
        engine.perform_as(writer, "s3:GetBucketCors", REGION, Bucket=NAME)
    calls = engine.journal.after(0)
    assert [c["status"] for c in calls] == [200, 200, 403, 404, 501]
    assert {c["caller"] for c in calls} == {writer.arn}


def test_the_whole_chain_is_recorded(engine, writer):
    calls = [c for c in engine.journal.after(0) if c["action"] == "sts:AssumeRole"]
    assert [c["caller"] for c in calls] == [REDSHIFT, f"arn:aws:sts::{PRODUCER}:assumed-role/unload/s1"]
    assert calls[0]["parameters"]["ExternalId"] == ALICE and "ExternalId" not in calls[1]["parameters"]


def test_a_session_is_where_it_is_said_to_be(engine, writer):
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{NAME}/*"}
    condition = {"Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}}
    admin(engine, CONSUMER, "s3:PutBucketPolicy", Bucket=NAME, Policy=document({**statement, **condition}))
    put = {"Bucket": NAME, "Key": "in/a", "Body": b"1"}
    with refused("AccessDenied"):
        engine.perform_as(writer, "s3:PutObject", REGION, **put)
    assert engine.perform_as(writer, "s3:PutObject", REGION, Origin(source_vpce="vpce-1"), **put)


def test_faults_befall_it_too(engine, writer):
    put = lambda: engine.perform_as(writer, "s3:PutObject", REGION, Bucket=NAME, Key="in/a", Body=b"1")
    there = lambda: "in/a" in state.buckets[NAME].versions
    for kind, code, done in (
        ("deny", "AccessDenied", False),
        ("lost_request", "InternalError", False),
        ("throttle", "SlowDown", False),
        ("error500_after", "InternalError", True),
    ):
        engine.faults.add(Fault(kind, "s3:PutObject"))
        with refused(code):
            put()
        assert there() is done
    assert put()


def test_sessions_do_not_outlive_a_reset(engine, writer):
    engine.reset()
    with refused("InvalidAccessKeyId"):
        engine.perform_as(writer, "s3:PutObject", REGION, Bucket=NAME, Key="in/a")
