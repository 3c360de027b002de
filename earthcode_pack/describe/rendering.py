"""Colours of thumbnails, legends and renders, and the render extension 2.0.

Colour maps are those of matplotlib and of cmocean, from the package cmap.
"""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.describe.stac import finite_statistics
from earthcode_pack.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cmap import Colormap

    from earthcode_pack.model import Artifact, Statistics
    from earthcode_pack.profile import Profile

DEFAULT = "viridis"
DIVERGING = "RdBu_r"  # blue below zero, red above, which people tell apart whose eyes have two kinds of cones
_EVEN = 0.5
PERCENTILES = (2.0, 98.0)  # the ends of a stretch: outliers do not leave the rest in one colour
_COLORS = ("red", "green", "blue")
_BYTE = (0, 255)
_OPAQUE = 255

Range = tuple[float, float]

# The collections of cmap that matplotlib's names come from, and cmocean: rio-tiler and what uses it know both.
_COLLECTIONS = {
    "bids", "cividis", "cmap", "cmocean", "colorbrewer", "crameri", "cubehelix", "gnuplot", "google", "matlab",
    "matplotlib", "okabeito", "petroff", "tableau", "yorick",
}  # fmt: skip


# --- colours ----------------------------------------------------------------------------------------------------------


def color_scale(name: str | None, chosen: Range | None, measured: Range) -> tuple[str, Range]:
    """Chooses the colour map and the range of values over which it is drawn.

    Values on both sides of zero, on one at least half as far as on the other, are drawn by default in two hues, white
    at zero.

    Args:
        name: the profile's colour map.
        chosen: the profile's range.
        measured: the smallest and the largest value to be drawn.

    >>> color_scale(None, None, (270.0, 305.0)), color_scale(None, None, (-3.0, 4.0))
    (('viridis', (270.0, 305.0)), ('RdBu_r', (-4.0, 4.0)))

    """
    low, high = chosen or measured
    reach = max(-low, high)
    is_even = low < 0 < high and min(-low, high) >= _EVEN * reach
    if name is not None or not is_even or (chosen is not None and -low != high):
        return name or DEFAULT, (low, high)
    return DIVERGING, (-reach, reach)


def style_of(profile: Profile, variable: str) -> tuple[str | None, Range | None]:
    """Returns the colour map and the range that the profile states for a variable."""
    preview = profile.product.preview
    if preview is None or preview.variable != variable:
        return None, None
    return preview.colormap if "colormap" in preview.model_fields_set else None, preview.range


def class_color(color: str | None, number: int) -> tuple[int, int, int]:
    """Returns red, green and blue of a class in its thumbnail, legend and render.

    Args:
        color: six hexadecimal digits; without them one of twenty distinct colours is taken.
        number: index of the class.

    """
    if color:
        red, green, blue = bytes.fromhex(color.removeprefix("#"))
        return red, green, blue
    spare = named_colormap("tab20").lut()
    red, green, blue = (round(255 * float(part)) for part in spare[number % len(spare)][:3])
    return red, green, blue


def named_colormap(name: str) -> Colormap:
    """Returns the colour map of matplotlib or cmocean with a name; ``_r`` at its end reverses it.

    >>> [named_colormap(name).name for name in ("thermal", "balance_r", "RdBu")]
    ['cmocean:thermal', 'cmocean:balance_r', 'colorbrewer:rdbu']

    Raises:
        ProfileError: there is none; the message has the nearest names.

    """
    import cmap  # noqa: PLC0415 - a third of a second

    catalog, base = cmap.Colormap.catalog(), name.removesuffix("_r")
    try:
        full = catalog.resolve(base)
    except KeyError:
        full = ""
    if full.partition(":")[0] not in _COLLECTIONS:
        known = [key for key in catalog.short_keys() if catalog.resolve(key).partition(":")[0] in _COLLECTIONS]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or [DEFAULT]
        raise ProfileError(
            f"product.preview.colormap: {name!r} is no colour map of matplotlib or cmocean; "
            f"did you mean {' or '.join(near)}?",
            "correct or remove product.preview.colormap",
        )
    return cmap.Colormap(full + name[len(base) :])


# --- the render extension ---------------------------------------------------------------------------------------------


def renders_of(profile: Profile, artifacts: Sequence[Artifact]) -> dict[str, Any]:
    """Describes how a client draws each variable (render extension 2.0).

    Quantities are drawn over their range in all Items or the profile's, classes in their colours, red, green and blue
    bands as pictures.
    """
    variables = [(artifact.asset, variable) for artifact in artifacts for variable in artifact.variables]
    assets = {variable.name: asset for asset, variable in variables}
    ranges: dict[str, Range] = {}
    for _, variable in variables:
        statistics = finite_statistics(variable)
        if statistics is not None and not variable.classes:
            low, high = ranges.get(variable.name, (math.inf, -math.inf))
            least, most = stretch(statistics)
            ranges[variable.name] = min(low, least), max(high, most)
    renders: dict[str, dict[str, Any]] = {}
    for name, measured in ranges.items():
        colormap, (low, high) = color_scale(*style_of(profile, name), measured)
        rescale = {"rescale": [[low, high]]} if low < high else {}
        renders[name] = {"title": name, **rescale, "colormap_name": colormap.lower()}  # as rio-tiler names it
    for _, variable in variables:
        if variable.classes:  # value to (red, green, blue, alpha)
            numbered = enumerate(variable.classes)
            colors = {str(item["value"]): [*class_color(item.get("color"), n), _OPAQUE] for n, item in numbered}
            renders[variable.name] = {"title": variable.name, "resampling": "nearest", "colormap": colors}
    for _, variable in variables:
        if bands := rgb_bands(variable.colorinterp):
            rescale = {"rescale": [[*_BYTE] for _ in bands]} if variable.dtype == "uint8" else {}
            renders[variable.name] = {"title": variable.name, "bidx": list(bands), **rescale}
    return {name: {"assets": [assets[name]], **render} for name, render in renders.items()}


def rgb_bands(colorinterp: tuple[str, ...]) -> tuple[int, int, int] | None:
    """Returns the numbers, from one, of the red, green and blue bands; None where one is missing."""
    if not set(_COLORS) <= set(colorinterp):
        return None
    red, green, blue = (colorinterp.index(color) + 1 for color in _COLORS)
    return red, green, blue


def stretch(statistics: Statistics) -> Range:
    """Returns the 2nd and the 98th percentile to within a bin of the histogram; without one, minimum and maximum."""
    whole = statistics.minimum, statistics.maximum
    histogram = statistics.histogram
    if histogram is None or not sum(histogram.counts):
        return whole
    edges = np.linspace(histogram.minimum, histogram.maximum, len(histogram.counts) + 1)
    below = np.concatenate([[0], np.cumsum(histogram.counts)]) / sum(histogram.counts) * 100
    low, high = np.interp(PERCENTILES, below, edges).clip(*whole).tolist()
    return (low, high) if low < high else whole
