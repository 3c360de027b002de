"""What a process costs, with all that it starts: wall and CPU seconds, memory at the peak, bytes of the output."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import IO, TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
INTERVAL = 0.05  # seconds between two looks at the memory
FAMILY = 5  # every so many looks the tree is asked for new processes, which costs a millisecond
GRACE = 2.0  # seconds that what a process leaves behind has to end
TAIL = 12  # lines of its messages that are shown of a process that failed


class Failed(Exception):
    """A process that did not end well; the message holds its last words."""


@dataclass(frozen=True)
class Cost:
    """Of one run: seconds, and bytes. ``peak`` is of the whole tree of processes."""

    wall: float
    cpu: float
    peak: int
    size: int = 0


def measure(command: Sequence[str], output: Path) -> Cost:
    """The cost of ``command``, run from the checkout, which writes to ``output``: a file or a folder, new each time.

    CPU is user and system time of the process and of all it waited for (wait4). Raises ``Failed`` where the command
    fails, writes nothing, or leaves a process behind, whose time would be missing.
    """
    with tempfile.TemporaryFile() as messages:
        try:
            cost = _run(command, messages)
        except Failed as error:
            raise Failed(f"{error}\n{_tail(messages)}".rstrip()) from None
    size = size_of(output)
    if not size:
        raise Failed(f"wrote nothing to {output}")
    return Cost(cost.wall, cost.cpu, cost.peak, size)


def _run(command: Sequence[str], messages: IO[bytes]) -> Cost:
    begin = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - a command of this package
        command,
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=messages,
        stderr=messages,
        start_new_session=True,
    )
    watch = _Watch(process.pid)
    try:
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:
        _end(process.pid)
        process.wait()
        raise
    finally:
        watch.stop()
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    left = _left_behind(process.pid)
    if process.returncode:
        raise Failed(f"ended with {process.returncode}")
    if left:
        raise Failed("left processes behind, whose CPU time nobody sees")
    return Cost(wall, used.ru_utime + used.ru_stime, max(watch.peak, _own_peak(used)))


def _environment() -> dict[str, str]:
    """Of this process; Python keeps what it compiled, as it does of what is installed, and compiles it in no run."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _own_peak(used: resource.struct_rusage) -> int:
    """ru_maxrss in bytes, where it can be of the process: until exec it was this one's, which may be more."""
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used.ru_maxrss * 1024 if used.ru_maxrss > ours else 0


def _left_behind(group: int) -> bool:
    """Whether something of the session lives on after a time of grace; it is ended then."""
    end = time.monotonic() + GRACE
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.02)
    _end(group)
    return True


def _end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _tail(messages: IO[bytes]) -> str:
    messages.seek(0)
    return "\n".join(messages.read().decode(errors="replace").splitlines()[-TAIL:])


class _Watch(Thread):
    """Looks at the memory of a process and its descendants until told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(name="memory", daemon=True)
        self.peak = 0
        self._over = Event()
        self._pid = pid
        self.start()

    def run(self) -> None:
        """One look each interval; the tree, which is dearer, less often."""
        with suppress(psutil.NoSuchProcess):
            root, looks = psutil.Process(self._pid), 0
            tree = [root]
            while not self._over.is_set():
                if looks % FAMILY == 0:
                    tree = [root, *root.children(recursive=True)]
                self.peak = max(self.peak, memory(tree))
                looks += 1
                self._over.wait(INTERVAL)

    def stop(self) -> None:
        """After this ``peak`` is final."""
        self._over.set()
        self.join()


def memory(tree: Sequence[psutil.Process]) -> int:
    """Bytes of memory of some processes: RSS of one, the sum of PSS of several, for they share pages."""
    return _rss(tree[0]) if len(tree) == 1 else sum(_pss(process) for process in tree)


def _rss(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _pss(process: psutil.Process) -> int:
    """Proportional set size, from smaps_rollup (proc_pid_smaps(5)): half a millisecond."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return _rss(process)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
    return path.stat().st_size if path.is_file() else 0


def remove(path: Path) -> None:
    """A file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
