"""Measures, and prints tables: `python -m bench.performance [--links 1,50,500] [--jobs 200] [--json FILE]`."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from .. import servers
from ..accounts import consumer, producer
from ..cluster import Cluster, Helm
from ..controlplane import build
from ..failure import Failure
from ..release import Release
from ..stop import Stop, stoppable
from .job_trial import JobTrial
from .link_trial import LinkTrial
from .table import JOBS, LINKS, machine, markdown

_NAMESPACES = {"namespaces": ["*"]}
_VALUES = {
    # no image exists: the program runs beside the cluster
    "replicas": 0,
    "installation": "performance",
    # no lost answer is waited for before a deletion ends, as it is with a process that runs for a while
    "lostAnswerGrace": "2s",
    "logLevel": "warn",
    "accounts": [producer(**_NAMESPACES, clusters=["*"]), consumer(**_NAMESPACES, domains=["*"], buckets=["*"])],
}


def main() -> int:
    """Each size in turn, over one control plane."""
    parser = argparse.ArgumentParser(prog="bench.performance", description=__doc__)
    parser.add_argument("--links", type=_sizes, default=[1, 50, 500], help="numbers of links, as in 1,50,500")
    parser.add_argument("--jobs", type=_sizes, default=[200], help="numbers of jobs, as in 50,200; 0 for none")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    arguments = parser.parse_args()
    links: list[dict] = []
    jobs: list[dict] = []
    try:
        with stoppable():
            _measure(arguments, links, jobs)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except Stop:
        return 130
    finally:
        _publish(links, jobs, arguments.json)
    return 0


def _measure(arguments: argparse.Namespace, links: list[dict], jobs: list[dict]) -> None:
    build.build(build.DEFAULT)
    with tempfile.TemporaryDirectory(prefix="redshift-link-performance-") as name:
        folder = Path(name)
        with servers.control_plane(folder / "controlplane") as facts:
            cluster = Cluster(facts, Helm(folder))
            release = Release(cluster)
            release.install(_VALUES, "--create-namespace")
            trials = [(LinkTrial(cluster, release, folder, size), links) for size in arguments.links]
            trials += [(JobTrial(cluster, release, folder, size), jobs) for size in arguments.jobs]
            for trial, results in trials:
                print(f"== {time.strftime('%T')} {trial}", file=sys.stderr, flush=True)
                results.append(trial.found)
                trial.run()


def _publish(links: list[dict], jobs: list[dict], file: Path | None) -> None:
    """Also what was measured before something failed: it took its time."""
    print("\n\n".join(markdown(table, results) for table, results in ((LINKS, links), (JOBS, jobs)) if results))
    if (links or jobs) and file:
        file.write_text(json.dumps({"machine": machine(), "links": links, "jobs": jobs}, indent=2) + "\n")


def _sizes(text: str) -> list[int]:
    sizes = [int(number) for number in text.split(",") if number != "0"]
    if not all(1 <= size <= 999 for size in sizes) or len(set(sizes)) < len(sizes):
        raise argparse.ArgumentTypeError("different numbers up to 999, with commas between them")
    return sizes


if __name__ == "__main__":
    sys.exit(main())
