"""Many objects at once, followed by one watch: when each was first seen, became Ready, was looked at, and was gone."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ..cluster import Cluster, Watch
from ..controlplane.process import spawn
from ..failure import Failure

# How often the end of a phase is asked for. The times that are measured are those of the events.
_SLICE = 0.2


class Crowd:
    """The objects of a kind in a namespace, as the API server tells of them."""

    def __init__(self, watch: Watch, names: list[str]):
        self.names = names
        # the controller, without which there is nothing to wait for
        self.controller: subprocess.Popen | None = None
        self.seen: dict[str, float] = {}
        # when each became Ready first, and which are so now
        self.ready: dict[str, float] = {}
        self.ready_now: set[str] = set()
        self.gone: dict[str, float] = {}
        self.handled: dict[str, str] = {}
        self._says: dict[str, str] = {}
        self._watch = watch

    def until(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        """Follows the objects until it is so."""
        end = time.monotonic() + seconds
        while not done():
            if self.controller and self.controller.poll() is not None:
                raise Failure(f"the controller ended with {self.controller.returncode}; {self._summary()}")
            if time.monotonic() > end:
                raise Failure(f"not after {seconds:.0f} s: {what}; {self._summary()}")
            self.follow(_SLICE)

    def all_ready(self) -> bool:
        """Whether all are Ready at this moment."""
        return len(self.ready_now) == len(self.names)

    def follow(self, seconds: float) -> None:
        """Follows the objects for so long."""
        for kind, found in self._watch.events(seconds):
            self._note(kind, found, time.monotonic())

    def while_running(self, cluster: Cluster, log: Path, *arguments: str) -> None:
        """Follows the objects while a command of kubectl runs, which with many objects takes its time."""
        with log.open("w") as output:
            command = spawn(cluster.command(*arguments), stdout=subprocess.DEVNULL, stderr=output)
        while command.poll() is None:
            self.follow(_SLICE)
        if command.returncode:
            raise Failure(f"kubectl {arguments[0]}: {log.read_text()}")

    def _note(self, kind: str, found: dict, now: float) -> None:
        name, status = found["metadata"]["name"], found.get("status", {})
        self.seen.setdefault(name, now)
        self.ready_now.discard(name)
        if kind == "DELETED":
            self.gone[name] = now
            return
        self.handled[name] = status.get("lastHandledReconcileAt", "")
        ready = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), None)
        if ready is None:
            return
        self._says[name] = f"{ready['status']} {ready['reason']}: {ready['message']}"
        if ready["status"] == "True":
            self.ready.setdefault(name, now)
            self.ready_now.add(name)

    def _summary(self) -> str:
        """What is said most often of Ready, by those that are not gone."""
        said = Counter(text for name, text in self._says.items() if name not in self.gone)
        return "; ".join(f"{number} say {text[:300]}" for text, number in said.most_common(3))


class Jobs(Crowd):
    """UnloadJobs, which are Ready once they are Complete: also when each was first seen to have a statement."""

    def __init__(self, watch: Watch, names: list[str]):
        super().__init__(watch, names)
        self.submitted: dict[str, float] = {}

    def _note(self, kind: str, found: dict, now: float) -> None:
        super()._note(kind, found, now)
        if found.get("status", {}).get("statementId"):
            self.submitted.setdefault(found["metadata"]["name"], now)
