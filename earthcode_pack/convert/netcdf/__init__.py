"""NetCDF-4: a cube to one file, all metadata at its front, chunks compressed by threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.convert.work import OneFile

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.convert.statistics import RunningStatistics
    from earthcode_pack.convert.work import Measured, Part, Record
    from earthcode_pack.model import Driver, Failure, Job, Source
    from earthcode_pack.profile import Profile


class NetcdfFormat(OneFile):
    """Files by source, year, month, or one for all; see ``formats.OutputFormat``."""

    title = "NetCDF-4"
    driver: Driver = "netCDF"
    is_raster = False
    output = "out.nc"

    def plan(self, profile: Profile, sources: tuple[Source, ...]) -> tuple[list[Job], list[Failure]]:
        """Returns a job for each file."""
        from earthcode_pack.convert.cube.planning import plan_files  # noqa: PLC0415 - libraries where they are used

        return plan_files(profile, sources)

    def write(self, part: Part) -> Record:
        """Writes the file."""
        from earthcode_pack.convert.netcdf.writer import write_file  # noqa: PLC0415

        return write_file(part)

    def measure(self, path: Path, job: Job, statistics: dict[str, RunningStatistics]) -> Measured:
        """Reads grid, variables, dimensions and filters from the file."""
        from earthcode_pack.convert.cube.measurement import measure  # noqa: PLC0415
        from earthcode_pack.convert.netcdf.writer import filters_of  # noqa: PLC0415

        return measure(path, job, statistics, filters_of(path))
