"""Progress of the work on standard error: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

Report = Callable[[str, int, int], None]

LINE_SECONDS = 5.0
BAR_SECONDS = 0.1


@contextmanager
def progress() -> Iterator[Report]:
    """Yields a function to call with the name of a stage, how much is done, and the total; any number of times."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(16), TextColumn("{task.fields[amount]}"))
    console = Console(file=sys.stderr)
    display = Progress(*columns, TimeElapsedColumn(), console=console, redirect_stdout=False)
    try:
        bars = Bars(display)
        yield bars
        bars.finish()
    finally:
        display.stop()


def amount(stage: str, done: int, total: int) -> str:
    """Formats how much of a stage is done; an upload counts bytes.

    >>> amount("convert", 3, 12), amount("upload", 1_500_000, 3_000_000)
    ('3/12', '1.5 MB/3.0 MB')
    """
    return f"{decimal(done)}/{decimal(total)}" if stage == "upload" else f"{done}/{total}"


class Lines:
    """Writes lines such as ``convert 3/12`` where a stage begins and ends, and every few seconds between."""

    def __init__(self, seconds: float = LINE_SECONDS) -> None:
        self._seconds = seconds
        self._stage = ""
        self._shown = -1
        self._next = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Writes a line where a stage begins, ends, or has gone on for some seconds."""
        new = stage != self._stage
        due = done != self._shown and (done >= total or time.monotonic() >= self._next)
        if new or due:
            sys.stderr.write(f"{stage} {amount(stage, done, total)}\n")
            self._stage, self._shown, self._next = stage, done, time.monotonic() + self._seconds


class Bars:
    """Shows a bar for each stage, the finished ones above the current one."""

    def __init__(self, display: Progress) -> None:
        self._display = display
        self._bars: dict[str, TaskID] = {}
        self._next = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Moves the bar of the stage; a new stage finishes the one before."""
        self._display.start()  # here: its thread must not be there yet when processes are forked (``isolated``)
        if stage not in self._bars:
            self.finish()
            self._bars[stage] = self._display.add_task(f"{stage:<8}", total=total, amount="")
            self._next = 0.0
        if done >= total or time.monotonic() >= self._next:
            shown = amount(stage, done, total)
            self._display.update(self._bars[stage], completed=done, total=total, amount=shown)
            self._next = time.monotonic() + BAR_SECONDS

    def finish(self) -> None:
        """Stops the clock of the last bar."""
        for bar in list(self._bars.values())[-1:]:
            self._display.stop_task(bar)
