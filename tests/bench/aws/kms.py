"""KMS: keys, their policies and aliases (docs/aws-behaviour.md#kms). What S3 does with them: s3/encryption.py."""

import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .access.decision import Guard, Need
from .access.documents import Malformed, parsed, written
from .access.policy import ALLOW, Context, decide_for
from .call import Call
from .errors import AwsError, denied
from .iam.principals import names
from .operations import operation
from .state import now, state

ENABLED, DISABLED, PENDING = "Enabled", "Disabled", "PendingDeletion"
_LONGEST_POLICY = 32768
_ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}")


@dataclass
class Key:
    """A symmetric key. `policy` is that of the key."""

    account: str
    region: str
    arn: str
    policy: str
    description: str = ""
    manager: str = "CUSTOMER"
    state: str = ENABLED
    deletion: float | None = None
    tags: dict[str, str] = field(default_factory=dict)
    created: float = field(default_factory=now)

    @property
    def id(self) -> str:
        """The id, which ends the ARN."""
        return self.arn.rpartition("/")[2]

    @property
    def guard(self) -> Guard:
        """Its policy decides; the account's own policies only where it lets them."""
        return Guard(self.account, self.policy, open_to_owner=False)

    def as_api(self) -> dict[str, Any]:
        """As DescribeKey gives it."""
        view = {
            "AWSAccountId": self.account,
            "KeyId": self.id,
            "Arn": self.arn,
            "CreationDate": datetime.fromtimestamp(self.created, UTC),
            "Enabled": self.state == ENABLED,
            "Description": self.description,
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": self.state,
            "Origin": "AWS_KMS",
            "KeyManager": self.manager,
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "MultiRegion": False,
        }
        if self.deletion is not None:
            view["DeletionDate"] = datetime.fromtimestamp(self.deletion, UTC)
        return view


@dataclass
class Keys:
    """What an account has in a region."""

    by_id: dict[str, Key] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


def keys_of(account: str, region: str) -> Keys:
    """The keys and aliases of an account in a region."""
    return state.keys.setdefault((account, region), Keys())


def not_found(identifier: str) -> AwsError:
    """No such key."""
    return AwsError("NotFoundException", f"Key '{identifier}' does not exist")


def locate(call: Call, identifier: str, aliases: bool = True) -> tuple[str, Key | None]:
    """The ARN that an id, alias or ARN stands for, and the key, if there is one in the region."""
    arn = identifier if identifier.startswith("arn:") else call.arn(_resource(identifier), "kms")
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "kms" or not parts[5].startswith(("key/", "alias/")):
        raise AwsError("NotFoundException", f"Invalid keyId '{identifier}'")
    if parts[3] != call.region:
        raise AwsError("NotFoundException", f"Invalid arn {parts[3]}")
    keys = keys_of(parts[4], parts[3])
    if parts[5].startswith("alias/"):
        if not aliases:
            raise AwsError("NotFoundException", f"Invalid keyId '{identifier}'")
        key = keys.by_id.get(keys.aliases.get(parts[5], ""))
        return (key.arn if key else arn), key
    return arn, keys.by_id.get(parts[5].removeprefix("key/"))


def _resource(identifier: str) -> str:
    return identifier if identifier.startswith("alias/") else f"key/{identifier}"


def need_on(call: Call, key: Key, action: str, **keys: Any) -> Need:
    """The need of an action on a key that is there."""
    tags = {f"aws:resourcetag/{name}".lower(): value for name, value in key.tags.items()}
    return Need(action, key.arn, {"kms:calleraccount": call.account, **tags, **keys}, key.guard)


def _on_key(call: Call, aliases: bool = False) -> list[Need]:
    arn, key = locate(call, call.get("KeyId") or "", aliases)
    if key is not None:
        extra = {"kms:policyname": call.get("PolicyName", "default")} if call.operation.endswith("KeyPolicy") else {}
        return [need_on(call, key, call.action, **extra)]
    owner = arn.split(":", 5)[4]
    # A key that is not there has no policy: of one's own account it is for the account's policies to say.
    return [Need(call.action, arn, {"kms:calleraccount": call.account}, Guard(owner, None))]


def _on_key_or_alias(call: Call) -> list[Need]:
    return _on_key(call, aliases=True)


def _key(call: Call, parameter: str = "KeyId", aliases: bool = False) -> Key:
    arn, key = locate(call, call.get(parameter) or "", aliases)
    if key is None:
        raise not_found(arn)
    return key


def _own_key(call: Call, parameter: str = "KeyId") -> Key:
    """For what cannot be done from another account, whatever the policies say."""
    key = _key(call, parameter)
    if key.account != call.account:
        reason = "because no resource-based policy allows the action"
        raise denied("kms", call.principal.arn, call.action, key.arn, reason, elsewhere=True)
    return key


def _changeable(call: Call, parameter: str = "KeyId") -> Key:
    key = _own_key(call, parameter)
    if key.state == PENDING:
        raise pending(key)
    return key


def pending(key: Key) -> AwsError:
    """The key is about to be deleted."""
    return AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")


# Policies


def _default_policy(call: Call) -> str:
    """Leaves it to the account's own policies."""
    root = f"arn:{call.partition}:iam::{call.account}:root"
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": root},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]})


def _checked_policy(call: Call, arn: str, document: str) -> str:
    """A key policy as it is kept; raises also if its author could not change it again."""
    if len(document) > _LONGEST_POLICY:
        raise AwsError("LimitExceededException", "The key policy is too long.")
    try:
        policy = written(parsed(document), call.partition)
    except Malformed as error:
        text = "Policy contains a statement with one or more invalid principals." if "principal" in str(error) else str(error)
        raise AwsError("MalformedPolicyDocumentException", text)
    keys = {"kms:calleraccount": call.account, **call.origin.keys()}
    context = Context(call.principal, call.region, "kms:PutKeyPolicy", arn, keys)
    # Only the new policy is looked at: that it leaves the author's account to its own policies is enough.
    allowed = decide_for(policy, context, lambda element: names(element, call.principal)) == ALLOW
    if not allowed and not call.get("BypassPolicyLockoutSafetyCheck"):
        text = "The new key policy will not allow you to update the key policy in the future."
        raise AwsError("MalformedPolicyDocumentException", text)
    return policy


# Operations


def _creation(call: Call) -> list[Need]:
    bypass = str(bool(call.get("BypassPolicyLockoutSafetyCheck"))).lower()
    keys = {"kms:calleraccount": call.account, "kms:bypasspolicylockoutsafetycheck": bypass}
    actions = ["kms:CreateKey", "kms:TagResource"] if call.get("Tags") else ["kms:CreateKey"]
    return [Need(action, "*", dict(keys)) for action in actions]


@operation("kms:CreateKey", needs=_creation)
def create_key(call: Call) -> dict[str, Any]:
    """A symmetric key; others the bench has not."""
    for name, only in (("KeyUsage", "ENCRYPT_DECRYPT"), ("KeySpec", "SYMMETRIC_DEFAULT"), ("Origin", "AWS_KMS")):
        if call.get(name, only) != only:
            raise AwsError("NotImplemented", f"the bench does not implement {name} {call.get(name)}", 501)
    arn = call.arn(f"key/{uuid.uuid4()}")
    policy = _checked_policy(call, arn, call.get("Policy") or _default_policy(call))
    tags = {tag["TagKey"]: tag["TagValue"] for tag in call.get("Tags", [])}
    key = Key(call.account, call.region, arn, policy, call.get("Description", ""), tags=tags)
    keys_of(call.account, call.region).by_id[key.id] = key
    return {"KeyMetadata": key.as_api()}


@operation("kms:DescribeKey", needs=_on_key_or_alias)
def describe_key(call: Call) -> dict[str, Any]:
    """A key in whatever state, also of another account."""
    return {"KeyMetadata": _key(call, aliases=True).as_api()}


@operation("kms:GetKeyPolicy", needs=_on_key)
def get_key_policy(call: Call) -> dict[str, Any]:
    """The only policy that a key has is called `default`."""
    if call.get("PolicyName", "default") != "default":
        raise AwsError("NotFoundException", "No such policy exists")
    return {"Policy": _own_key(call).policy, "PolicyName": "default"}


@operation("kms:PutKeyPolicy", needs=_on_key)
def put_key_policy(call: Call) -> dict[str, Any]:
    """Replaces the policy."""
    if call.get("PolicyName", "default") != "default":
        raise AwsError("NotFoundException", "No such policy exists")
    key = _own_key(call)
    key.policy = _checked_policy(call, key.arn, call.get("Policy") or "")
    return {}


@operation("kms:EnableKey", "kms:DisableKey", needs=_on_key)
def enable_or_disable_key(call: Call) -> dict[str, Any]:
    """Not of a key that is about to be deleted."""
    _changeable(call).state = ENABLED if call.operation == "EnableKey" else DISABLED
    return {}


@operation("kms:ScheduleKeyDeletion", needs=_on_key)
def schedule_key_deletion(call: Call) -> dict[str, Any]:
    """Nobody can use the key from now on; days later it is gone."""
    days = call.get("PendingWindowInDays", 30)
    if not 7 <= days <= 30:
        raise AwsError("ValidationException", "PendingWindowInDays must be from 7 to 30")
    key = _changeable(call)
    key.state, key.deletion = PENDING, now() + days * 86400
    return {
        "KeyId": key.arn,
        "DeletionDate": datetime.fromtimestamp(key.deletion, UTC),
        "KeyState": PENDING,
        "PendingWindowInDays": days,
    }


@operation("kms:CancelKeyDeletion", needs=_on_key)
def cancel_key_deletion(call: Call) -> dict[str, Any]:
    """The key is kept, and is disabled."""
    key = _own_key(call)
    if key.state != PENDING:
        raise AwsError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
    key.state, key.deletion = DISABLED, None
    return {"KeyId": key.arn}


def _on_alias_and_key(call: Call) -> list[Need]:
    _, key = locate(call, call.get("TargetKeyId") or "", aliases=False)
    alias = Need(call.action, call.arn(call.get("AliasName") or ""), {"kms:calleraccount": call.account})
    return [alias, *([need_on(call, key, call.action)] if key else [])]


@operation("kms:CreateAlias", needs=_on_alias_and_key)
def create_alias(call: Call) -> dict[str, Any]:
    """A name for a key of the same account and region."""
    name = call.get("AliasName") or ""
    if not _ALIAS.fullmatch(name) or name.startswith("alias/aws/"):
        raise AwsError("InvalidAliasNameException", f"Invalid alias name {name}")
    key, aliases = _changeable(call, "TargetKeyId"), keys_of(call.account, call.region).aliases
    if name in aliases:
        raise AwsError("AlreadyExistsException", f"An alias with the name {call.arn(name)} already exists")
    aliases[name] = key.id
    return {}


@operation("kms:ListAliases")
def list_aliases(call: Call) -> dict[str, Any]:
    """All aliases, or those of a key."""
    wanted = _key(call).id if call.get("KeyId") else None
    found = sorted((name, key) for name, key in keys_of(call.account, call.region).aliases.items() if wanted in (None, key))
    return {"Aliases": [{"AliasName": name, "AliasArn": call.arn(name), "TargetKeyId": key} for name, key in found]}


def set_state(arn: str, status: str | None) -> None:
    """Puts a key into a state, or lets it be gone, as time or its owner might."""
    _, _, _, region, account, resource = arn.split(":", 5)
    keys = keys_of(account, region)
    key = keys.by_id[resource.removeprefix("key/")]
    if status is None:
        del keys.by_id[key.id]
        keys.aliases = {name: identifier for name, identifier in keys.aliases.items() if identifier != key.id}
    elif status in (ENABLED, DISABLED, PENDING):
        key.state, key.deletion = status, now() + 30 * 86400 if status == PENDING else None
    else:
        raise ValueError(f"unknown status; known: {ENABLED}, {DISABLED}, {PENDING}, null")
