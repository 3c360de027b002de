"""Colour maps that a profile may name: those of matplotlib and of cmocean, from the package cmap."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from earthcode_pack.errors import ProfileError

if TYPE_CHECKING:
    from cmap import Colormap

DEFAULT = "viridis"
DIVERGING = "RdBu_r"  # blue below zero, red above, which people tell apart whose eyes have two kinds of cones
_EVEN = 0.5

Range = tuple[float, float]

# The collections of cmap that matplotlib's names come from, and cmocean: rio-tiler and what uses it know both.
_COLLECTIONS = {
    "bids", "cividis", "cmap", "cmocean", "colorbrewer", "crameri", "cubehelix", "gnuplot", "google", "matlab",
    "matplotlib", "okabeito", "petroff", "tableau", "yorick",
}  # fmt: skip


def look(name: str | None, chosen: Range | None, measured: Range) -> tuple[str, Range]:
    """The colour map and the range of values over which it is drawn: as chosen, else what suits the measured range.

    Values on both sides of zero, on one at least half as far as on the other, are drawn in two hues, white at zero.

    >>> look(None, None, (270.0, 305.0)), look(None, None, (-3.0, 4.0)), look(None, (-1.0, 9.0), (-3.0, 4.0))
    (('viridis', (270.0, 305.0)), ('RdBu_r', (-4.0, 4.0)), ('viridis', (-1.0, 9.0)))
    """
    low, high = chosen or measured
    reach = max(-low, high)
    is_even = low < 0 < high and min(-low, high) >= _EVEN * reach
    if name is not None or not is_even or (chosen is not None and -low != high):
        return name or DEFAULT, (low, high)
    return DIVERGING, (-reach, reach)


def class_color(color: str | None, number: int) -> tuple[int, int, int]:
    """Red, green and blue of a class: its own (six hexadecimal digits), else one of twenty that are told apart easily.

    Thumbnail, legend and render of a class have one colour, whoever chose it.
    """
    if color:
        red, green, blue = bytes.fromhex(color.removeprefix("#"))
        return red, green, blue
    spare = named_colormap("tab20").lut()
    red, green, blue = (round(255 * float(part)) for part in spare[number % len(spare)][:3])
    return red, green, blue


def named_colormap(name: str) -> Colormap:
    """The colour map of matplotlib or cmocean of that name; ``_r`` at its end reverses it.

    >>> [named_colormap(name).name for name in ("thermal", "balance_r", "RdBu")]
    ['cmocean:thermal', 'cmocean:balance_r', 'colorbrewer:rdbu']

    Raises ``ProfileError`` with the nearest names where there is none.
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
