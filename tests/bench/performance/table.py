"""The figures as a table in Markdown, with the notes without which they would mislead."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .job_trial import REST_SECONDS, STATEMENT_SECONDS
from .link_trial import LINKS_A_PAIR

Show = Callable[[dict], str]

_LINK_NOTES = (
    f"Links share pairs of VPCs, {LINKS_A_PAIR} to a pair, each pair with its own domain and cluster; all pairs lie in the "
    "same two accounts and one region.",
    "Create: from the start of `kubectl create`, which sends one object after the other; a link's own time begins when the "
    "watch first shows it. The controller holds its calls to about half of what AWS allows (`src/aws/throttle.rs`), which "
    "is what many links wait for.",
    "Forced: every link is asked for by annotation, one look each, and wants answers younger than that. Settled: links are "
    "looked at once in each interval; those looked at within 5 s share listings, so with fewer looks in a second a look "
    "costs more reads, up to what it costs a link that is alone.",
    "Restart: a new process, until it has looked at each link and all are Ready.",
    "Calls are those that the local AWS noted, AssumeRole included. It is one process beside the controller and the API "
    "server on the same cores, and takes the CPU time that stands in brackets.",
)


@dataclass(frozen=True)
class Table:
    """What is shown of the trials of a kind."""

    noun: str
    rows: tuple[tuple[str, Show], ...]
    notes: tuple[str, ...]


def markdown(table: Table, results: list[dict]) -> str:
    """One column for each size; a dash stands for what was not measured."""
    head = [f"{result[table.noun + 's']} {table.noun}{'s' * (result[table.noun + 's'] != 1)}" for result in results]
    rows = [["", *head], ["---", *("---:" for _ in results)]]
    rows += [[name, *(_cell(show, result) for result in results)] for name, show in table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows[1] = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [f"| {row[0].ljust(widths[0])} | {' | '.join(map(str.rjust, row[1:], widths[1:]))} |" for row in rows]
    return "\n".join([*lines, "", *(f"* {note}" for note in (*table.notes, _machine()))])


def machine() -> dict:
    """What it was measured on."""
    info = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    names = {key.strip(): value.strip() for key, value in info.items()}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpus": os.cpu_count(), "cpu": names.get("model name", "unknown"), "memoryGigabytes": round(memory)}


def _machine() -> str:
    about = machine()
    return f"Measured on {about['cpus']} CPUs ({about['cpu']}), {about['memoryGigabytes']} GB."


def _cell(show: Show, result: dict) -> str:
    try:
        return show(result)
    except KeyError:
        return "-"


def _seconds(phase: str, name: str = "seconds") -> Show:
    return lambda result: f"{result[phase][name]:.1f} s"


def _calls(phase: str) -> Show:
    return lambda result: f"{result[phase]['readsPerLink']:.1f} + {result[phase]['writesPerLink']:.1f}"


def _cpu(phase: str) -> Show:
    return lambda result: f"{result[phase]['cpuSeconds']:.1f} s ({result[phase]['awsCpuSeconds']:.1f} s)"


_LINK_ROWS: tuple[tuple[str, Show], ...] = (
    ("pairs of VPCs", lambda r: f"{r['pairs']}"),
    ("create: from apply to all Ready", _seconds("create")),
    ("create: the sending of all objects alone", _seconds("create", "applySeconds")),
    ("create: one link, median", _seconds("create", "secondsMedian")),
    ("create: one link, 99 % within", _seconds("create", "secondsP99")),
    ("create: AWS calls a link, reads + writes", _calls("create")),
    ("create: CPU of the controller (of the local AWS)", _cpu("create")),
    ("forced: AWS calls a link, reads + writes", _calls("forced")),
    ("forced: CPU of the controller (of the local AWS)", _cpu("forced")),
    ("settled: interval", lambda r: f"{r['settled']['intervalSeconds']} s"),
    ("settled: AWS reads for a look at a link", lambda r: f"{r['settled']['readsPerLook']:.1f}"),
    ("settled: CPU for a look at a link", lambda r: f"{r['settled']['cpuMillisecondsPerLook']:.1f} ms"),
    ("settled: memory", lambda r: f"{r['settled']['megabytes']:.0f} MB"),
    ("restart: until all links were looked at", _seconds("restart")),
    ("restart: AWS calls a link, reads + writes", _calls("restart")),
    ("delete: until all are gone", _seconds("delete")),
    ("delete: AWS calls a link, reads + writes", _calls("delete")),
    ("delete: CPU of the controller (of the local AWS)", _cpu("delete")),
    ("peak of memory", lambda r: f"{r['peakMegabytes']:.0f} MB"),
)

LINKS = Table("link", _LINK_ROWS, _LINK_NOTES)


def _services(phase: str) -> Show:
    return lambda result: ", ".join(f"{service} {count:.1f}" for service, count in result[phase]["callsPerJob"].items())


JOBS = Table(
    "job",
    (
        ("run: from apply until all are submitted", _seconds("run", "submittedSeconds")),
        ("run: the sending of all objects alone", _seconds("run", "applySeconds")),
        ("run: one job until it is submitted, median", _seconds("run", "submittedMedian")),
        ("run: one job until it is submitted, 99 % within", _seconds("run", "submittedP99")),
        ("run: from apply until all are Complete", _seconds("run")),
        ("run: one job until it is Complete, median", _seconds("run", "secondsMedian")),
        ("run: one job until it is Complete, 99 % within", _seconds("run", "secondsP99")),
        ("run: calls of the Data API a job, beside polls", lambda r: f"{r['run']['dataPerJob']:.1f}"),
        ("run: polls a job", lambda r: f"{r['run']['pollsPerJob']:.1f}"),
        ("run: AWS calls a job, by service", _services("run")),
        ("run: loops a job", lambda r: f"{r['run']['loops'] / r['jobs']:.1f}"),
        ("run: CPU of the controller (of the local AWS)", _cpu("run")),
        ("ended: AWS calls", lambda r: f"{r['rest']['calls']}"),
        ("ended: memory", lambda r: f"{r['rest']['megabytes']:.0f} MB"),
        ("delete: until all are gone", _seconds("delete")),
        ("delete: AWS calls a job, by service", _services("delete")),
        ("delete: CPU of the controller (of the local AWS)", _cpu("delete")),
        ("peak of memory", lambda r: f"{r['peakMegabytes']:.0f} MB"),
    ),
    (
        f"All jobs are on one Ready link, and each has a statement that takes {STATEMENT_SECONDS} s and writes two small "
        f"files. Ended: {REST_SECONDS} s in which nothing is to be done. Deleted with `dataPolicy: Delete`.",
        "A job's own time begins when the watch first shows it; `kubectl create` sends one object after the other.",
        "Calls are those of the controller, AssumeRole included; what the warehouse does in the bucket is left out.",
    ),
)
