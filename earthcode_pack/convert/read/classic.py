"""The header of a classic NetCDF file: where each variable lies.

By the NetCDF Classic Format Specification (CDF-1, CDF-2) and that of 64-bit data (CDF-5), in Appendix B of the NetCDF
User's Guide. All numbers are big-endian.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.convert.read.plain import REMEDY, Plain, packed_strides
from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from pathlib import Path

_TYPES = {1: "i1", 2: "S1", 3: "i2", 4: "i4", 5: "f4", 6: "f8", 7: "u1", 8: "u2", 9: "u4", 10: "i8", 11: "u8"}
_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12
_CDF_5 = 5


class _Broken(Exception):
    """The header contradicts itself or the file."""


@dataclass(frozen=True)
class _Entry:
    """A variable as the header has it; ``shape`` is without the record dimension where it ``is_record``."""

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    begin: int
    is_record: bool

    @property
    def nbytes(self) -> int:
        """Size in bytes of the whole variable, or of one record, without padding."""
        return math.prod(self.shape) * self.dtype.itemsize


def variables_of(path: Path) -> dict[str, Plain]:
    """Every variable of the file by its name; none where it was left open while it was written (streaming).

    Raises ``Unreadable`` where the header is broken.
    """
    with path.open("rb") as file:
        try:
            records, entries = _Header(file).read()
        except _Broken as error:
            raise Unreadable(f"{path.name}: the NetCDF header is broken ({error})", REMEDY) from error
        size = os.fstat(file.fileno()).st_size
    if records is None:
        return {}
    step = _record_size(entries)
    return {entry.name: _plain(entry, path, records, step, size) for entry in entries}


def _record_size(entries: list[_Entry]) -> int:
    """Bytes from a record to the next: every variable filled up to four, unless there is one alone."""
    sizes = [entry.nbytes for entry in entries if entry.is_record]
    return sizes[0] if len(sizes) == 1 else sum(_to_four(size) for size in sizes)


def _plain(entry: _Entry, path: Path, records: int, step: int, file_size: int) -> Plain:
    strides = packed_strides(entry.shape, entry.dtype.itemsize)
    shape = (records, *entry.shape) if entry.is_record else entry.shape
    strides = (step, *strides) if entry.is_record else strides
    return Plain(path, entry.name, entry.dtype, shape, entry.begin, strides, file_size)


def _to_four(size: int) -> int:
    return -(-size // 4) * 4


class _Header:
    """Reads one field after the other; no length is believed that goes beyond the file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = os.fstat(file.fileno()).st_size
        self._version = self._take(4)[3]
        self._wide = self._version == _CDF_5

    def read(self) -> tuple[int | None, list[_Entry]]:
        """The number of records, None where it is unknown, and the variables."""
        records = self._count()
        streaming = records == (2**64 if self._wide else 2**32) - 1
        dims = self._list(_DIMENSION, lambda: (self._name(), self._count())[1])
        self._list(_ATTRIBUTE, self._attribute)
        entries = self._list(_VARIABLE, lambda: self._variable(dims))
        return (None if streaming else records), entries

    def _variable(self, dims: list[int]) -> _Entry:
        name = self._name()
        ids = [self._count() for _ in range(self._checked(self._count()))]
        if any(number >= len(dims) for number in ids):
            raise _Broken(f"{name} has a dimension that is not there")
        self._list(_ATTRIBUTE, self._attribute)
        dtype = self._type()
        self._count()  # vsize: follows from the rest, and is not to be trusted above 4 GiB
        begin = self._number(4 if self._version == 1 else 8)
        shape = [dims[number] for number in ids]
        is_record = bool(shape) and shape[0] == 0  # the record dimension has the length 0
        return _Entry(name, dtype, tuple(shape[1:] if is_record else shape), begin, is_record)

    def _attribute(self) -> None:
        self._name()
        dtype = self._type()
        self._take(_to_four(self._count() * dtype.itemsize))

    def _list(self, tag: int, item: Any) -> list[Any]:
        """Items of one kind, or ABSENT: two zeros."""
        found, count = self._number(4), self._checked(self._count())
        if found != tag and (found or count):
            raise _Broken(f"tag {found} where {tag} belongs")
        return [item() for _ in range(count)]

    def _name(self) -> str:
        size = self._count()
        return self._take(_to_four(size))[:size].decode("utf-8", "replace")

    def _type(self) -> np.dtype[Any]:
        number = self._number(4)
        if number not in _TYPES:
            raise _Broken(f"type {number}")
        return np.dtype(_TYPES[number]).newbyteorder(">")

    def _count(self) -> int:
        return self._number(8 if self._wide else 4)

    def _checked(self, count: int) -> int:
        """A number of items, each of four bytes at least."""
        if count * 4 > self._left:
            raise _Broken(f"{count} items in {self._left} bytes")
        return count

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _take(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise _Broken("it ends too early")
        return self._file.read(size)
