"""STAC Items as a stac-geoparquet table, written in batches so that memory does not grow with their number."""

from __future__ import annotations

import asyncio
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FieldPath = tuple[str, ...]

_BATCH = 500  # Items that are in memory at once


class ItemTable:
    """Collects Items in a temporary file and writes them as a GeoParquet table.

    Used as a context manager, which removes the temporary file. Nothing is collected unless ``enough``; ``digest``
    identifies the rows.
    """

    def __init__(self, folder: Path, *, enough: bool) -> None:
        self.enough = enough
        self._path = folder / "items.ndjson.part"  # one run at a time holds a bundle, and the next clears it up
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        if self.enough:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        if self.enough:
            self._file.close()
        self._path.unlink(missing_ok=True)

    def add(self, item: dict[str, Any]) -> None:
        """Appends an Item."""
        if self.enough:
            line = json.dumps(item, allow_nan=False).encode() + b"\n"
            self._hash.update(line)
            self._file.write(line)

    @property
    def digest(self) -> str:
        """SHA-256 of all rows so far, in hex."""
        return self._hash.hexdigest()

    def write(self, target: Path) -> None:
        """Writes the table of all rows atomically, with one schema that fits every row.

        A column holds one type. Of a field that is a number in some rows and text in others, such as ``nodata`` -1
        and "nan", the table holds the numbers; the Items themselves hold both.

        Args:
            target: Parquet file to write or replace.

        """
        self._file.flush()
        leading, mixed = _survey(self._path)
        temporary = self._path.with_suffix(".parquet.part")
        # rustac is asynchronous, and the caller's thread may have an event loop already, as in a notebook
        try:
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, _to_parquet(self._path, temporary, leading, mixed)).result()
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _survey(rows: Path) -> tuple[frozenset[int], set[FieldPath]]:
    """Finds rows that together hold every field in each of its types, and the fields of mixed type."""
    seen, leading = set[tuple[FieldPath, type]](), list[int]()
    with rows.open("rb") as lines:
        for number, line in enumerate(lines):
            found = {(path, type(value)) for path, value in _scalars(json.loads(line))}
            if not found <= seen:
                seen |= found
                leading.append(number)
    texts = {path for path, kind in seen if kind is str}
    return frozenset(leading), texts & {path for path, kind in seen if kind in (int, float)}


async def _to_parquet(rows: Path, target: Path, leading: frozenset[int], mixed: set[FieldPath]) -> None:
    """Writes the rows; the schema is that of the first batch, so the rows that hold every field come first."""
    from rustac import geoparquet_writer  # noqa: PLC0415 - a tenth of a second

    async with geoparquet_writer([*_read(rows, mixed, leading.__contains__)], str(target)) as writer:
        for batch in batched(_read(rows, mixed, lambda number: number not in leading), _BATCH):
            await writer.write([*batch])


def _read(rows: Path, mixed: set[FieldPath], wanted: Callable[[int], bool]) -> Iterator[dict[str, Any]]:
    """Reads the wanted rows, without texts in fields that are numbers in other rows."""
    with rows.open("rb") as lines:
        for number, line in enumerate(lines):
            if wanted(number):
                yield _pruned(json.loads(line), mixed) if mixed else json.loads(line)


def _scalars(value: Any, path: FieldPath = ()) -> Iterator[tuple[FieldPath, str | float]]:
    """Yields numbers and texts with their path, which is the same for all members of a list."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _scalars(part, (*path, key))
    elif isinstance(value, list):
        for part in value:
            yield from _scalars(part, (*path, ""))
    elif isinstance(value, str | int | float):
        yield path, value


def _pruned(value: Any, mixed: set[FieldPath], path: FieldPath = ()) -> Any:
    if isinstance(value, dict):
        parts = {key: _pruned(part, mixed, (*path, key)) for key, part in value.items()}
        return {key: part for key, part in parts.items() if not (part is None and value[key] is not None)}
    if isinstance(value, list):
        return [_pruned(part, mixed, (*path, "")) for part in value]
    return None if isinstance(value, str) and path in mixed else value
