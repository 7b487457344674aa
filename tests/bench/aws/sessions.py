"""Credentials and whom they stand for."""

import secrets
import string
import time
from dataclasses import dataclass, field

from moto.iam.models import Role, iam_backends
from moto.utilities.utils import get_partition

from . import errors


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


@dataclass
class Principal:
    """A session of a role, or the administrator of an account, to whom no policy applies."""

    account: str
    role: Role | None = None
    partition: str = "aws"
    session_name: str = "administrator"
    source_identity: str | None = None
    session_policies: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    transitive_tags: frozenset[str] = frozenset()
    expires: float = float("inf")
    # An AWS service that acts for itself, as `redshift.amazonaws.com` when it takes on a role, and where it does so.
    service: str | None = None
    service_region: str = ""
    access_key: str = field(default_factory=lambda: "ASIA" + _random(string.ascii_uppercase + string.digits, 16))
    secret_key: str = field(default_factory=lambda: _random(string.ascii_letters + string.digits, 40), repr=False)
    token: str = field(default_factory=lambda: _random(string.ascii_letters + string.digits, 120), repr=False)

    @property
    def arn(self) -> str:
        """The caller's ARN, as GetCallerIdentity gives it."""
        if self.role is None:
            return self.identity_arn
        return f"arn:{self.partition}:sts::{self.account}:assumed-role/{self.role.name}/{self.session_name}"

    @property
    def identity_arn(self) -> str:
        """What trust policies and aws:PrincipalArn see: of a session, the ARN of its role."""
        if self.service:
            return self.service
        return self.role.arn if self.role else f"arn:{self.partition}:iam::{self.account}:user/administrator"

    @property
    def service_names(self) -> tuple[str, ...]:
        """How policies may name the service: in all regions, or in one."""
        if self.service is None:
            return ()
        name, _, rest = self.service.partition(".")
        return self.service, f"{name}.{self.service_region}.{rest}"

    @property
    def user_id(self) -> str:
        """The unique id behind aws:userid."""
        if self.service:
            return self.service
        return f"{self.role.id}:{self.session_name}" if self.role else "AIDAADMINISTRATOR0000"

    def as_json(self) -> dict[str, str]:
        """The credentials, as the bench's own API gives them."""
        return {
            "account": self.account,
            "arn": self.arn,
            "accessKeyId": self.access_key,
            "secretAccessKey": self.secret_key,
            "sessionToken": self.token,
        }

    @property
    def all_tags(self) -> dict[str, str]:
        """What aws:PrincipalTag sees: the tags of the role, and over them those of the session."""
        own = {tag["Key"]: tag["Value"] for tag in self.role.tags} if self.role else {}
        return {**own, **self.tags}

    @property
    def alive(self) -> bool:
        """Whether the role is still the one that was assumed."""
        return self.role is None or iam_backends[self.account][self.partition].roles.get(self.role.id) is self.role


class Sessions:
    """All credentials that were given out."""

    def __init__(self) -> None:
        self._by_key: dict[str, Principal] = {}

    def add(self, principal: Principal) -> Principal:
        """Makes the credentials of a principal known."""
        self._by_key[principal.access_key] = principal
        return principal

    def of(self, access_key: str) -> Principal:
        """Whom an access key stands for."""
        return self._by_key[access_key]

    def knows(self, principal: Principal) -> bool:
        """Whether the credentials were given out since the last reset."""
        return self._by_key.get(principal.access_key) is principal

    def authenticate(self, service: str, access_key: str, token: str | None, region: str) -> Principal:
        """Whom credentials stand for. The signature is not looked at."""
        principal = self._by_key.get(access_key)
        if principal is None or token != principal.token or not principal.alive:
            raise errors.unknown_key(service)
        if principal.partition != get_partition(region):
            raise errors.unknown_key(service)
        if principal.expires < time.time():
            raise errors.expired(service)
        return principal

    def expire(self, account: str, role: str, moment: float) -> int:
        """Ends the sessions of a role; how many these were."""
        ended = [p for p in self._by_key.values() if p.account == account and p.role and p.role.name == role]
        for principal in ended:
            principal.expires = moment - 1
        return len(ended)
