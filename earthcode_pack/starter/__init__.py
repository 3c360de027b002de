"""Writes a starter profile for raw files: what was found, and a comment wherever a person must decide."""

from __future__ import annotations

import os
import tempfile
from itertools import product as combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack import storage
from earthcode_pack.errors import SourceError, UserError
from earthcode_pack.profile.period import TimePattern
from earthcode_pack.redact import is_signed, shown
from earthcode_pack.starter import text as starter_text
from earthcode_pack.starter.names import guessed_pattern
from earthcode_pack.starter.text import DECIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from earthcode_pack.model import Failure, Source
    from earthcode_pack.profile import Profile

__all__ = ["DECIDE", "Found", "starter_profile"]

_LOCAL, _REMOTE = 12, 2  # files that are opened: a remote one is fetched whole

# Only to get past a reader that demands what the files lack; neither ever reaches the profile.
_SOME_CRS = ({"value": "EPSG:4326"}, {"value": "EPSG:3857"})  # degrees, or metres
_SOME_PERIOD = {"start": "0001", "end": "9999"}


class Found(NamedTuple):
    """Findings on the raw files.

    Attributes:
        hrefs: as the profile will name them.
        paths: of all files.
        names: of all files.
        seen: headers of the files that were read.
        failures: files that could not be read.
        attributes: global attributes of the first file.
        has_crs: every file that was read states a CRS.
        times_from: where the reader found the times, ``coordinate``, ``filename`` or None.
        pattern: time pattern that fits all paths, where there is one.

    """

    hrefs: tuple[str, ...]
    paths: tuple[str, ...]
    names: tuple[str, ...]
    seen: tuple[Source, ...]
    failures: tuple[Failure, ...]
    attributes: dict[str, str]
    has_crs: bool
    times_from: str | None
    pattern: str | None


def starter_profile(sources: Sequence[str], base: str | Path | None = None) -> str:
    """Writes a profile in YAML for raw files.

    Keys that a person must decide are commented out and marked ``decide:``; ``load_profile`` asks for each of them.

    Args:
        sources: paths, globs or URLs.
        base: folder of the profile, for relative paths; by default the current one.

    Returns:
        The YAML text.

    Raises:
        UserError: no file matches.
        SourceError: none can be read.

    """
    return starter_text.profile(found_in(sources, Path(base or Path.cwd()).absolute()))


def found_in(sources: Sequence[str], base: Path) -> Found:
    """Reads the headers of some of the files, and the names of all."""
    hrefs = _matches(sources)
    names = tuple(Path(href.rstrip("/")).name for href in hrefs)
    pattern = guessed_pattern(hrefs)
    looks = [_look(href, pattern) for href in _some(hrefs)]
    good = [look for look in looks if isinstance(look, _Look)]
    if not good:
        raise next(look for look in looks if isinstance(look, SourceError))
    return Found(
        hrefs=tuple(_named(sources, hrefs, base)),
        paths=tuple(hrefs),
        names=names,
        seen=tuple(look.source for look in good),
        failures=tuple(_failure(error) for error in looks if isinstance(error, SourceError)),
        attributes=good[0].attributes,
        has_crs=all(look.has_crs for look in good),
        times_from=next((look.times_from for look in good if look.times_from != "coordinate"), good[0].times_from),
        pattern=pattern,
    )


class _Look(NamedTuple):
    source: Source
    has_crs: bool
    times_from: str | None
    attributes: dict[str, str]


def _matches(sources: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for source in sources:
        if is_signed(source):
            raise UserError(
                f"{shown(source)}: a link with a password or signature belongs in no profile", storage.INSTEAD_OF_SIGNED
            )
        matched = storage.glob(source)
        if not matched:
            raise UserError(f"no file matches {shown(source)}", "name files, a glob in quotes, or a URL")
        found.update(dict.fromkeys(matched))
    return list(found)


def _some(hrefs: list[str]) -> list[str]:
    """Picks a few of the files, the first and the last included."""
    most = _REMOTE if "://" in hrefs[0] else _LOCAL
    step = max(1, -(-(len(hrefs) - 1) // (most - 1)))
    return list(dict.fromkeys([*hrefs[::step][: most - 1], hrefs[-1]]))


def _look(href: str, pattern: str | None) -> _Look | SourceError:
    """Reads a header by the reader that a run uses."""
    try:
        from earthcode_pack.convert.read.admission import refuse_what_cannot_be_read  # noqa: PLC0415 - brings xarray
        from earthcode_pack.execution.child_process import for_opening, isolated  # noqa: PLC0415

        refuse_what_cannot_be_read(href)
        with tempfile.TemporaryDirectory(prefix="earthcode-pack-") as folder:
            path = storage.fetch(href, Path(folder))
            limits = for_opening(storage.size(str(path)))
            return isolated(_read, path, href, pattern, subject=path.name, limits=limits)
    except SourceError as error:
        return error


def _read(path: Path, href: str, pattern: str | None) -> _Look:
    from earthcode_pack.convert.read.header import header_of  # noqa: PLC0415 - brings GDAL and xarray

    named = {"from": "filename", "pattern": pattern} if pattern and _fits(pattern, href) else None
    times = [{"from": "coordinate"}, *([named] if named else []), _SOME_PERIOD]
    first: SourceError | None = None
    for time, crs in combinations(times, (None, *_SOME_CRS)):
        try:
            source = header_of(path, href, storage.size(str(path)), "", _asking(href, time, crs))
        except SourceError as error:
            first = first or error
        else:
            return _Look(source, crs is None, time.get("from"), _attributes(path, source))
    assert first is not None  # each way raised
    raise first


def _fits(pattern: str, href: str) -> bool:
    try:
        return TimePattern(pattern).period(href) is not None
    except ValueError:
        return False


def _asking(href: str, time: dict[str, Any], crs: dict[str, Any] | None) -> Profile:
    """Makes a profile that states only how to read."""
    from earthcode_pack.profile import Profile  # noqa: PLC0415

    nothing = dict.fromkeys(("id", "title", "description"), "unknown")
    return Profile.model_validate(
        {
            "product": nothing | {"license": "CC-BY-4.0", "version": "0", "status": "planned"},
            "project": {"id": "unknown"},
            "source": {"href": href, "time": time} | ({"crs": crs} if crs else {}),
            "target": {"format": "cog"},
        }
    )


def _attributes(path: Path, source: Source) -> dict[str, str]:
    """Reads the global attributes that hold text."""
    from earthcode_pack.convert.read.open import open_raw  # noqa: PLC0415

    if source.driver == "GTiff":
        return {}
    with open_raw(path, source.driver) as dataset:
        return {str(key): value for key, value in dataset.attrs.items() if isinstance(value, str) and value.strip()}


def _failure(error: SourceError) -> Failure:
    from earthcode_pack.model import Failure  # noqa: PLC0415

    return Failure(source="", error=error.message, remedy=error.remedy)


def _named(sources: Sequence[str], hrefs: list[str], base: Path) -> list[str]:
    """Names the files for the profile: as typed, or by the glob that a shell has expanded, relative to ``base``."""
    shown = [_glob_of(hrefs)] if len(sources) > 1 else list(sources)
    return [_relative(href, base) for given in shown for href in (given if isinstance(given, list) else [given])]


def _glob_of(hrefs: list[str]) -> str | list[str]:
    """Returns a glob such as ``raw/*.nc`` where it matches these files and no other; else the files."""
    folders, endings = {href.rpartition("/")[0] for href in hrefs}, {Path(href).suffix for href in hrefs}
    if len(folders) == len(endings) == 1:
        pattern = "/".join([*(folder for folder in folders if folder), f"*{min(endings)}"])
        if sorted(storage.glob(pattern)) == sorted(hrefs):
            return pattern
    return hrefs


def _relative(href: str, base: Path) -> str:
    """Makes a path below the folder's parent relative to the folder; others stay absolute."""
    if "://" in href:
        return href
    path = Path(os.path.abspath(href))  # noqa: PTH100 - Path.absolute keeps «..»
    near = base.parent if base.parent != Path(base.anchor) else base
    return os.path.relpath(path, base) if path.is_relative_to(near) else str(path)
