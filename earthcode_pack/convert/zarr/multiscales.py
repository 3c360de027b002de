"""Adds a pyramid to a finished Zarr store: coarser levels as groups beside the arrays, by three Zarr conventions.

``multiscales``, ``spatial`` and ``proj``, each v0.1 (github.com/zarr-conventions). The root keeps the full resolution
and is the asset ``.`` of the layout; the levels are the groups ``1``, ``2``, …, each a CF dataset of its own.
docs/decisions/0010-multiscales.md says why.
"""

from __future__ import annotations

import re
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import zarr

from earthcode_pack.cf.roles import bounds_of
from earthcode_pack.convert.read.open import open_raw
from earthcode_pack.convert.zarr.levels import BaseArray, LevelJob, MetadataNode, write_cells, write_edges
from earthcode_pack.convert.zarr.pyramid import Level, Transform, edges_of, levels_of, resampling_of, scaled
from earthcode_pack.geo.crs import crs_of, proj_code

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.model import Job

_BASE = "."
_LEVEL = re.compile(r"[1-9][0-9]*")
_CONVENTIONS = {
    "multiscales": ("d35379db-88df-4056-af3a-620245f8e347", "Multiscale layout of zarr datasets"),
    "proj": (
        "f17cb550-5864-4468-aeb7-f3180cfb622f",
        "Coordinate reference system information for geospatial data",
    ),
    "spatial": ("689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "Spatial coordinate information"),
}
_OURS = re.compile(r"(zarr_conventions|multiscales|proj:.*|spatial:.*)$")
_V3_NOTE = "Consolidated metadata is currently not part in the Zarr format 3 specification"


def add_levels(store: Path, job: Job) -> None:
    """Writes the levels of a store and the metadata of the conventions.

    Each level is made from the one before, read back and compared; at most ``region_bytes`` of cells are in memory at
    once, unless a single chunk or shard is larger. Doing it again gives the same bytes.

    Args:
        store: a folder, all of whose base is written.
        job: the job that made it.

    Raises:
        NotEqual: what is read back differs from what was computed.

    """
    for folder in store.iterdir():  # what an interrupted call left
        if folder.is_dir() and _LEVEL.fullmatch(folder.name):
            shutil.rmtree(folder)
    y, x = job.grid.dims
    chunks = job.zarr.chunks.values()
    made = levels_of(job.grid.shape, (min(chunk[y] for chunk in chunks), min(chunk[x] for chunk in chunks)))
    arrays = _arrays_of(store, job)
    for number, level in enumerate(made, 1):
        _write_level(store, job, number, level, arrays)
    node = MetadataNode(store, job.zarr.version)
    before = node.attributes()
    node.set_attributes(_without_ours(before) | _of_the_root(before, job, made, arrays))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_V3_NOTE)
        # Each level by itself, so that it opens like a store, then the root, which covers them all.
        for path in (*(str(number) for number in range(1, len(made) + 1)), ""):
            zarr.consolidate_metadata(store, path=path)


def _arrays_of(store: Path, job: Job) -> list[BaseArray]:
    """Returns the arrays of the base, with the names of their dimensions, and their resampling."""
    with open_raw(store, "Zarr") as dataset:
        return [
            BaseArray(
                name=str(name),
                dims=tuple(str(dim) for dim in variable.dims),
                resampling=resampling_of(str(name), variable, job),
                bounds=bounds_of(variable.attrs) or "",
            )
            for name, variable in sorted(dataset.variables.items())
        ]


# --- one level ------------------------------------------------------------------------------------------------------


def _write_level(store: Path, job: Job, number: int, level: Level, arrays: list[BaseArray]) -> None:
    folder, version = store / str(number), job.zarr.version
    transform = _transform(job, level)
    root = MetadataNode(store, version).attributes()
    MetadataNode(folder, version).make_group(_without_ours(root) | _place(root, job, level.shape, transform))
    axes = dict(zip(job.grid.dims, edges_of(transform, level.shape), strict=True))
    edges = axes | {array.bounds: axes[array.name] for array in arrays if array.name in axes and array.bounds}
    for array in arrays:
        if array.name in edges:
            write_edges(store, folder, array.name, edges[array.name], version)
        elif not _has_cells(array, job):
            shutil.copytree(store / array.name, folder / array.name)
            node = MetadataNode(folder / array.name, version)
            if "GeoTransform" in (attrs := node.attributes()):
                # GDAL's attribute of a grid mapping, which rioxarray and GDAL prefer to the coordinates.
                a, b, c, d, e, f = transform
                node.set_attributes(attrs | {"GeoTransform": " ".join(str(value) for value in (c, a, b, f, d, e))})
    cells = [array for array in arrays if array.name not in edges and _has_cells(array, job)]
    level_job = LevelJob(
        before=store if number == 1 else store / str(number - 1),
        folder=folder,
        sizes=dict(zip(job.grid.dims, level.shape, strict=True)),
        steps=dict(zip(job.grid.dims, level.step, strict=True)),
        version=version,
        limit=job.zarr.region_bytes,
        subject=job.key,
    )
    write_cells(level_job, cells)


def _has_cells(array: BaseArray, job: Job) -> bool:
    return bool(set(array.dims) & set(job.grid.dims))


def _transform(job: Job, level: Level) -> Transform:
    assert job.grid.transform is not None, "refused when it was planned"
    return scaled(job.grid.transform, level.scale)


# --- what the conventions say ---------------------------------------------------------------------------------------


def _without_ours(attrs: dict[str, Any]) -> dict[str, Any]:
    """Returns attributes without those of the conventions, which a source that was a pyramid may have."""
    return {key: value for key, value in attrs.items() if not _OURS.match(key)}


def _place(before: dict[str, Any], job: Job, shape: tuple[int, int], transform: Transform) -> dict[str, Any]:
    """Returns ``spatial:`` and ``proj:`` of a group that is one level."""
    return {
        "zarr_conventions": _conventions(before, "spatial", "proj"),
        **_common(job),
        "spatial:transform": list(transform),
        "spatial:shape": list(shape),
    }


def _common(job: Job) -> dict[str, Any]:
    """Returns what all levels share. The CRS is a code where an authority knows it, else WKT 2 (ISO 19162:2019)."""
    code = proj_code(job.grid.crs)
    proj = {"proj:code": code} if code else {"proj:wkt2": crs_of(job.grid.crs).to_wkt("WKT2_2019")}
    return {**proj, "spatial:dimensions": list(job.grid.dims), "spatial:registration": "pixel"}


def _conventions(before: dict[str, Any], *names: str) -> list[Any]:
    """Returns the entries of ``zarr_conventions``: those of others that a source has, and ours."""
    stated = before.get("zarr_conventions", [])
    ours = {uuid for uuid, _ in _CONVENTIONS.values()}
    others = [entry for entry in stated if isinstance(entry, dict) and entry.get("uuid") not in ours]
    return others + [
        {
            "schema_url": f"https://raw.githubusercontent.com/zarr-conventions/{name}/refs/tags/v0.1/schema.json",
            "spec_url": f"https://github.com/zarr-conventions/{name}/blob/v0.1/README.md",
            "uuid": _CONVENTIONS[name][0],
            "name": name,
            "description": _CONVENTIONS[name][1],
        }
        for name in names
    ]


def _of_the_root(before: dict[str, Any], job: Job, made: list[Level], arrays: list[BaseArray]) -> dict[str, Any]:
    """Returns the layout, finest level first. Transform and shape are each level's, the box is that of the data."""
    base = Level(job.grid.shape, (1, 1), (1, 1))
    layout = [_entry(_BASE, None, base, job)]
    for number, level in enumerate(made, 1):
        layout.append(_entry(str(number), layout[-1]["asset"], level, job))
    # One ``resampling_method`` where variables share it, and, beyond the convention, that of each variable.
    by_name = {array.name: array.resampling.method for array in arrays if array.resampling.data}
    every = sorted(set(by_name.values()))
    shared = {"resampling_method": every[0]} if len(every) == 1 else {}
    return {
        "zarr_conventions": _conventions(before, "multiscales", "spatial", "proj"),
        "multiscales": {"layout": layout, **shared, "resampling_methods": by_name},
        **_common(job),
        "spatial:bbox": list(job.grid.bounds),
    }


def _entry(asset: str, derived_from: str | None, level: Level, job: Job) -> dict[str, Any]:
    return {
        "asset": asset,
        **({"derived_from": derived_from} if derived_from else {}),
        "transform": {"scale": [float(step) for step in level.step], "translation": [0.0, 0.0]},
        "spatial:shape": list(level.shape),
        "spatial:transform": list(_transform(job, level)),
    }
