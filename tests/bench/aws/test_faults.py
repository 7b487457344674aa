"""Faults on order: each is done to the call that it was ordered for, and to no other."""

import concurrent.futures
import time

import pytest
import requests
from botocore.exceptions import ConnectionClosedError, ConnectionError, HTTPClientError, ReadTimeoutError

from .client import CONSUMER, PRODUCER
from .testing import refused


def order(bench, kind, action="ec2:CreateTags", **options):
    bench.post("faults", kind=kind, action=action, **options)


def tag(world, value="1", ec2=None):
    return (ec2 or world.c_ec2).create_tags(Resources=[world.c.vpcId], Tags=[{"Key": "a", "Value": value}])


def tagged(world):
    found = world.c_ec2.describe_vpcs(VpcIds=[world.c.vpcId])["Vpcs"][0]["Tags"]
    return found[0]["Value"] if found else None


def last(bench):
    return bench.get("calls")[-1]


@pytest.fixture
def quiet(bench, world):
    bench.post("calls/clear")
    return world


@pytest.mark.parametrize(
    "service, call, code, status",
    [
        ("ec2", lambda c: c.describe_vpcs(), "RequestLimitExceeded", 503),
        ("iam", lambda c: c.list_roles(), "Throttling", 400),
        ("sts", lambda c: c.get_caller_identity(), "Throttling", 400),
        ("redshift", lambda c: c.describe_clusters(), "Throttling", 400),
        ("sagemaker", lambda c: c.list_domains(), "ThrottlingException", 400),
    ],
)
def test_throttling_in_the_words_of_each_service(bench, service, call, code, status):
    client = bench.admin(PRODUCER, service)
    order(bench, "throttle", "*")
    with refused(code, status=status):
        call(client)
    assert call(client)


@pytest.mark.parametrize(
    "service, call, code, status",
    [
        ("ec2", lambda c: c.describe_vpcs(), "UnauthorizedOperation", 403),
        ("iam", lambda c: c.list_roles(), "AccessDenied", 403),
        ("sagemaker", lambda c: c.list_domains(), "AccessDeniedException", 400),
    ],
)
def test_denials(bench, service, call, code, status):
    client = bench.admin(PRODUCER, service)
    order(bench, "deny", "*")
    order(bench, "deny_scp", "*")
    with refused(code, "identity-based policy", status):
        call(client)
    with refused(code, "with an explicit deny in a service control policy", status):
        call(client)
    assert call(client)


@pytest.mark.parametrize(
    "service, call, code",
    [("ec2", lambda c: c.describe_vpcs(), "InternalError"), ("iam", lambda c: c.list_roles(), "ServiceFailure")],
)
def test_server_errors(bench, service, call, code):
    order(bench, "error500", "*")
    with refused(code, status=500):
        call(bench.admin(PRODUCER, service))


@pytest.mark.parametrize("kind, executed", [("error500", False), ("error500_after", True)])
def test_an_error_tells_nothing_of_what_was_done(bench, quiet, kind, executed):
    order(bench, kind)
    with refused("InternalError"):
        tag(quiet)
    entry = last(bench)
    assert (entry["executed"], entry["fault"], entry["status"], entry["error"]) == (executed, kind, 500, "InternalError")
    assert tagged(quiet) == ("1" if executed else None)


@pytest.mark.parametrize("kind, executed", [("lost_request", False), ("lost_answer", True)])
def test_a_connection_cut_off(bench, quiet, kind, executed):
    order(bench, kind)
    with pytest.raises((ConnectionClosedError, ConnectionError, HTTPClientError)):
        tag(quiet)
    entry = last(bench)
    assert (entry["executed"], entry["status"]) == (executed, None)
    assert tagged(quiet) == ("1" if executed else None)


def test_a_call_that_arrives_late(bench, quiet):
    order(bench, "late", seconds=0.5)
    started = time.monotonic()
    with pytest.raises((ConnectionClosedError, ConnectionError, HTTPClientError)):
        tag(quiet)
    assert time.monotonic() - started < 0.4
    tag(quiet, "2")
    assert tagged(quiet) == "2"
    time.sleep(0.7)
    assert tagged(quiet) == "1"


def test_nothing_late_arrives_after_a_reset(bench, quiet):
    order(bench, "late", "ec2:CreateVpc", seconds=0.3)
    with pytest.raises((ConnectionClosedError, ConnectionError, HTTPClientError)):
        quiet.c_ec2.create_vpc(CidrBlock="10.99.0.0/16")
    bench.post("reset")
    time.sleep(0.5)
    assert len(bench.admin(CONSUMER, "ec2").describe_vpcs()["Vpcs"]) == 1


def test_a_slow_answer(bench, quiet):
    order(bench, "delay", seconds=0.4)
    started = time.monotonic()
    tag(quiet)
    assert time.monotonic() - started > 0.4
    impatient = bench.client(quiet.made["consumer"]["admin"], "ec2", timeout=0.2)
    order(bench, "delay", seconds=0.4)
    with pytest.raises(ReadTimeoutError):
        tag(quiet, "2", impatient)
    time.sleep(0.4)
    assert tagged(quiet) == "2"


# Which call


def test_the_nth_and_how_many(bench, quiet):
    order(bench, "throttle", nth=2, times=2)
    outcomes = []
    for number in range(5):
        quiet.c_ec2.describe_vpcs()
        try:
            tag(quiet, str(number))
            outcomes.append("ok")
        except quiet.c_ec2.exceptions.ClientError:
            outcomes.append("throttled")
    assert outcomes == ["ok", "throttled", "throttled", "ok", "ok"]


def test_writes_only(bench, quiet):
    order(bench, "throttle", "write")
    quiet.c_ec2.describe_vpcs()
    bench.admin(CONSUMER, "sts").get_caller_identity()
    with refused("RequestLimitExceeded"):
        tag(quiet)
    assert [c["write"] for c in bench.get("calls")] == [False, False, True]


def test_one_account_only(bench, quiet):
    order(bench, "throttle", "*", account=PRODUCER)
    quiet.c_ec2.describe_vpcs()
    with refused("RequestLimitExceeded"):
        quiet.p_ec2.describe_vpcs()


def test_orders_are_taken_back(bench, quiet):
    order(bench, "throttle", times=100)
    bench.delete("faults")
    assert tag(quiet)


def test_faults_come_before_permissions(bench, quiet):
    nobody = bench.client(bench.role(CONSUMER, "nobody"), "ec2")
    order(bench, "throttle")
    with refused("RequestLimitExceeded"):
        tag(quiet, ec2=nobody)
    with refused("UnauthorizedOperation"):
        tag(quiet, ec2=nobody)


def test_nonsense_is_refused(bench):
    for body in ({"kind": "nonsense"}, {"kind": "throttle", "nth": 0}, {"kind": "throttle", "colour": "red"}):
        assert requests.post(f"{bench.url}/_bench/faults", json=body).status_code == 400


# Holding


@pytest.mark.parametrize("kind, done", [("hold_before", None), ("hold_after", "1")])
def test_a_held_call_waits_to_be_let_go(bench, quiet, kind, done):
    order(bench, kind)
    assert bench.get("held") is None
    with concurrent.futures.ThreadPoolExecutor() as pool:
        call = pool.submit(tag, quiet)
        held = bench.get("held", wait=5)
        assert (held["action"], held["account"], held["kind"]) == ("ec2:CreateTags", CONSUMER, kind)
        # Others are not held up.
        assert tagged(quiet) == done and not call.done()
        assert bench.post("release") == {"released": 1}
        assert call.result(5)
    assert tagged(quiet) == "1" and bench.get("held") is None


@pytest.mark.parametrize("kind, done", [("hold_before", None), ("hold_after", "1")])
def test_a_caller_that_died_meanwhile(bench, quiet, kind, done):
    order(bench, kind)
    impatient = bench.client(quiet.made["consumer"]["admin"], "ec2", timeout=0.2)
    with pytest.raises(ReadTimeoutError):
        tag(quiet, ec2=impatient)
    impatient.close()
    assert bench.get("held", wait=5)
    bench.post("release")
    time.sleep(0.2)
    assert tagged(quiet) == done
    assert bench.get("calls")[0]["executed"] is (done is not None)
