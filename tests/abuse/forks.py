"""The command line in forks of a process that has its libraries loaded: as a process of its own, without its start."""

from __future__ import annotations

import atexit
import importlib
import os
import random
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pyproj  # noqa: F401 - before ecCodes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_LIBRARIES = (
    "earthcode_pack.pipeline", "earthcode_pack.cli.results", "earthcode_pack.cli.progress",
    "earthcode_pack.convert.cog.writer", "earthcode_pack.convert.zarr.writer", "earthcode_pack.convert.netcdf.writer",
    "earthcode_pack.checks", "earthcode_pack.catalogs.prr", "earthcode_pack.upload", "earthcode_pack.upload.early",
    "earthcode_pack.storage.s3", "dask.array", "netCDF4",
)  # fmt: skip
_RUNNING: set[int] = set()


class Run(NamedTuple):
    """A command that runs as the leader of a process group."""

    pid: int
    began: float

    def kill(self) -> None:
        """``kill -9`` of the group, whatever of it there is."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> tuple[int, float]:
        """The exit code, negative for a signal, and the seconds that it took; kills what is left of the group."""
        _, status = os.waitpid(self.pid, 0)
        seconds = time.monotonic() - self.began
        _RUNNING.discard(self.pid)
        self.kill()
        return os.waitstatus_to_exitcode(status), seconds


def load() -> None:
    """Imports what the command would. Nothing in this process may start threads: they do not survive a fork."""
    for name in _LIBRARIES:
        importlib.import_module(name)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    atexit.register(_kill_all)


def _kill_all() -> None:
    """Leaves no command behind."""
    for pid in _RUNNING:
        Run(pid, 0).kill()


def start(arguments: list[str], log: Path, environment: Mapping[str, str] | None = None) -> Run:
    """Begins ``earthcode-pack`` with these arguments; what it writes goes to ``log``."""
    sys.stdout.flush()
    began, pid = time.monotonic(), os.fork()
    if pid == 0:
        _command(arguments, log, environment or {})
    _RUNNING.add(pid)
    with suppress(OSError):  # whoever of the two is first
        os.setpgid(pid, pid)
    return Run(pid, began)


def spread(what: str, name: str, number: int, tried: Callable[[float], list[str]]) -> bool:
    """Tries so many shares of a whole, such as its time, all over it; prints problems, and how many had none."""
    chance, good = random.Random(name), 0
    for step in range(number):
        problems = tried((step + chance.random()) / number)
        good += not problems
        for problem in problems:
            _say(f"{what}: {name}, {step}: {problem}")
    _say(f"{what}: {name} {good} of {number}")
    return good == number


def _say(line: str) -> None:
    """A line of the figures, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _command(arguments: list[str], log: Path, environment: Mapping[str, str]) -> None:
    """Never returns."""
    code = 70
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.environ.update(environment)
        from earthcode_pack.cli import execute

        code = execute(arguments)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - this copy of the process ends here
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)
