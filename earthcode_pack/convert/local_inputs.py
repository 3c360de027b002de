"""Local copies of remote inputs, shared by the jobs of one process: 744 maps of one file fetch it once."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack import storage
from earthcode_pack.storage.inputs import local_path

if TYPE_CHECKING:
    from earthcode_pack.model import Input

IDLE = 2  # copies that are kept although no job uses them


@dataclass
class _Copy:
    """A local copy in a folder of its own, and the number of jobs that use it."""

    folder: Path
    lock: threading.Lock = field(default_factory=threading.Lock)  # one fetches, others wait for it
    path: Path | None = None
    users: int = 0


class Copies:
    """Copies by href and sha256. The oldest idle ones go when there are more than ``IDLE``; all go with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copies: OrderedDict[tuple[str, str], _Copy] = OrderedDict()

    def take(self, key: tuple[str, str]) -> Path:
        """Returns the local copy, fetched where there is none; it stays until ``give_back``."""
        with self._lock:
            copy = self._copies.setdefault(key, _Copy(Path()))
            copy.users += 1
        try:
            with copy.lock:
                if copy.path is None:
                    copy.folder = Path(tempfile.mkdtemp(prefix="earthcode-pack-"))
                    copy.path = _fetched(*key, copy.folder)
                return copy.path
        except BaseException:
            self.give_back(key)
            raise

    def give_back(self, key: tuple[str, str]) -> None:
        """Ends one use of a copy."""
        with self._lock:
            self._copies[key].users -= 1
            self._copies.move_to_end(key)
            idle = [key for key, copy in self._copies.items() if copy.users == 0]
            gone = [self._copies.pop(key) for key in idle if self._copies[key].path is None or key in idle[:-IDLE]]
        for copy in gone:
            _remove(copy)

    def clear(self) -> None:
        """Removes every copy."""
        with self._lock:
            gone = list(self._copies.values())
            self._copies.clear()
        for copy in gone:
            _remove(copy)


def _fetched(href: str, sha256: str, folder: Path) -> Path:
    """Fetches a remote input. Raises ``Unreadable`` where it is not what was hashed."""
    path = storage.fetch(href, folder)
    if storage.sha256(str(path)) != sha256:
        raise storage.changed(href)
    return path


def _remove(copy: _Copy) -> None:
    if copy.folder != Path():
        shutil.rmtree(copy.folder, ignore_errors=True)


_COPIES = Copies()
atexit.register(_COPIES.clear)


class Paths(Mapping[str, Path]):
    """Inputs as local paths by href; a remote one is fetched when it is first asked for."""

    def __init__(self, inputs: tuple[Input, ...]) -> None:
        self._sha256 = {source.href: source.sha256 for source in inputs}
        self.taken: dict[tuple[str, str], Path] = {}

    def __getitem__(self, href: str) -> Path:
        local = local_path(href)
        if local is not None:
            return Path(local)
        key = href, self._sha256[href]
        if key not in self.taken:
            self.taken[key] = _COPIES.take(key)
        return self.taken[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sha256)

    def __len__(self) -> int:
        return len(self._sha256)


@contextmanager
def local_sources(inputs: tuple[Input, ...]) -> Iterator[Paths]:
    """Provides the inputs of a job as local paths by href, for as long as the context."""
    paths = Paths(inputs)
    try:
        yield paths
    finally:
        for key in paths.taken:
            _COPIES.give_back(key)
