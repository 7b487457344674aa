"""Secrets Manager: secrets, their policies, and the KMS keys that encrypt them (docs/aws-behaviour.md#secrets-manager)."""

import secrets
import string
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .access.decision import Guard, Need, refusal
from .access.documents import Malformed, parsed, written
from .call import Call
from .errors import AwsError
from .kms import ENABLED, locate, need_on
from .operations import operation
from .state import now, state

_LONGEST_POLICY = 20480
_LETTERS = string.ascii_letters + string.digits


@dataclass
class Secret:
    """A secret with one version. `key` is that of the customer, as it was named; none stands for AWS's own."""

    account: str
    region: str
    arn: str
    name: str
    value: str
    key: str | None
    policy: str | None = None
    deletion: float | None = None
    version: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=now)

    @property
    def guard(self) -> Guard:
        """Its policy counts beside those of its owner's identities."""
        return Guard(self.account, self.policy)


def _not_found() -> AwsError:
    return AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def _secrets_of(account: str, region: str) -> dict[str, Secret]:
    return state.secrets.setdefault((account, region), {})


def _find(call: Call) -> tuple[str, Secret | None]:
    """The ARN that a name, an ARN, or an ARN without its last six characters stands for, and the secret if it is there."""
    identifier = call.get("SecretId") or ""
    if not identifier.startswith("arn:"):
        secret = _secrets_of(call.account, call.region).get(identifier)
        return (secret.arn if secret else call.arn(f"secret:{identifier}-??????")), secret
    parts = identifier.split(":", 6)
    if len(parts) != 7 or parts[2] != "secretsmanager" or parts[3] != call.region:
        raise _not_found()
    for secret in _secrets_of(parts[4], parts[3]).values():
        if identifier in (secret.arn, secret.arn[:-7]):
            return secret.arn, secret
    return identifier, None


def _on_secret(call: Call) -> list[Need]:
    arn, secret = _find(call)
    return [Need(call.action, arn, {"secretsmanager:secretid": arn}, secret.guard if secret else Guard(arn.split(":")[4], None))]


def _secret(call: Call, alive: bool = True) -> Secret:
    _, secret = _find(call)
    if secret is None:
        raise _not_found()
    if alive and secret.deletion is not None:
        text = "You can't perform this operation on the secret because it was marked for deletion."
        raise AwsError("InvalidRequestException", text)
    return secret


def _use_key(call: Call, secret: Secret, *actions: str) -> None:
    """Raises unless the caller himself may use the key that encrypts a secret."""
    refused = AwsError("AccessDeniedException", "Access to KMS is not allowed")
    if secret.key is None:
        # AWS's own key lets in the owner's account and no other.
        if call.account != secret.account:
            raise refused
        return
    _, key = locate(call, secret.key)
    if key is None or key.state != ENABLED:
        text = "Secrets Manager can't decrypt the protected secret text using the provided KMS key."
        raise AwsError("DecryptionFailure" if "Decrypt" in actions else "EncryptionFailure", text)
    keys = {
        **call.origin.keys(),
        "kms:viaservice": f"secretsmanager.{call.region}.amazonaws.com",
        "kms:encryptioncontext:secretarn": secret.arn,
        "kms:encryptioncontext:secretversionid": secret.version,
    }
    if any(refusal(call.principal, call.region, need_on(call, key, f"kms:{action}", **keys)) for action in actions):
        raise refused


def _told(secret: Secret) -> dict[str, Any]:
    return {"ARN": secret.arn, "Name": secret.name}


def _creation(call: Call) -> list[Need]:
    return [Need(call.action, call.arn(f"secret:{call.get('Name')}-??????"))]


@operation("secretsmanager:CreateSecret", needs=_creation)
def create_secret(call: Call) -> dict[str, Any]:
    """A secret with a text in it. Its ARN ends with six characters of chance."""
    name, here = call.get("Name") or "", _secrets_of(call.account, call.region)
    if there := here.get(name):
        if there.deletion is not None:
            text = "You can't create this secret because a secret with this name is already scheduled for deletion."
            raise AwsError("InvalidRequestException", text)
        raise AwsError("ResourceExistsException", f"The operation failed because the secret {name} already exists.")
    arn = call.arn(f"secret:{name}-{''.join(secrets.choice(_LETTERS) for _ in range(6))}")
    secret = Secret(call.account, call.region, arn, name, call.get("SecretString") or "", call.get("KmsKeyId"))
    _use_key(call, secret, "GenerateDataKey", "Decrypt")
    here[name] = secret
    return {**_told(secret), "VersionId": secret.version}


@operation("secretsmanager:DescribeSecret", needs=_on_secret)
def describe_secret(call: Call) -> dict[str, Any]:
    """All but what is in it; also of one that is about to be deleted. A key is told only if it is the customer's."""
    secret = _secret(call, alive=False)
    told = {**_told(secret), "VersionIdsToStages": {secret.version: ["AWSCURRENT"]}, "CreatedDate": _time(secret.created)}
    if secret.key is not None:
        told["KmsKeyId"] = secret.key
    if secret.deletion is not None:
        told["DeletedDate"] = _time(secret.deletion)
    return told


@operation("secretsmanager:GetSecretValue", needs=_on_secret)
def get_secret_value(call: Call) -> dict[str, Any]:
    """What is in it, for who may also decrypt it."""
    secret = _secret(call)
    _use_key(call, secret, "Decrypt")
    return {**_told(secret), "VersionId": secret.version, "SecretString": secret.value, "VersionStages": ["AWSCURRENT"]}


@operation("secretsmanager:ListSecretVersionIds", needs=_on_secret)
def list_secret_version_ids(call: Call) -> dict[str, Any]:
    """The one version."""
    secret = _secret(call, alive=False)
    return {**_told(secret), "Versions": [{"VersionId": secret.version, "VersionStages": ["AWSCURRENT"]}]}


@operation("secretsmanager:GetResourcePolicy", needs=_on_secret)
def get_resource_policy(call: Call) -> dict[str, Any]:
    """The policy, if there is one."""
    secret = _secret(call)
    return {**_told(secret), **({"ResourcePolicy": secret.policy} if secret.policy else {})}


@operation("secretsmanager:PutResourcePolicy", needs=_on_secret)
def put_resource_policy(call: Call) -> dict[str, Any]:
    """Replaces the policy."""
    secret, document = _secret(call), call.get("ResourcePolicy") or ""
    try:
        if len(document) > _LONGEST_POLICY:
            raise Malformed("The resource policy is too long.")
        secret.policy = written(parsed(document), call.partition)
    except Malformed as error:
        text = "This resource policy contains an unsupported principal." if "principal" in str(error) else str(error)
        raise AwsError("MalformedPolicyDocumentException", text)
    return _told(secret)


@operation("secretsmanager:DeleteSecret", needs=_on_secret)
def delete_secret(call: Call) -> dict[str, Any]:
    """Nobody can read it from now on; days later it is gone. By force at once."""
    secret, days = _secret(call), call.get("RecoveryWindowInDays", 30)
    if not 7 <= days <= 30:
        raise AwsError("InvalidParameterException", "RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
    secret.deletion = now() + days * 86400
    if call.get("ForceDeleteWithoutRecovery"):
        del _secrets_of(secret.account, secret.region)[secret.name]
    return {**_told(secret), "DeletionDate": _time(secret.deletion)}


@operation("secretsmanager:RestoreSecret", needs=_on_secret)
def restore_secret(call: Call) -> dict[str, Any]:
    """It is kept."""
    secret = _secret(call, alive=False)
    secret.deletion = None
    return _told(secret)


def _time(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
