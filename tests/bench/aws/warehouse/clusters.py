"""Which server stands for which cluster, and its databases and users.

A server of its own for each cluster keeps the users of clusters apart, as they are at AWS. A reset gives servers back, and the
next cluster finds one cleaned: a test with one cluster pays for one server, a bench without statements for none.
"""

import threading
from typing import Any

from ..state import on_reset, state
from .postgres import MAINTENANCE, OWNER, Postgres
from .system_views import EMPTY, SCHEMA, SYSTEM_VIEWS

Key = tuple[str, str, str, str]

# Of PostgreSQL itself, and not there for a cluster.
_HIDDEN = (MAINTENANCE, "template0", "template1")
# In Redshift everybody may create in `public`; PostgreSQL has ceased to let them.
_AS_REDSHIFT = ("grant usage, create on schema public to public",)


class NotThere(Exception):
    """A database or user that a cluster does not have, in the words in which it refuses a connection."""


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def shortened(user: str) -> str:
    """A user's name as PostgreSQL keeps it: 63 bytes, of a role's longest name not all."""
    return user.encode()[:63].decode(errors="ignore")


class Server:
    """A PostgreSQL server with what every Redshift database has."""

    def __init__(self) -> None:
        self.postgres = Postgres()
        self.postgres.execute(f"revoke connect on database {MAINTENANCE} from public")
        self.postgres.execute(*_AS_REDSHIFT, *SYSTEM_VIEWS, database="template1")
        self.postgres.forget()
        # Counts the clusters that it has stood for.
        self.term = 0
        self.lock = threading.Lock()

    def clean(self, database: str) -> None:
        """Removes all users and databases; one of this name is kept and emptied, because making it anew takes longer."""
        self.postgres.forget()
        found = self.postgres.execute("select datname from pg_database where not datistemplate")
        users = [
            name for (name,) in self.postgres.execute("select rolname from pg_roles where rolname !~ '^pg_'") if name != OWNER
        ]
        for name in {name for (name,) in found} - set(_HIDDEN):
            if name != database or not self._emptied(name, users):
                self.postgres.forget()
                self.postgres.execute(f"drop database {quoted(name)} with (force)")
        for name in users:
            self.postgres.execute(f"drop role {quoted(name)}")

    def _emptied(self, database: str, users: list[str]) -> bool:
        """Empties a database: all that is in it belongs to a user. False if something stands against it."""
        import psycopg

        try:
            self.postgres.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' "
                "and datname = current_database() and pid <> pg_backend_pid()",
                *([f"drop owned by {', '.join(map(quoted, users))} cascade"] if users else []),
                "drop schema public cascade",
                "create schema public",
                f"alter database {quoted(database)} owner to {OWNER}",
                f"alter database {quoted(database)} reset all",
                *_AS_REDSHIFT,
                *EMPTY,
                database=database,
            )
        except psycopg.Error:
            return False
        return True


class Warehouse:
    """The databases and users of one cluster."""

    def __init__(self, server: Server, database: str, master: str) -> None:
        self._server = server
        self._term = server.term
        # Made when first used: the cluster's own, and the one that every cluster has.
        self._promised = {database, "dev"}
        server.postgres.execute(f"create role {quoted(master)} login superuser")

    def _alive(self) -> None:
        if self._term != self._server.term:
            raise NotThere("FATAL: the cluster is gone")

    def connect(self, database: str, user: str, make_user: bool) -> Any:
        """A connection to a database as a user, whom `make_user` makes if needed."""
        postgres, user = self._server.postgres, shortened(user)
        with self._server.lock:
            self._alive()
            if database in self._promised:
                self._promised.discard(database)
                if not postgres.execute(f"select 1 from pg_database where datname = {_literal(database)}"):
                    postgres.execute(f"create database {quoted(database)}")
            found = postgres.execute(f"select rolcanlogin from pg_roles where rolname = {_literal(user)}")
            if not found and make_user:
                postgres.execute(f"create role {quoted(user)} login")
            elif not found or not found[0][0] or user == OWNER:
                raise NotThere(f'FATAL: password authentication failed for user "{user}"')
            there = postgres.execute(f"select 1 from pg_database where datname = {_literal(database)}")
            if database in _HIDDEN or not there:
                raise NotThere(f'FATAL: database "{database}" does not exist')
        strings = "on" if state.settings.standard_conforming_strings else "off"
        return postgres.connect(
            database,
            user,
            standard_conforming_strings=strings,
            escape_string_warning="off",
            search_path=rf"\"$user\",public,{SCHEMA}",
            client_encoding="UTF8",
        )

    def execute_as_owner(self, database: str, statement: str) -> None:
        """For what the cluster itself writes."""
        self._alive()
        self._server.postgres.execute(statement, database=database)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Clusters:
    """The servers: those that stand for a cluster, and those that are free."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[Server] = []
        self._taken: list[Server] = []
        self._warehouses: dict[Key, Warehouse] = {}
        self._closed = False

    def warehouse(self, key: Key, database: str, master: str) -> Warehouse:
        """That of a cluster (account, region, identifier, time of creation), with its first database and master user."""
        with self._lock:
            if key not in self._warehouses:
                if self._closed:
                    raise NotThere("FATAL: the bench is ending")
                server = self._free.pop() if self._free else Server()
                self._taken.append(server)
                server.clean(database)
                self._warehouses[key] = Warehouse(server, database, master)
            return self._warehouses[key]

    def release(self) -> None:
        """Takes the servers from all clusters; their connections end when the next one cleans."""
        with self._lock:
            for server in self._taken:
                server.term += 1
            self._free += self._taken
            self._taken = []
            self._warehouses = {}

    def stop(self) -> None:
        """Ends all servers."""
        with self._lock:
            self._closed = True
            servers = [*self._free, *self._taken]
            for server in servers:
                server.postgres.begin_stop()
            for server in servers:
                server.postgres.stop()
            self._free, self._taken, self._warehouses = [], [], {}


clusters = Clusters()
on_reset.append(clusters.release)
