"""What the chart is tried with: helm, a cluster whose pods become Ready, the local AWS, and the built program."""

from pathlib import Path

import pytest

from .. import program, servers
from ..aws.client import Bench
from ..cluster import Cluster, Helm
from ..controlplane import build


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    build.build([*build.DEFAULT, "kube-scheduler", "kwok"])


@pytest.fixture(scope="session")
def binary() -> Path:
    """The built program."""
    return program.binary()


@pytest.fixture(scope="session")
def helm(tmp_path_factory) -> Helm:
    """Helm, without a cluster."""
    return Helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, helm):
    with servers.control_plane(tmp_path_factory.mktemp("controlplane"), "kube-scheduler", "kwok") as facts:
        yield Cluster(facts, helm)


@pytest.fixture(scope="session")
def aws():
    with servers.local_aws() as facts:
        yield Bench(facts["url"])
