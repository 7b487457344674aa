"""Messages to people, on stderr: stdout carries what programs read."""

import sys


def say(message: str) -> None:
    """Writes one line, so marked that it stands out in the output of a test run."""
    print(f"controlplane: {message}", file=sys.stderr, flush=True)
