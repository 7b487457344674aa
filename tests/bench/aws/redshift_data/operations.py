"""The operations that run statements, and that stop them (docs/aws-behaviour.md#statements)."""

import re
import threading
import uuid
from typing import Any

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..operations import Later, operation
from ..state import now, state
from ..warehouse import parameters
from . import authentication, running
from .statements import AUTO_COMMIT, TOKEN_SECONDS, TRANSACTION, Query, Remembered, Statement, moment, owner_of

_ID = re.compile(r"[a-z0-9]{8}(-[a-z0-9]{4}){3}-[a-z0-9]{12}(:\d{0,2})?")
_STATEMENT_BYTES = 100_000
_BATCH = 40
OWNER_KEY = "redshift-data:statement-owner-iam-userid"


def invalid(text: str) -> AwsError:
    """A request that is wrong, or that comes at the wrong time."""
    return AwsError("ValidationException", text)


# Finding


def find(call: Call) -> Statement | None:
    """The statement that a request names, if the caller is one who may know of it."""
    statement = state.statements.get(str(call.get("Id") or "").partition(":")[0])
    if statement is None or statement.forgotten or statement.region != call.region:
        return None
    return statement if owner_of(statement.owner) == owner_of(call.principal) else None


def existing(call: Call) -> Statement:
    """The statement that a request names."""
    identifier = call.get("Id") or ""
    if not _ID.fullmatch(identifier):
        raise invalid(f"id must satisfy regex pattern: ^{_ID.pattern}$")
    statement = find(call)
    if statement is None or (":" in identifier and statement.query(identifier) is None):
        raise AwsError("ResourceNotFoundException", "Query does not exist.")
    return statement


def owned(call: Call) -> list[Need]:
    """The action, with the owner of the statement as a condition key: the session that runs it."""
    statement = find(call)
    return [Need(call.action, "*", {OWNER_KEY: statement.owner.user_id if statement else None})]


def waiting(call: Call, statement: Statement, answer: Any) -> Any:
    """The answer, now or after the wait that the request asks for."""
    seconds = call.get("WaitTimeSeconds")
    if seconds is None:
        return answer()
    if not 1 <= seconds <= 30:
        raise invalid("WaitTimeSeconds must be from 1 to 30.")
    query = statement.query(call.get("Id") or "") if ":" in (call.get("Id") or "") else None
    done = lambda: query.ended if query else statement.ended
    if done():
        return answer()
    if statement.waiting >= state.settings.waiting_requests_per_statement:
        raise AwsError(
            "ActiveWaitingRequestsExceededException",
            "The number of active requests with WaitTimeSeconds for the same SQL statement exceeds the limit.",
        )
    statement.waiting += 1

    def then() -> Any:
        statement.waiting -= 1
        return answer()

    return Later(lambda: statement.wait(done, seconds), then)


# Running


def _texts(call: Call) -> list[str]:
    batch = call.operation == "BatchExecuteStatement"
    texts = call.get("Sqls") or [] if batch else [call.get("Sql") or ""]
    if not texts or not all(text.strip() for text in texts):
        raise invalid("Sql must not be empty." if not batch else "Sqls must hold from 1 to 40 statements.")
    if len(texts) > _BATCH:
        raise invalid(f"Sqls must hold from 1 to {_BATCH} statements.")
    if any(len(text.encode()) > _STATEMENT_BYTES for text in texts):
        raise invalid("Cannot process query string larger than 100kB")
    return texts


def _check(call: Call) -> None:
    if len(call.get("StatementName") or "") > 2048:
        raise invalid("StatementName must have at most 2048 characters.")
    token = call.get("ClientToken")
    if token is not None and not 1 <= len(token) <= 64:
        raise invalid("ClientToken must have from 1 to 64 characters.")
    if call.get("ResultFormat", "JSON") not in ("JSON", "CSV"):
        raise invalid("ResultFormat must be JSON or CSV.")
    if call.get("ExecutionMode", TRANSACTION) not in (TRANSACTION, AUTO_COMMIT):
        raise invalid(f"ExecutionMode must be {TRANSACTION} or {AUTO_COMMIT}.")
    if not 1 <= call.get("WaitTimeSeconds", 1) <= 30:
        raise invalid("WaitTimeSeconds must be from 1 to 30.")


def _answer(statement: Statement) -> dict[str, Any]:
    return {
        "Id": statement.id,
        "CreatedAt": moment(statement.created),
        "ClusterIdentifier": statement.cluster,
        "Database": statement.database,
        "DbUser": statement.db_user,
        "Status": statement.status,
        "RedshiftPid": statement.pid,
        "HasResultSet": any(query.result is not None for query in statement.queries),
    }


def _repeated(call: Call) -> Any:
    """The answer to a request with a token that is known; none if it is new."""
    remembered = state.statement_tokens.get((call.account, call.region, call.get("ClientToken") or ""))
    if remembered is None or now() - remembered.time >= TOKEN_SECONDS:
        return None
    statement = state.statements[remembered.statement_id]
    if remembered.request != _request(call) and state.settings.changed_request_with_token_is_refused:
        raise invalid("The client token was used before with other parameters.")
    if state.settings.repeated_token_gives_original_id:
        return waiting(call, statement, lambda: _answer(statement))
    return {**_answer(statement), "Id": str(uuid.uuid4())}


def _request(call: Call) -> dict[str, Any]:
    asked = {key: value for key, value in call.params.items() if key not in ("ClientToken", "WaitTimeSeconds")}
    return {**asked, "operation": call.operation, "owner": owner_of(call.principal)}


def _check_quota(call: Call, cluster: str) -> None:
    quota = state.settings.active_statements_per_cluster
    where = (call.account, call.region, cluster)
    active = [s for s in state.statements.values() if (s.account, s.region, s.cluster) == where and not s.ended]
    if len(active) >= quota:
        raise AwsError("ActiveStatementsExceededException", f"Active statements exceeded the allowed quota ({quota}).")


@operation("redshift-data:ExecuteStatement", "redshift-data:BatchExecuteStatement", needs=authentication.needs)
def execute_statement(call: Call) -> Any:
    """Takes a statement and runs it; with a token that is known, tells of the one that was run with it."""
    _check(call)
    texts = _texts(call)
    if repeated := _repeated(call):
        return repeated
    login = authentication.login(call)
    _check_quota(call, login.cluster)
    backslashes = not state.settings.standard_conforming_strings
    values = parameters.checked(call.get("Parameters") or [], texts, backslashes)
    identifier = str(uuid.uuid4())
    batch = call.operation == "BatchExecuteStatement"
    statement = Statement(
        id=identifier,
        owner=call.principal,
        region=call.region,
        cluster=login.cluster,
        database=login.database,
        db_user=login.user,
        make_user=login.make_user,
        name=call.get("StatementName"),
        queries=[
            Query(f"{identifier}:{n}" if batch else identifier, text, parameters.filled(text, values, backslashes), now())
            for n, text in enumerate(texts, 1)
        ],
        mode=call.get("ExecutionMode", TRANSACTION) if batch else None,
        parameters=call.get("Parameters") or [],
        result_format=call.get("ResultFormat", "JSON"),
    )
    state.statements[identifier] = statement
    if token := call.get("ClientToken"):
        state.statement_tokens[(call.account, call.region, token)] = Remembered(identifier, _request(call), now())
    running.begin(statement)
    return waiting(call, statement, lambda: _answer(statement))


@operation("redshift-data:CancelStatement", needs=owned)
def cancel_statement(call: Call) -> dict[str, Any]:
    """Asks a running statement to stop. It may still finish first."""
    statement = existing(call)
    if status := statement.cancel():
        raise invalid(f"Could not cancel a query that is already in {status} state with ID: {statement.id}")
    timer = threading.Timer(state.settings.statement_cancel_seconds, statement.stop)
    timer.daemon = True
    timer.start()
    return {"Status": True}
