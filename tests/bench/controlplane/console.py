"""Messages to people, on stderr: stdout carries what programs read."""

import sys


class Failure(Exception):
    """Something the user has to see, without a traceback."""


def say(message: str) -> None:
    """Writes one line, so marked that it stands out in the output of a test run."""
    print(f"controlplane: {message}", file=sys.stderr, flush=True)


def tail(path, lines: int = 25) -> str:
    """The end of a log, which is where a program says why it stopped."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
