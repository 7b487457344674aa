"""The figures as a table in Markdown, with the notes without which they would mislead."""

import os
from collections.abc import Callable
from pathlib import Path

from .trial import LINKS_A_PAIR

Show = Callable[[dict], str]

_NOTES = (
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


def markdown(results: list[dict]) -> str:
    """One column for each size; a dash stands for what was not measured."""
    rows = [["", *(f"{result['links']} {'link' if result['links'] == 1 else 'links'}" for result in results)]]
    rows.append(["---", *("---:" for _ in results)])
    rows += [[name, *(_cell(show, result) for result in results)] for name, show in _ROWS]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows[1] = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [f"| {row[0].ljust(widths[0])} | {' | '.join(map(str.rjust, row[1:], widths[1:]))} |" for row in rows]
    return "\n".join([*lines, "", *(f"* {note}" for note in (*_NOTES, _machine()))])


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


_ROWS: tuple[tuple[str, Show], ...] = (
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
