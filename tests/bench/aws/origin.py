"""Whence a call comes, as far as policies can tell."""

from dataclasses import dataclass
from typing import Any

from .state import state


@dataclass(frozen=True)
class Origin:
    """A public address; or a VPC endpoint, which hides it (docs/aws-behaviour.md#permissions)."""

    source_ip: str | None = None
    source_vpc: str | None = None
    source_vpce: str | None = None

    def keys(self) -> dict[str, Any]:
        """As condition keys."""
        private = self.source_vpce is not None
        return {
            "aws:sourceip": None if private else self.source_ip,
            "aws:sourcevpc": self.source_vpc,
            "aws:sourcevpce": self.source_vpce,
        }


def outside() -> Origin:
    """Where the clients of the bench are: a matter of its settings."""
    settings = state.settings
    return Origin(settings.source_ip, settings.source_vpc, settings.source_vpce)
