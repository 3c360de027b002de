"""What STAC says of a data asset against what the data say: shape, box, CRS, resolution, media type.

Bands and cubes are in ``band_facts.py``, the bbox of an Item in ``extent_facts.py``.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.band_facts import cog_bands, cube_facts, time_facts
from earthcode_pack.checks.documents import listed
from earthcode_pack.checks.limits import NEAR
from earthcode_pack.checks.measured import Measured, measure_cog, measure_cube
from earthcode_pack.checks.metadata import field
from earthcode_pack.errors import SourceError
from earthcode_pack.geo.crs import proj_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.checks.targets import Kind
    from earthcode_pack.model import Finding

_METRES_PER_DEGREE = 111_320.0


def measure(path: Path | str, kind: Kind) -> Measured | None:
    """What a data file, at a path or a URL, says; None where it cannot be read, which its own checks report."""
    from rasterio.errors import RasterioError  # noqa: PLC0415 - heavy

    try:
        return measure_cog(path) if kind == "cog" else measure_cube(path)
    except (RasterioError, SourceError, OSError, ValueError, KeyError, RuntimeError, TypeError):
        return None


def asset_facts(document: Document, key: str, asset: dict[str, Any], kind: Kind, data: Measured) -> Iterator[Finding]:
    """What one asset of an Item or Collection states against its data."""
    yield from _grid(document, key, asset, data)
    if kind == "cog":
        yield from cog_bands(document, key, asset, data)
    else:
        yield from cube_facts(document, key, asset, data)
        yield from time_facts(document, data)
    yield from _media_type(document, key, asset, kind)


# --- the grid


def _grid(document: Document, key: str, asset: dict[str, Any], data: Measured) -> Iterator[Finding]:
    where = f"of the asset {key} of {document.subject}"
    shape, box = field(document, asset, "proj:shape"), field(document, asset, "proj:bbox")
    transform = field(document, asset, "proj:transform")
    if isinstance(shape, list) and data.shape and shape[-2:] != list(data.shape):
        message = f"proj:shape {where} is {shape}, and the data have {list(data.shape)}"
        yield rules.FACT_SHAPE.finding(document.subject, message, shape, list(data.shape))
    if isinstance(box, list) and data.bounds and data.cell and not _near(_flat(box), data.bounds, data.cell * 2):
        message = f"proj:bbox {where} is {box}, and the cell edges of the data {list(data.bounds)}"
        yield rules.FACT_BBOX.finding(document.subject, message, box, list(data.bounds))
    if isinstance(transform, list) and data.transform and data.shape and not _same_transform(transform, data):
        message = f"proj:transform {where} is {transform}, and that of the data {list(data.transform)}"
        yield rules.FACT_TRANSFORM.finding(document.subject, message, transform, list(data.transform))
    yield from _crs(document, asset, where, data)
    yield from _resolution(document, asset, where, data)


def _flat(box: list[Any]) -> list[Any]:
    return box if len(box) == 4 else [*box[:2], *box[3:5]]  # noqa: PLR2004 - with heights there are six


def _near(stated: list[Any], true: tuple[float, ...], cell: tuple[float, ...]) -> bool:
    try:
        pairs = zip(stated, true, cell, strict=True)
        return all(abs(float(a) - b) <= NEAR * abs(step) + 1e-9 for a, b, step in pairs)
    except (TypeError, ValueError):
        return False


def _same_transform(stated: list[Any], data: Measured) -> bool:
    """Whether the cells at all corners fall on each other."""
    assert data.transform is not None
    assert data.shape is not None
    assert data.cell is not None
    height, width = data.shape
    corners = [(0, 0), (width, 0), (0, height), (width, height)]
    try:
        a, b, c, d, e, f = (float(number) for number in stated[:6])
    except (TypeError, ValueError):
        return False
    ta, tb, tc, td, te, tf = data.transform
    moved = ((abs((a - ta) * x + (b - tb) * y + c - tc), abs((d - td) * x + (e - te) * y + f - tf)) for x, y in corners)
    return all(dx <= NEAR * data.cell[0] and dy <= NEAR * data.cell[1] for dx, dy in moved)


def _crs(document: Document, asset: dict[str, Any], where: str, data: Measured) -> Iterator[Finding]:
    names = ("proj:code", "proj:wkt2", "proj:projjson", "proj:epsg")
    stated = {name: value for name in names if (value := field(document, asset, name))}
    for name, value in stated.items():
        known = _known(f"EPSG:{value}" if name == "proj:epsg" else value)
        if known is None or data.crs is None or not same_crs(known, data.crs):
            shown = value if name in {"proj:code", "proj:epsg"} else "another CRS"
            true = data.crs.name if data.crs is not None else "no CRS"
            message = f"{name} {where} is {shown}, and the data have {true}"
            yield rules.FACT_CRS.finding(document.subject, message, shown, true)


def _known(value: Any) -> Any:
    from pyproj.exceptions import CRSError  # noqa: PLC0415 - heavy

    from earthcode_pack.geo.crs import stated_crs  # noqa: PLC0415

    try:
        return stated_crs(value)
    except (CRSError, TypeError):
        return None


def same_crs(a: Any, b: Any) -> bool:
    """Whether two pyproj CRS are the same but for axis order and names: GeoTIFF and CF do not keep every name."""
    if a.equals(b, ignore_axis_order=True):
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what PROJ strings lose is names
        first, second = a.to_dict(), b.to_dict()
    if first and _without_type(first) == _without_type(second):
        return True
    code = proj_code(a.to_wkt())
    return code is not None and code == proj_code(b.to_wkt())


def _without_type(proj: dict[str, Any]) -> dict[str, Any]:
    return {
        k: v for k, v in proj.items() if k not in {"type", "no_defs"} and not (k in {"x_0", "y_0", "lon_0"} and v == 0)
    }


def _resolution(document: Document, asset: dict[str, Any], where: str, data: Measured) -> Iterator[Finding]:
    """``raster:spatial_resolution`` is in metres; of a grid in degrees it lies between those of x and y."""
    stated = [part.get("raster:spatial_resolution") for part in (asset, *listed(asset.get("bands")))]
    for value in {v for v in stated if isinstance(v, int | float)}:
        low, high = _metres(data)
        if high and not 0.95 * low <= value <= 1.05 * high:
            message = f"raster:spatial_resolution {where} is {value}, and a cell has {low:.6g} to {high:.6g} metres"
            yield rules.FACT_RESOLUTION.finding(document.subject, message, value, [low, high])


def _metres(data: Measured) -> tuple[float, float]:
    """The shortest and longest side of a cell in metres; zeros where they are not known."""
    if data.crs is None or data.cell is None or not data.crs.axis_info:
        return 0.0, 0.0
    unit = float(data.crs.axis_info[0].unit_conversion_factor)
    if not data.crs.is_geographic:
        sides = [abs(side) * unit for side in data.cell]
        return min(sides), max(sides)
    x, y = (abs(side) * math.degrees(unit) * _METRES_PER_DEGREE for side in data.cell)
    lats = [min(abs(edge), 90.0) for edge in (data.bounds[1::2] if data.bounds else (0.0,))]
    return min(x * math.cos(math.radians(max(lats))), y), max(x, y)


def _media_type(document: Document, key: str, asset: dict[str, Any], kind: Kind) -> Iterator[Finding]:
    told = str(asset.get("type", "")).lower()
    words = {"cog": ("tiff",), "zarr": ("zarr",), "netcdf": ("netcdf", "hdf")}
    others = [word for other, group in words.items() if other != kind for word in group]
    if told and any(word in told for word in others) and not any(word in told for word in words[kind]):
        message = f"the asset {key} of {document.subject} has the type {told}, and is {kind}"
        yield rules.FACT_MEDIA_TYPE.finding(document.subject, message, told, kind)
