"""Everything the bench keeps besides what moto keeps, and the settings of its behaviour."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from moto.core.base_backend import BackendDict

from .sessions import Sessions

if TYPE_CHECKING:
    from .ec2.peering import Peering
    from .kms import Key, Keys
    from .redshift_data.statements import Remembered, Statement
    from .s3.store import Bucket
    from .sagemaker import Studio
    from .secrets_manager import Secret


@dataclass
class Settings:
    """How the accounts behave. Durations are seconds."""

    # How long the accepter's side does not see a new request.
    peering_pending_visible_seconds: float = 0
    peering_provisioning_seconds: float = 0.2
    peering_deleting_seconds: float = 0.2
    peering_deleted_visible_seconds: float = 7200
    # How long a new role is unknown as a principal and cannot be assumed.
    iam_propagation_seconds: float = 0
    domain_updating_seconds: float = 0
    cluster_role_adding_seconds: float = 0.2
    cluster_role_removing_seconds: float = 0.2
    # Where the clients are; a VPC endpoint hides the address.
    source_ip: str | None = "198.51.100.10"
    source_vpc: str | None = None
    source_vpce: str | None = None
    # As every new bucket has it, refuses policies that let everybody in.
    block_public_policies: bool = True
    # How far AWS's clock is ahead of this machine's. Credentials end by the machine's.
    clock_ahead_seconds: float = 0
    # A statement's time in SUBMITTED and PICKED, and from the call that cancels it until it is told to stop.
    statement_submitted_seconds: float = 0
    statement_picked_seconds: float = 0
    statement_cancel_seconds: float = 0
    # Redshift reads backslashes in literals as escapes; the other answer is for those who want to bear both.
    standard_conforming_strings: bool = False
    # UNLOAD: how many slices write, how long each file takes, whether as multipart uploads.
    unload_slices: int = 2
    unload_file_seconds: float = 0
    unload_multipart: bool = False
    # Whether it asks for more than its writing needs.
    unload_asks_for_bucket_location: bool = True
    unload_reads_objects: bool = True
    # A refused role is told in the words of clusters, or in those of newer ways in.
    role_refusals_name_the_association: bool = False
    # Without rows it may leave empty objects of text; the rows of an UNLOAD may be told as those of the statement.
    unload_empty_objects: bool = True
    unload_tells_rows: bool = False
    # What may go wrong: it fails after so many files, writes so many more after it is ABORTED, and its manifest may be
    # "complete", "short" or "missing".
    unload_fails_after_files: int | None = None
    unload_files_after_abort: int = 0
    unload_manifest: str = "complete"
    # The most items of a listing's page, whatever was asked for.
    page_limit: int = 1000
    # Where AWS's behaviour is not known: false is what a client finds harder.
    existing_peering_takes_tags: bool = False
    identical_route_succeeds: bool = False
    absent_role_is_not_found: bool = False
    cluster_role_changes_may_overlap: bool = False
    attached_roles_must_trust_redshift: bool = False
    repeated_token_gives_original_id: bool = True
    changed_request_with_token_is_refused: bool = True
    # Quotas
    peerings_per_vpc: int = 50
    outstanding_peerings_per_account: int = 25
    routes_per_table: int = 50
    rules_per_security_group: int = 60
    trust_policy_characters: int = 2048
    inline_policy_characters: int = 10240
    roles_per_account: int = 1000
    roles_per_cluster: int = 50
    smallest_part_bytes: int = 5 * 1024 * 1024
    active_statements_per_cluster: int = 500
    waiting_requests_per_statement: int = 10
    result_bytes: int = 500 * 1024 * 1024
    result_page_rows: int = 1000

    def update(self, values: dict[str, Any]) -> None:
        """Sets what is given; an unknown name is an error."""
        known = {f.name for f in fields(self)}
        if unknown := set(values) - known:
            raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
        for name, value in values.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """All settings."""
        return asdict(self)


@dataclass
class State:
    """What the bench itself keeps. Replaced as a whole by a reset."""

    settings: Settings = field(default_factory=Settings)
    sessions: Sessions = field(default_factory=Sessions)
    peerings: "dict[str, Peering]" = field(default_factory=dict)
    studios: "dict[tuple[str, str], Studio]" = field(default_factory=dict)
    # By account and region.
    keys: "dict[tuple[str, str], Keys]" = field(default_factory=dict)
    secrets: "dict[tuple[str, str], dict[str, Secret]]" = field(default_factory=dict)
    # Names are global.
    buckets: "dict[str, Bucket]" = field(default_factory=dict)
    # Subnets shared with an account: (participant, region) -> ids, each with its owner.
    shared_subnets: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    # Statements by id, and by account, Region and client token what was asked with it.
    statements: "dict[str, Statement]" = field(default_factory=dict)
    statement_tokens: "dict[tuple[str, str, str], Remembered]" = field(default_factory=dict)

    def with_policies(self) -> "list[Bucket | Key | Secret]":
        """All things that have policies of their own, but roles."""
        keys = (key for keys in self.keys.values() for key in keys.by_id.values())
        secrets = (secret for secrets in self.secrets.values() for secret in secrets.values())
        return [*self.buckets.values(), *keys, *secrets]


# What else a reset empties.
on_reset: list[Callable[[], None]] = []


class _Current:
    """The state now: a name that stays the same while a reset replaces what it stands for."""

    def __init__(self) -> None:
        self._state = State()

    def reset(self) -> None:
        """Empties all accounts."""
        for statement in self._state.statements.values():
            statement.abandon()
        BackendDict.reset()
        for empty in on_reset:
            empty()
        self._state = State()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)


state: Any = _Current()


def now() -> float:
    """The time that states go by, AWS's."""
    return time.time() + state.settings.clock_ahead_seconds
