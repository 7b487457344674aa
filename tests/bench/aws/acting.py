"""What an AWS service does with roles of its customers (docs/aws-behaviour.md#roles-that-a-warehouse-takes-on)."""

from .engine import NOWHERE, Engine
from .origin import Origin
from .sessions import Principal
from .state import state

REDSHIFT = "redshift.amazonaws.com"


def assume_as_service(
    engine: Engine, service: str, role_arn: str, region: str, session_name: str, external_id: str | None = None
) -> Principal:
    """A session of a role that a service takes on by itself: its trust policy alone decides."""
    _, partition, _, _, account, _ = role_arn.split(":", 5)
    who = Principal(account, partition=partition, service=service, service_region=region)
    with engine.lock:
        state.sessions.add(who)
    return _assume(engine, who, role_arn, region, session_name, NOWHERE, external_id)


def assume_next(
    engine: Engine, session: Principal, role_arn: str, region: str, session_name: str, origin: Origin = NOWHERE
) -> Principal:
    """A session of the next role of a chain, in whichever account: the caller's policies and its trust must allow."""
    return _assume(engine, session, role_arn, region, session_name, origin)


def assume_chain(
    engine: Engine, service: str, role_arns: list[str], region: str, session_name: str, external_id: str | None = None
) -> Principal:
    """The session at the end of a chain of roles. Only the first hears of the external id."""
    session = assume_as_service(engine, service, role_arns[0], region, session_name, external_id)
    for role_arn in role_arns[1:]:
        session = assume_next(engine, session, role_arn, region, session_name)
    return session


def _assume(
    engine: Engine, who: Principal, role_arn: str, region: str, name: str, origin: Origin, external_id: str | None = None
) -> Principal:
    params = {"RoleArn": role_arn, "RoleSessionName": name, **({"ExternalId": external_id} if external_id else {})}
    answer = engine.perform_as(who, "sts:AssumeRole", region, origin, **params)
    return state.sessions.of(answer["Credentials"]["AccessKeyId"])
