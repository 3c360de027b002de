"""Whether an output holds what its inputs hold: the benchmark of a wrong output is worth nothing."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import xarray as xr

    from benchmarks.works import Command

ROWS = 1024  # of a picture that are read at once
TILE = (512, 512)
CHUNK = {"time": 30, "lat": 250}


def difference(command: Command, sources: Sequence[Path], product: Path) -> str | None:
    """What is wrong with the output, None where nothing is. Of pictures every pixel is read, of cubes a sample."""
    return _of_pictures(sources, product) if command == "cog" else _of_cubes(sources, product)


def _of_pictures(sources: Sequence[Path], product: Path) -> str | None:
    """Both in the order of their names, which is that of their dates."""
    made = sorted(path for path in product.rglob("*") if path.is_file()) if product.is_dir() else [product]
    if len(made) != len(sources):
        return f"{len(made)} files for {len(sources)}"
    pairs = zip(sources, made, strict=True)
    return next((f"{after.name}: {wrong}" for before, after in pairs if (wrong := _of_picture(before, after))), None)


def _of_picture(source: Path, made: Path) -> str | None:
    import rasterio  # noqa: PLC0415 - only where there is something to look at

    with rasterio.open(made) as picture:
        if not picture.overviews(1) or picture.block_shapes != [TILE]:
            return f"not in tiles of {TILE} with overviews"
    shape, digests = _digests_of_source(source)
    return None if _digests(made, shape) == digests else "other pixels"


@cache
def _digests_of_source(source: Path) -> tuple[tuple[int, int], list[bytes]]:
    """Shape and digests, read once for all who made something of it."""
    import rasterio  # noqa: PLC0415

    with rasterio.open(source) as picture:
        shape = (picture.height, picture.width)
    return shape, _digests(source, shape)


def _digests(path: Path, shape: tuple[int, int]) -> list[bytes]:
    """Of the rows of a picture, some at once, within ``shape``: odc-geo fills the last tiles beyond it."""
    import rasterio  # noqa: PLC0415
    import xxhash  # noqa: PLC0415

    height, width = shape
    with rasterio.open(path, num_threads="all_cpus") as picture:
        windows = [((top, min(top + ROWS, height)), (0, width)) for top in range(0, height, ROWS)]
        return [xxhash.xxh3_128_digest(picture.read(1, window=window).tobytes()) for window in windows]


def _of_cubes(sources: Sequence[Path], product: Path) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Zarr 3 warns of consolidated metadata
        with _joined(sources) as before, _opened(product) as after:
            if not np.array_equal(before["time"].values, after["time"].values):
                return "other times"
            return next((wrong for where in _sample(before) if (wrong := _of_step(before, after, where))), None)


def _joined(sources: Sequence[Path]) -> xr.Dataset:
    import xarray as xr  # noqa: PLC0415

    how: Any = {"data_vars": "minimal", "coords": "minimal", "compat": "override", "join": "override"}
    files = [str(path) for path in sources]
    return xr.open_mfdataset(files, engine="netcdf4", combine="nested", concat_dim="time", chunks={"time": 1}, **how)


def _opened(product: Path) -> xr.Dataset:
    """A Zarr store or a NetCDF file, itself or the only one in a folder."""
    import xarray as xr  # noqa: PLC0415

    stores = [path for path in (product, *product.glob("*")) if (path / "zarr.json").is_file()]
    if stores:
        store: xr.Dataset = xr.open_zarr(str(stores[0]), chunks=None)
        return store
    (file,) = [product] if product.is_file() else product.rglob("*.nc")
    return xr.open_dataset(str(file), engine="h5netcdf")


def _sample(cube: xr.Dataset) -> Iterator[dict[str, int | slice]]:
    """A step of each chunk in time, and of that step a row of chunks: another row each time."""
    for number, first in enumerate(range(0, cube.sizes["time"], CHUNK["time"])):
        top = number * CHUNK["lat"] % cube.sizes["lat"]
        step = min(first + number % CHUNK["time"], cube.sizes["time"] - 1)
        yield {"time": step, "lat": slice(top, top + CHUNK["lat"])}


def _of_step(before: xr.Dataset, after: xr.Dataset, where: dict[str, Any]) -> str | None:
    for name in ("sst", "chl"):
        wanted, got = before[name].isel(where).values, after[name].isel(where).values
        if not np.array_equal(wanted, got, equal_nan=True):
            return f"{name} differs at {where}"
    return None
