"""The chain of roles by which a cluster gets to a bucket (docs/aws-behaviour.md#roles-that-a-warehouse-takes-on)."""

from .. import acting
from ..cluster_roles import usable
from ..engine import Engine
from ..errors import AwsError
from ..redshift_data.authentication import cluster_of
from ..redshift_data.statements import Query, Statement
from ..sessions import Principal
from ..state import state
from ..warehouse.failure import QueryFailed, failed
from .order import Order

SESSION = "RedshiftIamRoleSession"


def detail(error: str, context: str, location: str, statement: Statement, query: Query, code: str = "8001") -> str:
    """The box that Redshift puts under its errors."""
    rows = {
        "error": error,
        "code": code,
        "context": context,
        "query": str(query.query_id),
        "location": location,
        "process": f"padbmaster [pid={statement.pid}]",
    }
    rule = "  " + "-" * 47
    return "\n".join(["", rule, *(f"  {name + ':':<11}{value}" for name, value in rows.items()), rule])


def _refused(user: str, roles: list[str], attached: bool, statement: Statement, query: Query) -> QueryFailed:
    named, place = ",".join(roles), "xen_aws_credentials_mgr.cpp:402"
    if not state.settings.role_refusals_name_the_association:
        error = f"User {user} is not authorized to assume IAM Role {named}"
        return failed(error, detail(error, f"IAM Role={named}", place, statement, query))
    reason = f"Not authorized to get credentials of role {roles[-1]}"
    if not attached:
        reason = f"The requested role {roles[0]} is not associated to cluster"
    error = f"exception name : UnauthorizedException, error type : 138, message: {reason}, should retry : 0"
    return failed(error, detail(error, "", place, statement, query, "30000"))


def database_user(engine: Engine, statement: Statement) -> str:
    """The ARN of a statement's database user, which is also the external id that the first role hears."""
    owner = statement.owner
    return f"arn:{owner.partition}:redshift:{statement.region}:{owner.account}:dbuser:{statement.cluster}/{statement.db_user}"


def session(engine: Engine, statement: Statement, query: Query, order: Order) -> Principal:
    """The session of the last role; fails in Redshift's words where one of them cannot be taken on."""
    user, region = database_user(engine, statement), statement.region
    with engine.lock:
        cluster = cluster_of(statement.account, region, statement.cluster)
        default = getattr(cluster, "default_iam_role_arn", None)
        roles = order.roles or ([default] if default else [])
        if not roles:
            raise failed("There is no default IAM role associated with the cluster")
        attached = cluster is not None and usable(statement.account, region, statement.cluster, roles[0])
    if not attached:
        raise _refused(user, roles, attached, statement, query)
    try:
        return acting.assume_chain(engine, acting.REDSHIFT, roles, region, SESSION, user)
    except AwsError:
        raise _refused(user, roles, attached, statement, query)
