"""One call of each service before the first client comes: models and backends load on first use."""

from . import rest, wire
from .call import Call
from .engine import Engine
from .operations import OPERATIONS
from .world import build, session


def warm(engine: Engine) -> None:
    """Builds a world, reads from it, and throws it away."""
    rest.read("s3", "GET", "/", {}, b"")
    made = build(engine, {})
    for action in OPERATIONS:
        service, _, operation = action.partition(":")
        wire.model(service, operation)
        if operation.startswith(
            ("List", "DescribeVpcs", "DescribeDomain", "DescribeClusters", "DescribeVpcPeering", "GetCaller")
        ):
            call = Call(session(made["consumer"]["account"], admin=True), service, operation, made["consumer"]["region"], {})
            engine.execute(call, engine.journal.begin(call))
    engine.reset()
