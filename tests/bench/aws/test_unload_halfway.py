"""UNLOAD that does not get to its end, and what the cluster tells of it (docs/aws-behaviour.md#unload)."""

import time

import pytest

from .client import CONSUMER
from .sql_testing import cluster
from .testing import refused
from .unload_testing import BUCKET, ROWS, Link


@pytest.fixture
def link(bench, world):
    return Link(bench)


# Half-way


def test_a_cancelled_unload_leaves_files_and_no_manifest(bench, link):
    bench.post("settings", unload_file_seconds=0.3, unload_slices=5)
    identifier = link.start(ROWS, options="MANIFEST")
    link.until_files(1)
    link.sql.client.cancel_statement(Id=identifier)
    described = link.sql.ended(identifier)
    assert described["Status"] == "ABORTED" and "Error" not in described
    left = list(link.files())
    assert 1 <= len(left) < 5 and "out/manifest" not in left
    time.sleep(0.5)
    assert list(link.files()) == left
    assert "is not empty" in link.error(ROWS)


def test_it_may_finish_before_it_is_cancelled(bench, link):
    bench.post("settings", unload_file_seconds=0.4, statement_cancel_seconds=5)
    identifier = link.start(ROWS, options="MANIFEST")
    link.until_files(1)
    assert link.sql.client.cancel_statement(Id=identifier)["Status"] is True
    assert link.sql.ended(identifier)["Status"] == "FINISHED" and link.manifest()


@pytest.mark.parametrize("more, manifest", [(2, False), (100, True)])
def test_it_may_write_on_after_it_is_aborted(bench, link, more, manifest):
    bench.post("settings", unload_file_seconds=0.3, unload_slices=6, unload_files_after_abort=more)
    identifier = link.start("select i from generate_series(1, 12) i", options="MANIFEST")
    link.until_files(1)
    link.sql.client.cancel_statement(Id=identifier)
    assert link.sql.ended(identifier)["Status"] == "ABORTED"
    before = len(link.files())
    link.until_files(7 if manifest else before + more)
    time.sleep(0.3)
    assert ("out/manifest" in link.files()) == manifest
    assert link.sql.client.describe_statement(Id=identifier)["Status"] == "ABORTED"


def test_it_may_fail_half_way(bench, link):
    bench.post("settings", unload_slices=5, unload_fails_after_files=3)
    assert "S3ServiceException" in link.error(ROWS, options="MANIFEST")
    assert list(link.files()) == [f"out/000{n}_part_00" for n in range(3)]
    bench.post("settings", unload_fails_after_files=5)
    assert "S3ServiceException" in link.error(ROWS, prefix="again/", options="MANIFEST")
    assert len(link.files("again/")) == 5


def test_a_manifest_may_be_wrong(bench, link):
    bench.post("settings", unload_manifest="missing")
    link.ok(ROWS, options="MANIFEST")
    assert len(link.files()) == 2
    bench.post("settings", unload_manifest="short")
    link.ok(ROWS, prefix="short/", options="MANIFEST VERBOSE")
    assert len(link.files("short/")) == 3 and len(link.manifest("short/manifest")["entries"]) == 1


def test_uploads_may_be_left_unfinished(bench, link):
    bench.post("settings", unload_multipart=True)
    link.ok(ROWS, options="MANIFEST")
    assert len(link.files()) == 3 and "Uploads" not in link.s3.list_multipart_uploads(Bucket=BUCKET)
    bench.post("settings", unload_file_seconds=20)
    identifier = link.start(ROWS, prefix="again/")
    end = time.monotonic() + 10
    while "Uploads" not in (listed := link.s3.list_multipart_uploads(Bucket=BUCKET)):
        assert time.monotonic() < end
    link.sql.client.cancel_statement(Id=identifier)
    assert link.sql.ended(identifier)["Status"] == "ABORTED"
    assert [upload["Key"] for upload in listed["Uploads"]] == ["again/0000_part_00"] and link.files("again/") == {}


def test_roles_that_go_break_a_running_unload(bench, link):
    bench.post("settings", unload_file_seconds=0.5, unload_slices=4)
    identifier = link.start(ROWS)
    link.until_files(1)
    iam = bench.admin(CONSUMER, "iam")
    iam.delete_role_policy(RoleName="unload-last", PolicyName="test")
    iam.delete_role(RoleName="unload-last")
    described = link.sql.ended(identifier)
    assert described["Status"] == "FAILED" and "S3ServiceException" in described["Error"]
    assert 1 <= len(link.files()) < 4


def test_faults_of_s3_are_borne_or_end_it(bench, link):
    bench.post("faults", kind="throttle", action="s3:PutObject", times=2)
    link.ok("select 1")
    bench.post("faults", kind="error500", action="s3:PutObject", times=20)
    assert "Status 500,Error InternalError" in link.error("select 1", prefix="again/")
    bench.delete("faults")
    bench.post("faults", kind="hold_before", action="s3:PutObject", nth=2)
    identifier = link.start(ROWS, prefix="held/")
    assert bench.get("held", wait=10)["parameters"]["Key"] == "held/0001_part_00"
    assert list(link.files("held/")) == ["held/0000_part_00"]
    bench.post("release")
    assert link.sql.ended(identifier)["Status"] == "FINISHED"


def test_the_cluster_may_end_it(bench, link):
    bench.post("settings", unload_file_seconds=20)
    identifier = link.start(ROWS)
    link.sql.until(identifier, "STARTED")
    bench.post(f"statement/{identifier}", error="ERROR: Query (7) cancelled on user's request")
    described = link.sql.ended(identifier)
    assert (described["Status"], described["Error"]) == ("FAILED", "ERROR: Query (7) cancelled on user's request")
    bench.post("cluster", **cluster(status="paused"))
    with refused("ValidationException", "paused"):
        link.start(ROWS)


# What the cluster tells afterwards


def test_system_views_tell_of_unloads_to_their_user(link):
    told = link.ok(ROWS, options="CSV MANIFEST")["RedshiftQueryId"]
    failed = link.sql.run(link.text("select 1", options="CSV"))["RedshiftQueryId"]
    view = "status, unloaded_rows, unloaded_files_count, unloaded_files_size, unloaded_location, file_format"
    query = f"select query_id, {view} from sys_unload_history order by query_id"
    size = sum(len(body) for key, body in link.files().items() if key != "out/manifest")
    assert link.sql.rows(query) == [
        (told, "completed", 10, 2, size, f"s3://{BUCKET}/out/", "CSV"),
        (failed, "aborted", 0, 0, 0, f"s3://{BUCKET}/out/", "CSV"),
    ]
    names = f"select trim(path), line_count from stl_unload_log where query = {told} order by 1"
    assert link.sql.rows(names) == [(f"s3://{BUCKET}/out/000{n}_part_00", 5) for n in range(2)]
    history = "select status, query_type from sys_query_history where query_id = "
    assert link.sql.rows(history + str(told)) == [("success", "UNLOAD")]
    link.admin.ok("create user etl")
    assert link.sql.rows("select count(*) from sys_unload_history", DbUser="etl") == [(0,)]
    assert len(link.admin.rows(query)) == 2


def test_a_running_unload_is_told(bench, link):
    bench.post("settings", unload_file_seconds=0.4, unload_slices=5)
    identifier = link.start(ROWS)
    link.until_files(2)
    rows = link.sql.rows("select status, unloaded_files_count > 0 from sys_unload_history")
    assert rows == [("running", True)]
    assert link.sql.ended(identifier)["Status"] == "FINISHED"
