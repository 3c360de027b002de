"""Cloud-optimised GeoTIFF: one map to one file.

A map is read by rows (``row_reader``) and written in one pass (``onepass``): each pixel is decoded once and encoded
once, and the overviews grow on the way (``overviews``, ``tiles``, ``tiff_file``). What that engine does not do is left
to GDAL's own COG driver, which writes the same pixels and tags (``gdal_input``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.convert.work import OneFile

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.convert.statistics import RunningStatistics
    from earthcode_pack.convert.work import Measured, Part, Record
    from earthcode_pack.model import Driver, Failure, Job, Source
    from earthcode_pack.profile import Profile


class CogFormat(OneFile):
    """One GeoTIFF for each variable and time of a source; see ``formats.OutputFormat``."""

    title = "GeoTIFF"
    driver: Driver = "GTiff"
    is_raster = True
    output = "out.tif"

    def plan(self, profile: Profile, sources: tuple[Source, ...]) -> tuple[list[Job], list[Failure]]:
        """Returns a job for each map."""
        from earthcode_pack.convert.cog.planning import plan_scenes  # noqa: PLC0415 - libraries where they are used

        return plan_scenes(profile, sources)

    def write(self, part: Part) -> Record:
        """Writes the COG."""
        from earthcode_pack.convert.cog.writer import write_map  # noqa: PLC0415

        return write_map(part)

    def measure(self, path: Path, job: Job, statistics: dict[str, RunningStatistics]) -> Measured:
        """Reads grid, variable and compression from the header."""
        from earthcode_pack.convert.cog.writer import measure  # noqa: PLC0415

        return measure(path, job, statistics)
