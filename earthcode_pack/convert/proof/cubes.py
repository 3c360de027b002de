"""Cubes as xarray decodes them: NetCDF through netCDF-C, Zarr through zarr-python, GRIB through cfgrib."""

from __future__ import annotations

import math
import threading
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from earthcode_pack.convert.proof.decoded import CannotTell, Decoded, rounded_fills
from earthcode_pack.convert.read.kept import Kept
from earthcode_pack.convert.read.open import LIBRARIES, open_raw, zarr_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from earthcode_pack.convert.proof.blocks import Box
    from earthcode_pack.model import Driver, Variable

Array = np.ndarray[Any, Any]

_KEPT = 24 * 2**20  # bytes of decoded chunks: the maps of one file lie in the same ones
_CHUNK = 16 * 2**20  # bytes of a chunk that is worth keeping
_FILLS = ("_FillValue", "missing_value")
_CHUNKS: Kept[Array] = Kept(_KEPT, lambda array: array.nbytes)
_QUIET = threading.Lock()  # one thread's silence would end another's
_RAW: dict[str, Any] = {
    "decode_times": False, "decode_timedelta": False, "mask_and_scale": False, "decode_coords": False,
    "chunks": None, "cache": False,
}  # fmt: skip


class Cube:
    """An open dataset of stored values, which xarray decodes variable by variable."""

    def __init__(self, dataset: xr.Dataset, path: Path, engine: str, netcdf: Any = None) -> None:
        self.dataset, self.path, self.reader = dataset, path, f"xarray {xr.__version__} ({engine})"
        self.netcdf = netcdf  # the file as netCDF4-python has it open, where it does

    def variable(self, name: str) -> xr.Variable:
        """A variable as stored. Raises ``CannotTell`` where the reader sees none of that name."""
        if name not in self.dataset.variables:
            raise CannotTell(f"{self.reader} sees no variable {name} in {self.path.name}")
        return self.dataset.variables[name]

    def dims(self, name: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """The variable's dimensions, by the names that the plan has for them."""
        found = tuple(map(str, self.variable(name).dims))
        return found if set(found) == set(wanted) else wanted

    def stored(self, name: str, spans: Box, chunk: Mapping[str, int] | None = None) -> Array:
        """Stored values of a box, in the order of its dimensions; whole chunks are decoded once where they are small.

        Raises ``CannotTell`` for what the reader cannot read.
        """
        variable = self.variable(name)
        dims = self.dims(name, tuple(spans))
        if variable.ndim != len(dims):
            raise CannotTell(f"{self.reader} sees {name} in {self.path.name} with other dimensions: {variable.dims}")
        sizes = dict(zip(dims, variable.shape, strict=True))
        whole = worth_keeping(spans, sizes, chunk) if chunk else None
        if whole is not None:
            part = self._kept(name, variable, {dim: whole[dim] for dim in dims})
            values = part[within(whole, {dim: spans[dim] for dim in dims})]
        else:
            values = self._read(name, variable, tuple(slice(*spans[dim]) for dim in dims))
        return values.transpose([dims.index(dim) for dim in spans])

    def decoded(self, name: str, stored: Array, dims: tuple[str, ...], nodata: float | None = None) -> Decoded:
        """Stored values unpacked; ``nodata`` is the profile's, which replaces the file's own.

        Raises ``CannotTell`` where the attributes cannot be decoded, or do not stand for numbers.
        """
        attrs = dict(self.variable(name).attrs)
        if nodata is not None:
            attrs = {key: value for key, value in attrs.items() if key not in _FILLS}
            attrs["_FillValue"] = np.asarray(nodata).astype(stored.dtype)[()]
        values = self.decode({name: xr.Variable(dims, stored, attrs)})[name].values
        if values.dtype.kind not in "biuf":
            raise CannotTell(f"{self.reader} decodes {name} in {self.path.name} to {values.dtype}")
        rounded = rounded_fills(attrs, stored.dtype)
        return replace(Decoded.of(values, step_of(attrs)), doubtful=np.isin(stored, rounded) if rounded.size else None)

    def coordinate(self, name: str) -> Array | None:
        """A one-dimensional numeric coordinate, unpacked: its cells' centres, by its bounds where it has any."""
        if name not in self.dataset.variables or self.dataset.variables[name].ndim != 1:
            return None
        variable = self.dataset.variables[name]
        bounds = str(variable.attrs.get("bounds", ""))
        names = [each for each in (name, bounds) if each in self.dataset.variables]
        try:
            found = self.decode({each: self.dataset.variables[each].load() for each in names})
        except CannotTell:
            return None
        values = np.asarray(found[name].values)
        if bounds in found.variables and found[bounds].shape == (values.size, 2):
            values = np.asarray(found[bounds].values).mean(axis=1)
        return values if values.dtype.kind in "iuf" else None

    def decode(self, variables: Mapping[str, xr.Variable], **options: Any) -> xr.Dataset:
        """Variables of stored values, decoded by xarray. Raises ``CannotTell`` where it cannot."""
        wanted: dict[str, Any] = {"decode_times": False, "decode_timedelta": False, "decode_coords": False, **options}
        try:
            with _QUIET, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return xr.decode_cf(xr.Dataset(dict(variables)), mask_and_scale=True, **wanted).load()
        except Exception as error:
            raise CannotTell(f"{self.reader} cannot decode {', '.join(variables)}: {_words(error)}") from error

    def _kept(self, name: str, variable: xr.Variable, whole: Box) -> Array:
        stat = self.path.stat()
        key = (self.path, stat.st_mtime_ns, stat.st_size, name, tuple(whole.values()))
        return _CHUNKS.get(key, lambda: self._read(name, variable, tuple(slice(*span) for span in whole.values())))

    def _read(self, name: str, variable: xr.Variable, place: tuple[slice, ...]) -> Array:
        try:
            return np.asarray(variable[place].values)
        except Exception as error:
            raise CannotTell(f"{self.reader} cannot read {name} in {self.path.name}: {_words(error)}") from error


def step_of(attrs: Mapping[str, Any]) -> float:
    """The size of a unit of packed values: ``scale_factor``, 1 where only ``add_offset`` is there, else 0."""
    if "scale_factor" in attrs:
        return abs(float(np.asarray(attrs["scale_factor"]).ravel()[0]))
    return 1.0 if "add_offset" in attrs else 0.0


def worth_keeping(spans: Box, sizes: Mapping[str, int], chunk: Mapping[str, int]) -> Box | None:
    """The whole chunks that hold a box, where they hold more and are small enough to be kept for other boxes."""
    whole = {}
    for dim, (low, high) in spans.items():
        size = chunk.get(dim, 1)
        whole[dim] = (low // size * size, min(-(-high // size) * size, sizes[dim]))
    is_large = math.prod(high - low for low, high in whole.values()) * 8 > _CHUNK
    return None if whole == spans or is_large else whole


def within(whole: Box, spans: Box) -> tuple[slice, ...]:
    """Returns slices of a box within a larger one, by the dimensions of the box."""
    return tuple(slice(low - whole[dim][0], high - whole[dim][0]) for dim, (low, high) in spans.items())


def _words(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


# --- opening --------------------------------------------------------------------------------------------------------


@contextmanager
def open_cube(path: Path, driver: Driver, variable: Variable | None = None) -> Iterator[Cube]:
    """A NetCDF, GRIB or Zarr as xarray opens it. Raises ``CannotTell`` where it does not.

    ``variable`` is the one that is wanted: netCDF-C does not see those of every HDF5 file, and h5netcdf reads others.
    """
    with ExitStack() as stack:
        yield _opened(path, driver, variable, stack)


def _opened(path: Path, driver: Driver, variable: Variable | None, stack: ExitStack) -> Cube:
    troubles = []
    for engine, options in _engines(path, driver):
        try:
            if engine == "cfgrib":  # its index costs far more than a map: the one that is there already
                return Cube(stack.enter_context(open_raw(path, driver)), path, f"cfgrib {version('cfgrib')}")
            dataset, netcdf = _dataset(engine, path, dict(options), stack)
            if engine == "zarr" and variable is not None:
                dataset = dataset.copy()
                _without_fill_of_zarr(dataset, options["store"], variable)
        except Exception as error:  # noqa: BLE001 - every library has exceptions of its own
            troubles.append(f"{engine}: {_words(error)}")
            continue
        if variable is None or variable.source_name in dataset.variables:
            return Cube(dataset, path, engine, netcdf)
        troubles.append(f"{engine}: sees no variable {variable.source_name}")
    raise CannotTell(f"xarray does not open {path.name} ({'; '.join(troubles)})")


def _dataset(engine: str, path: Path, options: dict[str, Any], stack: ExitStack) -> tuple[xr.Dataset, Any]:
    """A raw dataset, and the file by netCDF4, whose cache of chunks then serves values and masks."""
    if engine == "zarr" and path.is_dir():
        return _store(path, _stamp(path)), None
    with LIBRARIES:
        if engine != "netcdf4":
            store = options.pop("store", path)
            dataset = xr.open_dataset(store, engine=engine, **_RAW, **options)
            stack.callback(_close, dataset)
            return dataset, None
        import netCDF4  # noqa: PLC0415 - heavy

        file = netCDF4.Dataset(path)
        stack.callback(_close, file)
        _keep_two_chunks(file)
        store = xr.backends.NetCDF4DataStore(file, lock=LIBRARIES)  # type: ignore[no-untyped-call]
        return xr.open_dataset(store, engine="store", **_RAW), file


def _keep_two_chunks(file: Any) -> None:
    """Limits netCDF-C's cache, of ten chunks up to 64 MiB for each variable, to the two that are compared together."""
    for variable in file.variables.values():
        chunk = variable.chunking()
        if isinstance(chunk, list) and isinstance(variable.dtype, np.dtype):
            size = math.prod(chunk) * variable.dtype.itemsize
            variable.set_var_chunk_cache(size=2 * size if size <= _CHUNK else 0)


@lru_cache(maxsize=4)  # each part of a store opens it, and the metadata of hundreds of arrays take a second
def _store(path: Path, _stamp: tuple[int, int]) -> xr.Dataset:
    """A store in a folder, which holds no file open; its values are read anew each time."""
    return xr.open_dataset(str(path), engine="zarr", consolidated=False, **_RAW)


def _stamp(path: Path) -> tuple[int, int]:
    """Identity of a store at a path: time and inode of its group's metadata."""
    stats = [(path / name).stat() for name in ("zarr.json", ".zgroup") if (path / name).is_file()]
    return (stats[0].st_mtime_ns, stats[0].st_ino) if stats else (0, 0)


def _close(dataset: Any) -> None:
    with LIBRARIES:
        dataset.close()


def _engines(path: Path, driver: Driver) -> Iterator[tuple[str, dict[str, Any]]]:
    if driver == "netCDF":
        yield "netcdf4", {}
        with path.open("rb") as file:
            if file.read(4) == b"\x89HDF":
                yield "h5netcdf", {"phony_dims": "sort"}
    elif driver == "Zarr":
        yield "zarr", {"store": zarr_store(path), "consolidated": False}
    else:
        yield "cfgrib", {}


def _without_fill_of_zarr(dataset: xr.Dataset, store: Any, variable: Variable) -> None:
    """Takes away what xarray makes of the fill values of Zarr v2: of coordinates, which lack nothing (CF 2.5.1).

    Of the variable too, where nothing is missing by the plan. One that the attributes state stays.
    """
    import zarr  # noqa: PLC0415 - half a second, and only for Zarr

    group: Any = zarr.open_group(store, mode="r", use_consolidated=False)
    for name, held in dataset.variables.items():
        is_missing = name == variable.source_name and variable.nodata is not None
        if not is_missing and "_FillValue" in held.attrs and "_FillValue" not in group[str(name)].attrs:
            del held.attrs["_FillValue"]
