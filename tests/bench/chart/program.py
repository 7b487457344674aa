"""The built program, run outside the cluster as the pod of a release runs in it."""

import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..aws.testing import PLATFORM, Bench, allow, document
from .values import PRODUCER


class Pod:
    """The container of a Deployment: its arguments, environment and probes, its accounts file and token from files."""

    def __init__(self, binary: Path, deployment: dict, accounts: Path, kubeconfig: Path):
        self._container = deployment["spec"]["template"]["spec"]["containers"][0]
        self._binary = binary
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        namespace = deployment["metadata"]["namespace"]
        self.env = {entry["name"]: entry["value"] for entry in self._container["env"] if "value" in entry}
        self.env |= {"POD_NAME": "pod", "POD_NAMESPACE": namespace, "KUBECONFIG": str(kubeconfig)}
        self.env |= {"REDSHIFT_LINK_ACCOUNTS": str(accounts), "REDSHIFT_LINK_ADMIN_ADDRESS": self._address}

    def identify(self, aws: Bench, world: dict) -> None:
        """Makes the roles at AWS, with exactly the policies that the program prints, and runs as one of them."""
        command = [self._binary, "iam", "--controller-role-arn", world["platform"]["roleArn"]]
        _make_roles(aws, world, json.loads(subprocess.check_output(command, env={**os.environ, **self.env})))
        session = aws.session(PLATFORM, world["platform"]["roleName"])
        self.env |= {"AWS_ACCESS_KEY_ID": session["accessKeyId"], "AWS_SECRET_ACCESS_KEY": session["secretAccessKey"]}
        self.env |= {"AWS_SESSION_TOKEN": session["sessionToken"], "AWS_REGION": world["platform"]["region"]}
        self.env |= {"AWS_ENDPOINT_URL": aws.url, "AWS_EC2_METADATA_DISABLED": "true"}

    @contextmanager
    def running(self, log: Path) -> Iterator[None]:
        """Ends it as the kubelet does, and as it must: well."""
        command = [self._binary, *self._container["args"]]
        with log.open("w") as stderr, subprocess.Popen(command, env=self.env, stderr=stderr) as program:
            try:
                yield
            finally:
                program.terminate()
        assert program.returncode == 0, log.read_text()

    def probe(self, kind: str) -> bool:
        return self.get(self._container[kind]["httpGet"]["path"]) is not None

    def get(self, path: str) -> str | None:
        """What it answers, where it answers well."""
        try:
            return urllib.request.urlopen(f"http://{self._address}{path}").read().decode()
        except urllib.error.URLError:
            return None


def _make_roles(aws: Bench, world: dict, printed: dict) -> None:
    own = _permissions(printed["controller"])
    aws.admin(PLATFORM, "iam").put_role_policy(
        RoleName=world["platform"]["roleName"], PolicyName="own", PolicyDocument=own
    )
    aws.admin(PRODUCER, "iam").create_policy(PolicyName="boundary", PolicyDocument=document(allow("*")))
    for account, policies in printed["accounts"].items():
        iam, name = aws.admin(account, "iam"), policies["role"]["name"]
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policies["trustPolicy"]))
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_permissions(policies))


def _permissions(policies: dict) -> str:
    return json.dumps(policies["permissionsPolicy"])
