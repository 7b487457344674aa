"""Statements, the queries in them, and the states through which they go (docs/aws-behaviour.md#statements)."""

import itertools
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..sessions import Principal
from ..state import now, state

SUBMITTED, PICKED, STARTED = "SUBMITTED", "PICKED", "STARTED"
FINISHED, FAILED, ABORTED = "FINISHED", "FAILED", "ABORTED"
STATES = (SUBMITTED, PICKED, STARTED, FINISHED, FAILED, ABORTED)
TRANSACTION, AUTO_COMMIT = "TRANSACTION", "AUTO_COMMIT"

KEPT_SECONDS = 24 * 3600
TOKEN_SECONDS = 8 * 3600

_query_ids = itertools.count(1001)


def moment(seconds: float) -> datetime:
    """A time as the API gives it."""
    return datetime.fromtimestamp(seconds, UTC)


@dataclass
class Remembered:
    """What was asked with a client token, and when."""

    statement_id: str
    request: dict[str, Any]
    time: float


@dataclass
class Result:
    """Rows as PostgreSQL sends them, with the names and types (by PostgreSQL's numbers) of their columns."""

    columns: list[tuple[str, int, int]]
    rows: list[tuple[bytes | None, ...]]


@dataclass
class Query:
    """One SQL text, its state and what came of it."""

    id: str
    text: str
    filled: str
    created: float
    status: str = SUBMITTED
    updated: float = 0
    error: str = ""
    # Nanoseconds.
    duration: int = 0
    rows: int = -1
    size: int = -1
    query_id: int = 0
    query_uuid: str = ""
    result: Result | None = None

    def become(self, status: str, error: str = "") -> None:
        """Goes into a state."""
        self.status, self.error, self.updated = status, error, now()

    def start(self) -> None:
        """Runs from now on, under a number of its own."""
        self.query_id, self.query_uuid = next(_query_ids), str(uuid.uuid4())
        self.become(STARTED)

    @property
    def ended(self) -> bool:
        """Whether its state is final."""
        return self.status in (FINISHED, FAILED, ABORTED)

    def as_api(self) -> dict[str, Any]:
        """What a batch tells of it."""
        view = {
            "Id": self.id,
            "Status": self.status,
            "Error": self.error or None,
            "QueryString": self.text,
            "CreatedAt": moment(self.created),
            "UpdatedAt": moment(self.updated or self.created),
            "Duration": self.duration,
            "ResultRows": self.rows,
            "ResultSize": self.size,
            "RedshiftQueryId": self.query_id,
            "RedshiftQueryUuid": self.query_uuid or None,
            "HasResultSet": self.result is not None,
        }
        return {key: value for key, value in view.items() if value is not None}


@dataclass
class Statement:
    """A request to run SQL, with one query, or a batch of them."""

    id: str
    owner: Principal
    region: str
    cluster: str
    database: str
    db_user: str
    # Whether the database user comes of an IAM identity, and is made at its first use.
    make_user: bool
    name: str | None
    queries: list[Query]
    mode: str | None
    parameters: list[dict[str, str]]
    result_format: str
    created: float = field(default_factory=now)
    updated: float = field(default_factory=now)
    status: str = SUBMITTED
    error: str = ""
    pid: int = 0
    waiting: int = 0
    # Asked to stop by the user; told to stop; of a state that a reset has emptied.
    cancelled: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)
    abandoned: bool = False
    # How it ends whatever else happens, if the bench was told so.
    end: str = ""
    interrupt: Callable[[], None] = lambda: None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def batch(self) -> bool:
        """Whether it was made by BatchExecuteStatement."""
        return self.mode is not None

    @property
    def account(self) -> str:
        """The account of its cluster."""
        return self.owner.account

    @property
    def ended(self) -> bool:
        """Whether its state is final."""
        return self.status in (FINISHED, FAILED, ABORTED)

    @property
    def forgotten(self) -> bool:
        """Whether the Data API knows nothing of it any more."""
        return now() - self.created >= KEPT_SECONDS

    def become(self, status: str, error: str = "") -> None:
        """Goes into a state; a final one is kept."""
        with self._changed:
            if not self.ended:
                self.status, self.error, self.updated = status, error, now()
            self._changed.notify_all()

    def tell(self) -> None:
        """Wakes those who wait for a part of it."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, done: Callable[[], bool], seconds: float) -> None:
        """Waits until something is done, for a while."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not done() and not self.abandoned and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def cancel(self) -> str | None:
        """Asks it to stop; its state if that is not one in which it can be asked."""
        with self._changed:
            if self.status != STARTED:
                return self.status
            self.cancelled = True
        return None

    def stop(self) -> None:
        """Tells it to stop: what is being done is interrupted, and nothing new begun."""
        self.stopped.set()
        self.interrupt()

    def abandon(self) -> None:
        """Ends without a trace: the accounts have been emptied."""
        self.abandoned = True
        self.stop()
        self.tell()

    def query(self, identifier: str) -> Query | None:
        """The query of a batch that a suffix names; that of a statement with one."""
        if identifier == self.id:
            return None if self.batch else self.queries[0]
        return next((query for query in self.queries if query.id == identifier), None)


def owner_of(principal: Principal) -> str:
    """Whose statements a session sees: those of all sessions of its role, not of one made later under the same name."""
    return principal.role.id if principal.role else f"{principal.account}:administrator"


def visible(principal: Principal, region: str) -> list[Statement]:
    """The statements that a session may see, newest first."""
    found = [
        statement
        for statement in state.statements.values()
        if statement.region == region and not statement.forgotten and owner_of(statement.owner) == owner_of(principal)
    ]
    return list(reversed(found))
