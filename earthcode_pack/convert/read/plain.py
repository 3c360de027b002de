"""Values that lie in a file as they are, without a filter: read where they lie, by as many threads as there are."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from earthcode_pack.convert.buffers import scratch
from earthcode_pack.errors import Unreadable
from earthcode_pack.files import read_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Array = np.ndarray[Any, Any]
Box = tuple[tuple[int, int], ...]
"""Start and stop by dimension, in the order in which a file holds them."""

REMEDY = "fetch or write the file again, or leave it out of source.href"
WORK_BYTES = 4 * 2**20  # what one piece of work reads: long beside the cost of handing it out
_GAPS = 256 * 2**10  # reading over so much that is not wanted costs less than another call


class Work(NamedTuple):
    """A piece of work for the pool, and the memory that it takes while it is done."""

    do: Callable[[], None]
    nbytes: int


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A file descriptor for ``read_at``, which threads may share. Raises ``Unreadable`` where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise Unreadable(f"{path.name}: {error.strerror}", REMEDY) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def exactly(descriptor: int, offset: int, out: Array) -> None:
    """Fills contiguous bytes from there on. Raises ``EOFError`` where the file ends before."""
    left = out.data
    while left:
        count = read_at(descriptor, left, offset)
        if not count:
            raise EOFError(f"the file ends {len(left)} bytes too early")
        left, offset = left[count:], offset + count


@dataclass(frozen=True)
class Plain:
    """A variable whose first value lies at ``offset``; ``strides`` are the bytes to the next one by dimension.

    ``dtype`` is that of the file, byte order included.
    """

    path: Path
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...]
    file_size: int

    @property
    def nbytes(self) -> int:
        """Approximate size in memory of this description."""
        return 1000

    @property
    def missing(self) -> int:
        """The bytes that the file lacks at its end to hold the variable."""
        if 0 in self.shape:
            return 0
        return max(0, self.offset + _span(self.shape, self.strides, self.dtype.itemsize) - self.file_size)

    def reading(self, box: Box, out: Array) -> Iterator[Work]:
        """Pieces of work for the pool that fill ``out``, in the machine's byte order, with the values of a box."""
        split = next((axis for axis, size in enumerate(out.shape) if size > 1), 0)
        step = max(1, WORK_BYTES * out.shape[split] // max(out.nbytes, 1))
        start = self.offset + sum(low * stride for (low, _), stride in zip(box, self.strides, strict=True))
        for low in range(0, out.shape[split], step):
            part = out[(slice(None),) * split + (slice(low, low + step),)]
            yield Work(partial(self._fill, start + low * self.strides[split], part), 3 * part.nbytes + _GAPS)

    def _fill(self, offset: int, out: Array) -> None:
        try:
            with opened(self.path) as descriptor:
                self._read(descriptor, offset, self.strides, out)
        except EOFError as error:
            raise Unreadable(f"{self.path.name}: {self.name}: {error}", REMEDY) from error

    def _read(self, descriptor: int, offset: int, strides: tuple[int, ...], out: Array) -> None:
        """The whole span where little of it is not wanted, else row by row."""
        span = _span(out.shape, strides, out.itemsize)
        if out.ndim > 1 and span > 2 * out.nbytes + _GAPS:
            for index in range(out.shape[0]):
                self._read(descriptor, offset + index * strides[0], strides[1:], out[index])
            return
        if offset + span > self.file_size:
            raise EOFError(f"the file ends {offset + span - self.file_size} bytes too early")
        data = scratch("raw", span)
        exactly(descriptor, offset, data)
        out[...] = np.ndarray(out.shape, self.dtype, data, strides=strides)


def _span(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> int:
    """Bytes from the first to the end of the last value."""
    return sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + itemsize


def packed_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Returns the strides of values that lie one after the other, the last dimension running fastest.

    >>> packed_strides((31, 10, 20), 4)
    (800, 80, 4)
    """
    strides = [itemsize]
    for size in reversed(shape[1:]):
        strides.insert(0, strides[0] * size)
    return tuple(strides[: len(shape)]) if shape else ()
