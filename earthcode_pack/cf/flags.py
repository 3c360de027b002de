"""Meanings of categorical values: by the profile, by CF flags (CF 3.5), by a colour table.

Neither raster attribute tables nor category names are read: GDAL keeps those of a GeoTIFF beside it, in ``.aux.xml``,
and what lies beside a file is none of its bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from earthcode_pack.model import JsonValue

    Classes = tuple[dict[str, JsonValue], ...]

FLAGS = frozenset({"flag_values", "flag_masks"})


def is_flags(attrs: Mapping[str, Any]) -> bool:
    """Tells whether attributes say that values are flags (CF 3.5)."""
    return not FLAGS.isdisjoint(attrs)


def of_enumeration(names: Mapping[int, str], fill: Any) -> dict[str, Any]:
    """``flag_values`` and ``flag_meanings`` of an enumerated type, but for the value that means missing.

    >>> of_enumeration({0: "clear sky", 1: "cloud", 255: "none"}, 255)
    {'flag_values': [0, 1], 'flag_meanings': 'clear_sky cloud'}
    """
    known = {value: name for value, name in names.items() if value != fill}
    return {"flag_values": [*known], "flag_meanings": " ".join(name.replace(" ", "_") for name in known.values())}


def classes_of(described: Mapping[str, JsonValue], attrs: Mapping[str, JsonValue]) -> Classes:
    """Classes by the profile, else by CF flags: each with ``value`` and ``name``, and ``color`` where it is known."""
    return tuple(described["classes"]) if described.get("classes") else flags_of(attrs)


def flags_of(attrs: Mapping[str, JsonValue]) -> Classes:
    """The classes of ``flag_values`` and ``flag_meanings``, in the colours of ``flag_colors`` (such as ``#006400``).

    None where the numbers of values and meanings differ, or masks say that a value holds several flags.
    """
    values, meanings = _numbers(attrs.get("flag_values")), str(attrs.get("flag_meanings", "")).split()
    if not values or "flag_masks" in attrs or len(values) != len(meanings):
        return ()
    colors = re.findall(r"#([0-9A-Fa-f]{6})\b", str(attrs.get("flag_colors", "")))
    of_each = colors if len(colors) == len(values) else [None] * len(values)
    known = zip(values, meanings, of_each, strict=True)
    return tuple({"value": value, "name": name} | ({"color": color} if color else {}) for value, name, color in known)


def bitfields_of(attrs: Mapping[str, JsonValue], dtype: str) -> Classes:
    """The bit fields of ``flag_masks``, as the classification extension has them: offset, length, name, classes.

    Masks of a signed type are bits all the same: -128 of a byte is its eighth (CF 3.5).
    A mask without ``flag_values`` is one flag, not set or set (CF 3.5); with them each mask has the values that occur
    with it. None where the attributes do not agree in number, or the bits of a mask have gaps.
    """
    masks, meanings = _bits(attrs.get("flag_masks"), dtype), str(attrs.get("flag_meanings", "")).split()
    values = _bits(attrs.get("flag_values"), dtype) if "flag_values" in attrs else masks
    if not masks or not len(masks) == len(meanings) == len(values) or not all(map(_has_no_gap, masks)):
        return ()
    named = list(zip(masks, values, meanings, strict=True))
    fields = [_field(mask, [(v, n) for m, v, n in named if m == mask]) for mask in dict.fromkeys(masks)]
    return tuple(sorted(fields, key=lambda field: int(field["offset"])))


def _bits(stated: Any, dtype: str) -> list[int]:
    """Numbers of a signed type as the bits that hold them."""
    width = 8 * np.dtype(dtype).itemsize
    return [number % (1 << width) if -(1 << width) < number < 0 else number for number in _numbers(stated)]


def _has_no_gap(mask: int) -> bool:
    """Tells whether its bits stand side by side."""
    lowest = mask & -mask
    return mask > 0 and (mask + lowest) & mask == 0


def _field(mask: int, named: list[tuple[int, str]]) -> dict[str, JsonValue]:
    offset, length = (mask & -mask).bit_length() - 1, mask.bit_count()
    single = [(mask, name) for value, name in named] if len(named) == 1 and named[0][0] == mask else None
    listed = [(0, f"not_{single[0][1]}"), *single] if single else named
    classes = [
        {"value": value >> offset, "name": name, "description": name.replace("_", " ")} for value, name in listed
    ]
    return {
        "offset": offset,
        "length": length,
        "name": single[0][1] if single else f"bits_{offset}",
        "classes": classes,
    }


def _numbers(stated: Any) -> list[int]:
    """A list of integers, one alone, or text such as ``0b, 1b`` (CDL)."""
    if isinstance(stated, str):
        return [int(text) for text in re.findall(r"(?<![\w.])-?\d+(?=u?[bsl]?\b)", stated, re.IGNORECASE)]
    listed = stated if isinstance(stated, list | tuple) else [] if stated is None else [stated]
    numbers = [value for value in listed if isinstance(value, int | float) and float(value).is_integer()]
    return [int(value) for value in numbers] if len(numbers) == len(listed) else []


def contradiction(described: Mapping[str, JsonValue], attrs: Mapping[str, JsonValue]) -> str | None:
    """Words the first value that the profile and the file's flags name differently; None where they agree.

    Letters' case and what parts words do not matter, and the profile's title will do as well.
    """
    of_file = {item["value"]: str(item["name"]) for item in flags_of(attrs)}
    for item in described.get("classes") or ():
        theirs = of_file.get(item["value"])
        ours = [str(item[key]) for key in ("name", "title") if item.get(key)]
        if theirs is not None and _bare(theirs) not in map(_bare, ours):
            return f"{item['value']} is {theirs!r} in the file, and {ours[0]!r} in the profile"
    return None


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def colored(classes: Classes, table: Mapping[int, tuple[int, ...]] | None) -> Classes:
    """Classes with the colours of a colour table (red, green, blue from 0 to 255) where they have none."""
    if table is None:
        return classes
    return tuple({**item, "color": item.get("color") or _hex(table.get(item["value"]))} for item in classes)


def of_table(table: Mapping[int, tuple[int, ...]] | None, values: Iterable[tuple[int, int]]) -> Classes:
    """Makes classes of the values that occur (value, count) by a colour table alone: with colours, without names.

    Each is called by its number and marked as ``unnamed``.
    """
    known = table or {}
    return tuple(
        {"value": value, "name": str(value), "color": _hex(known[value]), "unnamed": True}
        for value, _ in values
        if value in known
    )


def _hex(color: tuple[int, ...] | None) -> str | None:
    return None if color is None else "".join(f"{part:02X}" for part in color[:3])
