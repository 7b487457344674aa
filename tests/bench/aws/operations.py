"""The register of operations: what each does, and what each needs permission for.

A service's file registers its operations. Those that need no more than moto gives are forwarded to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores

from .access.decision import Need
from .call import Call
from .wire import RESPONDERS

Run = Callable[[Call], Any]
Needs = Callable[[Call], list[Need]]


@dataclass(frozen=True)
class Operation:
    """What an operation does, and the permissions that it needs."""

    run: Run
    needs: Needs


@dataclass(frozen=True)
class Later:
    """An answer that is waited for, while other calls are executed: a long poll."""

    wait: Callable[[], None]
    then: Callable[[], Any]


OPERATIONS: dict[str, Operation] = {}


def anything(call: Call) -> list[Need]:
    """The need of an operation without resource types: its action on everything."""
    return [Need(call.action, "*")]


def operation(*actions: str, needs: Needs = anything) -> Callable[[Run], Run]:
    """Registers a function as one or more operations (`service:Operation`)."""

    def register(run: Run) -> Run:
        for action in actions:
            OPERATIONS[action] = Operation(run, needs)
        return run

    return register


def forwarded(*actions: str, needs: Needs = anything) -> None:
    """Registers operations that moto executes."""
    operation(*actions, needs=needs)(forward)


@cache
def _method(action: str) -> str:
    return camelcase_to_underscores(action.partition(":")[2])


def forward(call: Call) -> ActionResult:
    """Has moto execute a call: its responder, given the parameters as if they had come over HTTP."""
    responder = RESPONDERS[call.service]()
    responder.params = dict(call.params)
    responder.region = call.region
    responder.partition = call.partition
    responder.current_account = call.account
    responder.access_key = call.principal.access_key
    responder.uri_match, responder.headers, responder.querystring, responder.body = {}, {}, {}, ""
    return getattr(responder, _method(call.action))()
