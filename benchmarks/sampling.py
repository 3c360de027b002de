"""Where a process with many threads spends its time: the stacks of all of them, looked at 200 times a second."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

EVERY = 0.005  # seconds
LINES = 25
IDLE = {"wait", "_wait_for_tstate_lock", "_worker", "select", "get", "join"}  # where a thread waits for others


class Sampler:
    """Within the context all threads are watched; at its end the counts are written to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sampler", daemon=True)
        self._looks = 0
        self._here: Counter[str] = Counter()
        self._within: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()
        self._path.write_text(self.report(), encoding="utf-8")

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self._look()

    def _look(self) -> None:
        self._looks += 1
        for thread, frame in sys._current_frames().items():  # noqa: SLF001 - documented, and the only way
            if thread != threading.get_ident() and frame.f_code.co_name not in IDLE:
                self._here[_line(frame)] += 1
                self._within.update({_function(caller) for caller in _callers(frame)})

    def report(self) -> str:
        """The lines that were run when looked at, and the functions they were reached through; % of the looks.

        Threads that wait are left out; where several work at once the shares add up to more than 100%.
        """
        parts = []
        for title, counts in (("at this line", self._here), ("within", self._within)):
            parts += [f"{title} ({self._looks} looks)"]
            parts += [f"{100 * n / self._looks:6.1f} %  {place}" for place, n in counts.most_common(LINES)]
        return "\n".join(parts) + "\n"


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _function(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    return f"{path.parent.name}/{path.name} {frame.f_code.co_qualname}"


def _line(frame: FrameType) -> str:
    return f"{_function(frame)}:{frame.f_lineno}"
