"""Small products of each format, of several parts and made in about a second: to be interrupted, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from making import cube_profile, every_file, profile_of, write_cube, write_tif

if TYPE_CHECKING:
    from pathlib import Path

_SMALL = {"memory_limit": "4MiB"}  # regions of 1 MiB: a cube of several parts


def write_profile(folder: Path, form: str, **changes: Any) -> Path:
    """Raw files and the profile of a product; ``form`` is one of ``FORMS``."""
    make, options = FORMS[form]
    if make is profile_of:
        chance = np.random.default_rng(3)
        for day in range(1, 7):
            write_tif(folder / "raw" / f"a_2020010{day}.tif", chance.integers(0, 99, (600, 600)).astype("int16"))
    else:
        for month in range(3):
            days = np.arange(30) + 30 * month
            values = np.random.default_rng(month).normal(280, 9, (30, 100, 120)).astype("f4").round(1)
            path = folder / "raw" / f"t_{month}.nc"
            write_cube(path, days, lats=np.arange(100) / 2, lons=np.arange(120) / 2, values=values)
    path = folder / "profile.yaml"
    path.write_text(make(folder, **(options | changes)).to_yaml())
    return path


FORMS: dict[str, tuple[Any, dict[str, Any]]] = {
    "cog": (profile_of, {}),
    "zarr": (cube_profile, {"compute": _SMALL}),
    "zarr.zip": (cube_profile, {"compute": _SMALL, "target__zarr": {"version": 2, "zipped": True}}),
    "netcdf": (cube_profile, {"compute": _SMALL, "target__format": "netcdf"}),
}


def product_of(work: Path) -> Path:
    """The folder of the product in a workdir."""
    return work / "demo" / "v1.0" / "product"


def under_final_names(folder: Path) -> dict[str, bytes]:
    """All files but those with a temporary name."""
    return {key: raw for key, raw in every_file(folder).items() if not key.endswith(".part")}


def leftovers(*folders: Path) -> list[str]:
    """What an interrupted run began and a later one should have taken up: temporary files and parts of jobs."""
    found = [path for folder in folders for path in folder.rglob("*.part")]
    jobs = [path for folder in folders for path in folder.glob("demo/v1.0/.work/jobs/*")]
    return [str(path) for path in (*found, *jobs)]
