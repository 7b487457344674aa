"""One size: links are created, looked at, and deleted, and each phase is measured."""

import json
import statistics
import time
from pathlib import Path

from ..cluster import GROUP, LINKS, Cluster
from ..failure import Failure
from ..links import link
from ..release import Release
from .crowd import Crowd
from .gauge import Gauge, Used
from .trial import Trial, percentile

LINKS_A_PAIR = 10
REQUESTED = f"{GROUP}/reconcile-requested-at"
# Settled links are measured for so many seconds, or one interval if that is longer.
SETTLED_SECONDS = 75


class LinkTrial(Trial):
    """So many links."""

    def __init__(self, cluster: Cluster, release: Release, folder: Path, size: int):
        super().__init__(cluster, release, folder, f"links-{size}", size)
        self._pairs = -(-size // LINKS_A_PAIR)
        # so long that few links are looked at again while others are created, and that the controller does not wait
        # for its own limit of calls when all is settled
        self._interval = max(30, size // 2)
        self.found |= {"links": size, "pairs": self._pairs}

    def run(self) -> None:
        """All phases."""
        setting = self._set_up(self._interval, pairs=self._pairs)
        with setting as (aws, world, pod, aws_pid), self._cluster.watch(self._namespace) as watch:
            manifests = [self._manifest(world, number) for number in range(self._size)]
            crowd = Crowd(watch, [manifest["metadata"]["name"] for manifest in manifests])
            with self._running([crowd], pod, aws, aws_pid) as gauge:
                self._create(crowd, gauge, manifests)
                self._force(crowd, gauge)
                self._settle(crowd, gauge)
            with self._running([crowd], pod, aws, aws_pid) as gauge:
                self._restart(crowd, gauge)
                self._delete(crowd, gauge)

    def _manifest(self, world: dict, number: int) -> dict:
        pair = world["pairs"][number // LINKS_A_PAIR]
        return link(f"link-{number:03}", pair["producer"]["clusterIdentifier"], pair["consumer"]["domainId"])

    def _create(self, crowd: Crowd, gauge: Gauge, manifests: list[dict]) -> None:
        file = self._folder / "links.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
        began = time.monotonic()
        self._kubectl(crowd, "create", "-f", str(file))
        applied = time.monotonic() - began
        crowd.until(lambda: len(crowd.ready) == self._size, "all links to be Ready", self._patience)
        waits = sorted(crowd.ready[name] - crowd.seen[name] for name in crowd.names)
        self.found["create"] = {
            "applySeconds": round(applied, 2),
            "seconds": round(max(crowd.ready.values()) - began, 2),
            "secondsMedian": round(statistics.median(waits), 2),
            "secondsP99": round(percentile(waits, 0.99), 2),
            **self._per_link(gauge.end()),
        }

    def _force(self, crowd: Crowd, gauge: Gauge) -> None:
        """A round in which every link is asked for, so that each wants answers younger than the question."""
        gauge.begin()
        self._kubectl(crowd, "annotate", LINKS, "--all", f"{REQUESTED}=now", "--overwrite")
        done = lambda: all(crowd.handled[name] == "now" for name in crowd.names)
        crowd.until(done, "all links to be looked at", self._patience)
        self.found["forced"] = self._per_link(gauge.end())

    def _settle(self, crowd: Crowd, gauge: Gauge) -> None:
        """Rounds in which there is nothing to be done."""
        gauge.begin()
        crowd.follow(max(SETTLED_SECONDS, self._interval))
        used = gauge.end()
        if used.writes or not crowd.all_ready():
            unready = self._size - len(crowd.ready_now)
            raise Failure(
                f"nothing was to be done, but there were {used.writes} writes, and {unready} links are not Ready"
            )
        self.found["settled"] = {
            "intervalSeconds": self._interval,
            "looks": used.loops,
            "readsPerLook": round(used.reads / used.loops, 2),
            "cpuMillisecondsPerLook": round(1000 * used.cpu / used.loops, 2),
            "awsCpuSeconds": round(used.aws_cpu, 2),
            "megabytes": gauge.memory()[0],
        }

    def _restart(self, crowd: Crowd, gauge: Gauge) -> None:
        """The first look of a new process at each link."""
        began = time.monotonic()
        known = lambda: gauge.loops() >= self._size and crowd.all_ready()
        crowd.until(known, "a new process to have looked at all links, and all to be Ready", self._patience)
        self.found["restart"] = {"seconds": round(time.monotonic() - began, 2), **self._per_link(gauge.end())}

    def _delete(self, crowd: Crowd, gauge: Gauge) -> None:
        gauge.begin()
        began = time.monotonic()
        self._kubectl(crowd, "delete", LINKS, "--all", "--wait=false")
        crowd.until(lambda: len(crowd.gone) == self._size, "all links to be gone", self._patience)
        seconds = round(max(crowd.gone.values()) - began, 2)
        self.found["delete"] = {"seconds": seconds, **self._per_link(gauge.end())}

    def _per_link(self, used: Used) -> dict:
        return {
            "readsPerLink": round(used.reads / self._size, 2),
            "writesPerLink": round(used.writes / self._size, 2),
            **self._machine(used),
        }
