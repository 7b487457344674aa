"""The states of statements: waiting, cancelling, asking again, finding, forgetting (docs/aws-behaviour.md#statements)."""

import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest

from .client import PRODUCER, allow
from .sql_testing import ACTIONS, Sql, as_admin, as_role
from .testing import refused

LONG = "select pg_sleep(30)"
KEY = "redshift-data:statement-owner-iam-userid"


@pytest.fixture
def sql(bench, world):
    return as_role(bench)


# States and waits


def test_a_statement_goes_through_its_states(bench, sql):
    bench.post("settings", statement_submitted_seconds=0.3, statement_picked_seconds=0.3)
    answer = sql.client.execute_statement(Sql="select pg_sleep(0.3)", **sql.target)
    assert answer["Status"] == "SUBMITTED" and answer["DbUser"] == "IAMR:runner" and answer["Database"] == "analytics"
    seen = []
    while not seen or seen[-1] != "FINISHED":
        status = sql.client.describe_statement(Id=answer["Id"])["Status"]
        if status not in seen:
            seen.append(status)
        time.sleep(0.02)
    assert seen == ["SUBMITTED", "PICKED", "STARTED", "FINISHED"]


def test_a_wait_ends_with_the_statement_or_its_time(sql):
    sql.ok("select 1")
    identifier = sql.start("select pg_sleep(2.5)")
    started = time.monotonic()
    assert sql.client.describe_statement(Id=identifier, WaitTimeSeconds=1)["Status"] == "STARTED"
    assert 0.9 < time.monotonic() - started < 2.4
    assert sql.client.describe_statement(Id=identifier, WaitTimeSeconds=20)["Status"] == "FINISHED"
    assert time.monotonic() - started < 10
    answer = sql.client.execute_statement(Sql="select 1", WaitTimeSeconds=20, **sql.target)
    assert answer["Status"] == "FINISHED" and answer["HasResultSet"] and answer["RedshiftPid"]
    identifier = sql.start("select pg_sleep(0.5), 7")
    assert sql.client.get_statement_result(Id=identifier, WaitTimeSeconds=20)["Records"][0][1] == {"longValue": 7}
    with refused("ResourceNotFoundException", "Query does not have result"):
        sql.client.get_statement_result(Id=sql.start("select pg_sleep(3)"), WaitTimeSeconds=1)


def test_others_are_served_during_a_wait(bench, sql):
    identifier = sql.start("select pg_sleep(1.5)")
    waiting = bench.client(bench.session(PRODUCER, "runner"), "redshift-data")
    with ThreadPoolExecutor() as pool:
        described = pool.submit(waiting.describe_statement, Id=identifier, WaitTimeSeconds=20)
        time.sleep(0.2)
        assert not described.done() and sql.client.describe_statement(Id=identifier)["Status"] == "STARTED"
        assert described.result()["Status"] == "FINISHED"


def test_waits_for_one_statement_are_limited(bench, sql):
    bench.post("settings", waiting_requests_per_statement=0)
    identifier = sql.start(LONG)
    with refused("ActiveWaitingRequestsExceededException", status=400):
        sql.client.describe_statement(Id=identifier, WaitTimeSeconds=1)
    assert sql.client.describe_statement(Id=identifier)["Status"]
    for seconds in (0, 31):
        with refused("ValidationException"):
            sql.client.describe_statement(Id=identifier, WaitTimeSeconds=seconds)


# Cancelling


def test_a_running_statement_is_cancelled(sql):
    identifier = sql.start(LONG)
    sql.until(identifier, "STARTED")
    assert sql.client.cancel_statement(Id=identifier)["Status"] is True
    assert sql.ended(identifier)["Status"] == "ABORTED"
    with refused("ValidationException", f"Could not cancel a query that is already in ABORTED state with ID: {identifier}"):
        sql.client.cancel_statement(Id=identifier)


def test_a_statement_that_does_not_hear_is_asked_again(sql):
    # It takes the first request for nothing, as PostgreSQL does with one that comes just before a command begins.
    deaf = "begin perform pg_sleep(30); exception when query_canceled then null; end;"
    identifier = sql.start(f"do $$ begin {deaf} perform pg_sleep(30); end $$")
    sql.until(identifier, "STARTED")
    time.sleep(1)
    sql.client.cancel_statement(Id=identifier)
    assert sql.ended(identifier)["Status"] == "ABORTED"


def test_only_a_running_statement_can_be_cancelled(bench, sql):
    for status, setting in (("SUBMITTED", "statement_submitted_seconds"), ("PICKED", "statement_picked_seconds")):
        bench.post("settings", **{setting: 1})
        identifier = sql.start("select 1")
        sql.until(identifier, status)
        with refused("ValidationException", f"already in {status} state"):
            sql.client.cancel_statement(Id=identifier)
        bench.post("settings", **{setting: 0})
    with refused("ValidationException", "already in FINISHED state"):
        sql.client.cancel_statement(Id=sql.ok("select 1")["Id"])
    with refused("ValidationException", "already in FAILED state"):
        sql.client.cancel_statement(Id=sql.run("select x")["Id"])


def test_a_statement_may_finish_before_it_is_cancelled(bench, sql):
    # That the server is there already: starting it is not to be taken for running the statement.
    sql.ok("select 1")
    bench.post("settings", statement_cancel_seconds=2)
    identifier = sql.start("select pg_sleep(0.5)")
    sql.until(identifier, "STARTED")
    assert sql.client.cancel_statement(Id=identifier)["Status"] is True
    assert sql.client.describe_statement(Id=identifier)["Status"] == "STARTED"
    assert sql.ended(identifier)["Status"] == "FINISHED"


def test_a_cancelled_batch_leaves_nothing(bench, sql):
    identifier = sql.client.batch_execute_statement(Sqls=["create table t (i int)", LONG, "select 1"], **sql.target)["Id"]
    deadline = time.monotonic() + 10
    while sql.client.describe_statement(Id=identifier)["SubStatements"][1]["Status"] != "STARTED":
        assert time.monotonic() < deadline
    sql.client.cancel_statement(Id=identifier)
    assert sql.ended(identifier)["Status"] == "ABORTED"
    statuses = [s["Status"] for s in sql.client.describe_statement(Id=identifier)["SubStatements"]]
    assert statuses == ["FINISHED", "ABORTED", "ABORTED"]
    assert 'relation "t" does not exist' in sql.error("select * from t")


def test_the_cluster_may_end_a_statement(bench, sql):
    identifier = sql.start(LONG)
    sql.until(identifier, "STARTED")
    text = "ERROR: Query (1234) cancelled by WLM abort action of Query Monitoring Rule"
    bench.post(f"statement/{identifier}", error=text)
    described = sql.ended(identifier)
    assert (described["Status"], described["Error"]) == ("FAILED", text)


# Asking again


def test_the_same_token_runs_once(bench, sql):
    as_admin(bench).ok("create table t (i int)")
    as_admin(bench).ok("grant insert, select on t to public")
    first = sql.start("insert into t values (1)", ClientToken="token")
    sql.ended(first)
    assert sql.start("insert into t values (1)", ClientToken="token") == first
    assert sql.rows("select count(*) from t") == [(1,)]
    assert sql.start("select 1", ClientToken="Token") != first
    bench.post("settings", repeated_token_gives_original_id=False)
    again = sql.start("insert into t values (1)", ClientToken="token")
    assert again != first
    with refused("ResourceNotFoundException"):
        sql.client.describe_statement(Id=again)
    assert sql.rows("select count(*) from t") == [(1,)]


@pytest.mark.parametrize("changed", [{"Sql": "select 2"}, {"StatementName": "b"}, {"Database": "dev"}])
def test_the_same_token_with_another_request_is_refused(bench, sql, changed):
    request = {"Sql": "select 1", "StatementName": "a", "ClientToken": "token", **sql.target}
    first = sql.client.execute_statement(**request)["Id"]
    with refused("ValidationException", "token"):
        sql.client.execute_statement(**{**request, **changed})
    assert sql.client.execute_statement(**request, WaitTimeSeconds=5)["Id"] == first
    bench.post("settings", changed_request_with_token_is_refused=False)
    assert sql.client.execute_statement(**{**request, **changed})["Id"] == first


def test_a_refused_request_leaves_its_token_free(sql):
    with refused("ValidationException"):
        sql.start("select 1", ClientToken="token", ClusterIdentifier="none")
    sql.ended(sql.start("select 1", ClientToken="token"))


def test_a_token_is_remembered_for_8_hours(bench, sql):
    first = sql.start("select 1", ClientToken="token")
    bench.post("settings", clock_ahead_seconds=8 * 3600 - 60)
    assert sql.start("select 1", ClientToken="token") == first
    bench.post("settings", clock_ahead_seconds=8 * 3600)
    assert sql.start("select 1", ClientToken="token") != first


# Finding and forgetting


def listed(sql, **options):
    return [s["Id"] for s in sql.client.list_statements(**options)["Statements"]]


def test_only_finished_statements_are_listed_unless_asked(sql):
    finished, failed = sql.ok("select 1")["Id"], sql.run("select x")["Id"]
    running = sql.start(LONG)
    sql.until(running, "STARTED")
    assert listed(sql) == [finished]
    assert listed(sql, Status="ALL") == [running, failed, finished]
    assert listed(sql, Status="FAILED") == [failed] and listed(sql, Status="STARTED") == [running]
    with refused("ValidationException", "Status"):
        listed(sql, Status="DONE")


def test_names_are_found_by_their_beginning(sql):
    named = {name: sql.ok("select 1", StatementName=name)["Id"] for name in ("job/1;", "job/10;", "JOB/1;")}
    assert listed(sql, StatementName="job/1") == [named["job/10;"], named["job/1;"]]
    assert listed(sql, StatementName="job/1;") == [named["job/1;"]]
    assert listed(sql, StatementName="ob/1") == []
    item = sql.client.list_statements(StatementName="job/1;")["Statements"][0]
    assert (item["StatementName"], item["QueryString"], item["IsBatchStatement"]) == ("job/1;", "select 1", False)
    assert listed(sql, ClusterIdentifier="warehouse", Database="dev") == []
    assert len(listed(sql, ClusterIdentifier="warehouse", Database="analytics")) == 3


def test_listings_come_in_pages_that_new_statements_do_not_move(sql):
    made = [sql.ok("select 1")["Id"] for _ in range(5)]
    page = sql.client.list_statements(MaxResults=2)
    found = [s["Id"] for s in page["Statements"]]
    sql.ok("select 1")
    while "NextToken" in page:
        page = sql.client.list_statements(MaxResults=2, NextToken=page["NextToken"])
        found += [s["Id"] for s in page["Statements"]]
    assert found == made[::-1]
    for options in ({"MaxResults": 101}, {"NextToken": "nonsense"}):
        with refused("ValidationException"):
            sql.client.list_statements(**options)


def test_statements_are_forgotten_after_a_day(bench, sql):
    identifier = sql.ok("select 1")["Id"]
    bench.post("settings", clock_ahead_seconds=24 * 3600 - 60)
    assert listed(sql) == [identifier] and sql.client.describe_statement(Id=identifier)
    bench.post("settings", clock_ahead_seconds=24 * 3600)
    assert listed(sql) == []
    for call in (sql.client.describe_statement, sql.client.get_statement_result, sql.client.cancel_statement):
        with refused("ResourceNotFoundException", status=400):
            call(Id=identifier)


def test_the_clock_of_answers_is_moved_and_credentials_last(bench, sql):
    bench.post("settings", clock_ahead_seconds=7 * 24 * 3600)
    answer = sql.client.list_statements()
    date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert date.timestamp() - time.time() > 6 * 24 * 3600


# Whose


def test_only_the_role_that_ran_a_statement_knows_of_it(bench, sql):
    identifier = sql.ok("select 1")["Id"]
    other = as_role(bench, "other")
    for call in (other.client.describe_statement, other.client.get_statement_result, other.client.cancel_statement):
        with refused("ResourceNotFoundException", "Query does not exist"):
            call(Id=identifier)
    assert listed(other, Status="ALL") == []
    again = Sql(bench, bench.session(PRODUCER, "runner", sessionName="another"))
    assert again.client.describe_statement(Id=identifier)["Status"] == "FINISHED"
    assert listed(again) == [identifier] and listed(again, RoleLevel=False) == []
    with refused("ResourceNotFoundException"):
        bench.client(bench.session(PRODUCER, "runner"), "redshift-data", "eu-west-2").describe_statement(Id=identifier)


def test_a_role_made_anew_does_not_know_the_statements_of_the_old(bench, sql):
    identifier = sql.ok("select 1")["Id"]
    iam = bench.admin(PRODUCER, "iam")
    iam.delete_role_policy(RoleName="runner", PolicyName="test")
    iam.delete_role(RoleName="runner")
    with refused("ResourceNotFoundException"):
        as_role(bench).client.describe_statement(Id=identifier)


def test_policies_may_ask_whose_statement_it_is(bench, world):
    run = [allow("redshift-data:ExecuteStatement"), allow(ACTIONS[1:])]
    own = allow(["redshift-data:DescribeStatement", "redshift-data:ListStatements"], StringEquals={KEY: "${aws:userid}"})
    sql = as_role(bench, "runner", *run, own)
    identifier = sql.start("select 1")
    assert sql.ended(identifier)["Status"] == "FINISHED" and listed(sql) == [identifier]
    another = Sql(bench, bench.session(PRODUCER, "runner", sessionName="another"))
    with refused("AccessDeniedException", "redshift-data:DescribeStatement"):
        another.client.describe_statement(Id=identifier)
    with refused("AccessDeniedException", "redshift-data:CancelStatement"):
        sql.client.cancel_statement(Id=identifier)


@pytest.mark.parametrize(
    "identifier", ["", "x", "d9b6c0c9-0747-4bf4-b142-e8883122f766-1", "D9B6C0C9-0747-4BF4-B142-E8883122F766"]
)
def test_identifiers_are_checked(sql, identifier):
    with refused("ValidationException", "regex pattern"):
        sql.client.describe_statement(Id=identifier)
    with refused("ResourceNotFoundException"):
        sql.client.describe_statement(Id="d9b6c0c9-0747-4bf4-b142-e8883122f766")


# Faults


def test_a_lost_answer_is_a_statement_that_runs(bench, sql):
    bench.post("faults", kind="lost_answer", action="redshift-data:ExecuteStatement")
    with pytest.raises(Exception, match="Connection was closed"):
        sql.start("select 1", StatementName="job;", ClientToken="token")
    identifier = sql.start("select 1", StatementName="job;", ClientToken="token")
    assert [s["Id"] for s in sql.client.list_statements(Status="ALL", StatementName="job;")["Statements"]] == [identifier]


@pytest.mark.parametrize(
    "kind, code, status", [("throttle", "ThrottlingException", 400), ("error500", "InternalServerException", 500)]
)
def test_faults_have_the_services_words(bench, sql, kind, code, status):
    bench.post("faults", kind=kind, action="redshift-data:ExecuteStatement")
    with refused(code, status=status):
        sql.start("select 1")
