"""The conditions of the link, told as they change."""

import time

from ..cluster import Watch
from ..failure import Failure
from .terminal import Terminal

SECONDS = 90


class Conditions:
    """Follows the link by a watch, and prints a line for each condition that changes."""

    def __init__(self, watch: Watch, terminal: Terminal):
        self._watch, self._terminal = watch, terminal
        self._now: dict[str, dict] = {}
        self._began = time.monotonic()

    def begin(self) -> None:
        """From here on the seconds count."""
        self._began = time.monotonic()

    def follow(self, condition: str, status: str) -> float:
        """Prints what changes until this condition has this status; gives the seconds since the beginning."""
        for _, link in self._watch.events(SECONDS):
            after = time.monotonic() - self._began
            conditions = link.get("status", {}).get("conditions", [])
            # the summary after what it sums up
            for found in sorted(conditions, key=lambda found: found["type"] == "Ready"):
                self._tell(found, after)
            if self._now.get(condition, {}).get("status") == status:
                return after
        raise Failure(f"not after {SECONDS} s: {condition} {status}; the link says {self._now.get('Ready', 'nothing')}")

    def _tell(self, found: dict, after: float) -> None:
        name, status, reason = found["type"], found["status"], found["reason"]
        before = self._now.get(name, {})
        self._now[name] = found
        # these two only say in another way what Ready says
        if name in ("Reconciling", "Stalled") or (before.get("status"), before.get("reason")) == (status, reason):
            return
        line = f"{after:5.1f} s  {name:<20} {status:<8} {reason:<12} {found['message']}"
        self._terminal.clipped(line, good=status == "True")
