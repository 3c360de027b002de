"""Conversion in a child process, for sources whose libraries are known to crash on bytes of others: ecCodes, netCDF-3.

No damaged GeoTIFF, HDF5 or Zarr is known to crash its library; of these the headers alone are read apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.convert.read.plausible import values_in
from earthcode_pack.execution.child_process import MB, Limits, isolated
from earthcode_pack.storage.inputs import local_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.model import Input, Job

_SECONDS, _MB_A_SECOND = 30, 1  # processor time of a part, and what of the decoded input gets a further second


def apart[R](work: Callable[..., R], *given: object, job: Job) -> R:
    """Does a piece of work on a job, in a child process where one of its sources may crash a library.

    Raises what ``work`` raises, and ``Unreadable`` where the process crashed or did not end.
    """
    risky = next((source for source in job.inputs if _may_crash(source)), None)
    if risky is None:
        return work(*given)
    decoded = sum(values_in(source.variables) for source in job.inputs)
    limits = Limits(_SECONDS + decoded // (_MB_A_SECOND * MB))
    subject = name_of(risky.href) if len(job.inputs) == 1 else job.key
    return isolated(work, *given, subject=subject, limits=limits)


def _may_crash(source: Input) -> bool:
    """Tells whether ecCodes or netCDF-3 reads it; a remote NetCDF is fetched once for all threads, and stays here."""
    path = local_path(source.href)
    if source.driver != "netCDF" or path is None:
        return source.driver == "GRIB"
    with Path(path).open("rb") as file:
        return file.read(3) == b"CDF"
