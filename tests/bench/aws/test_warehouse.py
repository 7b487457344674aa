"""The databases behind the clusters come when needed and go with the bench (docs/aws-behaviour.md#the-warehouse)."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .client import PRODUCER, Bench
from .sql_testing import Sql, as_admin


def children(pid):
    """The command lines of the processes that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found.append((int(folder.name), (folder / "cmdline").read_bytes().decode().split("\0")))
        except OSError:
            continue
    return found


def eventually(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("how", ["eof", "term", "kill"])
def test_nothing_is_left_when_the_bench_ends(how):
    running = subprocess.Popen(
        [sys.executable, "-m", "bench.aws", "--stdin-eof"],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    bench = Bench(json.loads(running.stdout.readline())["url"])
    bench.post("world")
    assert children(running.pid) == [], "no database for who does not ask for one"
    sql = as_admin(bench)
    sql.ok("select 1")
    sql.start("select pg_sleep(60)")
    [(keeper, command)] = children(running.pid)
    folder, [(postgres, _)] = Path(command[3]), children(keeper)
    assert folder.is_dir() and len(children(postgres)) > 3
    if how == "eof":
        running.stdin.close()
    else:
        running.send_signal(signal.SIGTERM if how == "term" else signal.SIGKILL)
    assert running.wait(10) == (-9 if how == "kill" else 0)
    if how == "kill":
        eventually(lambda: not folder.exists() and not Path(f"/proc/{postgres}").exists())
    assert not folder.exists() and not Path(f"/proc/{postgres}").exists()


def test_a_cluster_made_anew_is_empty(bench, world):
    admin = as_admin(bench)
    admin.ok("create table t as select 1 as i")
    redshift = bench.admin(PRODUCER, "redshift")
    redshift.delete_cluster(ClusterIdentifier="warehouse", SkipFinalClusterSnapshot=True)
    redshift.create_cluster(
        ClusterIdentifier="warehouse",
        NodeType="ra3.xlplus",
        MasterUsername="admin",
        MasterUserPassword="Bench-password-1",
        DBName="analytics",
    )
    assert 'relation "t" does not exist' in admin.error("select * from t")


def test_users_are_as_in_redshift(bench, world):
    admin = as_admin(bench)
    assert admin.rows("select usesuper from pg_user where usename = current_user") == [(True,)]
    runner = Sql(bench, bench.post("credentials", account=PRODUCER, admin=True))
    assert runner.rows("select current_user") == [("IAM:administrator",)]
    # Everybody may create in `public`.
    runner.ok("create table mine (i int)")
    assert runner.rows("select tableowner from pg_tables where tablename = 'mine'") == [("IAM:administrator",)]


@pytest.mark.parametrize(
    "change",
    [
        "create schema more",
        "create function public.f() returns int language sql as 'select 1'",
        "create type more as enum ('a')",
        "revoke create on schema public from public",
        "drop schema public",
        "alter default privileges grant select on tables to public",
        "alter database analytics set work_mem = '1MB'",
        "alter database analytics owner to etl",
        "create database more",
        "create role more in role etl",
        "select lo_create(7)",
    ],
)
def test_the_next_cluster_sees_nothing_of_the_one_before(bench, world, change):
    looks = (
        "select (select count(*) from pg_namespace), (select count(*) from pg_proc), (select count(*) from pg_type), "
        "(select count(*) from pg_default_acl), (select count(*) from pg_db_role_setting), (select count(*) from pg_database), "
        "(select count(*) from pg_roles), (select count(*) from pg_largeobject_metadata), "
        "has_schema_privilege('etl', 'public', 'create'), "
        "(select r.rolname from pg_database d join pg_roles r on r.oid = datdba where datname = current_database())"
    )
    before = _seen(bench, looks)
    as_admin(bench).ok(change)
    bench.post("reset")
    bench.post("world")
    assert _seen(bench, looks) == before


def _seen(bench, looks):
    admin = as_admin(bench)
    admin.ok("create user etl")
    return admin.rows(looks)
