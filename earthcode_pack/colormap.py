"""The names of colour maps that a profile may use: matplotlib's, and cmocean's, which ocean people know."""

from __future__ import annotations

import difflib

from earthcode_pack.errors import ProfileError

DEFAULT = "viridis"
DIVERGING = "RdBu_r"  # blue below zero, red above, which people tell apart whose eyes have two kinds of cones
_EVEN = 0.5

Range = tuple[float, float]

# cmocean is not a dependency; each of its maps is drawn with the matplotlib map of the same kind and a like hue.
CMOCEAN = {
    "algae": "YlGn", "amp": "Reds", "balance": "RdBu_r", "curl": "PRGn", "deep": "GnBu", "delta": "BrBG_r",
    "dense": "BuPu", "diff": "PuOr", "haline": "viridis", "ice": "Blues_r", "matter": "RdPu", "oxy": "YlOrRd_r",
    "phase": "twilight", "rain": "YlGnBu", "solar": "YlOrBr_r", "speed": "YlGn", "tarn": "BrBG", "tempo": "GnBu",
    "thermal": "inferno", "topo": "terrain", "turbid": "YlOrBr",
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
    from matplotlib import colormaps  # noqa: PLC0415 - a quarter of a second

    spare = colormaps["tab20"]
    red, green, blue, _ = (round(255 * part) for part in spare(number % spare.N))
    return red, green, blue


def known_colormap(name: str) -> None:
    """Raises ``ProfileError`` with the nearest names where ``name`` is neither matplotlib's nor cmocean's.

    >>> known_colormap("thermal")
    """
    matplotlib_colormap(name)


def matplotlib_colormap(name: str) -> str:
    """The matplotlib name that a name stands for; ``_r`` at its end turns a map round.

    >>> matplotlib_colormap("thermal"), matplotlib_colormap("balance_r"), matplotlib_colormap("magma_r")
    ('inferno', 'RdBu', 'magma_r')

    Raises ``ProfileError`` as ``known_colormap`` does.
    """
    from matplotlib import colormaps  # noqa: PLC0415 - a quarter of a second

    base = name.removesuffix("_r")
    if name in colormaps:
        return name
    if base in CMOCEAN:
        return CMOCEAN[base] if base == name else _reversed(CMOCEAN[base])
    near = difflib.get_close_matches(name, [*colormaps, *CMOCEAN], n=3, cutoff=0.5) or [DEFAULT]
    raise ProfileError(
        f"product.preview.colormap: {name!r} is no colour map of matplotlib or cmocean; "
        f"did you mean {' or '.join(near)}?",
        "correct or remove product.preview.colormap",
    )


def colormap_note(name: str) -> str | None:
    """What to tell a reader where the map that is drawn is not the one that was named; None where it is.

    >>> colormap_note("thermal")
    "colour map thermal (cmocean) is drawn with matplotlib's inferno"
    """
    drawn = matplotlib_colormap(name)
    return None if drawn == name else f"colour map {name} (cmocean) is drawn with matplotlib's {drawn}"


def _reversed(name: str) -> str:
    return name.removesuffix("_r") if name.endswith("_r") else f"{name}_r"
