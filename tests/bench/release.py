"""A release of the chart, and what a pod of it has: a token and an accounts file."""

import base64
import json
import subprocess
from pathlib import Path

from .cluster import Cluster
from .program import Pod, binary
from .servers import ROOT

CHART = ROOT / "charts/redshift-link"
NAME = "redshift-link"


class Release:
    """A release of the chart in a namespace of the same name."""

    def __init__(self, cluster: Cluster, namespace: str = NAME):
        self._cluster = cluster
        self._place = ("-n", namespace)

    def install(self, values: dict, *options: str) -> subprocess.CompletedProcess:
        """Installs it, and waits until all of it is ready."""
        return self._cluster.helm("install", NAME, CHART, *self._place, "--wait", *options, values=values)

    def uninstall(self) -> None:
        """Takes it away; the definitions stay where they are to be kept."""
        self._cluster.helm("uninstall", NAME, *self._place)

    def deployment(self) -> dict:
        """The Deployment."""
        return self._cluster.get("deployment", NAME, *self._place)

    def lease_holder(self) -> str | None:
        """Who acts, by the lease."""
        return self._cluster.get("lease", NAME, *self._place)["spec"].get("holderIdentity")

    def kubeconfig(self, file: Path, *options: str) -> Path:
        """What a pod of the release may do, and nothing else."""
        config = json.loads(self._cluster.kubectl("config", "view", "--raw", "-o", "json").stdout)
        token = self._cluster.kubectl("create", "token", NAME, *self._place, *options).stdout
        config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
        file.touch(mode=0o600)
        file.write_text(json.dumps(config))
        return file

    def accounts(self, file: Path) -> Path:
        """The accounts file as a pod of the release sees it."""
        file.touch(mode=0o600)
        file.write_text(accounts_file(self._cluster.get("secret", f"{NAME}-accounts", *self._place)))
        return file

    def pod(self, folder: Path, *token_options: str) -> Pod:
        """The built program as a pod of the release, with its files in a folder."""
        kubeconfig = self.kubeconfig(folder / "controller.kubeconfig", *token_options)
        return Pod(binary(), self.deployment(), self.accounts(folder / "accounts.yaml"), kubeconfig)


def accounts_file(secret: dict, key: str = "accounts.yaml") -> str:
    """The accounts file in a Secret."""
    return base64.b64decode(secret["data"][key]).decode()
