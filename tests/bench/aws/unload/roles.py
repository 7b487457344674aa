"""The chain of roles by which a cluster gets to a bucket (docs/aws-behaviour.md#roles-that-a-warehouse-takes-on)."""

from .. import acting
from ..cluster_roles import usable
from ..engine import Engine
from ..errors import AwsError
from ..redshift_data.authentication import cluster_of
from ..redshift_data.statements import Query, Statement
from ..sessions import Principal
from ..warehouse.failure import QueryFailed, failed
from .order import Order

SESSION = "RedshiftIamRoleSession"


def detail(error: str, context: str, location: str, statement: Statement, query: Query) -> str:
    """The box that Redshift puts under its errors."""
    rows = {
        "error": error,
        "code": "8001",
        "context": context,
        "query": str(query.query_id),
        "location": location,
        "process": f"padbmaster [pid={statement.pid}]",
    }
    rule = "  " + "-" * 47
    return "\n".join(["", rule, *(f"  {name + ':':<11}{value}" for name, value in rows.items()), rule])


def _refused(user: str, named: str, statement: Statement, query: Query) -> QueryFailed:
    error = f"User {user} is not authorized to assume IAM Role {named}"
    return failed(error, detail(error, f"IAM Role={named}", "xen_aws_credentials_mgr.cpp:402", statement, query))


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
    named = ",".join(roles)
    if not attached:
        raise _refused(user, named, statement, query)
    try:
        return acting.assume_chain(engine, acting.REDSHIFT, roles, region, SESSION, user)
    except AwsError:
        raise _refused(user, named, statement, query)
