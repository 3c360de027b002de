"""Writes one map to a COG, in one pass or by GDAL's COG driver, compares it with its source, and measures it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rasterio.shutil
from pyproj import CRS
from rasterio.windows import Window

from earthcode_pack.cf.flags import bitfields_of, classes_of, colored, of_table
from earthcode_pack.cf.kinds import is_categorical
from earthcode_pack.checks.equality import compare, compare_masks
from earthcode_pack.convert.cog.gdal_input import blocks_of_rows, vrt_of, write_copy
from earthcode_pack.convert.cog.onepass import is_possible, write_cog
from earthcode_pack.convert.cog.orientation import orientation
from earthcode_pack.convert.cog.overviews import are_exact
from earthcode_pack.convert.cog.raster_metadata import changes_of
from earthcode_pack.convert.cog.row_reader import RasterReader, RowReader, open_rows
from earthcode_pack.convert.local_inputs import local_sources
from earthcode_pack.convert.proof.maps import prove_map
from earthcode_pack.convert.read.raster import GDAL_OPTIONS, raster_grid
from earthcode_pack.convert.statistics import RunningStatistics, statistics_of
from earthcode_pack.convert.work import Measured, Part, Record, json_number, stated_names
from earthcode_pack.model import WrittenVariable
from earthcode_pack.nodata import nodata_values

if TYPE_CHECKING:
    from earthcode_pack.checksums import Checksums
    from earthcode_pack.convert.cog.raster_metadata import RasterMetadata
    from earthcode_pack.model import CogEncoding, Job

Array = np.ndarray[Any, Any]

_DRIVER = "GDAL's COG driver"


def write_map(part: Part) -> Record:
    """Writes ``out.tif`` in the folder of a job and compares every cell with the source.

    Args:
        part: the whole of a job of one map.

    Returns:
        Its record, with the checksums of the file where they were made on the way.

    """
    job, target, source = part.job, Path(part.folder, "out.tif"), part.job.inputs[0]
    target.unlink(missing_ok=True)
    found: Checksums | None = None
    turn = orientation(source.grid)
    with local_sources(job.inputs) as paths, rasterio.Env(**GDAL_OPTIONS):
        path = paths[source.href]
        with open_rows(path, source, turn) as reader:
            metadata, engine, error = reader.metadata, "one pass", 0.0
            changes = [*turn.changes, *changes_of(metadata, job)]
            options = _creation_options(job.cog, metadata)
            if is_possible(metadata, job):
                sums, found = write_cog(reader, job, target, options, lambda rows: _statistics(rows, None, reader, job))
            else:
                engine = _DRIVER
                if are_exact(metadata, job.cog.resampling):
                    options["OVERVIEW_RESAMPLING"] = "NEAREST"
                    changes.append(
                        f"overviews by nearest, not {job.cog.resampling}, which GDAL gets wrong for {metadata.dtype} "
                        "with nodata"
                    )
                _write_by_driver(reader, job, target, options, path.resolve())
                sums, error = _compare(reader, target, job)
            proof = prove_map(job, target, paths)
    return Record(
        number=part.number,
        statistics={job.asset: sums},
        compared=job.grid.shape[0] * job.grid.shape[1],
        max_error=error,
        proof=proof,
        changes=tuple(changes),
        engine=engine,
        digests={".": found.sha256} if found else {},
        parts=found.parts if found else None,
    )


def _write_by_driver(reader: RowReader, job: Job, target: Path, options: dict[str, Any], path: Path) -> None:
    """Writes from the raster itself, or from a turned copy of it where GDAL would read other cells there."""
    scratch = target.with_name("staged.tif")
    if isinstance(reader, RasterReader) and reader.is_as_stored:
        seen = vrt_of(path, reader.metadata, job.grid, job.inputs[0].variables[0].bands)
    else:
        seen = write_copy(reader, job.grid, scratch)
    rasterio.shutil.copy(seen, target, driver="COG", **options)
    scratch.unlink(missing_ok=True)


def _creation_options(encoding: CogEncoding, metadata: RasterMetadata) -> dict[str, Any]:
    """Returns GDAL's options; overviews grow from the data, never from those that the source happens to have."""
    out = {
        "COMPRESS": encoding.compression.upper(),
        "BLOCKSIZE": encoding.blocksize,
        "OVERVIEWS": "IGNORE_EXISTING",
        "OVERVIEW_RESAMPLING": encoding.resampling.upper(),
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": os.environ.get("GDAL_NUM_THREADS", "1"),  # the mapper shares out the cores
    }
    if encoding.compression in ("deflate", "zstd"):
        out["LEVEL"] = encoding.level
    if encoding.compression == "lerc":
        out["MAX_Z_ERROR"] = encoding.max_error
    elif not metadata.is_palette:
        out["PREDICTOR"] = "YES"
    return out


def _compare(reader: RowReader, target: Path, job: Job) -> tuple[RunningStatistics, float]:
    """Compares every cell and every mask block by block; returns statistics of valid cells, and the largest error."""
    worst, sums, metadata = 0.0, RunningStatistics(), reader.metadata
    with rasterio.open(target, driver="GTiff") as written:
        for start, stop in blocks_of_rows(job.grid, metadata.dtype, metadata.count):
            window = Window(0, start, job.grid.shape[1], stop - start)
            rows, mask = reader.rows(start, stop), reader.mask(start, stop)
            place = f"{job.key} ({job.asset}), rows from {start}"
            error = compare(
                rows, written.read(window=window), place, max_error=job.cog.max_error, nodata=metadata.nodata
            )
            if mask is not None:
                compare_masks(mask, written.dataset_mask(window=window), place)
            sums, worst = sums + _statistics(rows, mask, reader, job), max(worst, error)
    return sums, worst


def _statistics(rows: Array, mask: Array | None, reader: RowReader, job: Job) -> RunningStatistics:
    """Returns the statistics of the valid values; an alpha band is no value, and says where none are."""
    values = rows
    if reader.metadata.has_alpha:
        values, mask = rows[:-1], rows[-1] if mask is None else mask
    hidden = None if mask is None else np.broadcast_to(mask == 0, values.shape)
    variable = job.inputs[0].variables[0]
    categorical = is_categorical(variable, job.described.get(variable.name, {}))
    return statistics_of(values, reader.metadata.nodata, hidden, categorical=categorical)


def measure(path: Path, job: Job, statistics: dict[str, RunningStatistics]) -> Measured:
    """Reads the facts of a COG from its header.

    Args:
        path: the file.
        job: the job that made it.
        statistics: those of the stored values, by variable.

    """
    source = job.inputs[0].variables[0]
    with rasterio.Env(**GDAL_OPTIONS), rasterio.open(path, driver="GTiff") as dataset:
        scale = None if dataset.scales[0] == 1 else float(dataset.scales[0])
        offset = None if dataset.offsets[0] == 0 else float(dataset.offsets[0])
        found = statistics[source.name].statistics(scale, offset) if source.name in statistics else None
        table: dict[int, tuple[int, ...]] | None = None
        with suppress(ValueError):  # there is none
            table = dict(dataset.colormap(1))
        named = colored(classes_of(job.described.get(source.name, {}), source.attrs), table)
        written = WrittenVariable(
            name=source.name,
            dtype=dataset.dtypes[0],
            dims=("y", "x"),
            shape=dataset.shape,
            chunks=dataset.block_shapes[0],
            nodata=json_number(nodata_values(dataset)[0], dataset.dtypes[0]),
            scale=scale,
            offset=offset,
            units=dataset.units[0] or None,
            colorinterp=tuple(interp.name for interp in dataset.colorinterp),
            classes=named or of_table(table, found.values if found else ()),
            bitfields=bitfields_of(source.attrs, source.dtype),
            statistics=found,
            **stated_names(source, job),
        )
        grid = raster_grid(dataset, CRS.from_wkt(dataset.crs.to_wkt()))
    # A TIFF names its method and not the level, which is the job's.
    level = f", level {job.cog.level}" if job.cog.level else ""
    return Measured(grid, (written,), (), {source.name: job.cog.compression + level})
