"""A lock on a file, by which one process owns what lies beside it.

The kernel names the holder of a lock, so that finding the process trusts no pid that was written down and may be
somebody else's by now.
"""

import fcntl
import os
import select
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .failure import Failure

STOP_SECONDS = 20

_FLOCK = "hhqqi0q"  # struct flock: type, whence, start, length, pid


@contextmanager
def hold(file: Path, otherwise: str) -> Iterator[None]:
    """Holds the lock, or fails with a message where another process does."""
    with file.open("w") as opened:
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failure(otherwise) from None
        yield


def holder(file: Path) -> int | None:
    """The process that holds the lock."""
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        with file.open("r+") as opened:
            answer = fcntl.fcntl(opened, fcntl.F_GETLK, question)
    except FileNotFoundError:
        return None
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    return None if kind == fcntl.F_UNLCK else pid


def end_holder(file: Path) -> bool:
    """Ends the process that holds the lock, and returns when it is gone; false where there was none."""
    found = False
    while (pid := holder(file)) is not None:
        found = True
        with suppress(ProcessLookupError), _process(pid) as process:
            if holder(file) == pid:  # else the descriptor may be of another process
                _end(process)
    return found


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
