"""How a process of the bench is told to end: by a signal, or by the end of its standard input."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_STDIN = 0
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stop(BaseException):
    """Whoever started us wants us to end, or is gone. No error: what handles errors must not handle this."""


@contextmanager
def stoppable(watch_stdin: bool = False) -> Iterator[None]:
    """Ends its block by raising Stop in it, once, whatever it is doing then."""

    def stop_now(*_) -> None:
        stop_listening()
        raise Stop

    def stop_at_end_of_stdin(*_) -> None:
        if select.select([_STDIN], [], [], 0)[0] and not os.read(_STDIN, 4096):
            stop_now()

    for number in SIGNALS:
        signal.signal(number, stop_now)
    try:
        if watch_stdin:
            # A timer, not a thread: a process with threads cannot fork safely.
            signal.signal(signal.SIGALRM, stop_at_end_of_stdin)
            signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
        yield
    finally:
        stop_listening()


def stop_listening() -> None:
    """Lets the clean-up end in peace."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (*SIGNALS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
