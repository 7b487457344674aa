"""The process that owns a control plane: while it lives all of it lives, and nothing outlives it.

It holds a lock on a file in the folder. The kernel names the holder of a lock, so that finding the process
of a folder trusts no pid that was written down and may be somebody else's by now.
"""

import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import build
from .cluster import Cluster, clear
from .console import Failure

STOP_SECONDS = 20

_STDIN = 0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LOCK = "controlplane.lock"
_FLOCK = "hhqqi0q"  # struct flock: type, whence, start, length, pid
_STATE = "state.json"


class Stop(Exception):
    """Whoever started us wants us to end, or is gone."""


def run(folder: Path, extras: list[str], detached: bool = False) -> None:
    """Runs a control plane until a signal, or the end of stdin unless detached."""
    with _stoppable(watch_stdin=not detached):
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
                _stop_listening()
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
    while (pid := _holder(folder)) is not None:
        with suppress(ProcessLookupError), _process(pid) as process:
            if _holder(folder) == pid:  # else the descriptor may be of another process
                _end(process)
    if (folder / _LOCK).exists():
        clear(folder, keep_logs=True)  # what a killed one could not remove itself


def state(folder: Path) -> dict:
    """What `start` printed; fails unless it is running and ready."""
    if _holder(folder) is None or not (folder / _STATE).exists():
        raise Failure(f"no control plane is ready in {folder}")
    return json.loads((folder / _STATE).read_text())


@contextmanager
def _stoppable(watch_stdin: bool) -> Iterator[None]:
    """Ends its block by raising Stop in it, once, whatever it is doing then."""

    def stop_now(*_) -> None:
        _stop_listening()
        raise Stop

    def stop_at_end_of_stdin(*_) -> None:
        if select.select([_STDIN], [], [], 0)[0] and not os.read(_STDIN, 4096):
            stop_now()

    for number in _SIGNALS:
        signal.signal(number, stop_now)
    try:
        if watch_stdin:
            # A timer, not a thread: a process with threads cannot fork safely.
            signal.signal(signal.SIGALRM, stop_at_end_of_stdin)
            signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
        with suppress(Stop):
            yield
    finally:
        _stop_listening()


def _stop_listening() -> None:
    """Lets the clean-up end in peace."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (*_SIGNALS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


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
    with (folder / _LOCK).open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failure(f"a control plane is running in {folder}: stop it first") from None
        yield


def _holder(folder: Path) -> int | None:
    """The process that holds the lock of this folder."""
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        with (folder / _LOCK).open("r+") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, question)
    except FileNotFoundError:
        return None
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    return None if kind == fcntl.F_UNLCK else pid


@contextmanager
def _process(pid: int) -> Iterator[int]:
    """A descriptor of a process, which stays with that process when the pid is reused."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _end(process: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        signal.pidfd_send_signal(process, number)
        if select.select([process], [], [], STOP_SECONDS)[0]:
            return
