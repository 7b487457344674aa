"""The process that owns a control plane: while it lives all of it lives, and nothing outlives it.

It holds a lock on a file in the folder, by which `stop` finds it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import lock
from ..failure import Failure
from ..stop import Stop, stop_listening, stoppable
from . import build
from .cluster import Cluster, clear

_LOCK = "controlplane.lock"
_STATE = "state.json"


def run(folder: Path, extras: list[str], detached: bool = False) -> None:
    """Runs a control plane until a signal, or the end of stdin unless detached."""
    with suppress(Stop), stoppable(watch_stdin=not detached):
        build.build([*build.DEFAULT, *extras])
        with _locked(folder):
            cluster = Cluster(folder, extras)
            try:
                cluster.start()
                _announce(cluster)
                if detached:
                    _let_go_of_output(folder / "log" / "supervisor.log")
                while True:
                    cluster.check()
                    time.sleep(0.5)
            finally:
                stop_listening()
                cluster.stop()


def start(folder: Path, extras: list[str]) -> None:
    """Starts `run` in the background, and returns when it is ready."""
    command = [sys.executable, "-m", __package__, "run", "--detached", "--dir", str(folder)]
    child = subprocess.Popen(
        [*command, "--with", ",".join(extras)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    line = child.stdout.readline()
    if not line:
        sys.exit(child.wait() or 1)  # it has said why
    print(line, end="", flush=True)
    child.returncode = 0  # it lives on: no warning about that when this process ends


def stop(folder: Path) -> None:
    """Ends the control plane of this folder, and returns when nothing but its logs is left."""
    lock.end_holder(folder / _LOCK)
    if (folder / _LOCK).exists():
        clear(folder, keep_logs=True)  # what a killed one could not remove itself


def state(folder: Path) -> dict:
    """What `start` printed; fails unless it is running and ready."""
    if lock.holder(folder / _LOCK) is None or not (folder / _STATE).exists():
        raise Failure(f"no control plane is ready in {folder}")
    return json.loads((folder / _STATE).read_text())


def _announce(cluster: Cluster) -> None:
    facts = {
        "kubeconfig": str(cluster.kubeconfig),
        "url": cluster.url,
        "bin": str(cluster.folder / "bin"),
        "dir": str(cluster.folder),
        "pids": {program.name: program.pid for program in cluster.programs},
    }
    (cluster.folder / _STATE).write_text(json.dumps(facts))
    print(json.dumps(facts), flush=True)


def _let_go_of_output(log: Path) -> None:
    """A pipe that we kept open would make its reader wait for as long as we live."""
    with log.open("wb") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / _LOCK).exists():
        raise Failure(f"{folder} holds other files, and a start could remove some of them")
    with lock.hold(folder / _LOCK, f"a control plane is running in {folder}: stop it first"):
        yield
