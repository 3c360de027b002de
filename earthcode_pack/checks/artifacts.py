"""Findings on converted artifacts, from what was counted and compared while converting; no file is opened."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from earthcode_pack.checks import rules
from earthcode_pack.checks.cf_attributes import gap_findings
from earthcode_pack.model import Proof

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from earthcode_pack.model import Artifact, Finding, WrittenVariable

_SHOWN_CLASSES = 10  # values
_SHOWN_LIMITS = 20
_ROUNDING = 1e-5  # relative error of a nodata value that was rounded to float32 or to a few decimals
_ABSURD = 1e34  # the fill values of GDAL, ArcGIS, NetCDF, Ferret and Surfer exceed it, measurements do not
_HALF = 0.5  # half a step of integers, which scale and offset may have rounded
_ENDS = {"int32": (-(2**31), 2**31 - 1), "uint32": (2**32 - 1,), "int64": (-(2**63), 2**63 - 1), "uint64": (2**64 - 1,)}
_GREATEST = {"uint8": 255.0, "uint16": 65535.0}
_ALPHA = (
    "it may be a transparency (alpha) that its file does not name, and its validity is not taken over to the others"
)
_SUBJECT = "data"


def class_findings(artifacts: Iterable[Artifact]) -> list[Finding]:
    """Finds values of categorical variables that no class names.

    Missing values are not counted, and variables whose bits are flags are not checked.

    Args:
        artifacts: The converted files of a product.

    Returns:
        One finding for each variable, with the values and the number of cells of each.

    """
    unnamed: dict[str, Counter[int]] = defaultdict(Counter)
    for variable in (variable for artifact in artifacts for variable in artifact.variables):
        if variable.classes and variable.statistics is not None:
            named = {int(item["value"]) for item in variable.classes if not item.get("unnamed")}
            unnamed[variable.name].update({v: count for v, count in variable.statistics.values if v not in named})
    findings = []
    for name, counts in sorted(unnamed.items()):
        found = sorted(counts.items())
        shown = ", ".join(f"{value} ({count} cells)" for value, count in found[:_SHOWN_CLASSES])
        more = f" and {len(found) - _SHOWN_CLASSES} more" if len(found) > _SHOWN_CLASSES else ""
        message = f"{name} holds values that no class names: {shown}{more}"
        if found:
            findings.append(rules.CLASS_UNNAMED.finding(name, message, {str(v): count for v, count in found}))
    return findings


def item_gap_findings(artifacts: Iterable[Artifact]) -> list[Finding]:
    """Finds gaps in the otherwise regular start times of the Items of each asset.

    Args:
        artifacts: The converted files of a product.

    Returns:
        At most one finding for each asset. A cube in one Item has none: its time axis is checked in the file.

    """
    starts: dict[str, set[datetime]] = defaultdict(set)
    for artifact in artifacts:
        starts[artifact.asset].add(artifact.period.start)
    return [
        finding
        for asset, moments in starts.items()
        for finding in gap_findings(sorted(moments), asset, f"the time of {asset}")
    ]


def nodata_findings(artifacts: Iterable[Artifact]) -> list[Finding]:
    """Finds variables whose least or greatest valid value looks like a fill value.

    Such a value is nodata but for rounding (-3.4e38 for -3.4028235e38), beyond what is measured, or the end of a type
    of 32 or 64 bits. Values and statistics are left as they are: only a person can say what the cells mean.

    Args:
        artifacts: The converted files of a product.

    Returns:
        One finding for each variable, sorted by name.

    """
    found: dict[str, Finding] = {}
    for artifact in artifacts:
        for variable in artifact.variables:
            value = None if variable.name in found else _fill_value(variable)
            if value is None or variable.statistics is None:
                continue
            stated = variable.nodata not in (None, "nan")  # NaN is added where a file of floats states none
            nodata = f"states nodata {variable.nodata}" if stated else "states no nodata"
            if stated and variable.statistics.valid_percent == 100:  # noqa: PLR2004 - all cells
                nodata += ", which no cell holds"
            message = (
                f"{variable.name} ({artifact.item}) {nodata}, and holds {value!r}, which looks like a fill value and "
                "counts as valid"
            )
            found[variable.name] = rules.NODATA_NEAR.finding(variable.name, message, value, variable.nodata)
    return [found[name] for name in sorted(found)]


def _fill_value(variable: WrittenVariable) -> float | None:
    """Returns the least or greatest valid value, unpacked, if it looks like a fill value."""
    if variable.statistics is None or variable.classes:
        return None
    scale, offset = variable.scale or 1.0, variable.offset or 0.0
    nodata = None if variable.nodata is None else float(variable.nodata)
    for unpacked in (variable.statistics.minimum, variable.statistics.maximum):
        value = (unpacked - offset) / scale
        is_near = nodata is not None and 0 < abs(value - nodata) <= _ROUNDING * abs(nodata)
        is_end = any(abs(value - end) < _HALF for end in _ENDS.get(variable.dtype, ()))
        if (is_near and "float" in variable.dtype) or abs(value) >= _ABSURD or is_end:
            return unpacked
    return None


def transparency_findings(artifacts: Iterable[Artifact]) -> list[Finding]:
    """Finds unnamed alpha bands: variables beside others that hold only 0 and the greatest value of their type.

    A file may call its alpha band unspecified (TIFF 6.0, ExtraSamples 0): the other bands then lose their mask.

    Args:
        artifacts: The converted files of a product.

    Returns:
        One finding for each such variable, sorted by name.

    """
    of_file: dict[str, list[WrittenVariable]] = defaultdict(list)
    for artifact in artifacts:
        for href in {href for href, _ in artifact.sources}:
            of_file[href] += artifact.variables
    names: set[str] = set()
    for variables in of_file.values():
        for variable in variables if len({variable.name for variable in variables}) > 1 else ():
            found, greatest = variable.statistics, _GREATEST.get(variable.dtype)
            if found is None or greatest is None or variable.classes or (found.minimum, found.maximum) != (0, greatest):
                continue
            # all values are the ends of the type if the variance is the largest (Bhatia and Davis 2000)
            if math.isclose(found.stddev**2, (greatest - found.mean) * found.mean, rel_tol=1e-9):
                names.add(variable.name)
    return [
        rules.ALPHA_UNNAMED.finding(name, f"{name} holds only 0 and the greatest value of its type: {_ALPHA}")
        for name in sorted(names)
    ]


def proof_findings(artifacts: Iterable[Artifact]) -> Iterator[Finding]:
    """Yields findings of level info on the comparison of all artifacts with their sources.

    Args:
        artifacts: The converted files of a product; those of versions without such a comparison add nothing.

    Yields:
        See ``compared_findings``.

    """
    total = sum((artifact.proof for artifact in artifacts), Proof())
    if total != Proof():
        yield from compared_findings(total)


def compared_findings(proof: Proof, blocks: str = "") -> Iterator[Finding]:
    """Yields findings on what was compared with the sources, and on what could not be compared.

    Args:
        proof: What readers of other projects decoded on both sides and found equal.
        blocks: Which blocks were compared, where they are not a sample.

    Yields:
        One finding on all that was compared, and one for each limit of the readers, up to 20.

    """
    if proof.blocks:
        count = f"{blocks}, {proof.blocks:,} of them" if blocks else f"{proof.blocks:,} blocks"
        said = (
            f"{count} ({proof.cells:,} cells) of {', '.join(proof.variables)} and of their sources have the same "
            f"values and missing cells, as decoded by {', '.join(proof.readers)}"
        )
        said += f"; {proof.times:,} times are those of the sources" if proof.times else ""
        said += f"; {proof.masks:,} cells count as valid or missing as netCDF4 has it" if proof.masks else ""
    else:
        said = "no block of the data could be compared by a reader of another project"
    yield rules.PROOF.finding(_SUBJECT, said, proof.model_dump(mode="json", exclude={"limits"}))
    for limit in proof.limits[:_SHOWN_LIMITS]:
        yield rules.PROOF.finding(_SUBJECT, f"not compared: {limit}")
    if len(proof.limits) > _SHOWN_LIMITS:
        yield rules.PROOF.finding(_SUBJECT, f"and {len(proof.limits) - _SHOWN_LIMITS} more of the kind")
