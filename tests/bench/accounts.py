"""AWS accounts as a platform team sets them up: entries of the accounts file, and the controller's role in each."""

import json

from .aws.client import CONSUMER, PLATFORM, PRODUCER, Bench


def account(**changes) -> dict:
    """An entry of the accounts file, complete and good but for the changes; None takes a field away."""
    role = f"arn:aws:iam::{changes.get('id', PRODUCER)}:role/redshift-link"
    entry = {"id": PRODUCER, "roleArn": role, "externalId": "producer-external-id", **changes}
    return {name: value for name, value in entry.items() if value is not None}


def producer(**allowed) -> dict:
    """The warehouse's account, and what may be used in it."""
    return account(protectedDatabaseUsers=["etl"], allow=[{"as": "producer", **allowed}])


def consumer(**allowed) -> dict:
    """Studio's account, and what may be used in it."""
    return account(
        id=CONSUMER,
        externalId="consumer-external-id",
        executionRoles=[f"arn:aws:iam::{CONSUMER}:role/service-role/AmazonSageMaker-*"],
        allow=[{"as": "consumer", **allowed}],
    )


def make_roles(aws: Bench, world: dict, printed: dict) -> None:
    """Makes the controller's roles, with exactly the policies that the program prints."""
    own, name = _permissions(printed["controller"]), world["platform"]["roleName"]
    aws.admin(PLATFORM, "iam").put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=own)
    for identifier, policies in printed["accounts"].items():
        iam, name = aws.admin(identifier, "iam"), policies["role"]["name"]
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policies["trustPolicy"]))
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_permissions(policies))


def _permissions(policies: dict) -> str:
    return json.dumps(policies["permissionsPolicy"])
