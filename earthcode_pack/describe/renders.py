"""How a client would draw each variable (render extension 2.0)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.colormap import class_color, look
from earthcode_pack.describe.stac import finite_statistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from earthcode_pack.colormap import Range
    from earthcode_pack.model import Artifact, Statistics, WrittenVariable
    from earthcode_pack.profile import Profile
    from earthcode_pack.profile.product import Preview

PERCENTILES = (2.0, 98.0)  # the ends of a stretch: a few outliers do not leave the rest in one colour
_COLORS = ("red", "green", "blue")
_BYTE = (0, 255)
_OPAQUE = 255


def renders_of(profile: Profile, artifacts: Sequence[Artifact]) -> dict[str, Any]:
    """By variable: quantities over their range in all Items, or the profile's; classes in their colours; pictures."""
    assets = {v.name: artifact.asset for artifact in artifacts for v in artifact.variables}
    plain = {name: _quantity(profile, name, span) for name, span in _spans(artifacts).items()}
    classes = {v.name: _classes(v) for artifact in artifacts for v in artifact.variables if v.classes}
    pictures = {v.name: _picture(v) for artifact in artifacts for v in artifact.variables if is_picture(v)}
    every = plain | classes | pictures
    return {name: {"assets": [assets[name]], **render} for name, render in every.items()}


def is_picture(variable: WrittenVariable) -> bool:
    """Whether the bands are red, green and blue."""
    return set(_COLORS) <= set(variable.colorinterp)


def wish_of(profile: Profile, name: str) -> Preview | None:
    """What the profile says of drawing a variable."""
    preview = profile.product.preview
    return preview if preview is not None and preview.variable == name else None


def chosen(wish: Preview | None) -> tuple[str | None, Range | None]:
    """The colour map and the range that somebody wrote down."""
    if wish is None:
        return None, None
    return wish.colormap if "colormap" in wish.model_fields_set else None, wish.range


def _spans(artifacts: Iterable[Artifact]) -> dict[str, Range]:
    """From the least to the largest value that is drawn in any Item."""
    spans: dict[str, Range] = {}
    for variable in (variable for artifact in artifacts for variable in artifact.variables):
        statistics = finite_statistics(variable)
        if statistics is not None and not variable.classes:
            low, high = spans.get(variable.name, (math.inf, -math.inf))
            least, most = stretch(statistics)
            spans[variable.name] = min(low, least), max(high, most)
    return spans


def stretch(statistics: Statistics) -> Range:
    """From the 2nd to the 98th percentile where there is a histogram, as near as its bins tell; else all values."""
    whole = statistics.minimum, statistics.maximum
    histogram = statistics.histogram
    if histogram is None or not sum(histogram.counts):
        return whole
    edges = np.linspace(histogram.minimum, histogram.maximum, len(histogram.counts) + 1)
    below = np.concatenate([[0], np.cumsum(histogram.counts)]) / sum(histogram.counts) * 100
    low, high = np.interp(PERCENTILES, below, edges).clip(*whole).tolist()
    return (low, high) if low < high else whole


def _quantity(profile: Profile, name: str, span: Range) -> dict[str, Any]:
    colormap, (low, high) = look(*chosen(wish_of(profile, name)), span)
    rescale = {"rescale": [[low, high]]} if low < high else {}
    return {"title": name, **rescale, "colormap_name": colormap.lower()}  # as rio-tiler and all that use it name them


def _picture(variable: WrittenVariable) -> dict[str, Any]:
    """Its bands by their numbers, from one; bytes are shown as they are."""
    rescale = {"rescale": [[*_BYTE] for _ in _COLORS]} if variable.dtype == "uint8" else {}
    return {"title": variable.name, "bidx": [variable.colorinterp.index(color) + 1 for color in _COLORS], **rescale}


def _classes(variable: WrittenVariable) -> dict[str, Any]:
    """A colour for each class, as clients of the render extension take it: value to (red, green, blue, alpha)."""
    numbered = enumerate(variable.classes)
    colormap = {str(item["value"]): [*class_color(item.get("color"), number), _OPAQUE] for number, item in numbered}
    return {"title": variable.name, "resampling": "nearest", "colormap": colormap}
