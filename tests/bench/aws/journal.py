"""The record of every call: what a test looks at to see what a client did."""

import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from .call import Call
from .wire import Answer


@dataclass
class Entry:
    """One call. `status` is what the caller was given: none if the answer was withheld; `executed` what became of it."""

    account: str
    caller: str
    source_identity: str | None
    service: str
    action: str
    region: str
    write: bool
    parameters: dict[str, Any]
    request_id: str
    sequence: int = 0
    time: float = field(default_factory=time.time)
    status: int | None = None
    error: str | None = None
    message: str | None = None
    executed: bool = False
    fault: str | None = None


class Journal:
    """All calls in the order in which they came."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._sequence = 0
        self._lock = threading.Lock()

    def begin(self, call: Call) -> Entry:
        """Notes a call that has come."""
        who = call.principal
        entry = Entry(
            call.account,
            who.arn,
            who.source_identity,
            call.service,
            call.action,
            call.region,
            call.write,
            {name: f"{len(v)} bytes" if isinstance(v, bytes) else v for name, v in call.params.items()},
            call.request_id,
        )
        with self._lock:
            self._sequence += 1
            entry.sequence = self._sequence
            self._entries.append(entry)
        return entry

    @staticmethod
    def note(entry: Entry, answer: Answer) -> None:
        """Notes what a call was answered."""
        entry.status = answer.status
        if answer.error:
            entry.error, entry.message = answer.error.code, answer.error.message

    def after(self, sequence: int) -> list[dict[str, Any]]:
        """The calls with a higher number."""
        with self._lock:
            return [asdict(entry) for entry in self._entries if entry.sequence > sequence]

    def clear(self) -> None:
        """Forgets the calls; the numbers go on."""
        with self._lock:
            self._entries.clear()
