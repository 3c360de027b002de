"""Pictures of each Item's data: its thumbnail and, where the profile asks for it, the outline of its valid pixels."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.bundle import read_json
from earthcode_pack.describe.item import Thumbnail
from earthcode_pack.describe.rendering import style_of
from earthcode_pack.errors import Unreadable, UserError
from earthcode_pack.execution.mapper import mapper, reported
from earthcode_pack.files import sha256, to_json, write_atomic
from earthcode_pack.formats import format_of
from earthcode_pack.model import File

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from earthcode_pack.bundle import Bundle, Packed
    from earthcode_pack.describe.preview import Drawing
    from earthcode_pack.describe.rendering import Range
    from earthcode_pack.model import Artifact, WrittenVariable
    from earthcode_pack.profile import Profile

logger = logging.getLogger("earthcode_pack")
_VERSION = "3"  # of the drawing and its record; a change draws kept pictures again


class Pictures(NamedTuple):
    """Thumbnails and footprints by Item; an Item may lack either."""

    thumbnails: dict[str, Thumbnail]
    footprints: Footprints


class Footprints(Mapping[str, dict[str, Any]]):
    """The recorded footprints by Item, each read on access, so that thousands of them need no memory."""

    def __init__(self, bundle: Bundle, items: Iterable[str]) -> None:
        self._bundle, self._items = bundle, dict.fromkeys(items)

    def __getitem__(self, item: str) -> dict[str, Any]:
        if item not in self._items:
            raise KeyError(item)
        return dict(read_json(_record_path(self._bundle, item))["footprint"])

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


def illustrate(
    profile: Profile, bundle: Bundle, artifacts: Packed[Artifact], progress: Callable[[int, int], None]
) -> Pictures:
    """Draws the pictures that changed since the last run; an Item that cannot be drawn is logged and has none.

    Args:
        profile: the product's profile.
        bundle: the folder of the product, where thumbnails are written.
        artifacts: all files and stores of the product.
        progress: called with the number of Items done and of all.

    Raises:
        UserError: the profile is wrong, such as by the name of its colour map.

    """
    wanted = profile.product.preview
    first, named = dict[str, int](), dict[str, int]()
    for place, artifact in enumerate(artifacts):  # the artifact of the profile's variable, else the first of the Item
        first.setdefault(artifact.item, place)
        if wanted and format_of(artifact.format).is_raster and artifact.asset == wanted.variable:
            named[artifact.item] = place
    chosen = first | named
    items = sorted(chosen)
    thumbnails: dict[str, Thumbnail] = {}
    footprints: list[str] = []
    with mapper(profile.compute) as run:
        results = run(partial(draw_item, profile, bundle), artifacts.picked(chosen[item] for item in items))
        for index, result in reported(results, len(items), progress):
            if isinstance(result, UserError):
                raise result
            if isinstance(result, Exception):
                logger.warning("%s: no preview (%s)", items[index], result)
                continue
            thumbnail, has_footprint = result
            if thumbnail is not None:
                thumbnails[items[index]] = thumbnail
            if has_footprint:
                footprints.append(items[index])
    return Pictures(dict(sorted(thumbnails.items())), Footprints(bundle, sorted(footprints)))


def draw_item(profile: Profile, bundle: Bundle, artifact: Artifact) -> tuple[Thumbnail | None, bool]:
    """Draws the pictures of one Item, or keeps those of an earlier run for the same artifact and profile.

    Returns:
        The thumbnail, and whether the record beside the bundle has a footprint.

    """
    from earthcode_pack.describe.footprint import footprint  # noqa: PLC0415 - rasterio and shapely

    key = f"previews/{artifact.item}.png"
    target, path = bundle.product / key, _record_path(bundle, artifact.item)
    wanted = profile.product.preview
    by_name = {variable.name: variable for variable in artifact.variables}
    variable = by_name.get(wanted.variable if wanted else "", artifact.variables[0])
    style = style_of(profile, variable.name)
    words = (_VERSION, artifact.fingerprint, variable.name, repr(style), profile.product.footprint)
    wish = hashlib.sha256(" ".join(words).encode()).hexdigest()
    record = _kept_record(path, wish, target)
    if record is None:
        with_footprint = profile.product.footprint == "data"
        drawing = _draw(bundle, artifact, variable, style, target)
        record = {
            "wish": wish,
            "sha256": sha256(target) if drawing else None,
            "words": drawing.words if drawing else None,
            "share": drawing.share if drawing else None,
            "footprint": footprint(bundle.product / artifact.key, artifact) if with_footprint else None,
        }
        write_atomic(path, to_json(record))
    thumbnail = None
    if record["sha256"]:
        file = File(key=key, size=target.stat().st_size, sha256=record["sha256"])
        thumbnail = Thumbnail(file, record["words"], record["share"])
    return thumbnail, record["footprint"] is not None


def _record_path(bundle: Bundle, item: str) -> Path:
    return bundle.root / ".work" / "previews" / f"{item}.json"


def _kept_record(path: Path, wish: str, target: Path) -> dict[str, Any] | None:
    """Reads the record of an earlier run; None where the wish or the thumbnail is another one."""
    try:
        record = read_json(path)
    except UserError:
        return None
    if record.get("wish") != wish:
        return None
    is_there = not record["sha256"] or (target.is_file() and sha256(target) == record["sha256"])
    return record if is_there else None


def _draw(
    bundle: Bundle, artifact: Artifact, variable: WrittenVariable, style: tuple[str | None, Range | None], target: Path
) -> Drawing | None:
    """Writes the thumbnail; a variable that cannot be drawn has none."""
    from earthcode_pack.describe.preview import draw  # noqa: PLC0415 - colour maps

    colormap, value_range = style
    look: dict[str, Any] = {"colormap": colormap, "value_range": value_range, "dims": artifact.grid.dims}
    try:
        drawing = draw(bundle.product / artifact.key, artifact.format, variable, **look)
    except Unreadable as error:
        logger.warning("%s: no preview (%s)", artifact.item, error)
        return None
    if target.is_file():
        bundle.withdraw()
    write_atomic(target, drawing.png)
    return drawing
