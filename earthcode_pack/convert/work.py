"""Parts of a conversion: what a worker gets, and the record that it gives back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from earthcode_pack.cf.standard_names import is_stated
from earthcode_pack.convert.statistics import RunningStatistics
from earthcode_pack.model import File, Job, PartSums, Proof, Receipt, Value

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.model import Dimension, Grid, Variable, WrittenVariable


class Part(Value):
    """Piece of a job that one worker does alone: a file, or one region of one variable of a store.

    ``region`` is start and stop by dimension; empty where the part is the whole job.
    """

    job: Job
    folder: str  # of this job alone: on a disk that all workers of the job see, or a URL that they reach
    number: int = 0
    variable: str | None = None
    region: dict[str, tuple[int, int]] = Field({})


class OneFile:
    """Base of formats whose jobs write one file, in one part; see ``formats.OutputFormat``."""

    is_shared = False
    output: str

    def begin(self, job: Job, folder: Path) -> None:
        """Does nothing: the only part writes the whole file."""

    def parts(self, job: Job, folder: Path) -> list[Part]:
        """Returns the whole job as one part."""
        return [Part(job=job, folder=str(folder))]

    def keeps_parts(self, job: Job) -> bool:
        """Tells that the file of the part is the product's."""
        return True

    def finish(self, job: Job, folder: Path, changes: tuple[str, ...]) -> tuple[Path, tuple[str, ...]]:
        """Returns the file."""
        return folder / self.output, changes


class Sent(Value):
    """Data of a part that the worker that made it uploads to the store; keys are relative to the product.

    Before the first upload it names ``files``; when all of them are uploaded, their ``receipts``.
    """

    place: str  # of the store, as the ledger of an upload names it
    node: str  # of the machine that puts it
    files: tuple[File, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    trouble: str | None = None  # why not all of it was put, in words


class Record(Value):
    """Measurements of a part, made while its source was at hand and its output was read back."""

    number: int
    statistics: dict[str, RunningStatistics]
    compared: int
    max_error: float = 0.0
    proof: Proof = Proof()  # by readers of other projects
    changes: tuple[str, ...] = ()
    engine: str = ""
    digests: dict[str, str] = Field({})  # sha256 of files of the output, by their place in it, "." for itself
    parts: PartSums | None = None  # of an output that is one large file
    files: tuple[File, ...] = ()  # what was put into the job's folder, where that is a URL; keys relative to it
    sent: Sent | None = None  # what the worker has put into the store as well


class Measured(NamedTuple):
    """Facts of an output, read from its own metadata; ``codecs`` are the compression by variable, in words."""

    grid: Grid
    variables: tuple[WrittenVariable, ...]
    dimensions: tuple[Dimension, ...]
    codecs: dict[str, str]


def total(records: list[Record]) -> tuple[dict[str, RunningStatistics], tuple[str, ...]]:
    """Returns the statistics by variable, and the changes, over all parts in the order given."""
    statistics: dict[str, RunningStatistics] = {}
    for record in records:
        for name, part in record.statistics.items():
            statistics[name] = statistics.get(name, RunningStatistics()) + part
    return statistics, tuple(dict.fromkeys(line for record in records for line in record.changes))


def json_number(value: float | None, dtype: str) -> float | int | str | None:
    """Returns a number of a type as JSON takes it, which lacks NaN and infinity: these as text."""
    if value is None:
        return None
    if not math.isfinite(value):
        return str(float(value))
    return int(value) if "int" in dtype else float(value)


def stated_names(source: Variable, job: Job) -> dict[str, str | None]:
    """Returns ``standard_name`` and ``long_name`` of a variable: the profile's, else the source's."""
    stated = {**source.attrs, **job.described.get(source.name, {})}
    names = {key: stated.get(key) for key in ("standard_name", "long_name")}
    return {key: value if is_stated(value) else None for key, value in names.items()}
