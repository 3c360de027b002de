"""The stored values of one variable of one file, by the fastest way that the file allows."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from earthcode_pack.convert.read.kept import Kept
from earthcode_pack.convert.read.open import open_raw
from earthcode_pack.convert.read.plain import REMEDY, WORK_BYTES, Work
from earthcode_pack.errors import SourceError, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import xarray as xr

    from earthcode_pack.convert.read.plain import Array, Box, Plain
    from earthcode_pack.convert.read.stored import Chunked
    from earthcode_pack.model import Driver, Variable

    Direct = Plain | Chunked

_INDEX_BYTES = 64 * 2**20


class Values(Protocol):
    """A variable that is read by boxes."""

    def reading(self, box: Box, out: Array) -> Iterable[Work]:
        """Pieces of work for the pool that fill ``out``, of the box's shape and in the machine's byte order.

        What only one thread may do is done at once, and leaves no work.
        """


@contextmanager
def values_of(path: Path, driver: Driver, held: Variable) -> Iterator[Values]:
    """The values of a variable, dimensions in the order of ``held.dims``. The work that it gives may be done later.

    Raises ``Unreadable`` where the file cannot be opened.
    """
    direct = _direct(path, driver, held)
    if direct is not None:
        yield direct
        return
    with open_raw(path, driver) as dataset:
        yield _Lazy(path, dataset[held.source_name].transpose(*held.dims))


def _direct(path: Path, driver: Driver, held: Variable) -> Values | None:
    """A way that needs no lock; None where there is none, or it sees another variable than the header named."""
    if driver == "GTiff":
        return _Band(path, held)
    if driver != "netCDF":
        return None
    stat = path.stat()
    found = _INDEX.get((path, stat.st_mtime_ns, stat.st_size, held.source_name), partial(_looked_up, path, held))
    if found is None or (found.shape, found.dtype.newbyteorder("=").name) != (held.shape, held.dtype):
        return None
    return found


def _looked_up(path: Path, held: Variable) -> Direct | None:
    with path.open("rb") as file:
        is_classic = file.read(3) == b"CDF"
    try:
        if is_classic:
            from earthcode_pack.convert.read.classic import variables_of  # noqa: PLC0415 - each where it is needed

            return variables_of(path).get(held.source_name)
        from earthcode_pack.convert.read.stored import stored  # noqa: PLC0415

        return stored(path, held.source_name)
    except SourceError:
        raise
    except Exception as error:  # h5py raises what it likes over broken metadata
        raise Unreadable(f"{path.name}: {held.source_name}: {_words(error)}", REMEDY) from error


_INDEX: Kept[Direct | None] = Kept(_INDEX_BYTES, lambda found: found.nbytes if found else 1)


class _Band:
    """A band of a GeoTIFF; every piece of work opens the file anew, so that threads share nothing."""

    def __init__(self, path: Path, held: Variable) -> None:
        self._path, self._held = path, held

    def reading(self, box: Box, out: Array) -> Iterable[Work]:
        """See ``Values``: rows of whole tiles or strips."""
        (top, bottom), columns = box
        tile = self._held.chunks[0] if self._held.chunks else 1
        step = max(WORK_BYTES * out.shape[0] // (out.nbytes * tile), 1) * tile
        cuts = [top, *range((top // tile) * tile + step, bottom, step), bottom]
        for low, high in pairwise(cuts):
            part = out[low - top : high - top]
            yield Work(partial(self._fill, ((low, high), columns), part), 2 * part.nbytes)

    def _fill(self, box: Box, out: Array) -> None:
        import rasterio  # noqa: PLC0415 - GDAL, only for GeoTIFF
        from rasterio.windows import Window  # noqa: PLC0415

        from earthcode_pack.convert.read.raster import open_tiff, read_filled  # noqa: PLC0415

        (top, bottom), (left, right) = box
        with open_tiff(self._path) as dataset:
            try:
                out[...] = read_filled(dataset, self._held, Window(left, top, right - left, bottom - top))
            except rasterio.errors.RasterioIOError as error:
                raise Unreadable(f"{self._path.name}: {self._held.source_name}: {error}", REMEDY) from error


class _Lazy:
    """Whatever xarray opens: under the locks of its libraries."""

    def __init__(self, path: Path, array: xr.DataArray) -> None:
        self._path, self._array = path, array

    def reading(self, box: Box, out: Array) -> Iterable[Work]:
        """See ``Values``."""
        index = {dim: slice(*span) for dim, span in zip(self._array.dims, box, strict=True)}
        try:
            out[...] = self._array.isel(index).values
        except SourceError:
            raise
        except Exception as error:  # every library has exceptions of its own
            raise Unreadable(f"{self._path.name}: {self._array.name}: {_words(error)}", REMEDY) from error
        return ()


def _words(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
