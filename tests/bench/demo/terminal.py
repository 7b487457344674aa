"""How the story looks: numbered chapters, commands as a user types them, what they print, and how long things take."""

import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

_INDENT = "   "
_BOLD, _DIM, _COMMAND, _GOOD, _BAD = "1", "2", "36", "32", "31"


class Terminal:
    """Standard output, with colours where it is a terminal and NO_COLOR is not set."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._width = max(80, min(shutil.get_terminal_size((110, 24)).columns, 140))
        self._chapters = 0

    def title(self, text: str) -> None:
        """The first line."""
        self._print(self._in(_BOLD, text))

    def chapter(self, text: str) -> None:
        """A heading, with its number."""
        self._chapters += 1
        self._print(f"\n{self._in(_BOLD, f'{self._chapters}  {text}')}\n")

    def say(self, text: str) -> None:
        """A paragraph."""
        for line in textwrap.wrap(text, self._width - len(_INDENT), break_on_hyphens=False):
            self._print(_INDENT + line)

    def line(self, text: str = "") -> None:
        """A line as it is."""
        self._print(f"{_INDENT}{text}".rstrip())

    def command(self, text: str) -> None:
        """A command as a user types it."""
        self._print(f"{_INDENT}{self._in(_COMMAND, f'$ {text}')}")

    def output(self, text: str) -> None:
        """What a command, or a file, says. A line that is too long goes on below its last column."""
        room = self._width - len(_INDENT) - 2
        for line in text.rstrip().splitlines():
            column = max((found.end() for found in re.finditer(r"\S {2,}(?=\S)", line)), default=room)
            below = column if column < room * 0.6 else len(line) - len(line.lstrip()) + 4
            folded = textwrap.wrap(
                line, room, subsequent_indent=" " * below, break_on_hyphens=False, break_long_words=False
            )
            for part in folded or [""]:
                self._print(f"{_INDENT}  {part}".rstrip())

    def clipped(self, text: str, good: bool = False) -> None:
        """A line, cut off where the terminal ends."""
        room = self._width - len(_INDENT)
        clipped = text.rstrip() if len(text) <= room else f"{text[: room - 4]} ..."
        self._print(_INDENT + (self._in(_GOOD, clipped) if good else clipped))

    def rows(self, rows: Iterable[Sequence[str]]) -> None:
        """Columns, each as wide as its widest entry."""
        rows = [list(map(str, row)) for row in rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self.line("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))

    def good(self, text: str) -> None:
        """What came out as it should."""
        self._print(_INDENT + self._in(_GOOD, text))

    def bad(self, text: str) -> None:
        """What did not."""
        self._print(_INDENT + self._in(_BAD, text))

    def aside(self, text: str) -> None:
        """A word beside the story."""
        self._print(_INDENT + self._in(_DIM, text))

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Says what is being done while it is done, and then how long it took."""
        print(f"{_INDENT}{what} ", end="", flush=True)
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self._print("")
            raise
        took = f" {time.monotonic() - began:.1f} s"
        dots = "." * (self._width - len(_INDENT) - len(what) - 1 - len(took))
        self._print(self._in(_DIM, dots) + took)

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text

    @staticmethod
    def _print(text: str) -> None:
        print(text, flush=True)
