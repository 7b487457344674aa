"""What the story is played on: a cluster, two AWS accounts, and the controller as a release of the chart would run it."""

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT

from .. import servers
from ..aws.client import CONSUMER, PRODUCER, Bench
from ..cluster import Cluster, Helm
from ..controlplane import assets
from ..controlplane.process import spawn
from ..failure import Failure
from ..program import binary
from ..release import Release
from .manifest import Manifest
from .terminal import Terminal

SIDES = {"producer": PRODUCER, "consumer": CONSUMER}


def folder() -> Path:
    """The folder of the demo's files, outside the checkout."""
    return assets.cache() / "demo"


def log() -> Path:
    """The log of the controller."""
    return folder() / "controller.log"


@dataclass(frozen=True)
class Stage:
    """All that the chapters need."""

    terminal: Terminal
    cluster: Cluster
    aws: Bench
    world: dict
    manifest: Manifest

    @property
    def release(self) -> Release:
        """The release of the chart."""
        return Release(self.cluster)

    @property
    def pair(self) -> dict:
        """The warehouse and the Studio domain."""
        return self.world["pairs"][0]

    def inventories(self) -> list[dict]:
        """All that is in both accounts, as it can be compared."""
        return [self.aws.get("inventory", account=account) for account in SIDES.values()]

    def kubectl(self, arguments: str) -> None:
        """Runs kubectl as the story shows it."""
        self.terminal.command(f"kubectl {arguments}")
        self.terminal.output(self.cluster.kubectl(*shlex.split(arguments), cwd=folder()).stdout)

    def unload(self, arguments: str) -> None:
        """Runs `redshift-link unload` as the story shows it, each line as it comes."""
        self.terminal.command(f"redshift-link unload {arguments}")
        command = [str(binary()), "unload", *shlex.split(arguments)]
        options = {"cwd": folder(), "env": {**os.environ, "KUBECONFIG": self.cluster.kubeconfig}, "text": True}
        with spawn(command, stdout=PIPE, stderr=STDOUT, **options) as child:
            for line in child.stdout:
                self.terminal.output(line)
        if child.returncode:
            raise Failure(f"it ended with {child.returncode}")


@contextmanager
def built(terminal: Terminal) -> Iterator[Stage]:
    """Starts the servers and builds the world: a warehouse in one account, a Studio domain in the other."""
    here = folder()
    with ExitStack() as held:
        with terminal.step("etcd, kube-apiserver and kube-controller-manager start"):
            plane = held.enter_context(servers.control_plane(here / "controlplane", log=here / "controlplane.log"))
        with terminal.step("AWS accounts start on this machine, with IAM enforced on every call"):
            aws = Bench(held.enter_context(servers.local_aws(log=here / "aws.log"))["url"])
        world = aws.post("world", consumer={"bucket": True})
        manifest = Manifest.of_example(world["pairs"][0]["consumer"]["domainId"])
        (here / "studio.yaml").write_text(manifest.text)
        yield Stage(terminal, Cluster(plane, Helm(here / "helm")), aws, world, manifest)
