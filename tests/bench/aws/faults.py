"""Faults on order: what AWS and networks do now and then, done to a chosen call."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import errors
from .call import Call
from .errors import AwsError

THROTTLE, DENY, DENY_SCP = "throttle", "deny", "deny_scp"
ERROR, ERROR_AFTER = "error500", "error500_after"
LOST_ANSWER, LOST_REQUEST, LATE, DELAY = "lost_answer", "lost_request", "late", "delay"
HOLD_BEFORE, HOLD_AFTER = "hold_before", "hold_after"
KINDS = (THROTTLE, DENY, DENY_SCP, ERROR, ERROR_AFTER, LOST_ANSWER, LOST_REQUEST, LATE, DELAY, HOLD_BEFORE, HOLD_AFTER)


@dataclass
class Fault:
    """One order: which calls, the first of them, and how many."""

    kind: str
    action: str = "*"
    account: str | None = None
    region: str | None = None
    nth: int = 1
    times: int = 1
    seconds: float = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault {self.kind}; known: {', '.join(KINDS)}")
        if self.nth < 1 or self.times < 1:
            raise ValueError("nth and times begin at 1")

    def concerns(self, call: Call) -> bool:
        """Whether a call is of those that count."""
        if self.account not in (None, call.account) or self.region not in (None, call.region):
            return False
        return self.action in ("*", call.action) or (self.action == "write" and call.write)

    def refusal(self, call: Call) -> AwsError | None:
        """What is answered instead of executing the call, if that is what the fault does."""
        if self.kind == THROTTLE:
            return errors.throttled(call.service)
        if self.kind == ERROR:
            return errors.broken(call.service)
        if self.kind == DENY:
            reason = f"because no identity-based policy allows the {call.action} action"
            return errors.denied(call.service, call.principal.arn, call.action, "*", reason)
        if self.kind == DENY_SCP:
            reason = "with an explicit deny in a service control policy"
            return errors.denied(call.service, call.principal.arn, call.action, "*", reason)
        return None


class Faults:
    """The orders that are in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Puts an order in force."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Takes all orders back."""
        with self._lock:
            self._faults.clear()

    def strike(self, call: Call) -> Fault | None:
        """The fault that befalls a call: the oldest order whose turn it is. All that concern the call count it."""
        with self._lock:
            struck: Fault | None = None
            for fault in [f for f in self._faults if f.concerns(call)]:
                if fault.nth > 1:
                    fault.nth -= 1
                elif struck is None:
                    struck = fault
                    fault.times -= 1
            self._faults = [f for f in self._faults if f.times > 0]
            return struck


class Gate:
    """Where held calls wait, one at a time, until a test lets them go."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: list[dict[str, Any]] = []

    def wait(self, description: dict[str, Any]) -> None:
        """Holds the calling thread."""
        with self._changed:
            self._held.append(description)
            self._changed.notify_all()
            while any(held is description for held in self._held):
                self._changed.wait()

    def first(self, seconds: float) -> dict[str, Any] | None:
        """The call that has been held longest, waited for if there is none."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._held and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._held[0] if self._held else None

    def release(self) -> int:
        """Lets all held calls go; how many these were."""
        with self._changed:
            released = len(self._held)
            self._held.clear()
            self._changed.notify_all()
            return released


def later(seconds: float, work: Callable[[], Any]) -> None:
    """Does something after a while, in a thread that does not keep the process alive."""
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()
