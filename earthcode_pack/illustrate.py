"""What is drawn from each Item's data: its thumbnail and, where the profile asks for it, the outline of its pixels."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.bundle import read_json, sha256, to_json, write_atomic
from earthcode_pack.compute import mapper
from earthcode_pack.describe.assets import Thumbnail
from earthcode_pack.describe.renders import chosen, wish_of
from earthcode_pack.errors import Unreadable, UserError
from earthcode_pack.execute import counted
from earthcode_pack.formats import format_of
from earthcode_pack.model import File
from earthcode_pack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.describe.preview import Drawing
    from earthcode_pack.model import Artifact, WrittenVariable
    from earthcode_pack.packed import Packed
    from earthcode_pack.profile import Profile
    from earthcode_pack.profile.model import Preview

logger = logging.getLogger("earthcode_pack")
_DRAWN = "2"  # raised when the same wish would be drawn, or noted, in another way


class Pictures(NamedTuple):
    """Thumbnails and footprints by Item; an Item may lack either."""

    thumbnails: dict[str, Thumbnail]
    footprints: Footprints


class Drawn(NamedTuple):
    """Of one Item; its footprint is noted beside the bundle."""

    thumbnail: Thumbnail | None
    has_footprint: bool


class Footprints(Mapping[str, dict[str, Any]]):
    """The footprints that were noted, each read when it is asked for: thousands of them need no memory."""

    def __init__(self, bundle: Bundle, items: Iterable[str]) -> None:
        self._bundle, self._items = bundle, dict.fromkeys(items)

    def __getitem__(self, item: str) -> dict[str, Any]:
        if item not in self._items:
            raise KeyError(item)
        return dict(read_json(_mark(self._bundle, item))["footprint"])

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


def illustrate(
    profile: Profile, bundle: Bundle, artifacts: Packed[Artifact], progress: Callable[[int, int], None]
) -> Pictures:
    """Draws what changed since the last run. An Item that cannot be drawn is logged, and goes without."""
    chosen = _chosen(profile, artifacts)
    items = sorted(chosen)
    subjects = artifacts.picked(chosen[item] for item in items)
    drawn: dict[str, Drawn] = {}
    with mapper(profile.compute) as run:
        results = run(partial(draw_item, profile, bundle), subjects)
        for index, result in counted(results, len(items), progress):
            if isinstance(result, UserError):
                raise result
            if isinstance(result, Exception):
                logger.warning("%s: no preview (%s)", items[index], result)
            else:
                drawn[items[index]] = result
    thumbnails = {item: drawn[item].thumbnail for item in items if item in drawn}
    return Pictures(
        {item: thumbnail for item, thumbnail in thumbnails.items() if thumbnail is not None},
        Footprints(bundle, (item for item in items if item in drawn and drawn[item].has_footprint)),
    )


def _chosen(profile: Profile, artifacts: Iterable[Artifact]) -> dict[str, int]:
    """The place of the artifact that stands for each Item: of the profile's variable, else the first."""
    wanted = profile.product.preview
    first, named = dict[str, int](), dict[str, int]()
    for place, artifact in enumerate(artifacts):
        first.setdefault(artifact.item, place)
        if wanted and format_of(artifact.format).is_raster and artifact.asset == wanted.variable:
            named[artifact.item] = place
    return first | named


def draw_item(profile: Profile, bundle: Bundle, artifact: Artifact) -> Drawn:
    """The pictures of one Item; kept ones where the artifact and what the profile says of them are the same."""
    key = f"previews/{artifact.item}.png"
    target, mark = bundle.product / key, _mark(bundle, artifact.item)
    variable, style = _subject(profile, artifact)
    wish = _wish(profile, artifact, variable, style)
    noted = _noted(mark, wish)
    if noted is None or (noted["sha256"] and not (target.is_file() and sha256(target) == noted["sha256"])):
        drawing = _draw(bundle, artifact, variable, style, key)
        noted = {
            "wish": wish,
            "sha256": sha256(target) if drawing else None,
            "words": drawing.words if drawing else None,
            "share": drawing.share if drawing else None,
            "footprint": _footprint(profile, bundle, artifact),
        }
        write_atomic(mark, to_json(noted))
    return Drawn(_thumbnail(noted, key, target), noted["footprint"] is not None)


def _mark(bundle: Bundle, item: str) -> Path:
    return bundle.root / ".work" / "previews" / f"{item}.json"


def _thumbnail(noted: dict[str, Any], key: str, target: Path) -> Thumbnail | None:
    if not noted["sha256"]:
        return None
    file = File(key=key, size=target.stat().st_size, sha256=noted["sha256"])
    return Thumbnail(file, noted["words"], noted["share"])


def _subject(profile: Profile, artifact: Artifact) -> tuple[WrittenVariable, Preview | None]:
    """The variable to draw, and the profile's wishes where they are about it."""
    wanted = profile.product.preview
    by_name = {variable.name: variable for variable in artifact.variables}
    variable = by_name.get(wanted.variable if wanted else "", artifact.variables[0])
    return variable, wish_of(profile, variable.name)


def _wish(profile: Profile, artifact: Artifact, variable: WrittenVariable, style: Preview | None) -> str:
    words = (_DRAWN, artifact.fingerprint, variable.name, repr(style), profile.product.footprint)
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def _noted(mark: Any, wish: str) -> dict[str, Any] | None:
    try:
        noted = read_json(mark)
    except UserError:
        return None
    return noted if noted.get("wish") == wish else None


def _draw(
    bundle: Bundle, artifact: Artifact, variable: WrittenVariable, style: Preview | None, key: str
) -> Drawing | None:
    """Writes the thumbnail; a variable that is no picture has none."""
    from earthcode_pack.describe.preview import draw  # noqa: PLC0415 - colour maps

    colormap, value_range = chosen(style)
    look: dict[str, Any] = {"colormap": colormap, "value_range": value_range, "dims": artifact.grid.dims}
    try:
        drawing = draw(bundle.product / artifact.key, artifact.format, variable, **look)
    except Unreadable as error:
        logger.warning("%s: no preview (%s)", artifact.item, error)
        return None
    if (bundle.product / key).is_file():
        Workspace(bundle).withdraw()
    write_atomic(bundle.product / key, drawing.png)
    return drawing


def _footprint(profile: Profile, bundle: Bundle, artifact: Artifact) -> dict[str, Any] | None:
    from earthcode_pack.describe.footprint import footprint  # noqa: PLC0415 - rasterio and shapely

    if profile.product.footprint != "data":
        return None
    return footprint(bundle.product / artifact.key, artifact)
