"""Conversion of raw files to COG, Zarr and NetCDF: a job is cut into parts, each written by one worker, then finished.

What is done for a part is the format's: see ``formats.OutputFormat``.
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
from earthcode_pack.convert import remote_part
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.convert.read.plausible import values_in
from earthcode_pack.convert.work import total
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
from earthcode_pack.execution.child_process import MB, Limits, isolated
from earthcode_pack.formats import format_of
from earthcode_pack.model import Artifact, Failure, File, Job, Proof
from earthcode_pack.storage.inputs import local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from earthcode_pack.convert.remote_part import Made
    from earthcode_pack.convert.work import Part, Record
    from earthcode_pack.model import Input

logger = logging.getLogger(__name__)

_LEAST = 64 * 2**10  # bytes; a disk with less is full
_SECONDS, _MB_A_SECOND = 30, 1  # processor time of a part, and megabytes of decoded input that add a second


def begin(job: Job, folder: Path) -> list[Part]:
    """Prepares the folder of a job, or goes on with what an interrupted run had begun there.

    Args:
        job: the job.
        folder: a folder for this job alone.

    Returns:
        All parts of the job.

    Raises:
        SourceError: files cannot be read, or not be joined.

    """
    output = format_of(job.format)
    with _translated_errors(job, folder):
        mark = folder / "begun"
        is_moved = (folder / "records").is_dir() and not (folder / output.output).exists()  # a run was killed after it
        if not mark.is_file() or is_moved:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            if output.is_shared:
                _contained(output.begin, job, folder, job=job)
            mark.touch()
        return output.parts(job, folder)


def write(part: Part, made: Made | None = None) -> Record | Failure:
    """Writes one part and compares it with its source. Runs on any worker and never raises for a bad file.

    Args:
        part: the part; its folder may be a URL.
        made: called with the files while they are in scratch of a worker that shares no disk with the run; see
            ``remote_part.write``.

    Returns:
        The record of the part, or why its source cannot be used.

    Raises:
        OutsideError: storage fails.
        UserError: the profile is wrong.

    """
    try:
        with _translated_errors(part.job, part.folder):
            work = partial(_contained, format_of(part.job.format).write, job=part.job)
            return remote_part.write(part, work, made) if "://" in part.folder else work(part)
    except SourceError as error:
        return Failure(source=part.job.inputs[0].href, error=error.message, remedy=error.remedy)


def final_keys(job: Job, files: tuple[File, ...]) -> dict[str, str]:
    """Returns the files of a part that are files of the product as they are.

    Args:
        job: the job.
        files: files in its folder, their keys relative to it.

    Returns:
        Keys in the folder by keys in the product; none where the product is a ZIP of all parts.

    """
    output = format_of(job.format)
    if not output.keeps_parts(job):
        return {}
    name = output.output
    ours = (file.key for file in files if file.key == name or file.key.startswith(f"{name}/"))
    return {job.key + key.removeprefix(name): key for key in ours}


def finish(job: Job, records: list[Record], folder: Path, product: Path) -> Artifact:
    """Measures the whole output, then moves it to its place in the product, in one rename.

    Args:
        job: the job.
        records: one for each of its parts.
        folder: its folder.
        product: the folder of the product.

    Returns:
        The artifact, measured on what was written.

    Raises:
        SourceError: what was written cannot be measured.

    """
    with _translated_errors(job, folder):
        output, ordered = format_of(job.format), sorted(records, key=lambda record: record.number)
        statistics, changes = total(ordered)
        path, changes = output.finish(job, folder, changes)
        measured = output.measure(path, job, statistics)
        known = {place: Checksums(sha256, one.parts) for one in ordered for place, sha256 in one.digests.items()}
        return Artifact(
            fingerprint=job.fingerprint,
            item=job.item,
            asset=job.asset,
            key=job.key,
            format=job.format,
            files=_publish(path, job, product, {} if path.suffix == ".zip" else known),
            grid=measured.grid,
            period=job.period,
            variables=measured.variables,
            dimensions=measured.dimensions,
            sources=tuple(dict.fromkeys((source.href, source.sha256) for source in job.inputs)),
            compared=sum(record.compared for record in ordered),
            max_error=max((record.max_error for record in ordered), default=0.0),
            proof=sum((record.proof for record in ordered), Proof()),
            changes=changes,
            engine=records[0].engine,
            facts=job.options.model_dump(include={"version", "zipped", "compression"}) | {"codecs": measured.codecs},
            processed=_now(),
        )


def _publish(output: Path, job: Job, product: Path, known: dict[str, Checksums]) -> tuple[File, ...]:
    """Hashes the files of an output that were not when they were made, and makes all visible by one rename."""
    hashed = []
    for path in sorted(p for p in output.rglob("*") if p.is_file()) if output.is_dir() else [output]:
        place = path.relative_to(output).as_posix()
        found, key = known.get(place) or checksums(path), job.key if place == "." else f"{job.key}/{place}"
        hashed.append(File(key=key, size=path.stat().st_size, sha256=found.sha256, parts=found.parts))
    target = product / job.key
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        shutil.rmtree(target)
    output.replace(target)
    return tuple(hashed)


def _now() -> datetime:
    """Returns the time stamp of this run, or ``SOURCE_DATE_EPOCH`` (reproducible-builds.org)."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC).replace(microsecond=0)


# --- errors and crashes of libraries --------------------------------------------------------------------------------


@contextmanager
def _translated_errors(job: Job, folder: Path | str) -> Iterator[None]:
    """Turns what a library raises over a bad file into a ``SourceError``, so that other jobs go on.

    Raises ``OutsideError`` where the disk of the job's ``folder`` is full, which libraries do not always tell: GDAL may
    leave a short file, which then differs from its source.
    """
    try:
        yield
    except (OutsideError, UserError):
        raise
    except Exception as error:
        full = full_disk(error, job.key)
        if full is None and Path(folder).is_dir() and shutil.disk_usage(folder).free < _LEAST:
            full = full_disk(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), job.key)
        if full is not None:
            raise full from error
        if isinstance(error, EarthcodePackError):
            raise
        raise _unreadable(job, error) from error


def _unreadable(job: Job, error: Exception) -> Unreadable:
    """Returns the error of a library as one sentence: its first cause, which says most."""
    logger.debug("%s", job.key, exc_info=error)
    *_, cause = causes(error)
    words = (str(cause).strip().splitlines() or [""])[0][:300]
    sources = " and ".join(dict.fromkeys(name_of(source.href) for source in job.inputs[:2]))
    more = f" and {len(job.inputs) - 2} more" if len(job.inputs) > 2 else ""  # noqa: PLR2004
    return Unreadable(f"{job.key} of {sources}{more}: {type(cause).__name__}: {words}", AGAIN)


def _contained[R](work: Callable[..., R], *given: object, job: Job) -> R:
    """Does work on a job, in a child process where a source is of a kind that is known to crash its library.

    Those are GRIB (ecCodes) and netCDF-3. No damaged GeoTIFF, HDF5 or Zarr is known to crash its library; of these the
    headers alone are read in child processes. Raises ``Unreadable`` where the process crashed or did not end.
    """
    risky = next((source for source in job.inputs if _may_crash(source)), None)
    if risky is None:
        return work(*given)
    decoded = sum(values_in(source.variables) for source in job.inputs)
    limits = Limits(_SECONDS + decoded // (_MB_A_SECOND * MB))
    subject = name_of(risky.href) if len(job.inputs) == 1 else job.key
    return isolated(work, *given, subject=subject, limits=limits)


def _may_crash(source: Input) -> bool:
    """Tells GRIB and netCDF-3; a remote NetCDF is fetched once for all threads, so it is read in this process."""
    path = local_path(source.href)
    if source.driver != "netCDF" or path is None:
        return source.driver == "GRIB"
    with Path(path).open("rb") as file:
        return file.read(3) == b"CDF"
