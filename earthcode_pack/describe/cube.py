"""Cubes as STAC sees them: dimensions and variables (datacube 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.describe.extent import proj_code
from earthcode_pack.describe.stac import finite_statistics

if TYPE_CHECKING:
    from earthcode_pack.model import Artifact, Dimension, Grid, WrittenVariable


def cube_fields(artifact: Artifact) -> dict[str, Any]:
    """``cube:dimensions`` and ``cube:variables`` of a Zarr store or a NetCDF file (datacube 2.3)."""
    return {
        "cube:dimensions": {dim.name: _dimension(dim, artifact.grid) for dim in artifact.dimensions},
        "cube:variables": {variable.name: _cube_variable(variable) for variable in artifact.variables},
    }


def _dimension(dim: Dimension, grid: Grid) -> dict[str, Any]:
    kind = {"x": "spatial", "y": "spatial", "z": "spatial", "t": "temporal"}.get(dim.axis or "", "other")
    out: dict[str, Any] = {"type": kind}
    if kind == "spatial":
        out |= {"axis": dim.axis, "reference_system": _reference_system(grid)} if dim.axis != "z" else {"axis": "z"}
    if dim.extent != (None, None):
        out["extent"] = list(dim.extent)
    if dim.values is not None:
        out["values"] = list(dim.values)
    out |= {"step": dim.step} if dim.step is not None or dim.axis else {}
    return out | ({"unit": dim.units} if dim.units and kind != "temporal" else {})


def _reference_system(grid: Grid) -> Any:
    code = proj_code(grid.crs)
    return int(code.removeprefix("EPSG:")) if code and code.startswith("EPSG:") else grid.crs


def _cube_variable(variable: WrittenVariable) -> dict[str, Any]:
    statistics = finite_statistics(variable)
    given = {
        "dimensions": list(variable.dims),
        "type": "data",
        "description": variable.long_name,
        "unit": variable.units,
        "data_type": variable.dtype,
        "nodata": variable.nodata,
        "shape": list(variable.shape),
        "chunks": list(variable.chunks),
        "extent": [statistics.minimum, statistics.maximum] if statistics else None,
    }
    return {key: value for key, value in given.items() if value is not None}
