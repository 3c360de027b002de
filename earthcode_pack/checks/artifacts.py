"""Findings on missing cells that no header names: fill values beside nodata, and an unnamed alpha band."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

from earthcode_pack.checks import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.model import Artifact, Finding, Statistics, WrittenVariable

_ROUNDING = 1e-5  # of a nodata value: what float32 or a few decimals leave of it
_ABSURD = 1e34  # beyond it lie the fills of GDAL, ArcGIS, NetCDF, Ferret and Surfer, and no measurement
_HALF = 0.5  # a step of integers, which scale and offset may have rounded
_ENDS = {"int32": (-(2**31), 2**31 - 1), "uint32": (2**32 - 1,), "int64": (-(2**63), 2**63 - 1), "uint64": (2**64 - 1,)}


def nodata_findings(artifacts: Iterable[Artifact]) -> list[Finding]:
    """One finding for each variable whose least or greatest valid value is a fill value rather than a measurement.

    Such a value is nodata but for rounding (-3.4e38 for -3.4028235e38), beyond what is measured, or the end of a type
    of 32 or 64 bits. Values and statistics are left as they are: only a person can say what the cells mean.
    """
    found: dict[str, Finding] = {}
    for artifact in artifacts:
        for variable in artifact.variables:
            if variable.name not in found and (value := next(_fills(variable), None)) is not None:
                found[variable.name] = _finding(variable, value, artifact.item)
    return [found[name] for name in sorted(found)]


def _fills(variable: WrittenVariable) -> Iterator[float]:
    statistics = variable.statistics
    if statistics is None or variable.classes:
        return
    scale, offset = variable.scale or 1.0, variable.offset or 0.0
    nodata = None if variable.nodata is None else float(variable.nodata)
    for unpacked in (statistics.minimum, statistics.maximum):
        value = (unpacked - offset) / scale
        is_near = nodata is not None and 0 < abs(value - nodata) <= _ROUNDING * abs(nodata)
        is_end = any(abs(value - end) < _HALF for end in _ENDS.get(variable.dtype, ()))
        if (is_near and "float" in variable.dtype) or abs(value) >= _ABSURD or is_end:
            yield unpacked


def _finding(variable: WrittenVariable, value: float, item: str) -> Finding:
    statistics: Statistics | None = variable.statistics
    never = statistics is not None and statistics.valid_percent == 100  # noqa: PLR2004 - all of them
    stated = variable.nodata not in (None, "nan")  # NaN is added where a file of floats states none
    nodata = f"states nodata {variable.nodata}" if stated else "states no nodata"
    count = f"{nodata}, which no cell holds" if never and stated else nodata
    message = (
        f"{variable.name} ({item}) {count}, and holds {value!r}, which looks like a fill value and counts as valid"
    )
    return rules.NODATA_NEAR.finding(variable.name, message, value, variable.nodata)


# --- transparency ---------------------------------------------------------------------------------------------------


def transparency_findings(artifacts: Iterable[Artifact]) -> list[Finding]:
    """One finding for each variable beside others of its file that holds 0 and the greatest value of its type alone.

    So does an alpha band whose file calls it unspecified (TIFF 6.0, ExtraSamples 0): the others lose what it hides.
    """
    of_file: dict[str, list[WrittenVariable]] = defaultdict(list)
    for artifact in artifacts:
        for href in {href for href, _ in artifact.sources}:
            of_file[href] += artifact.variables
    beside = [held for held in of_file.values() if len({variable.name for variable in held}) > 1]
    names = {variable.name for held in beside for variable in held if _is_all_or_nothing(variable)}
    return [
        rules.ALPHA_UNNAMED.finding(name, f"{name} holds only 0 and the greatest value of its type: {_LOST}")
        for name in sorted(names)
    ]


_LOST = "it may be a transparency (alpha) that its file does not name, and its validity is not taken over to the others"


def _is_all_or_nothing(variable: WrittenVariable) -> bool:
    """Tells whether all values are the ends of an unsigned type, by variance and mean (Bhatia and Davis 2000)."""
    statistics, greatest = variable.statistics, _GREATEST.get(variable.dtype)
    if statistics is None or greatest is None or variable.classes:
        return False
    if (statistics.minimum, statistics.maximum) != (0, greatest):
        return False
    return math.isclose(statistics.stddev**2, (greatest - statistics.mean) * statistics.mean, rel_tol=1e-9)


_GREATEST = {"uint8": 255.0, "uint16": 65535.0}
