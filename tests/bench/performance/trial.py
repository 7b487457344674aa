"""What all trials have: a namespace, a local AWS, and a controller that is measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import servers
from ..aws.client import CONSUMER, PRODUCER, Bench
from ..cluster import Cluster
from ..failure import Failure, tail
from ..program import Pod
from ..release import Release
from .crowd import Crowd
from .gauge import Gauge, Used


class Trial:
    """So many objects, in a namespace and a local AWS of their own."""

    def __init__(self, cluster: Cluster, release: Release, folder: Path, namespace: str, size: int):
        self._cluster, self._release, self._folder = cluster, release, folder
        self._namespace, self._size = namespace, size
        self._patience = 120 + size
        # what was measured; also after a failure
        self.found: dict = {}

    def __str__(self) -> str:
        return self._namespace

    @contextmanager
    def _set_up(self, interval: int, **world) -> Iterator[tuple[Bench, dict, Pod, int]]:
        """The namespace and the local AWS: its API, its world, the pod that is to run, and its process. Leaves nothing there."""
        self._cluster.namespace(self._namespace)
        with servers.local_aws() as facts:
            aws = Bench(facts["url"])
            world = aws.post("world", **world)
            pod = self._release.pod(self._folder, "--duration=12h")
            pod.env["REDSHIFT_LINK_INTERVAL"] = f"{interval}s"
            pod.identify(aws, world)
            before = _inventories(aws)
            yield aws, world, pod, facts["pid"]
            if _inventories(aws) != before:
                raise Failure(f"something is left at AWS of {self._namespace}")

    @contextmanager
    def _running(self, crowds: list[Crowd], pod: Pod, aws: Bench, aws_pid: int) -> Iterator[Gauge]:
        """The controller, which the crowds cannot do without."""
        log = self._folder / "controller.log"
        with pod.running(log) as program:
            for crowd in crowds:
                crowd.controller = program
            try:
                pod.until_leading(program)
                gauge = Gauge(aws, aws_pid, pod, program.pid)
                yield gauge
                self.found["peakMegabytes"] = max(self.found.get("peakMegabytes", 0), gauge.memory()[1])
            except Failure as failure:
                raise Failure(f"{failure}\n{tail(log)}") from failure

    def _kubectl(self, crowd: Crowd, *arguments: str) -> None:
        crowd.while_running(self._cluster, self._folder / "kubectl.log", *arguments, "-n", self._namespace)

    @staticmethod
    def _machine(used: Used) -> dict:
        """What every phase cost besides calls."""
        return {
            "errors": used.errors,
            "loops": used.loops,
            "cpuSeconds": round(used.cpu, 2),
            "awsCpuSeconds": round(used.aws_cpu, 2),
        }


def percentile(sorted_values: list[float], share: float) -> float:
    """The value that such a share is within."""
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def _inventories(aws: Bench) -> list[dict]:
    return [aws.get("inventory", account=account) for account in (PRODUCER, CONSUMER)]
