"""From raw files to COG, Zarr and NetCDF: a job is cut into parts, each part done by one worker, then finished.

A format is a module with ``write(part)``; one whose jobs have several parts adds ``begin`` and ``finish``.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyproj  # noqa: F401 - before rasterio and ecCodes: see read/__init__.py

from earthcode_pack.checksums import Checksums, checksums
from earthcode_pack.convert import afar, work
from earthcode_pack.convert.apart import apart
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.errors import (
    AGAIN,
    EarthcodePackError,
    OutsideError,
    SourceError,
    Unreadable,
    UserError,
    causes,
    full_disk,
)
from earthcode_pack.model import Artifact, Failure, File, Job, Proof

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.convert.afar import Made
    from earthcode_pack.convert.work import Part, Record

logger = logging.getLogger(__name__)

_LEAST = 64 * 2**10  # bytes; a disk with less is full
_OUTPUT = {"cog": "out.tif", "netcdf": "out.nc", "zarr": "out.zarr"}


def begin(job: Job, folder: Path) -> list[Part]:
    """The parts of a job, in a folder of its own; one that an interrupted run had begun goes on.

    Raises ``SourceError`` where files cannot be joined.
    """
    with _in_words(job, folder):
        mark = folder / "begun"
        if not mark.is_file() or _is_gone(job, folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            if job.format == "zarr":
                apart(_begin_store, job, folder, job=job)
            mark.touch()
        return parts_of(job, folder)


def _begin_store(job: Job, folder: Path) -> None:
    from earthcode_pack.convert import zarr  # noqa: PLC0415 - each format's libraries where they are used

    zarr.begin(job, folder)


def _is_gone(job: Job, folder: Path) -> bool:
    """Whether parts are noted as done, and the output is away: a run was killed after it had moved it."""
    return (folder / "records").is_dir() and not (folder / _OUTPUT[job.format]).exists()


@contextmanager
def _in_words(job: Job, folder: Path | str) -> Iterator[None]:
    """Turns what a library raises over a bad file into a ``SourceError``, so that other jobs go on.

    Raises ``OutsideError`` where the disk of the job's ``folder`` is full, which libraries do not always tell: GDAL may
    leave a short file, which then differs from its source.
    """
    try:
        yield
    except (OutsideError, UserError):
        raise
    except Exception as error:
        if full := full_disk(error, job.key) or _full(folder, job.key):
            raise full from error
        if isinstance(error, EarthcodePackError):
            raise
        raise _unreadable(job, error) from error


def _full(folder: Path | str, where: str) -> OutsideError | None:
    """Error for a local folder on whose disk nothing is left; None where there is room."""
    is_full = Path(folder).is_dir() and shutil.disk_usage(folder).free < _LEAST
    return full_disk(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), where) if is_full else None


def _unreadable(job: Job, error: Exception) -> Unreadable:
    """The error of a library as one sentence: its first cause, which says most."""
    logger.debug("%s", job.key, exc_info=error)
    *_, cause = causes(error)
    words = (str(cause).strip().splitlines() or [""])[0][:300]
    sources = " and ".join(dict.fromkeys(name_of(source.href) for source in job.inputs[:2]))
    more = f" and {len(job.inputs) - 2} more" if len(job.inputs) > 2 else ""  # noqa: PLR2004
    return Unreadable(f"{job.key} of {sources}{more}: {type(cause).__name__}: {words}", AGAIN)


def parts_of(job: Job, folder: Path) -> list[Part]:
    """The parts of a job, the same each time."""
    if job.format == "zarr":
        from earthcode_pack.convert import zarr  # noqa: PLC0415

        return zarr.parts_of(job, folder)
    return [work.Part(job=job, folder=str(folder))]


def write(part: Part, made: Made | None = None) -> Record | Failure:
    """Writes one part and compares it with its source. Runs on any worker and never raises for a bad file.

    ``made`` is told what lies in scratch of a worker that shares no disk with the run: see ``afar.write``.
    Raises ``OutsideError`` where storage fails, and ``UserError``.
    """
    try:
        with _in_words(part.job, part.folder):
            work = partial(apart, _write, job=part.job)
            return afar.write(part, work, made) if afar.is_afar(part) else work(part)
    except SourceError as error:
        return Failure(source=part.job.inputs[0].href, error=error.message, remedy=error.remedy)


def _write(part: Part) -> Record:
    if part.job.format == "cog":
        from earthcode_pack.convert import cog  # noqa: PLC0415

        return cog.write(part)
    if part.job.format == "zarr":
        from earthcode_pack.convert import zarr  # noqa: PLC0415

        return zarr.write(part)
    from earthcode_pack.convert import netcdf  # noqa: PLC0415

    return netcdf.write(part)


def final_keys(job: Job, files: tuple[File, ...]) -> dict[str, str]:
    """Which files of a part (their keys relative to the job's folder) are the product's as they are, by its keys.

    A ZIP is made of all parts in the end.
    """
    output = _OUTPUT[job.format]
    if job.options.get("zipped"):
        return {}
    ours = (file.key for file in files if file.key == output or file.key.startswith(f"{output}/"))
    return {job.key + key.removeprefix(output): key for key in ours}


def finish(job: Job, records: list[Record], folder: Path, product: Path) -> Artifact:
    """Measures the whole output, then moves it to its place in the product, in one rename.

    Raises ``SourceError`` where what was written cannot be measured.
    """
    with _in_words(job, folder):
        return _finished(job, records, folder, product)


def _finished(job: Job, records: list[Record], folder: Path, product: Path) -> Artifact:
    from earthcode_pack.convert import measure  # noqa: PLC0415
    from earthcode_pack.convert.codecs import codecs_of  # noqa: PLC0415

    tallies, compared, max_error, changes = work.total(records)
    output = folder / _OUTPUT[job.format]
    if job.format == "zarr":
        from earthcode_pack.convert import zarr  # noqa: PLC0415

        output, changes = zarr.finish(job, folder), zarr.changes(folder)
    grid, variables, dimensions = measure.measure(output, job, tallies)
    codecs = codecs_of(output, job, [variable.name for variable in variables])
    return Artifact(
        fingerprint=job.fingerprint,
        item=job.item,
        asset=job.asset,
        key=job.key,
        format=job.format,
        files=_publish(output, job, product, {} if output.suffix == ".zip" else _sums(records)),
        grid=grid,
        period=job.period,
        variables=variables,
        dimensions=dimensions,
        sources=tuple(dict.fromkeys((source.href, source.sha256) for source in job.inputs)),
        compared=compared,
        max_error=max_error,
        proof=sum((record.proof for record in sorted(records, key=lambda record: record.number)), Proof()),
        changes=changes,
        engine=records[0].engine,
        facts={key: job.options[key] for key in ("version", "zipped", "compression") if key in job.options}
        | {"codecs": codecs},
        processed=_now(),
    )


def _sums(records: list[Record]) -> dict[str, Checksums]:
    return {place: Checksums(sha256, one.parts) for one in records for place, sha256 in one.digests.items()}


def _publish(output: Path, job: Job, product: Path, known: dict[str, Checksums]) -> tuple[File, ...]:
    """Hashes the files of an output that were not when they were made, and makes all visible by one rename."""
    files = sorted(p for p in output.rglob("*") if p.is_file()) if output.is_dir() else [output]
    hashed = tuple(_hashed(path, path.relative_to(output).as_posix(), job.key, known) for path in files)
    target = product / job.key
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        shutil.rmtree(target)
    output.replace(target)
    return hashed


def _hashed(path: Path, place: str, key: str, known: dict[str, Checksums]) -> File:
    found = known.get(place) or checksums(path)
    whole = key if place == "." else f"{key}/{place}"
    return File(key=whole, size=path.stat().st_size, sha256=found.sha256, parts=found.parts)


def _now() -> datetime:
    """The time stamp of this run, or ``SOURCE_DATE_EPOCH`` (reproducible-builds.org)."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC).replace(microsecond=0)
