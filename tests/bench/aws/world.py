"""The standard world: a platform account, and pairs of a producer's warehouse and a consumer's Studio.

Each pair has its own VPCs, whose blocks do not overlap those of any other pair.
"""

import ipaddress
import json
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.vpcs import VPC
from moto.iam.models import Role, iam_backends
from moto.redshift.models import SubnetGroup, redshift_backends
from moto.utilities.utils import get_partition

from .call import Call
from .sessions import Principal
from .state import state

if TYPE_CHECKING:
    from .engine import Engine

CONTROLLER_ROLE = "redshift-link-controller"


@dataclass
class Side:
    """What both sides of a world may vary."""

    account: str = ""
    region: str = "eu-west-1"
    cidr: str | None = None
    extra_cidrs: list[str] = field(default_factory=list)
    dns_support: bool = True
    dns_hostnames: bool = True
    # The account that owns the VPC and shares the two subnets that are used.
    subnet_owner: str | None = None


@dataclass
class Producer(Side):
    """The warehouse's side."""

    account: str = "111122223333"
    publicly_accessible: bool = False


@dataclass
class Consumer(Side):
    """Studio's side."""

    account: str = "444455556666"
    vpc_only: bool = True
    identity_config: bool = True
    # A domain of Unified Studio has no VpcId.
    unified_studio: bool = False
    # No outbound rule but for HTTPS.
    egress_restricted: bool = False
    # A bucket to unload into, and a KMS key that it is encrypted with unless a request says otherwise.
    bucket: bool = False
    kms_key: bool = False


def snake_case(values: dict[str, Any]) -> dict[str, Any]:
    """JSON's names as Python's."""
    return {re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), name): value for name, value in values.items()}


def _options(kind: type, given: dict[str, Any]) -> Any:
    values = snake_case(given)
    if unknown := set(values) - {f.name for f in fields(kind)}:
        raise ValueError(f"unknown options: {', '.join(sorted(unknown))}")
    return kind(**values)


def session(
    account: str,
    admin: bool = False,
    role: str | None = None,
    source_identity: str | None = None,
    session_name: str = "bench",
    tags: dict[str, str] | None = None,
    partition: str = "aws",
) -> Principal:
    """Credentials of an account's administrator, or a session of a role as if a service had assumed it.

    The tags of such a session are transitive, as those of EKS Pod Identity are.
    """
    if admin == bool(role):
        raise ValueError("either admin or role")
    if admin:
        return state.sessions.add(Principal(account, partition=partition))
    found = next((r for r in iam_backends[account][partition].roles.values() if r.name == role), None)
    if found is None:
        raise ValueError(f"no role {role} in account {account}")
    tags = tags or {}
    return state.sessions.add(
        Principal(account, found, partition, session_name, source_identity, tags=tags, transitive_tags=frozenset(tags))
    )


def set_cluster(account: str, region: str, cluster_identifier: str, **values: Any) -> None:
    """Changes what a cluster is, as its owner or Redshift might: `status`, `publicly_accessible`, `port`, ..."""
    cluster = redshift_backends[account][region].clusters[cluster_identifier]
    for name, value in values.items():
        if not hasattr(cluster, name):
            raise ValueError(f"a cluster has no {name}")
        setattr(cluster, name, value)


class _Builder:
    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def perform(self, account: str, region: str, action: str, **params: Any) -> Any:
        """Executes an operation as the account's administrator, outside of the record."""
        service, _, operation = action.partition(":")
        return self._engine.perform(Call(Principal(account, partition=get_partition(region)), service, operation, region, params))

    def role(self, side: Any, name: str, service: str, path: str = "/", actions: tuple[str, ...] = ("sts:AssumeRole",)) -> Role:
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": list(actions)}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        self.perform(side.account, side.region, "iam:CreateRole", RoleName=name, Path=path, AssumeRolePolicyDocument=document)
        roles = iam_backends[side.account][get_partition(side.region)].roles.values()
        return next(r for r in roles if r.name == name)

    def network(self, side: Side, number: int) -> dict[str, Any]:
        """A VPC with a subnet that has its own route table, one on the main table, and one that nobody uses."""
        owner, cidr = side.subnet_owner or side.account, side.cidr or _block(number)
        store = ec2_backends[owner][side.region]
        vpc = store.create_vpc(cidr)
        vpc.enable_dns_support, vpc.enable_dns_hostnames = side.dns_support, side.dns_hostnames
        for extra in side.extra_cidrs:
            self.perform(owner, side.region, "ec2:AssociateVpcCidrBlock", VpcId=vpc.id, CidrBlock=extra)
        blocks = ipaddress.ip_network(cidr).subnets(new_prefix=24)
        subnets = {
            name: store.create_subnet(vpc.id, str(next(blocks)), availability_zone=side.region + zone).id
            for name, zone in (("own", "a"), ("main", "b"), ("other", "a"))
        }
        if owner != side.account:
            shared = state.shared_subnets.setdefault((side.account, side.region), {})
            shared.update({subnets["own"]: owner, subnets["main"]: owner})
        main = next(t for t in store.route_tables.values() if t.vpc_id == vpc.id)
        tables = {
            "own": self._table(store, vpc, subnets["own"]),
            "main": main.id,
            "other": self._table(store, vpc, subnets["other"]),
        }
        return {"vpcId": vpc.id, "cidr": cidr, "extraCidrs": side.extra_cidrs, "subnets": subnets, "routeTables": tables}

    @staticmethod
    def _table(store: EC2Backend, vpc: VPC, subnet: str) -> str:
        table = store.create_route_table(vpc.id).id
        store.associate_route_table(table, subnet_id=subnet)
        return table

    def producer(self, side: Producer, number: int) -> dict[str, Any]:
        """The network with a cluster in it."""
        network = self.network(side, 2 * number + 1)
        name = "warehouse" if number == 0 else f"warehouse-{number}"
        group = ec2_backends[side.account][side.region].create_security_group(name, "the warehouse", vpc_id=network["vpcId"]).id
        subnets = [network["subnets"]["own"], network["subnets"]["main"]]
        # Not by the operation, which knows only subnets of the account itself.
        owners = ec2_backends[side.subnet_owner or side.account][side.region]
        redshift = redshift_backends[side.account][side.region]
        redshift.subnet_groups[name] = SubnetGroup(owners, name, name, subnets, side.region)
        self.perform(
            side.account,
            side.region,
            "redshift:CreateCluster",
            ClusterIdentifier=name,
            NodeType="ra3.xlplus",
            MasterUsername="admin",
            MasterUserPassword="Bench-password-1",
            DBName="analytics",
            Port=5439,
            ClusterSubnetGroupName=name,
            VpcSecurityGroupIds=[group],
            PubliclyAccessible=side.publicly_accessible,
            Encrypted=True,
        )
        cluster = {"clusterIdentifier": name, "database": "analytics", "port": 5439, "masterUsername": "admin"}
        return {**network, **cluster, "subnetGroup": name, "securityGroupId": group}

    def consumer(self, side: Consumer, number: int) -> dict[str, Any]:
        """The network with a Studio domain in it, and the users alice (with a role of her own) and bob."""
        network = self.network(side, 2 * number + 2)
        subnets = [network["subnets"]["own"], network["subnets"]["main"]]
        group = self._studio_group(side, network["vpcId"], number)
        roles = {user: self._execution_role(side, f"20260101T{number:03}00{n}") for n, user in enumerate(("domain", "alice"))}
        created = self.perform(
            side.account,
            side.region,
            "sagemaker:CreateDomain",
            DomainName=f"studio-{number}",
            AuthMode="IAM",
            SubnetIds=subnets,
            AppNetworkAccessType="VpcOnly" if side.vpc_only else "PublicInternetOnly",
            DefaultUserSettings={"ExecutionRole": roles["domain"].arn, "SecurityGroups": [group]},
            DomainSettings={"ExecutionRoleIdentityConfig": "USER_PROFILE_NAME" if side.identity_config else "DISABLED"},
            **({} if side.unified_studio else {"VpcId": network["vpcId"]}),
        )
        for user, settings in (("alice", {"ExecutionRole": roles["alice"].arn}), ("bob", {})):
            profile = {"DomainId": created["DomainId"], "UserProfileName": user, "UserSettings": settings}
            self.perform(side.account, side.region, "sagemaker:CreateUserProfile", **profile)
        return {
            **network,
            "securityGroupId": group,
            "domainId": created["DomainId"],
            "executionRoleArn": roles["domain"].arn,
            "executionRoleName": roles["domain"].name,
            "profiles": {"alice": roles["alice"].arn, "bob": roles["domain"].arn},
            **self._storage(side, number),
        }

    def _storage(self, side: Consumer, number: int) -> dict[str, Any]:
        """What the options of the side ask for."""
        made: dict[str, Any] = {}
        if side.kms_key:
            key = self.perform(side.account, side.region, "kms:CreateKey", Description=f"unloads-{number}")
            made["kmsKeyArn"] = key["KeyMetadata"]["Arn"]
        if side.bucket:
            made["bucket"] = f"unloads-{side.account}-{number}"
            here = {} if side.region == "us-east-1" else {"LocationConstraint": side.region}
            params = {"Bucket": made["bucket"], "CreateBucketConfiguration": here}
            self.perform(side.account, side.region, "s3:CreateBucket", **params)
        if side.bucket and side.kms_key:
            default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": made["kmsKeyArn"]}
            rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}
            params = {"Bucket": made["bucket"], "ServerSideEncryptionConfiguration": rules}
            self.perform(side.account, side.region, "s3:PutBucketEncryption", **params)
        return made

    def _studio_group(self, side: Consumer, vpc_id: str, number: int) -> str:
        """In the consumer's account, also where the VPC is another's."""
        group = ec2_backends[side.account][side.region].create_security_group(f"studio-{number}", "Studio", vpc_id=vpc_id)
        everywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        group.egress_rules.clear()
        if side.egress_restricted:
            everywhere |= {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
        action = "ec2:AuthorizeSecurityGroupEgress"
        self.perform(side.account, side.region, action, GroupId=group.id, IpPermissions=[everywhere])
        return group.id

    def _execution_role(self, side: Consumer, stamp: str) -> Role:
        """As the SageMaker console makes it, with a policy that is none of a controller's business."""
        actions = ("sts:AssumeRole", "sts:SetSourceIdentity")
        role = self.role(side, f"AmazonSageMaker-ExecutionRole-{stamp}", "sagemaker.amazonaws.com", "/service-role/", actions)
        statement = {"Effect": "Allow", "Action": ["sagemaker:Describe*", "sagemaker:List*"], "Resource": "*"}
        role.put_policy("studio", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        return role


def _block(number: int) -> str:
    """The n-th block of 65,536 addresses, from 10.1.0.0/16 on."""
    return f"{10 + number // 256}.{number % 256}.0.0/16"


def _account(side: Any) -> dict[str, Any]:
    administrator = session(side.account, admin=True, partition=get_partition(side.region))
    return {"account": side.account, "region": side.region, "admin": administrator.as_json()}


def build(engine: "Engine", body: dict[str, Any]) -> dict[str, Any]:
    """Builds a world, or adds pairs to the one that is there (`firstPair`)."""
    if unknown := set(body) - {"pairs", "firstPair", "platform", "producer", "consumer"}:
        raise ValueError(f"unknown options: {', '.join(sorted(unknown))}")
    producer, consumer = _options(Producer, body.get("producer", {})), _options(Consumer, body.get("consumer", {}))
    platform = _options(Side, {"account": "999988887777", "region": producer.region, **body.get("platform", {})})
    builder = _Builder(engine)
    roles = iam_backends[platform.account][get_partition(platform.region)].roles.values()
    if not any(role.name == CONTROLLER_ROLE for role in roles):
        builder.role(platform, CONTROLLER_ROLE, "pods.eks.amazonaws.com", actions=("sts:AssumeRole", "sts:TagSession"))
    first = body.get("firstPair", 0)
    numbers = range(first, first + body.get("pairs", 1))
    partition = get_partition(platform.region)
    return {
        "platform": {
            **_account(platform),
            "roleName": CONTROLLER_ROLE,
            "roleArn": f"arn:{partition}:iam::{platform.account}:role/{CONTROLLER_ROLE}",
        },
        "producer": _account(producer),
        "consumer": _account(consumer),
        "pairs": [{"producer": builder.producer(producer, n), "consumer": builder.consumer(consumer, n)} for n in numbers],
    }
