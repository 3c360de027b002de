"""Lock of a remote folder: an object that names machine, process and time, for storage that has no locks."""

from __future__ import annotations

import getpass
import hashlib
import json
import logging
import os
import platform
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from pydantic import ValidationError

from earthcode_pack.errors import Locked, OutsideError
from earthcode_pack.model import Moment, Value, rfc3339
from earthcode_pack.storage.base import now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.storage.folders import Folder

logger = logging.getLogger("earthcode_pack")


class Holder(Value):
    """A run that holds a folder. ``machine`` tells apart hosts of one name, their boots and containers."""

    owner: str
    host: str
    machine: str
    process: int
    began: str  # of the process, so that another one under the same number is not taken for it
    since: Moment
    token: str

    @property
    def is_gone(self) -> bool:
        """Tells whether it ran on this machine and has ended; of other machines nothing is known."""
        return self.machine == _machine() and _began(self.process) != self.began

    def __str__(self) -> str:
        return f"{self.owner} on {self.host} (process {self.process}) since {rfc3339(self.since)}"


class RemoteLock:
    """The object ``key`` of a folder, which there is while a run holds the folder."""

    def __init__(self, folder: Folder, key: str, remedy: str) -> None:
        self._folder, self._key, self._remedy = folder, key, remedy
        self._mine: Holder | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the folder. Raises ``Locked`` where another run does; what a dead one of this machine left is taken."""
        self._take()
        try:
            yield
        finally:
            self._release()

    def _take(self) -> None:
        other = self._holder()
        if other is not None and other.is_gone:
            logger.info("%s: takes over from %s, which has ended", self._folder.href(""), other)
            self.break_open()
        self._mine = _myself()
        if not self._folder.create(self._key, self._mine.to_json().encode()):
            raise self._locked(self._holder())
        self.confirm()

    def confirm(self) -> None:
        """Raises ``Locked`` where the folder is not held by this run any more."""
        found = self._holder()
        if self._mine is None or found is None or found.token != self._mine.token:
            self._mine = None
            raise self._locked(found)

    def break_open(self) -> None:
        """Takes the folder from whoever holds it; a run that lives notices before it writes again."""
        self._folder.remove([self._key])

    def refuse_living(self) -> None:
        """Raises ``Locked`` where a run of this machine holds the folder, and lives."""
        found = self._holder()
        if found is not None and found.machine == _machine() and not found.is_gone:
            raise self._locked(found)

    def _release(self) -> None:
        if self._mine is None:
            return
        try:
            self._folder.remove([self._key])
        except OutsideError as error:  # the one that led here counts; the next run of this machine takes over
            logger.warning("%s stays: %s", self._folder.href(self._key), error)
        self._mine = None

    def _holder(self) -> Holder | None:
        """The run that holds the folder; what is no such object is as good as none, as a half-written one is."""
        raw = self._folder.read(self._key)
        try:
            return None if raw is None else Holder.from_json(raw)
        except ValidationError:
            return None

    def _locked(self, holder: Holder | None) -> Locked:
        who = f"held by {holder}" if holder else "held by another run, or taken from this one"
        return Locked(f"{self._folder.href('').rstrip('/')}: {who}", self._remedy)


def _myself() -> Holder:
    process = os.getpid()
    return Holder(
        owner=_user(),
        host=platform.node(),
        machine=_machine(),
        process=process,
        began=_began(process) or "",
        since=now(),
        token=uuid.uuid4().hex,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def _machine() -> str:
    """A digest of the host's name, its present boot, and the process namespace that a container has of its own."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    words = [platform.node(), boot.read_text() if boot.is_file() else ""]
    space = Path("/proc/self/ns/pid")
    words += [os.readlink(space)] if space.is_symlink() else []  # noqa: PTH115 - it names no path
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]


def _began(process: int) -> str | None:
    """The start of a process of this machine, in ticks where /proc tells (proc(5)); None where there is none."""
    if not psutil.pid_exists(process):
        return None
    stat = Path(f"/proc/{process}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
