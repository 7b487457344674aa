"""One call of one API operation."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from moto.utilities.utils import get_partition

from .origin import Origin, outside
from .sessions import Principal

_READS = ("Describe", "Get", "Head", "List", "Search", "AssumeRole", "Simulate")


@dataclass
class Call:
    """Who calls what, where, with which parameters (named as in the service model)."""

    principal: Principal
    service: str
    operation: str
    region: str
    params: dict[str, Any]
    origin: Origin = field(default_factory=outside)
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def account(self) -> str:
        """The caller's account. Only S3, KMS, Secrets Manager and STS have operations on things of another one."""
        return self.principal.account

    @property
    def action(self) -> str:
        """Service and operation, as policies name them."""
        return f"{self.service}:{self.operation}"

    @property
    def write(self) -> bool:
        """Whether the operation changes something that others see."""
        return not self.operation.startswith(_READS)

    @property
    def partition(self) -> str:
        """The partition of the region."""
        return get_partition(self.region)

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter."""
        return self.params.get(name, default)

    def arn(self, resource: str, service: str | None = None) -> str:
        """The ARN of something in the caller's account and the call's region."""
        service = service or self.service
        region = "" if service == "iam" else self.region
        return f"arn:{self.partition}:{service}:{region}:{self.account}:{resource}"
