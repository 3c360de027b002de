"""The formats to make, and their options."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from earthcode_pack.model import Format  # noqa: TC001 - pydantic reads the annotations
from earthcode_pack.profile.field_types import Part, Size

DEFLATE_LEVELS = 12  # GDAL's ZLEVEL, with libdeflate
ZARR_3 = 3

Chunks = dict[str, Size] | Literal["time-series", "maps", "balanced"]


class CogOptions(Part):
    """Cloud-optimised GeoTIFF: one variable in a file, one Item for each time. Lossless but for `lerc`."""

    blocksize: Literal[256, 512] = Field(512, description="edge of a tile, in pixels")
    compression: Literal["deflate", "zstd", "lzw", "lerc"] = Field(
        "deflate", description="deflate is read everywhere; lerc is lossy and needs a `tolerance`"
    )
    level: int | None = Field(
        None,
        ge=1,
        le=22,
        description="1 to 12 for deflate, of which 1 to 6 are one; 1 to 22 for zstd; higher is smaller and slower",
    )
    resampling: Literal["average", "nearest", "mode", "bilinear"] | None = Field(
        None, description="of the overviews; mode for categories and average for quantities where left out"
    )

    @model_validator(mode="after")
    def _has_that_level(self) -> Self:
        if self.level is not None and self.compression == "lzw":
            raise ValueError("level: lzw has none")
        if self.level is not None and self.compression == "deflate" and self.level > DEFLATE_LEVELS:
            raise ValueError(f"level: deflate ends at {DEFLATE_LEVELS}, not {self.level}")
        return self


class ZarrOptions(Part):
    """One Zarr store for the whole product, with consolidated metadata."""

    version: Literal[2, 3] = Field(3, description="of the Zarr format; the PRR takes 2 only")
    chunks: Chunks = Field(
        "balanced", description="sizes by dimension, as the files name them, or a rule: for which access it is made"
    )
    shards: dict[str, Size] | None = Field(
        None, description="sizes by dimension of the objects that hold many chunks each; Zarr 3 only"
    )
    zipped: bool = Field(False, description="true makes one .zarr.zip; the PRR needs it")
    multiscales: bool = Field(
        False,
        description="true adds coarser copies of a regular grid (groups `1`, `2`, … by two), for showing it on maps",
    )

    @model_validator(mode="after")
    def _shards_need_3(self) -> Self:
        if self.shards and self.version != ZARR_3:
            raise ValueError("shards: Zarr 2 has none; leave them out, or set version: 3")
        return self


class NetcdfOptions(Part):
    """NetCDF-4 by the CF conventions."""

    chunks: Chunks = Field(
        "balanced", description="sizes by dimension, as the files name them, or a rule: for which access it is made"
    )
    compression: Literal["deflate"] = Field("deflate", description="read everywhere")
    level: int = Field(4, ge=1, le=9, description="1 to 6 are one, and fast; from 7 on smaller and slower")
    split: Literal["source", "none", "year", "month"] = Field(
        "source", description="files to make: one for each raw file, one in all, one for each year or month"
    )


class Tolerance(Part):
    """The largest error that a lossy encoding may make; measured after writing, and enforced."""

    absolute: float = Field(gt=0, description="in the units of the stored values")


class Target(Part):
    """The format to make, and its options under its name: those of other formats are checked and not used."""

    format: Format = Field(description="cog for scenes and maps, zarr for a dense cube, netcdf for readers of files")
    cog: CogOptions = Field(CogOptions(), description="where format is cog")
    zarr: ZarrOptions = Field(ZarrOptions(), description="where format is zarr")
    netcdf: NetcdfOptions = Field(NetcdfOptions(), description="where format is netcdf")
    tolerance: dict[str, Tolerance] = Field({}, description="by variable: allows a lossy encoding of it")
