"""What goes wrong and has to be told to people, and the end of the log that says why."""

from pathlib import Path


class Failure(Exception):
    """Something the user has to see, without a traceback."""


def tail(path: Path, lines: int = 25) -> str:
    """The end of a log, which is where a program says why it stopped."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
