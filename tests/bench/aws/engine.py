"""What happens to a call: who calls, whether a fault befalls it, whether it is allowed, what it does."""

import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException

from . import errors, faults, wire
from .access.decision import authorize
from .call import Call
from .errors import AwsError
from .journal import Entry, Journal
from .operations import OPERATIONS, Later
from .origin import Origin
from .sessions import Principal
from .state import state
from .wire import Answer

# Stands in the record for a caller whose credentials are not known.
NOBODY = Principal(account="")
# Inside AWS: neither at an address nor in a VPC that policies could know.
NOWHERE = Origin()


class Engine:
    """Takes requests and gives answers; none where the connection is to end without one."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.faults = faults.Faults()
        self.gate = faults.Gate()
        # moto is not safe against threads, and Python would run only one of them anyway.
        self.lock = threading.RLock()

    def reset(self) -> None:
        """Empties all accounts, takes all faults back and forgets the calls."""
        with self.lock:
            state.reset()
            self.journal.clear()
            self.faults.clear()
        self.gate.release()

    def handle(self, method: str, target: str, headers: Any, body: bytes, caller_is_gone: Callable[[], bool]) -> Answer | None:
        """An HTTP request."""
        try:
            request = wire.read(method, target, headers, body)
        except AwsError as error:
            return wire.render(wire.spoken(headers), "", str(uuid.uuid4()), error)
        call = Call(NOBODY, request.service, request.operation, request.region, request.params)
        try:
            with self.lock:
                call.principal = state.sessions.authenticate(call.service, request.access_key, request.token, call.region)
        except AwsError as error:
            return self._answer(call, self.journal.begin(call), error)
        return self._struck(call, self.journal.begin(call), caller_is_gone)

    def perform_as(self, principal: Principal, action: str, region: str, origin: Origin = NOWHERE, **params: Any) -> Any:
        """Has a session that the bench itself holds call an operation, with permissions, faults and record.

        For what AWS's services do in the accounts of their customers. Gives the result, named as in the service model;
        raises what refuses it. Not to be called with the lock held, or a call that a fault keeps waiting stops everything.
        """
        service, _, operation = action.partition(":")
        call = Call(principal, service, operation, region, params, origin)
        answer = self._struck(call, self.journal.begin(call), lambda: False)
        if answer is None:
            raise errors.broken(service)
        if answer.error:
            raise answer.error
        return answer.result

    def _struck(self, call: Call, entry: Entry, caller_is_gone: Callable[[], bool]) -> Answer | None:
        fault = self.faults.strike(call)
        if fault is None:
            return self.execute(call, entry)
        entry.fault = fault.kind
        if refusal := fault.refusal(call):
            return self._answer(call, entry, refusal)
        if fault.kind == faults.LOST_REQUEST:
            return None
        if fault.kind == faults.LATE:
            faults.later(fault.seconds, lambda: self.execute(call, entry, told=False))
            return None
        if fault.kind == faults.LOST_ANSWER:
            self.execute(call, entry, told=False)
            return None
        if fault.kind == faults.ERROR_AFTER:
            self.execute(call, entry, told=False)
            return self._answer(call, entry, errors.broken(call.service))
        if fault.kind == faults.DELAY:
            time.sleep(fault.seconds)
            return self.execute(call, entry)
        return self._held(call, entry, fault.kind, caller_is_gone)

    def _held(self, call: Call, entry: Entry, kind: str, caller_is_gone: Callable[[], bool]) -> Answer | None:
        answer = self.execute(call, entry) if kind == faults.HOLD_AFTER else None
        self.gate.wait(
            {"sequence": entry.sequence, "account": call.account, "action": call.action, "parameters": call.params, "kind": kind}
        )
        if kind == faults.HOLD_BEFORE and not caller_is_gone():
            answer = self.execute(call, entry)
        return answer

    def execute(self, call: Call, entry: Entry, told: bool = True) -> Answer:
        """Executes a call and records what came of it; with `told` also that the caller gets to know it."""
        with self.lock:
            result = self._outcome(call, entry, lambda: self.perform(call))
            if not isinstance(result, Later):
                return self._answer(call, entry, result, told)
        result.wait()
        with self.lock:
            return self._answer(call, entry, self._outcome(call, entry, result.then), told)

    def _outcome(self, call: Call, entry: Entry, work: Callable[[], Any]) -> Any:
        try:
            # A call that was on its way during a reset must not act on what comes after.
            if not state.sessions.knows(call.principal):
                raise errors.unknown_key(call.service)
            result = work()
            entry.executed = True
            return result
        except AwsError as error:
            return error
        except (ServiceException, HTTPException) as error:
            return wire.as_aws_error(call.service, error)
        except Exception as error:
            # A fault of the bench must not look like one of AWS.
            traceback.print_exc(file=sys.stderr)
            return AwsError("BenchError", f"the bench failed: {error!r}", 501)

    def _answer(self, call: Call, entry: Entry, result: Any, told: bool = True) -> Answer:
        answer = wire.render(call.service, call.operation, call.request_id, result)
        if told:
            self.journal.note(entry, answer)
        return answer

    @staticmethod
    def perform(call: Call) -> Any:
        """Executes a call if it is allowed, without faults or record; raises what refuses it."""
        operation = OPERATIONS.get(call.action)
        if operation is None:
            raise errors.not_implemented(call.action)
        authorize(call, operation.needs(call))
        if call.get("DryRun"):
            raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        return operation.run(call)
