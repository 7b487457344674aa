"""Statements of the Data API on a real database (docs/aws-behaviour.md#statements)."""

import json

import pytest
import requests

from .client import CONSUMER, PRODUCER, allow, deny
from .sql_testing import ACTIONS, Sql, as_admin, as_role, cluster
from .testing import refused


@pytest.fixture
def sql(bench, world):
    return as_role(bench)


@pytest.fixture
def admin(bench, world):
    return as_admin(bench)


# What comes back


def test_a_statement_runs_and_gives_rows(sql):
    described = sql.ok("select 1 as one, 'a' as text union all select 2, null order by 1")
    assert described["HasResultSet"] and described["ResultRows"] == 2 and described["ResultSize"] > 0
    assert described["Duration"] > 0 and described["RedshiftPid"] and described["RedshiftQueryId"]
    assert described["QueryString"].startswith("select 1") and "Error" not in described
    answer = sql.client.get_statement_result(Id=described["Id"])
    assert answer["TotalNumRows"] == 2 and "NextToken" not in answer
    assert [(c["name"], c["typeName"]) for c in answer["ColumnMetadata"]] == [("one", "int4"), ("text", "varchar")]
    assert answer["Records"] == [[{"longValue": 1}, {"stringValue": "a"}], [{"longValue": 2}, {"isNull": True}]]


def test_values_have_their_kinds(sql):
    row = sql.rows(
        "select true, 2::smallint, 3::bigint, 1.50::decimal(10,2), 0.5::float8, date '2026-01-02', "
        "timestamp '2026-01-02 03:04:05', 'x'::char(3)"
    )[0]
    assert row == (True, 2, 3, "1.50", 0.5, "2026-01-02", "2026-01-02 03:04:05", "x  ")


def test_times_are_seconds_as_numbers(bench, sql):
    """The Rust SDK takes nothing else."""
    target = {"X-Amz-Target": "RedshiftData.DescribeStatement"}
    signed = {"Authorization": _signature(sql), "X-Amz-Security-Token": sql.client._request_signer._credentials.token}
    body = json.dumps({"Id": sql.ok("select 1")["Id"]})
    answer = requests.post(bench.url, data=body, headers={**target, **signed}).json()
    assert isinstance(answer["CreatedAt"], (int, float)) and isinstance(answer["Duration"], int)


def _signature(sql):
    key = sql.client._request_signer._credentials.access_key
    return f"AWS4-HMAC-SHA256 Credential={key}/20260101/eu-west-1/redshift-data/aws4_request, SignedHeaders=host, Signature=x"


def test_what_a_statement_changes_stays(admin):
    assert admin.ok("create table t (i int)")["HasResultSet"] is False
    inserted = admin.ok("insert into t select * from generate_series(1, 5)")
    assert (inserted["ResultRows"], inserted["HasResultSet"]) == (5, False)
    assert admin.rows("select count(*) from t") == [(5,)]
    with refused("ResourceNotFoundException", "Query does not have result"):
        admin.client.get_statement_result(Id=inserted["Id"])


def test_a_failure_is_a_status_with_the_databases_words(sql):
    described = sql.run("select * from no_such_table")
    assert described["Status"] == "FAILED" and not described["HasResultSet"]
    assert described["Error"].startswith('ERROR: relation "no_such_table" does not exist')
    assert sql.error("selec 1").startswith('ERROR: syntax error at or near "selec"')
    assert "cannot insert multiple commands" in sql.error("select 1; select 2")
    with refused("ResourceNotFoundException", "Query does not have result"):
        sql.client.get_statement_result(Id=described["Id"])


def test_results_come_in_pages(bench, sql):
    bench.post("settings", result_page_rows=2)
    identifier = sql.ok("select * from generate_series(1, 5)")["Id"]
    pages = list(sql.client.get_paginator("get_statement_result").paginate(Id=identifier))
    assert [[row[0]["longValue"] for row in page["Records"]] for page in pages] == [[1, 2], [3, 4], [5]]
    with refused("ValidationException", "NextToken"):
        sql.client.get_statement_result(Id=identifier, NextToken="nonsense")


def test_results_have_limits(bench, sql):
    assert "Packet for query is too large" in sql.error("select repeat('x', 70000)")
    bench.post("settings", result_bytes=1000)
    assert "Database response exceeded size limit" in sql.error("select repeat('x', 100) from generate_series(1, 20)")


def test_backslashes_escape_in_literals_or_not(bench, sql):
    assert sql.rows(r"select 'it\'s', 'a\\b'") == [("it's", "a\\b")]
    bench.post("settings", standard_conforming_strings=True)
    assert sql.rows(r"select 'a\\b'") == [(r"a\\b",)]
    assert "unterminated" in sql.error(r"select 'it\'s'")


# Parameters


def test_parameters_are_values(sql):
    given = [{"name": "who", "value": "o'neill \\"}, {"name": "n", "value": "2"}]
    assert sql.rows("select :who, :n::int + 1, ':who', 'x'::varchar -- :who", Parameters=given) == [
        ("o'neill \\", 3, ":who", "x")
    ]


@pytest.mark.parametrize("given", [[("a", "1"), ("b", "2")], [("b", "1")], [("a", "")], [("a-b", "1")], [("a", "1")] * 2])
def test_parameters_are_checked(sql, given):
    with refused("ValidationException"):
        sql.start("select :a", Parameters=[{"name": name, "value": value} for name, value in given])


# Batches


def test_a_batch_is_one_transaction(admin):
    made = admin.batch("create table t (i int)", "insert into t values (1)", "select * from t")
    assert made["Status"] == "FINISHED" and made["ExecutionMode"] == "TRANSACTION" and made["HasResultSet"]
    assert [s["Id"] for s in made["SubStatements"]] == [f"{made['Id']}:{n}" for n in (1, 2, 3)]
    assert [s["HasResultSet"] for s in made["SubStatements"]] == [False, False, True]
    assert admin.client.get_statement_result(Id=f"{made['Id']}:3")["Records"] == [[{"longValue": 1}]]
    assert admin.client.describe_statement(Id=f"{made['Id']}:2")["ResultRows"] == 1
    with refused("ResourceNotFoundException"):
        admin.client.get_statement_result(Id=made["Id"])
    with refused("ResourceNotFoundException"):
        admin.client.describe_statement(Id=f"{made['Id']}:4")

    failed = admin.batch("insert into t values (2)", "select * from nope", "insert into t values (3)")
    assert failed["Status"] == "FAILED" and 'relation "nope" does not exist' in failed["Error"]
    assert [s["Status"] for s in failed["SubStatements"]] == ["FINISHED", "FAILED", "ABORTED"]
    assert admin.rows("select * from t") == [(1,)]


def test_a_batch_may_commit_each_statement(admin):
    admin.ok("create table t (i int)")
    made = admin.batch("insert into t values (1)", "select * from nope", "insert into t values (2)", ExecutionMode="AUTO_COMMIT")
    assert made["Status"] == "FAILED"
    assert [s["Status"] for s in made["SubStatements"]] == ["FINISHED", "FAILED", "FINISHED"]
    assert admin.rows("select * from t order by 1") == [(1,), (2,)]


# What is refused


@pytest.mark.parametrize(
    "options, text",
    [
        ({"Sql": " "}, "Sql"),
        ({"Sql": "select '" + "x" * 100_000 + "'"}, "larger than 100kB"),
        ({"ClusterIdentifier": None}, "Either ClusterIdentifier"),
        ({"ClusterIdentifier": "none"}, "Redshift endpoint doesn't exist in this region."),
        ({"Database": None}, "Database"),
        ({"StatementName": "x" * 2049}, "StatementName"),
        ({"ClientToken": "x" * 65}, "ClientToken"),
        ({"WaitTimeSeconds": 31}, "WaitTimeSeconds"),
        ({"ResultFormat": "XML"}, "ResultFormat"),
    ],
)
def test_wrong_requests_are_refused(bench, world, options, text):
    sql = as_admin(bench)
    request = {**sql.target, "DbUser": "admin", "Sql": "select 1", **options}
    with refused("ValidationException", text, 400):
        sql.client.execute_statement(**{name: value for name, value in request.items() if value is not None})
    assert sql.client.list_statements(Status="ALL")["Statements"] == []


def test_a_batch_has_from_1_to_40_statements(sql):
    for number in (0, 41):
        with refused("ValidationException", "40"):
            sql.client.batch_execute_statement(Sqls=["select 1"] * number, **sql.target)
    with refused("ValidationException", "ExecutionMode"):
        sql.client.batch_execute_statement(Sqls=["select 1"], ExecutionMode="NONE", **sql.target)


@pytest.mark.parametrize("options", [{"SecretArn": "s"}, {"SessionKeepAliveSeconds": 60}, {"WorkgroupName": "w"}])
def test_what_is_not_there_is_no_outage(sql, options):
    with refused("NotImplemented", status=501):
        sql.start("select 1", **options)


def test_a_cluster_that_is_not_available_runs_nothing(bench, sql):
    for status in ("paused", "creating", "rebooting", "resizing"):
        bench.post("cluster", **cluster(status=status))
        with refused("ValidationException", status):
            sql.start("select 1")
    for status in ("available", "available, prep-for-resize", "modifying"):
        bench.post("cluster", **cluster(status=status))
        sql.ok("select 1")


def test_active_statements_are_limited(bench, sql):
    bench.post("settings", active_statements_per_cluster=2)
    running = [sql.start("select pg_sleep(20)") for _ in range(2)]
    with refused("ActiveStatementsExceededException", "(2)", 400):
        sql.start("select 1")
    sql.until(running[0], "STARTED")
    sql.client.cancel_statement(Id=running[0])
    sql.ended(running[0])
    sql.ok("select 1")


# Who


def test_an_iam_identity_is_a_user_made_at_its_first_use(sql, admin):
    assert sql.rows("select current_user") == [("IAMR:runner",)]
    assert sql.ok("select 1")["DbUser"] == "IAMR:runner"
    admin.ok("create table secret as select 1 as i")
    assert "permission denied for table secret" in sql.error("select * from secret")
    admin.ok('grant select on secret to "IAMR:runner"')
    assert sql.rows("select * from secret") == [(1,)]


def test_a_role_may_have_the_longest_name(bench, world):
    sql = as_role(bench, "r" * 64)
    for _ in range(2):
        assert sql.ok("select 1")["DbUser"] == "IAMR:" + "r" * 64
    assert sql.rows("select count(*) from sys_query_history") == [(2,)]


def test_a_database_user_must_exist(sql, admin):
    assert 'password authentication failed for user "etl"' in sql.error("select 1", DbUser="etl")
    admin.ok("create user etl")
    assert sql.rows("select current_user", DbUser="etl") == [("etl",)]
    for nobody in ("rdsdb", "pg_read_all_data"):
        assert "authentication failed" in sql.error("select 1", DbUser=nobody)


def test_a_database_must_exist(sql, admin):
    for name in ("none", "template1", "postgres"):
        assert f'database "{name}" does not exist' in sql.error("select 1", Database=name)
    admin.ok("create database other")
    assert sql.rows("select current_database()", Database="other") == [("other",)]
    assert sql.rows("select current_database()", Database="dev") == [("dev",)]


ON_CLUSTER = f"arn:aws:redshift:eu-west-1:{PRODUCER}:cluster:warehouse"
ON_DATABASE = f"arn:aws:redshift:eu-west-1:{PRODUCER}:dbname:warehouse/analytics"
ON_USER = f"arn:aws:redshift:eu-west-1:{PRODUCER}:dbuser:warehouse/etl"


@pytest.mark.parametrize(
    "user, statements, missing",
    [
        (None, [allow(ACTIONS[1:])], "redshift-data:ExecuteStatement"),
        (None, [allow(ACTIONS[0], ON_CLUSTER + "x"), allow(ACTIONS[1:])], "redshift-data:ExecuteStatement"),
        (None, [allow(ACTIONS[0], ON_CLUSTER)], "redshift:GetClusterCredentialsWithIAM"),
        (None, [allow(ACTIONS[0]), allow(ACTIONS[2], ON_DATABASE + "x")], "redshift:GetClusterCredentialsWithIAM"),
        ("etl", [allow(ACTIONS[0]), allow(ACTIONS[1], ON_DATABASE)], "redshift:GetClusterCredentials"),
        ("etl", [allow(ACTIONS[0]), allow(ACTIONS[1], ON_USER)], "redshift:GetClusterCredentials"),
        ("etl", [allow(ACTIONS), deny(ACTIONS[1], StringEquals={"redshift:DbUser": "etl"})], "redshift:GetClusterCredentials"),
    ],
)
def test_running_needs_permissions_on_cluster_database_and_user(bench, world, user, statements, missing):
    sql = as_role(bench, "runner", *statements)
    with refused("AccessDeniedException", f"not authorized to perform: {missing} on resource", 400):
        sql.start("select 1", **({"DbUser": user} if user else {}))


def test_the_least_permissions_are_enough(bench, world):
    as_admin(bench).ok("create user etl")
    least = [allow(ACTIONS[0], ON_CLUSTER), allow(ACTIONS[0], "*"), allow(ACTIONS[2], ON_DATABASE)]
    as_role(bench, "one", *least).ok("select 1")
    as_role(bench, "two", *least[:2], allow(ACTIONS[1], [ON_USER, ON_DATABASE])).ok("select 1", DbUser="etl")


# Apart from each other


def test_clusters_know_nothing_of_each_other(bench, admin):
    bench.post("world", firstPair=1)
    other = as_admin(bench, ClusterIdentifier="warehouse-1")
    for one in (admin, other):
        one.ok("create user etl")
    admin.ok("create table t as select 1 as i")
    assert 'relation "t" does not exist' in other.error("select * from t")
    stranger = Sql(bench, bench.post("credentials", account=CONSUMER, admin=True), DbUser="admin")
    with refused("ValidationException", "Redshift endpoint doesn't exist"):
        stranger.start("select 1")


def test_a_reset_empties_the_databases_and_ends_what_runs(bench, admin):
    admin.ok("create table t as select 1 as i")
    admin.ok("create user etl")
    admin.start("select pg_sleep(60)")
    bench.post("reset")
    bench.post("world")
    fresh = as_admin(bench)
    assert 'relation "t" does not exist' in fresh.error("select * from t")
    fresh.ok("create user etl")
    assert fresh.rows("select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()") == [
        (0,)
    ]
