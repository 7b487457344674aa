"""Values to try the chart with."""

from ..accounts import account
from ..aws.client import CONSUMER, PRODUCER

ACCOUNTS = [
    account(
        protectedDatabaseUsers=["etl"],
        permissionsBoundary=f"arn:aws:iam::{PRODUCER}:policy/boundary",
        allow=[
            {
                "namespaces": ["*"],
                "as": "producer",
                "clusters": ["*"],
                "databaseGroups": ["readers"],
                "databaseUsers": ["app"],
                "secrets": ["*"],
            }
        ],
    ),
    account(
        id=CONSUMER,
        externalId="consumer-external-id",
        executionRoles=[f"arn:aws:iam::{CONSUMER}:role/service-role/AmazonSageMaker-*"],
        abandoned=False,
        allow=[
            {
                "namespaces": {"matchLabels": {"team": "ml"}},
                "as": "consumer",
                "domains": ["*"],
                "vpcs": ["*"],
                "roles": [],
                "buckets": ["exports/", "shared/warehouse/"],
                "keys": ["*"],
                "secretReaders": [f"arn:aws:iam::{CONSUMER}:role/extract"],
            }
        ],
    ),
]

# Nearly every value, and none its default.
FULL = {
    "installation": "analytics-prod",
    "accounts": ACCOUNTS,
    "accountsSecret": {"key": "file"},
    "interval": "90s",
    "lostAnswerGrace": "1h",
    "workers": 256,
    "logLevel": "debug",
    "awsRegion": "us-gov-west-1",
    "extraEnv": [
        {"name": "AWS_ENDPOINT_URL", "value": "http://127.0.0.1:1"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
    "image": {
        "repository": "registry.example/redshift-link",
        "tag": "main",
        "digest": "sha256:" + "0123456789abcdef" * 4,
        "pullPolicy": "Always",
    },
    "imagePullSecrets": [{"name": "registry"}],
    "replicas": 3,
    "resources": {"requests": {"cpu": 1, "memory": "128Mi"}, "limits": {"cpu": 2, "memory": "128Mi"}},
    "crds": {"install": True, "keep": False},
    "serviceAccount": {
        "name": "own",
        "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::999988887777:role/x"},
    },
    "rbac": {"aggregate": False},
    "serviceMonitor": {"enabled": True, "interval": "30s", "labels": {"prometheus": "platform"}},
    # the first must not change the selector
    "commonLabels": {"app.kubernetes.io/name": "other", "team": "platform"},
    "podLabels": {"sidecar.istio.io/inject": "false"},
    "podAnnotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"},
    "podSecurityContext": {"runAsUser": 1000},
    "securityContext": {"privileged": False},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}}
            ]
        }
    },
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
    "extraVolumes": [{"name": "ca", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
    "nameOverride": "link",
    "fullnameOverride": "the-link",
}

# A part of the message, and values that the schema or a template refuses with it.
WRONG = [
    ("'/replicas': got string", {"replicas": "2"}),
    ("'/replicas': minimum", {"replicas": -1}),
    ("'replica' not allowed", {"replica": 2}),
    ("'/image': additional properties 'host' not allowed", {"image": {"host": "registry.example"}}),
    ("'/image/digest'", {"image": {"digest": "sha256:abc"}}),
    ("'/image/pullPolicy'", {"image": {"pullPolicy": "Sometimes"}}),
    ("'/image/repository'", {"image": {"repository": ""}}),
    ("'/interval'", {"interval": "0s"}),
    ("'/interval'", {"interval": 600}),
    ("'/lostAnswerGrace'", {"lostAnswerGrace": "soon"}),
    ("'/workers'", {"workers": 0}),
    ("'/workers'", {"workers": 257}),
    ("'/installation'", {"installation": "Prod"}),
    ("'/installation'", {"installation": "retained"}),
    ("'/installation'", {"installation": "x" * 64}),
    ("'/logLevel'", {"logLevel": ""}),
    ("'/awsRegion'", {"awsRegion": "Ireland"}),
    ("'/extraEnv/0'", {"extraEnv": [{"AWS_REGION": "eu-west-1"}]}),
    ("'/extraEnv/0/value'", {"extraEnv": [{"name": "A", "value": 1}]}),
    ("'/imagePullSecrets/0'", {"imagePullSecrets": ["registry"]}),
    ("'/resources': additional properties", {"resources": {"memory": "1Gi"}}),
    ("'/crds/keep'", {"crds": {"keep": "yes"}}),
    ("'/serviceAccount'", {"serviceAccount": {"automount": True}}),
    ("'/rbac'", {"rbac": {"create": True}}),
    ("'/serviceMonitor/interval'", {"serviceMonitor": {"interval": "often"}}),
    ("'/podLabels/a'", {"podLabels": {"a": 1}}),
    ("'/tolerations'", {"tolerations": {"key": "dedicated"}}),
    ("'/accountsSecret'", {"accountsSecret": {"secret": "mine"}}),
    ("'/accounts/0/id': got number", {"accounts": [{**account(), "id": 111122223333}]}),
    ("'/accounts/0/id'", {"accounts": [account(id="1111")]}),
    ("missing property 'externalId'", {"accounts": [account(externalId=None)]}),
    ("missing property 'roleArn'", {"accounts": [account(roleArn=None)]}),
    ("'/accounts/0/externalId'", {"accounts": [account(externalId="x")]}),
    ("'/accounts/0/roleArn'", {"accounts": [account(roleArn="arn:aws:iam::111122223333:user/x")]}),
    ("'/accounts/0': additional properties 'secret'", {"accounts": [account(secret="x")]}),
    ("'/accounts/0/abandoned'", {"accounts": [account(abandoned="true")]}),
    ("'/accounts/0/executionRoles'", {"accounts": [account(executionRoles="*")]}),
    ("missing property 'as'", {"accounts": [account(allow=[{"namespaces": ["a"]}])]}),
    ("'/accounts/0/allow/0/as'", {"accounts": [account(allow=[{"namespaces": ["a"], "as": "owner"}])]}),
    ("'/accounts/0/allow/0/namespaces'", {"accounts": [account(allow=[{"namespaces": "a", "as": "producer"}])]}),
    (
        "matchLabels': minProperties",
        {"accounts": [account(allow=[{"namespaces": {"matchLabels": {}}, "as": "producer"}])]},
    ),
    (
        "additional properties 'cluster'",
        {"accounts": [account(allow=[{"namespaces": ["a"], "as": "producer", "cluster": "b"}])]},
    ),
    ("111122223333 stands twice", {"accounts": [account(), account()]}),
    ("of another account", {"accounts": [account(roleArn=f"arn:aws:iam::{CONSUMER}:role/x")]}),
    ("both set", {"accounts": ACCOUNTS, "accountsSecret": {"name": "mine"}}),
]

# As much of the Prometheus operator as a ServiceMonitor needs.
SERVICE_MONITORS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "names": {"kind": "ServiceMonitor", "plural": "servicemonitors"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
