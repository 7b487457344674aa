"""Many UnloadJobs at once on one link: submitted, complete, at rest, deleted, and each phase is measured."""

import json
import statistics
import time
from pathlib import Path

from ..aws.client import Bench
from ..cluster import GROUP, JOBS, LINKS, Cluster
from ..failure import Failure
from ..links import link
from ..release import Release
from .crowd import Crowd, Jobs
from .gauge import Gauge, Used
from .trial import Trial, percentile

LINK, PREFIX = "warehouse", "warehouse/"
# How long a statement waits before it runs.
STATEMENT_SECONDS = 5
# How long jobs that ended are watched: nothing is to be called.
REST_SECONDS = 30
# So long that the link is not looked at meanwhile.
INTERVAL_SECONDS = 3600
# Calls of the Data API that a job may cost, besides looks at a statement that runs.
DATA_CALLS = 4
POLL = "redshift-data:DescribeStatement"


class JobTrial(Trial):
    """So many jobs."""

    def __init__(self, cluster: Cluster, release: Release, folder: Path, size: int):
        super().__init__(cluster, release, folder, f"jobs-{size}", size)
        self.found |= {"jobs": size, "statementSeconds": STATEMENT_SECONDS}

    def run(self) -> None:
        """All phases."""
        with (
            self._set_up(INTERVAL_SECONDS, pairs=1, consumer={"bucket": True}) as (aws, world, pod, aws_pid),
            self._cluster.watch(self._namespace) as links,
            self._cluster.watch(self._namespace, JOBS) as jobs,
        ):
            self._prepare(aws, world)
            manifests = [self._manifest(number) for number in range(self._size)]
            the_link = Crowd(links, [LINK])
            crowd = Jobs(jobs, [manifest["metadata"]["name"] for manifest in manifests])
            with self._running([the_link, crowd], pod, aws, aws_pid) as gauge:
                self._link(the_link, world["pairs"][0])
                self._complete(crowd, gauge, manifests)
                self._rest(crowd, gauge)
                self._delete(crowd, gauge)
                self._kubectl(the_link, "delete", LINKS, LINK, "--wait=false")
                the_link.until(lambda: LINK in the_link.gone, "the link to be gone", self._patience)

    def _prepare(self, aws: Bench, world: dict) -> None:
        """A table in the warehouse, and statements that take their time."""
        table = ("CREATE TABLE stores (id int, city varchar(20))", "INSERT INTO stores VALUES (1, 'Turku'), (2, 'Oulu')")
        for sql in (*table, "GRANT SELECT ON stores TO public"):
            aws.sql(world["pairs"][0]["producer"], sql)
        aws.post("settings", statement_picked_seconds=STATEMENT_SECONDS)

    def _link(self, crowd: Crowd, pair: dict) -> None:
        manifest = link(LINK, pair["producer"]["clusterIdentifier"], pair["consumer"]["domainId"])
        manifest["spec"]["unload"] = {"bucket": pair["consumer"]["bucket"], "prefix": PREFIX}
        self._create(crowd, [manifest])
        crowd.until(crowd.all_ready, "the link to be Ready", self._patience)

    def _manifest(self, number: int) -> dict:
        output = {"path": f"stores/{number:03}/", "csv": {"header": True}}
        return {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "UnloadJob",
            "metadata": {"name": f"job-{number:03}"},
            "spec": {
                "linkRef": {"name": LINK},
                "query": "SELECT id, city FROM stores",
                "output": output,
                "dataPolicy": "Delete",
            },
        }

    def _create(self, crowd: Crowd, manifests: list[dict]) -> None:
        file = self._folder / "objects.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
        self._kubectl(crowd, "create", "-f", str(file))

    def _complete(self, crowd: Jobs, gauge: Gauge, manifests: list[dict]) -> None:
        gauge.begin()
        began = time.monotonic()
        self._create(crowd, manifests)
        applied = time.monotonic() - began
        crowd.until(lambda: len(crowd.submitted) == self._size, "all jobs to be submitted", self._patience)
        crowd.until(crowd.all_ready, "all jobs to be Complete", self._patience)
        used = gauge.end()
        submitted = sorted(crowd.submitted[name] - crowd.seen[name] for name in crowd.names)
        complete = sorted(crowd.ready[name] - crowd.seen[name] for name in crowd.names)
        data = {action: count for action, count in used.actions.items() if action.startswith("redshift-data:")}
        polls = data.pop(POLL, 0)
        if sum(data.values()) > DATA_CALLS * self._size:
            raise Failure(f"{self._size} jobs cost too many calls of the Data API: {data}")
        self.found["run"] = {
            "applySeconds": round(applied, 2),
            "submittedSeconds": round(max(crowd.submitted.values()) - began, 2),
            "submittedMedian": round(statistics.median(submitted), 2),
            "submittedP99": round(percentile(submitted, 0.99), 2),
            "seconds": round(max(crowd.ready.values()) - began, 2),
            "secondsMedian": round(statistics.median(complete), 2),
            "secondsP99": round(percentile(complete, 0.99), 2),
            "pollsPerJob": round(polls / self._size, 2),
            "dataPerJob": round(sum(data.values()) / self._size, 2),
            **self._calls(used),
        }

    def _rest(self, crowd: Jobs, gauge: Gauge) -> None:
        """Jobs that ended cost nothing."""
        gauge.begin()
        crowd.follow(REST_SECONDS)
        used = gauge.end()
        if used.actions:
            raise Failure(f"all jobs had ended, and still AWS was called: {dict(used.actions)}")
        self.found["rest"] = {"seconds": REST_SECONDS, "calls": used.reads + used.writes, "megabytes": gauge.memory()[0]}

    def _delete(self, crowd: Jobs, gauge: Gauge) -> None:
        gauge.begin()
        began = time.monotonic()
        self._kubectl(crowd, "delete", JOBS, "--all", "--wait=false")
        crowd.until(lambda: len(crowd.gone) == self._size, "all jobs to be gone", self._patience)
        self.found["delete"] = {"seconds": round(max(crowd.gone.values()) - began, 2), **self._calls(gauge.end())}

    def _calls(self, used: Used) -> dict:
        """Calls for each job, by service."""
        services: dict[str, int] = {}
        for action, count in used.actions.items():
            service = action.partition(":")[0]
            services[service] = services.get(service, 0) + count
        per_job = {service: round(count / self._size, 2) for service, count in sorted(services.items())}
        return {"callsPerJob": per_job, "actions": dict(used.actions.most_common()), **self._machine(used)}
