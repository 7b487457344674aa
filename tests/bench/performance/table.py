"""The figures as a table in Markdown, with the notes without which they would mislead."""

import os
from pathlib import Path

from .trial import LINKS_A_PAIR, LONG, ROUNDS

_NOTES = (
    f"Links share pairs of VPCs, {LINKS_A_PAIR} to a pair, each pair with its own domain and cluster; all pairs lie in the "
    "same two accounts and one region.",
    "Create: from the start of `kubectl create`, which sends one object after the other; a link's own time begins when the "
    "watch first shows it. The controller holds its calls to about half of what AWS allows (`src/aws/throttle.rs`), which "
    "is what many links wait for.",
    f"Settled: {ROUNDS} intervals. Links that are looked at within 5 s share listings: at "
    f"the default interval of {LONG} fewer do, so that a look costs more reads, up to what it costs a single link. Forced: "
    "every link is asked for by annotation, and wants answers younger than that.",
    "Calls are those that the local AWS noted, AssumeRole included. It is one process beside the controller and the API "
    "server on the same cores, and takes the CPU time that stands beside the controller's.",
)


def markdown(results: list[dict]) -> str:
    """One column for each size."""
    rows = [["", *(f"{result['links']} {'link' if result['links'] == 1 else 'links'}" for result in results)]]
    rows.append(["---", *("---:" for _ in results)])
    rows += [[name, *(show(result) for result in results)] for name, show in _ROWS]
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


def _calls(phase: str):
    return lambda result: f"{result[phase]['readsPerLink']:.1f} + {result[phase]['writesPerLink']:.1f}"


def _cpu(phase: str):
    return lambda result: f"{result[phase]['cpuSeconds']:.1f} s ({result[phase]['awsCpuSeconds']:.1f} s)"


_ROWS = (
    ("pairs of VPCs", lambda r: f"{r['pairs']}"),
    ("create: from apply to all Ready", lambda r: f"{r['readySeconds']:.1f} s"),
    ("create: the sending of all objects alone", lambda r: f"{r['applySeconds']:.1f} s"),
    (
        "create: one link, median and 99 % within",
        lambda r: f"{r['readySecondsMedian']:.1f}, {r['readySecondsP99']:.1f} s",
    ),
    ("create: AWS calls a link, reads + writes", _calls("create")),
    ("create: CPU of the controller (of the local AWS)", _cpu("create")),
    ("restart: until a new process has looked at all", lambda r: f"{r['restartSeconds']:.1f} s"),
    ("restart: AWS calls a link, reads + writes", _calls("restart")),
    ("settled: interval", lambda r: f"{r['settled']['intervalSeconds']} s"),
    ("settled: AWS reads for a look at a link", lambda r: f"{r['settled']['readsPerLook']:.1f}"),
    ("settled: CPU for a look at a link", lambda r: f"{r['settled']['cpuMillisecondsPerLook']:.1f} ms"),
    ("forced: AWS calls a link, reads + writes", _calls("forcedRound")),
    ("forced: CPU of the controller (of the local AWS)", _cpu("forcedRound")),
    ("delete: until all are gone", lambda r: f"{r['deleteSeconds']:.1f} s"),
    ("delete: AWS calls a link, reads + writes", _calls("delete")),
    ("delete: CPU of the controller (of the local AWS)", _cpu("delete")),
    ("memory: settled", lambda r: f"{r['settled']['megabytes']:.0f} MB"),
    ("memory: peak", lambda r: f"{r['peakMegabytes']:.0f} MB"),
)
