"""Cubes as STAC sees them: dimensions and variables (datacube 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.describe.stac import data_type, finite_statistics
from earthcode_pack.geo.crs import proj_code

if TYPE_CHECKING:
    from earthcode_pack.model import Artifact, Dimension, Grid, WrittenVariable


def cube_fields(artifact: Artifact) -> dict[str, Any]:
    """``cube:dimensions`` and ``cube:variables`` of a Zarr store or a NetCDF file (datacube 2.3)."""
    return {
        "cube:dimensions": {dim.name: _dimension(dim, artifact.grid) for dim in artifact.dimensions},
        "cube:variables": {variable.name: _cube_variable(variable) for variable in artifact.variables},
    }


def _dimension(dim: Dimension, grid: Grid) -> dict[str, Any]:
    """Regular with a step, or listed with none; too many values to list leave only their ends."""
    kind = {"x": "spatial", "y": "spatial", "z": "spatial", "t": "temporal"}.get(dim.axis or "", "other")
    listed = _listed(dim)
    is_number = dim.axis is not None or dim.extent != (None, None)
    given = {
        "axis": dim.axis if kind == "spatial" else None,
        "reference_system": _reference_system(grid) if dim.axis in ("x", "y") else None,
        "description": dim.description,
        "extent": list(dim.extent) if is_number or listed is None else None,
        "values": listed,
        "unit": dim.units if kind != "temporal" else None,
    }
    known = {key: value for key, value in given.items() if value is not None}
    return {"type": kind} | known | ({"step": dim.step} if is_number else {})


def _listed(dim: Dimension) -> list[float | str] | None:
    """All values of a dimension without a step; a list of some of them would be false."""
    if dim.step is not None:
        return None
    if dim.values is not None:
        return list(dim.values) if len(dim.values) == dim.size else None
    return [end for end in dim.extent[:1] if end is not None and dim.extent[0] == dim.extent[1]] or None


def _reference_system(grid: Grid) -> Any:
    code = proj_code(grid.crs)
    return int(code.removeprefix("EPSG:")) if code and code.startswith("EPSG:") else grid.crs


def _cube_variable(variable: WrittenVariable) -> dict[str, Any]:
    """Amounts have an extent, categories their values."""
    statistics = finite_statistics(variable) if not variable.classes else None
    given = {
        "dimensions": list(variable.dims),
        "type": "data",
        "description": variable.long_name,
        "unit": variable.units,
        "data_type": data_type(variable.dtype),
        "nodata": variable.nodata,
        "shape": list(variable.shape),
        "chunks": list(variable.chunks) or None,
        "extent": [statistics.minimum, statistics.maximum] if statistics else None,
        "values": [item["value"] for item in variable.classes] or None,
    }
    return {key: value for key, value in given.items() if value is not None}
