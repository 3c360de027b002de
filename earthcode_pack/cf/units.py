"""Units of measure: what UDUNITS reads (CF 3.1), which of them are one unit, and what a misspelt one may mean.

UDUNITS-2 is asked through gimli.units, whose wheels bring it. It is loaded where there is something to ask.
"""

from __future__ import annotations

import difflib
import math
import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARSING = threading.Lock()  # UDUNITS' parser keeps its state in globals
_ALIKE = 0.85  # difflib's ratio: one letter wrong or missing in a word; gC m-2 d-1 is no slip for kg m-2 s-1
_LONGEST = 200  # characters of a unit

# Units of CF that UDUNITS lacks: of the standard name table, and of dimensionless vertical axes (CF 4.3.2).
_OF_CF = {"dB": "0.1 lg(re 1)", "level": "1", "layer": "1", "sigma_level": "1"}

_NUMBER = ("1",)
_CELSIUS, _KELVIN = ("degC",), ("K",)

# What people write and UDUNITS does not know, or reads as degrees times coulomb, farad and kelvin, in lower case.
_MEANT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("psu", "pss", "pss-78", "practical salinity unit", "practical salinity units"), ("1e-3", "1")),
    **dict.fromkeys(("unitless", "unitless.", "none", "-", "--", "~", "dimensionless", "adimensional"), _NUMBER),
    **dict.fromkeys(("no unit", "no units", "no_unit", "no_units", "nounit", "n/a", "na", "n.a."), _NUMBER),
    **dict.fromkeys(("index", "ratio", "fraction", "proportion", "numeric", "number", "probability"), _NUMBER),
    **dict.fromkeys(("(0 - 1)", "(0-1)", "0 - 1", "0-1", "[0-1]", "[0,1]", "0..1", "flag", "class", "code"), _NUMBER),
    **dict.fromkeys(("degrees c", "degree c", "deg c", "deg. c", "deg_c", "degreesc", "celcius", "°c"), _CELSIUS),
    **dict.fromkeys(("degrees k", "degree k", "deg k", "deg. k", "deg_k", "k", "kelvins"), _KELVIN),
    **dict.fromkeys(("degrees f", "degree f", "deg f", "deg_f"), ("degF",)),
    **dict.fromkeys(("deg", "degs", "deg.", "degree true", "degrees true", "degree t", "degrees t"), ("degree",)),
    **dict.fromkeys(("pct", "per cent", "perc"), ("%",)),
    **dict.fromkeys(("m of water equivalent", "m of water", "m water equivalent"), ("m",)),
    **dict.fromkeys(("mgc m-3", "mg c m-3", "mg chl m-3", "mgchl m-3", "mg chl-a m-3"), ("mg m-3",)),
    **dict.fromkeys(("gc m-2", "g c m-2"), ("g m-2",)),
    **dict.fromkeys(("decibel", "decibels", "db"), ("dB",)),
    "mm hr-1": ("mm h-1",), "m sec-1": ("m s-1",), "m/sec": ("m s-1",), "msec-1": ("m s-1",), "ms-1": ("m s-1",),
}  # fmt: skip
_MISREAD = {"degree t", "degrees t", "degrees c", "degree c", "degrees k", "degree k", "degrees f", "degree f"}
_MISREAD |= {text for text, meant in _MEANT.items() if meant in (("1e-3", "1"), ("dB",))}  # known to few releases of it

_COMMON = (
    "1", "%", "1e-3", "K", "degC", "degF", "degree", "degree_north", "degree_east", "radian", "sr", "m", "km", "cm",
    "mm", "um", "nm", "m2", "km2", "ha", "m3", "s", "min", "h", "day", "m s-1", "km h-1", "mm h-1", "mm day-1",
    "m2 s-1", "m3 s-1", "kg", "g", "kg m-2", "kg m-3", "kg m-2 s-1", "kg kg-1", "g kg-1", "g m-2", "mg m-3",
    "ug m-3", "mol m-2", "mol m-3", "mol kg-1", "mmol m-3", "umol kg-1", "mol mol-1", "Pa", "hPa", "kPa", "dbar",
    "bar", "N m-2", "J m-2", "W m-2", "W m-2 sr-1", "W m-2 sr-1 um-1", "W m-2 nm-1", "m-1", "m-2", "sr-1", "s-1",
    "Hz", "GHz", "m2 m-2", "m3 m-3", "DU", "ppm", "ppb", "count", "dB", "dBZ", "kelvin", "celsius", "metre",
    "meter", "percent", "degrees_north", "degrees_east", "degree_Celsius", "second", "hour", "hectare", "pascal",
    "watt", "joule",
)  # fmt: skip
_ANGLES = re.compile("radian|arc_")
_KNOWN = {*_COMMON, *_OF_CF}  # without asking UDUNITS


def is_unit(text: str) -> bool:
    """Tells whether UDUNITS reads a text as a unit, or CF has one of this name.

    What nobody means as it is read (``degrees C``: degrees times coulomb) is none.

    >>> is_unit("mg m-3"), is_unit("psu"), is_unit("degrees C"), is_unit("")
    (True, False, False, False)
    """
    key = text.strip()
    return key in _KNOWN or _unit(key) is not None


def same(one: str, other: str) -> bool:
    """Tells whether two texts denote one unit: ``m/s`` and ``m s-1``, ``K`` and ``kelvin``, ``psu`` and ``1e-3``.

    Where UDUNITS reads neither, and this module does not know what they mean, they are one only if they are equal.
    """
    if one.strip() == other.strip():
        return True
    return any(_is_one(a, b) for a in meanings(one) for b in meanings(other))


def convertible(one: str, other: str) -> bool:
    """Tells whether values in one unit can be expressed in the other; False where UDUNITS reads either not.

    >>> convertible("degC", "K"), convertible("m", "s"), convertible("%", "1")
    (True, False, True)
    """
    a, b = _unit(one.strip()), _unit(other.strip())
    if a is None or b is None:
        return False
    with _PARSING:
        return bool(a.is_convertible_to(b))


def factor(one: str, other: str) -> float | None:
    """Factor from one unit to another; None where the two differ by more than a factor, or in kind.

    An angle is no plain number here, although UDUNITS converts radians to 1.

    >>> factor("km", "m"), factor("degC", "K"), factor("m", "s"), factor("1", "radian")
    (1000.0, None, None, None)
    """
    a, b = _unit(one.strip()), _unit(other.strip())
    if a is None or b is None:
        return None
    with _PARSING:
        if _is_time_reference(a) or _is_time_reference(b) or not a.is_convertible_to(b) or _is_angle(a) != _is_angle(b):
            return None
        convert = a.to(b)
        return float(convert(1.0)) if convert(0.0) == 0.0 else None


def is_length(text: str) -> bool:
    """Tells whether UDUNITS reads a text as a unit of length."""
    return factor(text, "m") is not None


def is_angle(text: str) -> bool:
    """Tells whether UDUNITS reads a text as a unit of plane angle.

    >>> is_angle("degrees_north"), is_angle("microradian"), is_angle("1")
    (True, True, False)
    """
    return factor(text, "radian") is not None


@lru_cache(maxsize=1024)
def nearest(text: str) -> str | None:
    """A unit that a text which is none may stand for; None where nothing comes near.

    >>> nearest("PSU"), nearest("unitless"), nearest("[mg/m3]"), nearest("kelvn"), nearest("whatever it was")
    ('1e-3', '1', 'mg/m3', 'kelvin', None)
    """
    return next(_candidates(text.strip()), None)


def _candidates(text: str) -> Iterator[str]:
    yield from _MEANT.get(text.lower(), ())
    bare = text.strip("[](){}<>'\" ")
    yield from (bare,) if bare != text and is_unit(bare) else ()
    yield from (unit for unit in _COMMON if unit.lower() == text.lower())
    yield from difflib.get_close_matches(text, _COMMON, n=1, cutoff=_ALIKE)


def meanings(text: str) -> tuple[str, ...]:
    """The units that a text denotes: itself where it is one, what people mean by it, none where that is not known.

    >>> meanings("K"), meanings("psu"), meanings("whatever it was")
    (('K',), ('1e-3', '1'), ())
    """
    key = text.strip()
    if key in _OF_CF:
        return (_OF_CF[key],)
    return (key,) if is_unit(key) else tuple(_OF_CF.get(unit, unit) for unit in _MEANT.get(key.lower(), ()))


@lru_cache(maxsize=1024)
def _is_one(one: str, other: str) -> bool:
    """Tells whether 0 and 1 of the one are 0 and 1 of the other: a scale and an offset have no more to say."""
    a, b = _parsed(one), _parsed(other)
    if a is None or b is None:
        return False
    with _PARSING:
        if _is_time_reference(a) or _is_time_reference(b):
            return bool(a.compare(b) == 0)
        if not a.is_convertible_to(b):
            return False
        converted = a.to(b)
        return all(math.isclose(converted(n), n, abs_tol=1e-9) for n in (0.0, 1.0))


def _is_time_reference(unit: Any) -> bool:
    """Tells whether a unit counts from an instant, which UDUNITS writes as ``day since 1970-01-01 00:00:00 UTC``."""
    return " since " in str(unit)


def _is_angle(unit: Any) -> bool:
    """Tells whether a unit is made of angles, by the names that UDUNITS writes it with."""
    return _ANGLES.search(str(unit)) is not None


def _unit(key: str) -> Any:
    """The unit of a text as CF and UDUNITS read it; None for what is none, or is read as nobody means it."""
    if key not in _KNOWN and key.lower() in _MISREAD:
        return None
    return _parsed(_OF_CF.get(key, key))


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    """The unit of gimli.units; None for what is none."""
    from gimli import units  # noqa: PLC0415 - reads the database of units, and only where there is one to look up
    from gimli.errors import GimliError  # noqa: PLC0415

    if not text or len(text) > _LONGEST:
        return None
    with _PARSING:
        try:
            return units[text]
        except GimliError:
            return None
