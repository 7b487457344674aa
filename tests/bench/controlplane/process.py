"""Children that cannot outlive this process, not even when it is killed."""

import ctypes
import os
import signal
import subprocess
from pathlib import Path

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def spawn(command: list[str], **options) -> subprocess.Popen:
    """subprocess.Popen, with a child that the kernel kills when we end."""
    parent = os.getpid()
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=lambda: die_with(parent), **options)


def die_with(parent: int) -> None:
    """Has the kernel kill this process when its parent ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was told
        os._exit(1)


def outlive_parent() -> None:
    """Takes that back."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, 0)


class Program:
    """A program of the control plane; its output goes to log/<name>.log in the folder that it runs in."""

    def __init__(self, name: str, command: list[str], folder: Path):
        self.name = name
        self.log = folder / "log" / f"{name}.log"
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C is for us, and we end the programs in order.
            self._child = spawn(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)

    @property
    def pid(self) -> int:
        return self._child.pid

    def alive(self) -> bool:
        return self._child.poll() is None

    def kill(self) -> None:
        """Ends it. Its pid cannot have been reused: a child keeps it until it is waited for."""
        self._child.kill()
        self._child.wait()
