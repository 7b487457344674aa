"""What the chart is tried with: helm, a cluster whose pods become Ready, the local AWS, and the built program."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..aws.testing import Bench
from ..controlplane import assets, build

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/redshift-link"
SECONDS = 60


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    build.build([*build.DEFAULT, "kube-scheduler", "kwok"])


@pytest.fixture(scope="session")
def binary() -> Path:
    """The built program."""
    return Path(os.environ.get("REDSHIFT_LINK_BINARY", ROOT / "target/debug/redshift-link")).absolute()


@pytest.fixture(scope="session")
def helm(tmp_path_factory):
    """Runs helm; values go to its standard input. With a kubeconfig of its own: none, unless `kubeconfig` is given."""
    folder = tmp_path_factory.mktemp("helm")
    # of its own, so that it neither reads nor writes what its user has
    own = {f"HELM_{kind}_HOME": str(folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}

    def run(*arguments, values=None, kubeconfig="/dev/null", check=True) -> subprocess.CompletedProcess:
        options = [] if values is None else ["--values", "-"]
        return _run(
            [assets.find("helm"), *arguments, *options],
            input=json.dumps(values or {}),
            env={**os.environ, **own, "KUBECONFIG": str(kubeconfig)},
            check=check,
        )

    return run


class Cluster:
    """The local control plane, as its administrator."""

    def __init__(self, facts: dict, helm):
        self.kubeconfig = facts["kubeconfig"]
        self._helm = helm

    def kubectl(self, *arguments: str, manifest=None, check: bool = True) -> subprocess.CompletedProcess:
        command = [assets.find("kubectl"), "--kubeconfig", self.kubeconfig, *arguments]
        return _run(command, input=json.dumps(manifest or {}), check=check)

    def get(self, *arguments: str) -> dict:
        """An object, or a list of them; empty where it is not there."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json", "--ignore-not-found").stdout or "{}")

    def create(self, manifest: dict, *options: str) -> dict:
        return json.loads(self.kubectl("create", "-f", "-", "-o", "json", *options, manifest=manifest).stdout)

    def namespace(self, name: str, **labels: str) -> None:
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def helm(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        return self._helm(*arguments, kubeconfig=self.kubeconfig, **options)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, helm):
    folder = str(tmp_path_factory.mktemp("controlplane"))
    with _server("bench.controlplane", "run", "--dir", folder, "--with", "kube-scheduler,kwok") as facts:
        yield Cluster(facts, helm)


@pytest.fixture(scope="session")
def aws():
    with _server("bench.aws", "--stdin-eof") as facts:
        yield Bench(facts["url"])


def eventually(condition, what: str):
    """What the condition gives, as soon as it is true."""
    end = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, f"not after {SECONDS} s: {what}"
        time.sleep(0.1)
    return found


@contextmanager
def _server(*arguments: str) -> Iterator[dict]:
    """A server of the bench: it ends when its standard input closes, so also when this process dies."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", *arguments], env=environment, text=True, **pipes) as running:
        yield json.loads(running.stdout.readline())


def _run(command: list, check: bool, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=SECONDS * 2, **options)
    assert not (check and done.returncode), f"{command}: {done.stderr}"
    return done
