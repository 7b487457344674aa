"""The servers of the bench, as processes that end with the one that started them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from .failure import Failure, tail

ROOT = Path(__file__).parents[2]
SECONDS = 60

Found = TypeVar("Found")


@contextmanager
def control_plane(folder: Path, *extras: str, log: Path | None = None) -> Iterator[dict]:
    """etcd and the API server, with their state in the folder."""
    options = ["--with", ",".join(extras)] if extras else []
    with _running("bench.controlplane", "run", "--dir", str(folder), *options, log=log) as facts:
        yield facts


@contextmanager
def local_aws(log: Path | None = None) -> Iterator[dict]:
    """The local AWS, empty."""
    with _running("bench.aws", "--stdin-eof", log=log) as facts:
        yield facts


def eventually(condition: Callable[[], Found], what: str, seconds: float = SECONDS) -> Found:
    """What the condition gives, as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise Failure(f"not after {seconds:.0f} s: {what}")
        time.sleep(0.1)
    return found


@contextmanager
def _running(*arguments: str, log: Path | None) -> Iterator[dict]:
    """A server: it ends when its standard input closes, so also when this process dies."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with open(log or os.devnull, "w") as file:
        stderr = {"stderr": file} if log else {}
        # in a session of its own: Ctrl-C is for us, and we end it in turn
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments], env=environment, text=True, start_new_session=True, **pipes, **stderr
        )
    try:
        line = child.stdout.readline()
        if not line:
            raise Failure(f"{arguments[0]} did not start{f':{chr(10)}{tail(log)}' if log else ', as it has said'}")
        yield json.loads(line)
    finally:
        child.stdin.close()
        child.wait()
        child.stdout.close()
