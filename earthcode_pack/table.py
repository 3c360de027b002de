"""Items as a table (stac-geoparquet), in batches: memory does not grow with their number."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Place = tuple[str, ...]

_BATCH = 500  # Items that are in memory at once


class Rows:
    """Collects Items one by one, in a file of its own that goes with the context, and writes them as a table.

    ``enough`` says whether there shall be a table; without it nothing is collected. ``digest`` identifies the rows.
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
        """One Item more."""
        if self.enough:
            line = json.dumps(item, allow_nan=False).encode() + b"\n"
            self._hash.update(line)
            self._file.write(line)

    @property
    def digest(self) -> str:
        """The sha256 (hex) of all rows so far."""
        return self._hash.hexdigest()

    def write(self, target: Path) -> None:
        """The table of all rows, whole or not at all: one schema that fits every row, a row group for each batch.

        A column holds one type. Where a field is a number in some rows and text in others, such as ``nodata`` -1 and
        "nan", the table has the numbers; the Items themselves have both.
        """
        from pyarrow import ArrowInvalid, ArrowTypeError  # noqa: PLC0415 - Arrow takes half a second

        self._file.flush()
        try:
            _to_parquet(self._path, target)
        except (ArrowInvalid, ArrowTypeError):
            plain = self._path.with_suffix(".numbers.part")
            try:
                _without_mixed_text(self._path, plain)
                _to_parquet(plain, target)
            finally:
                plain.unlink(missing_ok=True)


def _to_parquet(rows: Path, target: Path) -> None:
    from stac_geoparquet.arrow import parse_stac_ndjson_to_parquet  # noqa: PLC0415 - Arrow takes half a second

    temporary = rows.with_suffix(".parquet.part")
    try:
        parse_stac_ndjson_to_parquet(rows, temporary, chunk_size=_BATCH)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _without_mixed_text(rows: Path, target: Path) -> None:
    """The rows without the texts that stand where other rows have numbers."""
    numbers, texts = set[Place](), set[Place]()
    with rows.open("rb") as lines:
        for line in lines:
            for place, value in _scalars(json.loads(line)):
                (texts if isinstance(value, str) else numbers).add(place)
    mixed = numbers & texts
    with rows.open("rb") as lines, target.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(_pruned(json.loads(line), mixed)) + "\n" for line in lines)


def _scalars(value: Any, place: Place = ()) -> Iterator[tuple[Place, str | float]]:
    """Numbers and texts with their place, the same for all members of a list."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _scalars(part, (*place, key))
    elif isinstance(value, list):
        for part in value:
            yield from _scalars(part, (*place, ""))
    elif isinstance(value, str | int | float):
        yield place, value


def _pruned(value: Any, mixed: set[Place], place: Place = ()) -> Any:
    if isinstance(value, dict):
        parts = {key: _pruned(part, mixed, (*place, key)) for key, part in value.items()}
        return {key: part for key, part in parts.items() if not (part is None and value[key] is not None)}
    if isinstance(value, list):
        return [_pruned(part, mixed, (*place, "")) for part in value]
    return None if isinstance(value, str) and place in mixed else value
