"""Finds the source files of a profile, and reads their headers."""

from __future__ import annotations

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack import storage
from earthcode_pack.convert.read.admission import refuse_what_cannot_be_read
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.convert.read.header import header_of, most_decoded
from earthcode_pack.convert.read.open import load_libraries
from earthcode_pack.convert.read.plausible import printable
from earthcode_pack.errors import OutsideError, ProfileError, SourceError, Unreadable
from earthcode_pack.execution.child_process import for_opening, isolated, ready
from earthcode_pack.execution.threads import carried
from earthcode_pack.model import Failure, Source, Sources
from earthcode_pack.storage.inputs import local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from earthcode_pack.model import Value
    from earthcode_pack.profile import Profile

_THREADS = 8  # hashing and waiting for storage; headers take turns at the libraries' locks


def discover(
    profile: Profile, cache: storage.IdentityCache, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> Sources:
    """Identifies every file that ``source.href`` matches, and reads its header; writes nothing.

    Args:
        profile: with absolute paths.
        cache: identities (size, sha256) of files that were hashed before.
        progress: called with the number of files that are done, and of all.

    Returns:
        The sources, and a failure for each file that cannot be used.

    Raises:
        ProfileError: an href matches nothing.
        OutsideError: storage does not answer.

    """
    hrefs = _matches(profile.source.href)
    found: list[Source | Failure] = []
    shared = _Shared()
    path = local_path(hrefs[0])
    if path is not None:
        with suppress(SourceError, OSError):  # reported for the file itself
            load_libraries(Path(path))  # before processes are forked
    ready(len(hrefs))
    with ThreadPoolExecutor(_THREADS) as pool:
        for done, result in enumerate(pool.map(carried(lambda href: _look(href, profile, cache)), hrefs), start=1):
            found.append(shared.source(result) if isinstance(result, Source) else result)
            progress(done, len(hrefs))
    return Sources(
        sources=tuple(result for result in found if isinstance(result, Source)),
        failures=tuple(result for result in found if isinstance(result, Failure)),
    )


def _matches(patterns: Iterable[str]) -> list[str]:
    hrefs: dict[str, None] = {}
    for pattern in patterns:
        matched = storage.glob(pattern)
        if not matched:
            raise ProfileError(
                f"source.href: no file matches {pattern}", "correct source.href; it is relative to the profile"
            )
        hrefs.update(dict.fromkeys(matched))
    return list(hrefs)


def _look(href: str, profile: Profile, cache: storage.IdentityCache) -> Source | Failure:
    try:
        refuse_what_cannot_be_read(href, profile.source.follow, most_decoded(profile))
        size, sha256 = storage.identify(href, cache)
        with tempfile.TemporaryDirectory(prefix="earthcode-pack-") as folder:
            path = storage.fetch(href, Path(folder)).absolute()
            limits = for_opening(size)
            return isolated(header_of, path, href, size, sha256, profile, subject=name_of(href), limits=limits)
    except SourceError as error:
        return failure(href, error)
    except OutsideError:
        raise
    except Exception as error:  # noqa: BLE001 - one bad file does not stop the rest
        return failure(
            href,
            Unreadable(
                f"{name_of(href)}: {type(error).__name__}: {error}",
                "fetch or write the file again, or leave it out of source.href",
            ),
        )


def failure(source: str, error: SourceError) -> Failure:
    """Makes a failure of an error, for the report, the exit code and the Prefect state."""
    return Failure(source=printable(source), error=printable(error.message), remedy=error.remedy)


class _Shared:
    """Holds each distinct grid and variable once, where many sources have the same: 5 of their 8 kilobytes."""

    def __init__(self) -> None:
        self._held: dict[tuple[type[Value], bytes], Value] = {}

    def source(self, source: Source) -> Source:
        """Returns an equal source, whose grid and variables may be the objects of another source."""
        variables = tuple(map(self._once, source.variables))
        return source.model_copy(update={"grid": self._once(source.grid), "variables": variables})

    def _once[V: Value](self, value: V) -> V:
        digest = hashlib.sha256(value.model_dump_json().encode()).digest()
        held = self._held.setdefault((type(value), digest), value)
        assert isinstance(held, type(value))
        return held
