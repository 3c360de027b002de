"""From the profile to the sources: which files there are, and what their headers say."""

from __future__ import annotations

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

    from earthcode_pack.profile import Profile

_THREADS = 8  # hashing and waiting for storage; headers take turns at the libraries' locks


def discover(
    profile: Profile, cache: storage.IdentityCache, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> Sources:
    """Every file that ``source.href`` matches, as a source or as a failure that says why not. Writes nothing.

    Raises ``ProfileError`` where an href matches nothing, ``OutsideError`` where storage cannot be asked.
    """
    hrefs = _matches(profile.source.href)
    found: list[Source | Failure] = []
    _make_ready(hrefs)
    with ThreadPoolExecutor(_THREADS) as pool:
        for done, result in enumerate(pool.map(carried(lambda href: _look(href, profile, cache)), hrefs), start=1):
            found.append(result)
            progress(done, len(hrefs))
    return Sources(
        sources=tuple(result for result in found if isinstance(result, Source)),
        failures=tuple(result for result in found if isinstance(result, Failure)),
    )


def _make_ready(hrefs: list[str]) -> None:
    """Starts the processes that read headers, with the libraries that the first file needs."""
    path = local_path(hrefs[0])
    if path is not None:
        with suppress(SourceError, OSError):  # said of the file itself
            load_libraries(Path(path))
    ready(len(hrefs))


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
    """A failure as data, for the report, the exit code and the Prefect state."""
    return Failure(source=printable(source), error=printable(error.message), remedy=error.remedy)
