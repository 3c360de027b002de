"""Output formats as an extension point: the protocol that a format satisfies, and the registry of formats.

A new format is a folder in ``convert`` with a class that satisfies ``OutputFormat``, an encoding on ``model.Job``, its
options in the profile, and a line in the registry.
"""

from __future__ import annotations

from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.convert.statistics import RunningStatistics
    from earthcode_pack.convert.work import Measured, Part, Record
    from earthcode_pack.model import Driver, Failure, Format, Job, Source
    from earthcode_pack.profile import Profile


class OutputFormat(Protocol):
    """An output format: plans jobs, writes them part by part, and measures what was written.

    Attributes:
        title: name of the format for readers.
        driver: driver that reads an output back.
        is_raster: an output is one map, else a cube.
        is_shared: the parts of a job write into one output, which ``begin`` creates.
        output: name of the output in the folder of its job.

    """

    title: str
    driver: Driver
    is_raster: bool
    is_shared: bool
    output: str

    def plan(self, profile: Profile, sources: tuple[Source, ...]) -> tuple[list[Job], list[Failure]]:
        """Returns the jobs of a product, and failures for the sources that cannot be used. Opens no file."""

    def begin(self, job: Job, folder: Path) -> None:
        """Creates the output that the parts of a job share, in its empty folder."""

    def parts(self, job: Job, folder: Path) -> list[Part]:
        """Returns the parts of a job, the same each time, by the job alone."""

    def write(self, part: Part) -> Record:
        """Writes a part, reads it back, and compares it with its sources."""

    def keeps_parts(self, job: Job) -> bool:
        """Tells whether the files that parts write are files of the product, as they are."""

    def finish(self, job: Job, folder: Path, changes: tuple[str, ...]) -> tuple[Path, tuple[str, ...]]:
        """Completes the output once all parts are written.

        Args:
            job: the job.
            folder: its folder.
            changes: what the records of its parts say was added, changed or dropped.

        Returns:
            The file or folder that becomes the product's, and the changes of the whole job.

        """

    def measure(self, path: Path, job: Job, statistics: dict[str, RunningStatistics]) -> Measured:
        """Reads the facts of a finished output from its own metadata."""


# Resolved when they are asked for: each format loads its libraries where it uses them.
_CLASSES: dict[Format, str] = {
    "cog": "earthcode_pack.convert.cog:CogFormat",
    "zarr": "earthcode_pack.convert.zarr:ZarrFormat",
    "netcdf": "earthcode_pack.convert.netcdf:NetcdfFormat",
}


@cache
def format_of(name: Format) -> OutputFormat:
    """Returns the output format of this name."""
    found: OutputFormat = resolve_name(_CLASSES[name])()
    return found
