"""How a conversion is cut into parts: what a worker gets, and the record that it gives back."""

from __future__ import annotations

from pydantic import Field

from earthcode_pack.convert.statistics import Tally
from earthcode_pack.model import File, Job, PartSums, Proof, Receipt, Value


class Part(Value):
    """A piece of a job that one worker does alone: a file, or one region of one variable of a store.

    ``region`` is start and stop by dimension; empty where the part is the whole job.
    """

    job: Job
    folder: str  # of this job alone: on a disk that all workers of the job see, or a URL that they reach
    number: int = 0
    variable: str | None = None
    region: dict[str, tuple[int, int]] = Field({})


class Sent(Value):
    """Data of a part that goes into a store from the worker that made it; keys are relative to the product.

    Before the first object is put it names ``files``; when all of them are put, their ``receipts``.
    """

    place: str  # of the store, as the ledger of an upload names it
    node: str  # of the machine that puts it
    files: tuple[File, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    trouble: str | None = None  # why not all of it was put, in words


class Record(Value):
    """What was measured on a part while its source was at hand and its output was read back."""

    number: int
    tallies: dict[str, Tally]
    compared: int
    max_error: float = 0.0
    proof: Proof = Proof()  # by readers of other projects
    changes: tuple[str, ...] = ()
    engine: str = ""
    digests: dict[str, str] = Field({})  # sha256 of files of the output, by their place in it, "." for itself
    parts: PartSums | None = None  # of an output that is one large file
    files: tuple[File, ...] = ()  # what was put into the job's folder, where that is a URL; keys relative to it
    sent: Sent | None = None  # what the worker has put into the store as well


def total(records: list[Record]) -> tuple[dict[str, Tally], int, float, tuple[str, ...]]:
    """Tallies by variable, compared cells, largest error and the changes, over all parts in their order."""
    tallies: dict[str, Tally] = {}
    changes: dict[str, None] = {}
    for record in sorted(records, key=lambda record: record.number):
        for name, part in record.tallies.items():
            tallies[name] = tallies.get(name, Tally()) + part
        changes.update(dict.fromkeys(record.changes))
    return tallies, sum(r.compared for r in records), max((r.max_error for r in records), default=0.0), tuple(changes)
