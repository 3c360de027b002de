"""Calls in child processes that are reused, so that a crash in a C library is the failure of one input.

A process is forked where this one has a single thread, as the command line has before it reads anything: that costs
milliseconds, for its modules are shared. Elsewhere a new interpreter is started, once. On Linux it reads nothing
itself: it forks the process that does, and forks another one where that dies, or where a library failed in it, which
may have left its memory damaged. Nothing comes back but the answer, the error, or how the process ended.
"""

from __future__ import annotations

import atexit
import faulthandler
import gc
import logging
import os
import pickle
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import psutil

from earthcode_pack.errors import AGAIN, EarthcodePackError, Unreadable
from earthcode_pack.execution.threads import cores, pool
from earthcode_pack.storage import credentials

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 10**6
_SECONDS, _MB_A_SECOND = 10, 1  # processor time of any call, and bytes of input for each further second
_MEMORY, _TIMES = 512 * 2**20, 200  # bytes that opening may take, and further ones for each byte of the input
_SILENT = 600  # seconds without an answer, beyond ten times the processor time, as of storage that does not answer
_LARGE = 2**30  # bytes: a process that has grown so far is not kept
_LENGTH = struct.Struct("<Q")


class Limits(NamedTuple):
    """Limits of a call: seconds of processor time, and bytes of memory beyond what the process has (Linux)."""

    seconds: int
    memory: int | None = None


def for_opening(size: int) -> Limits:
    """Returns the limits for reading the header of an input of ``size`` bytes: 10 s and 512 MB, more for large ones.

    Coordinates are read too, which may be deflated: 200 bytes of memory for each stored one.

    >>> for_opening(467), for_opening(20_000_000).seconds
    (Limits(seconds=10, memory=536964312), 30)
    """
    return Limits(_SECONDS + size // (_MB_A_SECOND * MB), _MEMORY + _TIMES * size)


def isolated[R](function: Callable[..., R], *given: Any, subject: str, limits: Limits) -> R:
    """Calls an importable function in a child process; arguments and result are pickled, and so is what it raises.

    Environment, working directory and storage credentials are those of the caller; log lines of the call are logged
    here.

    Args:
        function: to call; importable.
        given: its arguments.
        subject: name of the input, for the error.
        limits: of this call.

    Returns:
        What the function returns.

    Raises:
        Unreadable: the process crashed, did not end, or took more memory than it may.

    """
    if _IS_CHILD:
        return function(*given)
    context = (
        os.environ.copy(),
        str(Path.cwd()),
        credentials.current(),
        logging.getLogger("earthcode_pack").getEffectiveLevel(),
    )
    with _ALLOWED:
        answer = _asked(pickle.dumps((function, given, limits, context)), 10 * limits.seconds + _SILENT)
    if isinstance(answer, int):
        raise _died(subject, answer, limits)
    for record in answer.records:
        logging.getLogger(record.name).handle(record)
    if isinstance(answer.error, MemoryError):
        memory = f"{(limits.memory or 0) // MB} MB of" if limits.memory else "the"
        raise Unreadable(f"{subject}: reading it takes more than {memory} memory", AGAIN)
    if answer.error is not None:
        raise answer.error
    return answer.result  # type: ignore[no-any-return]


def _asked(call: bytes, seconds: float) -> _Answer | int:
    """Returns the answer to a call, or the exit code where even a process that had read nothing before crashed."""
    while True:
        child = _taken()
        is_fresh, answer = child.is_fresh, child.ask(call, seconds)
        if answer is None:
            answer = child.end()
        else:
            _IDLE.append(child)
        if is_fresh or not isinstance(answer, int) or answer in _OUT_OF_TIME:
            return answer


def ready(count: int) -> None:
    """Starts processes for ``count`` calls at once, at most one a core; cheapest before threads start."""
    if not _IS_CHILD:
        while len(_IDLE) < min(count, cores()):
            _IDLE.append(_started())


def _died(subject: str, code: int, limits: Limits) -> Unreadable:
    """Makes the error for a process that ended without an answer, by its exit code."""
    if code in _OUT_OF_TIME and code != _NO_ANSWER:
        return Unreadable(f"{subject}: reading it does not end: stopped after {limits.seconds} s of computing", AGAIN)
    if code == _NO_ANSWER:
        return Unreadable(f"{subject}: reading it does not end: nothing came for minutes", AGAIN)
    with suppress(ValueError):
        name = signal.Signals(-code).name
        return Unreadable(f"{subject}: the library that reads it crashed ({name})", AGAIN)
    return Unreadable(f"{subject}: the process that read it ended with {code}", AGAIN)


# --- the parent's side ----------------------------------------------------------------------------------------------

_NO_ANSWER, _REPLACE = 1000, 75  # in place of an exit code; the exit code of a process that is not to go on
_OUT_OF_TIME = {_NO_ANSWER, -int(getattr(signal, "SIGXCPU", 0)) or _NO_ANSWER}


class _Answer(NamedTuple):
    """Result or error of a call, and its log lines; ``stays`` is true where the process takes another call."""

    result: Any
    error: BaseException | None
    records: list[logging.LogRecord]
    stays: bool


class _Child:
    """A process, the pipes to it, and the folder of its temporary files."""

    def __init__(self, process: psutil.Process | subprocess.Popen[bytes], to: IO[bytes], back: IO[bytes]) -> None:
        self._process, self._to, self._back = process, to, back
        self._is_late = False
        self._scratch: str | None = None
        self.is_fresh = True  # no file has been read in it

    def ask(self, call: bytes, seconds: float) -> _Answer | int | None:
        """Sends a call; returns the answer, the exit code of the process that read, or None where the child is gone."""
        try:
            if self._scratch is None:
                self._scratch = (_read(self._back) or b"").decode()
            _write(self._to, call)
            self._wait(seconds)
            data = _read(self._back)
        except OSError:
            data = None
        answer: _Answer | int | None = None if data is None else pickle.loads(data)  # noqa: S301 - of our own process
        self.is_fresh = not isinstance(answer, _Answer) or not answer.stays
        return answer

    def _wait(self, seconds: float) -> None:
        """Waits for an answer, and kills the process after so many seconds."""
        if sys.platform != "win32":
            poll = select.poll()
            poll.register(self._back, select.POLLIN)
            if not poll.poll(seconds * 1000):
                self._is_late = True
                for process in (*psutil.Process(self._process.pid).children(), self._process):
                    process.kill()

    def end(self) -> int:
        """Ends the process, and returns its exit code: the negative number of a signal."""
        for pipe in (self._to, self._back):
            with suppress(OSError):
                pipe.close()
        code = self._process.wait()
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
        return _NO_ANSWER if self._is_late else int(code or 0)


_IDLE: list[_Child] = []
_ALLOWED = threading.BoundedSemaphore(cores())
_IS_CHILD = False


def _taken() -> _Child:
    with suppress(IndexError):
        return _IDLE.pop()
    return _started()


def _started() -> _Child:
    """Starts a process: a fork of this one where no other thread could hold a lock in it."""
    if sys.platform == "linux" and threading.active_count() == 1:
        return _forked()
    command = [sys.executable, "-P", "-c", f"from {__name__} import serve_pipes; serve_pipes()"]
    process = subprocess.Popen(  # noqa: S603 - nothing of it comes from outside
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return _Child(process, process.stdin, process.stdout)


def _forked() -> _Child:
    if sys.platform == "win32":
        raise NotImplementedError
    down, up = os.pipe(), os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of libraries, which prepare for a fork
        pid = os.fork()
    if pid == 0:
        try:
            _close_all_but(down[0], up[1])
            _stand_by(os.fdopen(down[0], "rb"), os.fdopen(up[1], "wb"))
        finally:
            os._exit(0)
    os.close(down[0])
    os.close(up[1])
    return _Child(psutil.Process(pid), os.fdopen(down[1], "wb"), os.fdopen(up[0], "rb"))


def _close_all_but(*kept: int) -> None:
    """Closes what this process shares with its parent, such as locks; the file descriptors stay in use."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number not in (*kept, nothing):
            with suppress(OSError):
                os.dup2(nothing, number)


def _end_all() -> None:
    while _IDLE:
        _IDLE.pop().end()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_IDLE.clear)  # they are the parent's


def _write(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes | None:
    """Reads the next message; None where the other side is gone."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    data = pipe.read(_LENGTH.unpack(head)[0])
    return data if len(data) == _LENGTH.unpack(head)[0] else None


# --- the child's side -----------------------------------------------------------------------------------------------


_MODULES = ("earthcode_pack.convert", "earthcode_pack.convert.read.header", "h5netcdf", "netCDF4")


def serve_pipes() -> None:
    """Serves calls on standard input and output, in a new interpreter; output of libraries is discarded.

    Modules of readers are imported once here, and so shared by each process that is forked.
    """
    back = os.fdopen(os.dup(1), "wb")
    to = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)
    for module in _MODULES:
        import_module(module)
    _stand_by(to, back)


class _Records(logging.Handler):
    """Handler that collects the log lines of a call for the parent."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a line as text: arguments and exceptions need not be what can be pickled."""
        text = self.format(record)
        self.lines.append(logging.makeLogRecord(record.__dict__ | {"msg": text, "args": None, "exc_info": None}))


def _stand_by(to: IO[bytes], back: IO[bytes]) -> None:
    """Serves calls until the parent closes the pipe, or is gone: on Linux by a forked process that is replaced."""
    lines = _settled()
    tempfile.tempdir = scratch = tempfile.mkdtemp(prefix="earthcode-pack-child-")
    try:
        _write(back, scratch.encode())
        while (code := _replaceable(to, back, lines)) != 0:
            if code != _REPLACE:
                _write(back, pickle.dumps(code))
    except OSError:
        return  # the parent is gone
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replaceable(to: IO[bytes], back: IO[bytes], lines: _Records) -> int:
    """Serves calls in a fork; returns its exit code, 0 where the parent is gone."""
    if sys.platform != "linux":
        return _serve(to, back, lines)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as in _forked
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = _serve(to, back, lines)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _serve(to: IO[bytes], back: IO[bytes], lines: _Records) -> int:
    """Serves calls until the parent is gone (0), or this process should be replaced; returns the exit code."""
    try:
        while (call := _read(to)) is not None:
            lines.lines.clear()
            result, error = _called(call)
            # after an error that is not one of our own checks, the memory of a library may be damaged
            failed = error is not None and (not isinstance(error, EarthcodePackError) or error.__cause__ is not None)
            stays = not failed and psutil.Process().memory_info().rss < _LARGE
            _write(back, pickle.dumps(_Answer(result, _portable(error), lines.lines, stays)))
            if not stays:
                return _REPLACE
    except OSError:
        pass  # the parent is gone
    return 0


def _settled() -> _Records:
    """Sets this process up to serve: no signals of a terminal, no core files, no threads that a fork has lost."""
    global _IS_CHILD  # noqa: PLW0603 - it is one from here on
    _IS_CHILD = True
    _IDLE.clear()
    pool.cache_clear()
    gc.freeze()  # what is shared with the parent stays so: the collector would write to all of it
    faulthandler.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _limit("RLIMIT_CORE", 0)
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.handlers, logger.propagate = [], True
    lines = _Records()
    logging.getLogger().handlers = [lines]
    return lines


def _called(call: bytes) -> tuple[Any, BaseException | None]:
    try:
        function, given, limits, (environment, folder, grants, level) = pickle.loads(call)  # noqa: S301 - our parent's
        if os.environ != environment:
            for key in os.environ.keys() - environment.keys():
                del os.environ[key]
            os.environ.update(environment)
        os.chdir(folder)
        logging.getLogger("earthcode_pack").setLevel(level)
        _bound(limits)
        with credentials.in_force_again(grants):
            return function(*given), None
    except Exception as error:  # noqa: BLE001 - the caller raises it
        return None, error
    finally:
        _limit("RLIMIT_DATA", None)


def _bound(limits: Limits) -> None:
    """Sets the limits of a call, where the operating system has them. Processor time is that of all threads."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit("RLIMIT_CPU", int(used.ru_utime + used.ru_stime) + limits.seconds)
    if sys.platform == "linux" and limits.memory is not None:
        _limit("RLIMIT_DATA", psutil.Process().memory_info().data + limits.memory)


def _limit(kind: str, value: int | None) -> None:
    """Sets a soft limit; None lifts it. A limit that the operating system refuses is ignored."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    with suppress(OSError, ValueError, AttributeError):
        hard = resource.getrlimit(getattr(resource, kind))[1]
        soft = hard if value is None else value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, kind), (soft, hard))


def _portable(error: BaseException | None) -> BaseException | None:
    """Returns an exception that the parent can unpickle: the same, or its text."""
    with suppress(Exception):
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
