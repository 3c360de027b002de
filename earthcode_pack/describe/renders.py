"""How a client would draw each variable (render extension 2.0)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from earthcode_pack.colormap import DEFAULT
from earthcode_pack.describe.stac import finite_statistics

if TYPE_CHECKING:
    from earthcode_pack.model import Artifact, WrittenVariable
    from earthcode_pack.profile import Profile


def renders_of(profile: Profile, artifacts: list[Artifact]) -> dict[str, Any]:
    """By variable: quantities over the range of all Items, or the profile's; classes in their colours."""
    is_cog = artifacts[0].format == "cog"
    ranges = _ranges(artifacts)
    quantities = {name: _render(profile, name, name if is_cog else "data", span) for name, span in ranges.items()}
    classified = {v.name: v for artifact in artifacts for v in artifact.variables if v.classes}
    classes = {name: _class_render(v, name if is_cog else "data") for name, v in classified.items()}
    return quantities | classes


def _ranges(artifacts: list[Artifact]) -> dict[str, list[float]]:
    ranges: dict[str, list[float]] = {}
    for variable in (variable for artifact in artifacts for variable in artifact.variables):
        statistics = finite_statistics(variable)
        if statistics is None or variable.classes or len(variable.colorinterp) > 1:
            continue
        low, high = ranges.get(variable.name, [math.inf, -math.inf])
        ranges[variable.name] = [min(low, statistics.minimum), max(high, statistics.maximum)]
    return ranges


def _render(profile: Profile, name: str, asset: str, span: list[float]) -> dict[str, Any]:
    preview = profile.product.preview
    chosen = preview if preview and preview.variable == name else None
    return {
        "title": name,
        "assets": [asset],
        "rescale": [list(chosen.range) if chosen and chosen.range else span],
        "colormap_name": chosen.colormap if chosen else DEFAULT,
    }


def _class_render(variable: WrittenVariable, asset: str) -> dict[str, Any]:
    """A colour for each class, as clients of the render extension take it: value to (red, green, blue, alpha)."""
    colormap = {str(item["value"]): _color(item.get("color"), number) for number, item in enumerate(variable.classes)}
    return {"title": variable.name, "assets": [asset], "resampling": "nearest", "colormap": colormap}


def _color(color: str | None, number: int) -> list[int]:
    """Of the class, else one of twenty that are easily told apart, as in the thumbnail."""
    if color:
        return [*bytes.fromhex(color.removeprefix("#")), 255]
    from matplotlib import colormaps  # noqa: PLC0415 - heavy

    spare = colormaps["tab20"]
    return [round(255 * part) for part in spare(number % spare.N)]
