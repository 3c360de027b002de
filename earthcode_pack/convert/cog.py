"""One map to one cloud-optimised GeoTIFF, in one pass or by GDAL's COG driver, and compared with its source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from earthcode_pack.cf.kinds import is_categorical
from earthcode_pack.checks.equality import compare, compare_masks
from earthcode_pack.convert import tiff
from earthcode_pack.convert.fetched import local_sources
from earthcode_pack.convert.look import changes_of
from earthcode_pack.convert.orient import orientation
from earthcode_pack.convert.planes import Plane, RasterPlane, open_plane
from earthcode_pack.convert.proof.maps import prove_map
from earthcode_pack.convert.read.raster import GDAL_OPTIONS
from earthcode_pack.convert.stage import blocks_of_rows, staged, view
from earthcode_pack.convert.statistics import Tally, tally
from earthcode_pack.convert.work import Part, Record

if TYPE_CHECKING:
    from earthcode_pack.checksums import Checksums
    from earthcode_pack.convert.look import Look
    from earthcode_pack.model import Job

Array = np.ndarray[Any, Any]


def write(part: Part) -> Record:
    """Makes ``<folder>/out.tif`` for a job of one map and compares every cell with the source."""
    job, folder = part.job, Path(part.folder)
    target, source = folder / "out.tif", job.inputs[0]
    target.unlink(missing_ok=True)
    found: Checksums | None = None
    turn = orientation(source.grid)
    with local_sources(job.inputs) as paths, rasterio.Env(**GDAL_OPTIONS):
        path = paths[source.href]
        with open_plane(path, source, turn) as plane:
            if tiff.is_possible(plane.look, job):
                engine, error = "one pass", 0.0
                sums, found = _in_one_pass(plane, job, target)
            else:
                is_direct = isinstance(plane, RasterPlane) and plane.is_as_stored
                engine = _DRIVER
                sums, error = _by_driver(plane, job, folder, target, path.resolve() if is_direct else None)
            changes = (*turn.changes, *changes_of(plane.look, job), *_other_resampling(plane.look, job, engine))
            proof = prove_map(job, target, paths)
    return Record(
        number=part.number,
        tallies={job.asset: sums},
        compared=job.grid.shape[0] * job.grid.shape[1],
        max_error=error,
        proof=proof,
        changes=changes,
        engine=engine,
        digests={".": found.sha256} if found else {},
        parts=found.parts if found else None,
    )


_DRIVER = "GDAL's COG driver"


def _other_resampling(look: Look, job: Job, engine: str) -> list[str]:
    if engine != _DRIVER or not tiff.are_exact(look, job.options["resampling"]):
        return []
    return [
        f"overviews by nearest, not {job.options['resampling']}, which GDAL gets wrong for {look.dtype} with nodata"
    ]


def _in_one_pass(plane: Plane, job: Job, target: Path) -> tuple[Tally, Checksums]:
    options = _creation_options(job.options, plane.look)
    return tiff.write_cog(plane, job, target, options, lambda rows: _tally(rows, None, plane, job))


def _by_driver(plane: Plane, job: Job, folder: Path, target: Path, path: Path | None) -> tuple[Tally, float]:
    """From the raster itself, or from a turned copy of it where it has no ``path`` of its own."""
    scratch = folder / "staged.tif"
    bands = job.inputs[0].variables[0].bands
    seen = staged(plane, job.grid, scratch) if path is None else view(path, plane.look, job.grid, bands)
    options = _creation_options(job.options, plane.look)
    if tiff.are_exact(plane.look, job.options["resampling"]):
        options["OVERVIEW_RESAMPLING"] = "NEAREST"
    rasterio.shutil.copy(seen, target, driver="COG", **options)
    scratch.unlink(missing_ok=True)
    return _compare(plane, target, job)


def _creation_options(options: dict[str, Any], look: Look) -> dict[str, Any]:
    """GDAL's names; overviews grow from the data, never from those that the source happens to have."""
    compression = options["compression"]
    out = {
        "COMPRESS": compression.upper(),
        "BLOCKSIZE": options["blocksize"],
        "OVERVIEWS": "IGNORE_EXISTING",
        "OVERVIEW_RESAMPLING": options["resampling"].upper(),
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": os.environ.get("GDAL_NUM_THREADS", "1"),  # the mapper shares out the cores
    }
    if compression in ("deflate", "zstd"):
        out["LEVEL"] = options["level"]
    if compression == "lerc":
        out["MAX_Z_ERROR"] = options["max_error"]
    elif look.colorinterp[:1] != (ColorInterp.palette,):  # neighbours in a palette are unrelated
        out["PREDICTOR"] = "YES"
    return out


def _compare(plane: Plane, target: Path, job: Job) -> tuple[Tally, float]:
    """Every cell and every mask, block by block; the tally of what is valid, and the largest error."""
    worst, sums, look = 0.0, Tally(), plane.look
    with rasterio.open(target, driver="GTiff") as written:
        for start, stop in blocks_of_rows(job.grid, look.dtype, look.count):
            window = Window(0, start, job.grid.shape[1], stop - start)
            rows, mask = plane.rows(start, stop), plane.mask(start, stop)
            place = f"{job.key} ({job.asset}), rows from {start}"
            error = compare(
                rows, written.read(window=window), place, max_error=job.options["max_error"], nodata=look.nodata
            )
            if mask is not None:
                compare_masks(mask, written.dataset_mask(window=window), place)
            sums, worst = sums + _tally(rows, mask, plane, job), max(worst, error)
    return sums, worst


def _tally(rows: Array, mask: Array | None, plane: Plane, job: Job) -> Tally:
    """Of the valid values; a transparency is no value, and says where none are."""
    values = rows
    if plane.look.has_alpha:
        values, mask = rows[:-1], rows[-1] if mask is None else mask
    hidden = None if mask is None else np.broadcast_to(mask == 0, values.shape)
    variable = job.inputs[0].variables[0]
    categorical = is_categorical(variable, job.described.get(variable.name, {}))
    return tally(values, plane.look.nodata, hidden, categorical=categorical)
