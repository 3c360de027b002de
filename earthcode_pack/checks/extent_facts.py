"""The bbox of an Item against the boxes of all its data: it holds them, and claims no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.checks import rules
from earthcode_pack.checks.limits import NEAR
from earthcode_pack.checks.measured import Measured, valid_box
from earthcode_pack.geo.box import FINE, box_of, contains, excess, union, width

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.geo.box import Box
    from earthcode_pack.model import Finding

_LOOSE = 0.1  # of the data's width or height that a bbox may exceed it by
_DATUM = 0.003  # degrees that a grid in degrees on another datum than WGS 84 may be off


def extent_facts(document: Document, paths: dict[Path, Measured]) -> Iterator[Finding]:
    """The bbox of an Item against all its data assets, by the path of each."""
    box = box_of(document.stac.get("bbox"))
    if box is None or not paths:
        return
    unknown = [document.name(path) for path, data in paths.items() if data.lonlat is None]
    for name in unknown:
        message = f"the extent of {name} in longitude and latitude is not known"
        yield rules.FACT_EXTENT_UNKNOWN.finding(document.subject, message, name)
    for path, data in paths.items():
        if data.lonlat is not None and not contains(box, data.lonlat, _slack(data)):
            yield from _not_held(document, box, path, data)
    if not unknown:
        yield from _loose(document, box, list(paths.values()))


def _slack(data: Measured) -> tuple[float, float]:
    """A tenth of a cell, and what the box depends on sampling; another datum than WGS 84 may lie some metres off."""
    datum = 0.0 if data.crs is None or not data.crs.is_geographic or _is_wgs84(data.crs) else _DATUM
    x, y = (NEAR * cell + unsure + FINE + datum for cell, unsure in zip(data.spread, data.doubt, strict=True))
    return x, y


def _is_wgs84(crs: Any) -> bool:
    return any(name in str(crs.datum and crs.datum.name) for name in ("1984", "WGS84"))


def _not_held(document: Document, box: Box, path: Path, data: Measured) -> Iterator[Finding]:
    """A bbox smaller than the grid is right where it holds the valid cells: the footprint of the data."""
    valid = valid_box(path) if path.suffix.lower() in {".tif", ".tiff"} else None
    assert data.lonlat is not None
    if valid is not None and contains(box, valid, _slack(data)):
        return
    message = f"the bbox of {document.subject}, {list(box)}, does not hold {document.name(path)}, {list(data.lonlat)}"
    yield rules.FACT_EXTENT.finding(document.subject, message, list(box), list(data.lonlat))


def _loose(document: Document, box: Box, measured: list[Measured]) -> Iterator[Finding]:
    """A box far wider than the data: the whole globe is claimed by a third of the real catalogue."""
    true = union(list(dict.fromkeys(data.lonlat for data in measured if data.lonlat is not None)))
    cell = max(data.spread[0] for data in measured), max(data.spread[1] for data in measured)
    wide, tall = excess(box, true)
    slack_x, slack_y = (2 * side + FINE for side in cell)
    if wide > _LOOSE * width(true) + slack_x or tall > _LOOSE * (true[3] - true[1]) + slack_y:
        message = f"the bbox of {document.subject}, {list(box)}, is far larger than its data, {list(true)}"
        yield rules.FACT_EXTENT.finding(document.subject, message, list(box), list(true))
