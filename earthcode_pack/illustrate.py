"""What is drawn from each Item's data: its thumbnail and, where the profile asks for it, the outline of its pixels."""

from __future__ import annotations

import hashlib
import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.bundle import read_json, sha256, to_json, write_atomic
from earthcode_pack.compute import mapper
from earthcode_pack.errors import Unreadable, UserError
from earthcode_pack.execute import counted
from earthcode_pack.model import File

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Artifact, WrittenVariable
    from earthcode_pack.profile import Profile
    from earthcode_pack.profile.model import Preview

logger = logging.getLogger("earthcode_pack")


class Pictures(NamedTuple):
    """Thumbnails and footprints by Item; an Item may lack either."""

    thumbnails: dict[str, File]
    footprints: dict[str, dict[str, Any]]


class Drawn(NamedTuple):
    """Of one Item."""

    thumbnail: File | None
    footprint: dict[str, Any] | None


def illustrate(
    profile: Profile, bundle: Bundle, artifacts: list[Artifact], progress: Callable[[int, int], None]
) -> Pictures:
    """Draws what changed since the last run. An Item that cannot be drawn is logged, and goes without."""
    chosen = _chosen(profile, artifacts)
    items = sorted(chosen)
    drawn: dict[str, Drawn] = {}
    with mapper(profile.compute) as run:
        results = run(partial(draw_item, profile, bundle), [chosen[item] for item in items])
        for index, result in counted(results, len(items), progress):
            if isinstance(result, UserError):
                raise result
            if isinstance(result, Exception):
                logger.warning("%s: no preview (%s)", items[index], result)
            else:
                drawn[items[index]] = result
    return Pictures(
        {item: drawn[item].thumbnail for item in items if item in drawn and drawn[item].thumbnail},  # type: ignore[misc]
        {item: drawn[item].footprint for item in items if item in drawn and drawn[item].footprint},  # type: ignore[misc]
    )


def _chosen(profile: Profile, artifacts: list[Artifact]) -> dict[str, Artifact]:
    """The artifact that stands for each Item: the profile's variable, else the first."""
    wanted = profile.product.preview
    chosen = {artifact.item: artifact for artifact in reversed(artifacts)}
    return chosen | {a.item: a for a in artifacts if wanted and a.format == "cog" and a.asset == wanted.variable}


def draw_item(profile: Profile, bundle: Bundle, artifact: Artifact) -> Drawn:
    """The pictures of one Item; kept ones where the artifact and what the profile says of them are the same."""
    key = f"previews/{artifact.item}.png"
    target, mark = bundle.product / key, bundle.root / ".work" / "previews" / f"{artifact.item}.json"
    variable, style = _subject(profile, artifact)
    wish = _wish(profile, artifact, variable, style)
    noted = _noted(mark, wish)
    if noted is None or (noted["sha256"] and not (target.is_file() and sha256(target) == noted["sha256"])):
        is_drawn = _draw(bundle, artifact, variable, style, key)
        noted = {
            "wish": wish,
            "sha256": sha256(target) if is_drawn else None,
            "footprint": _footprint(profile, bundle, artifact),
        }
        write_atomic(mark, to_json(noted))
    found = noted["sha256"]
    return Drawn(File(key=key, size=target.stat().st_size, sha256=found) if found else None, noted["footprint"])


def _subject(profile: Profile, artifact: Artifact) -> tuple[WrittenVariable, Preview | None]:
    """The variable to draw, and the profile's wishes where they are about it."""
    wanted = profile.product.preview
    by_name = {variable.name: variable for variable in artifact.variables}
    if wanted is not None and wanted.variable in by_name:
        return by_name[wanted.variable], wanted
    return artifact.variables[0], None


def _wish(profile: Profile, artifact: Artifact, variable: WrittenVariable, style: Preview | None) -> str:
    words = (artifact.fingerprint, variable.name, repr(style), profile.product.footprint)
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def _noted(mark: Any, wish: str) -> dict[str, Any] | None:
    try:
        noted = read_json(mark)
    except (OSError, json.JSONDecodeError):
        return None
    return noted if noted.get("wish") == wish else None


def _draw(bundle: Bundle, artifact: Artifact, variable: WrittenVariable, style: Preview | None, key: str) -> bool:
    """Whether there is a thumbnail: a variable that is no picture has none."""
    from earthcode_pack.describe.preview import draw  # noqa: PLC0415 - matplotlib's colour maps

    look: dict[str, Any] = {"colormap": style.colormap, "value_range": style.range} if style else {}
    path = bundle.product / artifact.key
    try:
        picture = draw(path, artifact.format, variable, dims=artifact.grid.dims, **look)
    except Unreadable as error:
        logger.warning("%s: no preview (%s)", artifact.item, error)
        return False
    write_atomic(bundle.product / key, picture)
    return True


def _footprint(profile: Profile, bundle: Bundle, artifact: Artifact) -> dict[str, Any] | None:
    from earthcode_pack.describe.footprint import footprint  # noqa: PLC0415 - rasterio and shapely

    if profile.product.footprint != "data":
        return None
    return footprint(bundle.product / artifact.key, artifact)
