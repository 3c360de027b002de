"""The peers, called as their documentation says, with the settings that were quickest here.

``python -m benchmarks.peers WORK/PEER IN… OUT`` does one work with one of them, in a process of its own. It needs the
peer and its libraries only, so that an environment without this project can run it.
"""

# ruff: noqa: PLC0415 - each peer imports what it needs and nothing else: imports are in its time

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr

Chunk = dict[str, int]

CORES = len(os.sched_getaffinity(0))
CHUNKS: Chunk = {"time": 30, "lat": 250, "lon": 250}
SHARDS: Chunk = {"time": 90, "lat": 500, "lon": 500}
CACHE = 512 * 2**20  # bytes of GDAL's block cache; its own default, 5% of the memory, is no faster and takes more

# --- GeoTIFF ----------------------------------------------------------------------------------------------------------


def gdal(source: str, target: str, compression: str, level: int) -> None:
    """GDAL's COG driver, https://gdal.org/en/stable/drivers/raster/cog.html."""
    import rasterio
    from rasterio import shutil

    options = {"COMPRESS": compression.upper(), "LEVEL": level, "PREDICTOR": "YES", "BLOCKSIZE": 512}
    overviews = {"OVERVIEWS": "IGNORE_EXISTING", "OVERVIEW_RESAMPLING": "AVERAGE"}
    with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS", GDAL_CACHEMAX=CACHE):
        shutil.copy(source, target, driver="COG", **options, **overviews, NUM_THREADS="ALL_CPUS", BIGTIFF="IF_SAFER")


def rio_cogeo(source: str, target: str, compression: str, level: int, threads: str) -> None:
    """``cog_translate``, https://cogeotiff.github.io/rio-cogeo/API/, through the COG driver: quicker than without."""
    import rasterio
    from rio_cogeo.cogeo import cog_translate
    from rio_cogeo.profiles import cog_profiles

    with rasterio.open(source) as file:
        predictor = 3 if file.dtypes[0].startswith("float") else 2
    profile = dict(cog_profiles[compression])
    profile.update(level=level, predictor=predictor, num_threads=threads, bigtiff="IF_SAFER")
    config = {"GDAL_NUM_THREADS": threads, "GDAL_CACHEMAX": CACHE, "GDAL_TIFF_OVR_BLOCKSIZE": "512"}
    cog_translate(
        source, target, profile, overview_resampling="average", use_cog_driver=True, quiet=True, config=config
    )


def _rio_cogeo_of_a_day(pair: tuple[str, str]) -> None:
    rio_cogeo(*pair, compression="zstd", level=9, threads="1")


def rio_cogeo_pool(sources: Sequence[str], folder: str) -> None:
    """Many files: a process for each core, one thread in each."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    import rio_cogeo  # noqa: F401 - once, and not again in each process

    Path(folder).mkdir()
    pairs = [(source, str(Path(folder, Path(source).name))) for source in sources]
    with ProcessPoolExecutor(CORES, mp_context=get_context("fork")) as pool:
        list(pool.map(_rio_cogeo_of_a_day, pairs))


def odc_geo(source: str, target: str, level: int) -> None:
    """``save_cog_with_dask``, https://odc-geo.readthedocs.io, threads, chunks of whole tiles."""
    import dask
    import rioxarray
    from odc.geo.cog import save_cog_with_dask

    dask.config.set(scheduler="threads", num_workers=CORES)
    opened: Any = rioxarray.open_rasterio(source, chunks={"y": 4096, "x": 4096}, lock=False)
    picture = opened.squeeze("band", drop=True)
    codec = {"compression": "DEFLATE", "compressionargs": {"level": level}, "predictor": 2}
    save_cog_with_dask(picture, target, blocksize=[512], overview_resampling="average", **codec).compute()


# --- cubes ------------------------------------------------------------------------------------------------------------


def xarray_idiom(sources: Sequence[str], target: str) -> None:
    """Three calls, https://docs.xarray.dev/en/stable/user-guide/io.html, and everything else by default."""
    cube = _opened(sources)
    cube.chunk(CHUNKS).to_zarr(target, mode="w", zarr_format=3)


def xarray_tuned(sources: Sequence[str], target: str, *, shards: bool = False) -> None:
    """The same with what helps: raw values, a good codec, eight days of a source at once."""
    from zarr.codecs import BloscCodec

    codec = BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=4, blocksize=2**20)
    layout: dict[str, Any] = {"chunks": tuple(CHUNKS.values()), "compressors": (codec,)}
    if shards:
        layout["shards"] = tuple(SHARDS.values())
    cube = _raw(sources)
    encoding = {"sst": layout, "chl": layout, "time": {"units": "days since 1970-01-01", "dtype": "f8"}}
    cube.chunk(SHARDS if shards else CHUNKS).to_zarr(target, mode="w", zarr_format=3, encoding=encoding)


def xarray_shards(sources: Sequence[str], target: str) -> None:
    """As ``xarray_tuned``, chunks in shards."""
    xarray_tuned(sources, target, shards=True)


def xarray_netcdf(sources: Sequence[str], target: str) -> None:
    """``to_netcdf`` with the engine h5netcdf: a hair quicker than netcdf4, and smaller."""
    cube = _raw(sources)
    layout = {"chunksizes": tuple(CHUNKS.values()), "zlib": True, "complevel": 4, "shuffle": True}
    encoding: Any = {"sst": layout, "chl": layout, "time": {"units": "days since 1970-01-01", "dtype": "f8"}}
    steps = {"time": CHUNKS["time"]}
    cube.chunk(steps).to_netcdf(target, engine="h5netcdf", encoding=encoding, unlimited_dims=())


def _opened(sources: Sequence[str], **how: Any) -> xr.Dataset:
    """The files as one dataset, without the comparisons that its documentation advises against for many files."""
    import dask
    import xarray as xr

    dask.config.set(scheduler="threads", num_workers=CORES)
    return xr.open_mfdataset(
        list(sources),
        engine="netcdf4",
        combine="nested",
        concat_dim="time",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        **how,
    )


def _raw(sources: Sequence[str]) -> xr.Dataset:
    cube = _opened(sources, chunks={"time": 8, "lat": 1000, "lon": 1500}, mask_and_scale=False)
    for variable in cube.variables.values():
        variable.encoding.clear()
    return cube


# --- the process ------------------------------------------------------------------------------------------------------

ONE: dict[str, Callable[[str, str], None]] = {
    "deflate/gdal": lambda source, target: gdal(source, target, "deflate", 6),
    "deflate/rio-cogeo": lambda source, target: rio_cogeo(source, target, "deflate", 6, "ALL_CPUS"),
    "deflate/odc-geo": lambda source, target: odc_geo(source, target, 6),
    "zstd/gdal": lambda source, target: gdal(source, target, "zstd", 1),
}
MANY: dict[str, Callable[[Sequence[str], str], None]] = {
    "daily/rio-cogeo": rio_cogeo_pool,
    "chunks/xarray-idiom": xarray_idiom,
    "chunks/xarray-tuned": xarray_tuned,
    "shards/xarray-tuned": xarray_shards,
    "netcdf/xarray": xarray_netcdf,
}


def main(arguments: Sequence[str]) -> None:
    """``WORK/PEER IN… OUT``."""
    name, *sources, target = arguments
    if name in ONE:
        (source,) = sources
        ONE[name](source, target)
    else:
        MANY[name](sources, target)


if __name__ == "__main__":
    main(sys.argv[1:])
