"""One size: links are created, looked at, and deleted, and each phase is measured."""

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import servers
from ..aws.client import CONSUMER, PRODUCER, Bench
from ..cluster import GROUP, LINKS, Cluster
from ..failure import Failure, tail
from ..links import link
from ..program import Pod
from ..release import Release
from .crowd import Crowd
from .gauge import Gauge, Used

LINKS_A_PAIR = 10
# No link is looked at twice while others are created.
LONG = "10m"
# Settled rounds that are measured.
ROUNDS = 2
REQUESTED = f"{GROUP}/reconcile-requested-at"


class Trial:
    """So many links, in a namespace and a local AWS of their own."""

    def __init__(self, cluster: Cluster, release: Release, folder: Path, size: int):
        self._cluster, self._release, self._folder = cluster, release, folder
        self._size, self._pairs = size, -(-size // LINKS_A_PAIR)
        self._namespace = f"links-{size}"
        # 5 looks a second at most: with more, the controller would wait for its own limit of calls
        self._interval = max(30, size // 5)
        self._patience = 120 + 3 * size

    def run(self) -> dict:
        """All phases; gives what was measured."""
        self._cluster.namespace(self._namespace)
        with servers.local_aws() as facts, self._cluster.watch(self._namespace) as watch:
            aws = Bench(facts["url"])
            world = aws.post("world", pairs=self._pairs)
            pod = self._release.pod(self._folder, "--duration=12h")
            pod.identify(aws, world)
            before = _inventories(aws)
            manifests = [self._manifest(world, number) for number in range(self._size)]
            crowd = Crowd(watch, [manifest["metadata"]["name"] for manifest in manifests])
            with self._running(crowd, pod, aws, facts["pid"], LONG) as gauge:
                found = self._create(crowd, gauge, manifests) | self._force(crowd, gauge)
                first = gauge.memory()
            with self._running(crowd, pod, aws, facts["pid"], f"{self._interval}s") as gauge:
                found |= self._restart(crowd, gauge) | self._settle(crowd, gauge) | self._delete(crowd, gauge)
                second = gauge.memory()
            if _inventories(aws) != before:
                raise Failure(f"something of {self._size} links is left at AWS")
        return {
            "links": self._size,
            "pairs": self._pairs,
            **found,
            "peakMegabytes": round(max(first[1], second[1]), 1),
        }

    def _manifest(self, world: dict, number: int) -> dict:
        pair = world["pairs"][number // LINKS_A_PAIR]
        return link(f"link-{number:03}", pair["producer"]["clusterIdentifier"], pair["consumer"]["domainId"])

    @contextmanager
    def _running(self, crowd: Crowd, pod: Pod, aws: Bench, aws_pid: int, interval: str) -> Iterator[Gauge]:
        pod.env["REDSHIFT_LINK_INTERVAL"] = interval
        log = self._folder / f"controller-{self._size}-{interval}.log"
        with pod.running(log) as program:
            crowd.controller = program
            try:
                pod.until_leading(program)
                yield Gauge(aws, aws_pid, pod, program.pid)
            except Failure as failure:
                raise Failure(f"{failure}\n{tail(log)}") from failure

    def _create(self, crowd: Crowd, gauge: Gauge, manifests: list[dict]) -> dict:
        file = self._folder / "links.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
        began = time.monotonic()
        self._kubectl(crowd, "create", "-f", str(file))
        applied = time.monotonic() - began
        crowd.until(lambda: len(crowd.ready) == self._size, "all links to be Ready", self._patience)
        waits = sorted(crowd.ready[name] - crowd.seen[name] for name in crowd.names)
        return {
            "applySeconds": round(applied, 2),
            "readySeconds": round(max(crowd.ready.values()) - began, 2),
            "readySecondsMedian": round(statistics.median(waits), 2),
            "readySecondsP99": round(waits[min(len(waits) - 1, int(0.99 * len(waits)))], 2),
            "create": self._per_link(gauge.end()),
        }

    def _force(self, crowd: Crowd, gauge: Gauge) -> dict:
        """A round in which every link is asked for, so that each wants answers younger than the question."""
        gauge.begin()
        self._kubectl(crowd, "annotate", LINKS, "--all", f"{REQUESTED}=now", "--overwrite")
        done = lambda: all(crowd.handled[name] == "now" for name in crowd.names)
        crowd.until(done, "all links to be looked at", self._patience)
        return {"forcedRound": self._per_link(gauge.end())}

    def _restart(self, crowd: Crowd, gauge: Gauge) -> dict:
        """The first look of a new process at each link."""
        began = time.monotonic()
        known = lambda: gauge.loops() >= self._size and crowd.all_ready()
        crowd.until(known, "a new process to have looked at all links, and all to be Ready", self._patience)
        return {"restartSeconds": round(time.monotonic() - began, 2), "restart": self._per_link(gauge.end())}

    def _settle(self, crowd: Crowd, gauge: Gauge) -> dict:
        """Rounds in which there is nothing to be done."""
        gauge.begin()
        crowd.follow(ROUNDS * self._interval)
        used = gauge.end()
        if used.writes or not crowd.all_ready():
            unready = self._size - len(crowd.ready_now)
            raise Failure(
                f"nothing was to be done, but there were {used.writes} writes, and {unready} links are not Ready"
            )
        settled = {
            "intervalSeconds": self._interval,
            "looks": used.loops,
            "looksPerLink": round(used.loops / self._size, 2),
            "readsPerLook": round(used.reads / used.loops, 2),
            "cpuMillisecondsPerLook": round(1000 * used.cpu / used.loops, 2),
            "awsCpuSeconds": round(used.aws_cpu, 2),
            "megabytes": round(gauge.memory()[0], 1),
        }
        return {"settled": settled}

    def _delete(self, crowd: Crowd, gauge: Gauge) -> dict:
        gauge.begin()
        began = time.monotonic()
        self._kubectl(crowd, "delete", LINKS, "--all", "--wait=false")
        crowd.until(lambda: len(crowd.gone) == self._size, "all links to be gone", self._patience)
        seconds = round(max(crowd.gone.values()) - began, 2)
        return {"deleteSeconds": seconds, "delete": self._per_link(gauge.end())}

    def _kubectl(self, crowd: Crowd, *arguments: str) -> None:
        crowd.while_running(self._cluster, self._folder / "kubectl.log", *arguments, "-n", self._namespace)

    def _per_link(self, used: Used) -> dict:
        return {
            "readsPerLink": round(used.reads / self._size, 2),
            "writesPerLink": round(used.writes / self._size, 2),
            "errors": used.errors,
            "loops": used.loops,
            "cpuSeconds": round(used.cpu, 2),
            "awsCpuSeconds": round(used.aws_cpu, 2),
        }


def _inventories(aws: Bench) -> list[dict]:
    return [aws.get("inventory", account=account) for account in (PRODUCER, CONSUMER)]
