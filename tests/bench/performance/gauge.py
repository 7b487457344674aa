"""What is measured: the calls that AWS was asked, and what a process used of the machine."""

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..aws.client import Bench
from ..failure import Failure
from ..program import Pod

# Who does what an UNLOAD asks of its cluster: the service, and its sessions.
_OF_A_CLUSTER = ("redshift.amazonaws.com", "/RedshiftIamRoleSession")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """What was used in a phase."""

    # by action, as in s3:GetObject
    actions: Counter
    reads: int
    writes: int
    errors: int
    cpu: float
    aws_cpu: float
    loops: int


class Gauge:
    """Measures from phase to phase. The calls are those that AWS noted: the program's own count is not asked."""

    def __init__(self, aws: Bench, aws_pid: int, pod: Pod, pid: int):
        self._aws, self._aws_pid, self._pod, self._pid = aws, aws_pid, pod, pid
        self.begin()

    def begin(self) -> None:
        """A phase begins."""
        self._aws.post("calls/clear")
        self._cpu, self._aws_cpu, self._loops = cpu_seconds(self._pid), cpu_seconds(self._aws_pid), self._looped()

    def end(self) -> Used:
        """The phase is over, and the next begins."""
        cpu, aws_cpu, loops = cpu_seconds(self._pid), cpu_seconds(self._aws_pid), self._looped()
        calls = [call for call in self._aws.get("calls") if not call["caller"].endswith(_OF_A_CLUSTER)]
        writes = sum(call["write"] for call in calls)
        errors = sum(call["status"] is None or call["status"] >= 400 for call in calls)
        used = Used(
            actions=Counter(call["action"] for call in calls),
            reads=len(calls) - writes,
            writes=writes,
            errors=errors,
            cpu=cpu - self._cpu,
            aws_cpu=aws_cpu - self._aws_cpu,
            loops=loops - self._loops,
        )
        self.begin()
        return used

    def loops(self) -> int:
        """How many loops the controller has made in this phase."""
        return self._looped() - self._loops

    def memory(self) -> tuple[float, float]:
        """Megabytes that the program holds, and the most that it ever held."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        now, most = (int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024 for name in ("VmRSS", "VmHWM"))
        return round(now, 1), round(most, 1)

    def _looped(self) -> int:
        text = self._pod.get("/metrics")
        if text is None:
            raise Failure("the controller does not answer")
        return sum(int(n) for n in re.findall(r"^redshift_link_reconciles_total\{.*\} (\d+)$", text, re.MULTILINE))


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process so far."""
    # its name, in brackets, may hold anything
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
