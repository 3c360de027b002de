"""Zarr version 2 and 3: a cube to one store, as a folder or a ZIP, with levels of lower resolution where asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.convert.statistics import RunningStatistics
    from earthcode_pack.convert.work import Measured, Part, Record
    from earthcode_pack.model import Driver, Failure, Job, Source
    from earthcode_pack.profile import Profile


class ZarrFormat:
    """One store for the product, written region by region; see ``formats.OutputFormat``."""

    title = "Zarr"
    driver: Driver = "Zarr"
    is_raster = False
    is_shared = True
    output = "out.zarr"

    def plan(self, profile: Profile, sources: tuple[Source, ...]) -> tuple[list[Job], list[Failure]]:
        """Returns one job for the whole store."""
        from earthcode_pack.convert.cube.planning import plan_store  # noqa: PLC0415 - libraries where they are used

        return plan_store(profile, sources)

    def begin(self, job: Job, folder: Path) -> None:
        """Writes the store with all metadata and coordinates."""
        from earthcode_pack.convert.zarr.writer import create_store  # noqa: PLC0415

        create_store(job, folder)

    def parts(self, job: Job, folder: Path) -> list[Part]:
        """Returns the regions of whole write units that fill the store."""
        from earthcode_pack.convert.zarr.writer import parts_of  # noqa: PLC0415

        return parts_of(job, folder)

    def write(self, part: Part) -> Record:
        """Writes one region of one variable."""
        from earthcode_pack.convert.zarr.writer import write_region  # noqa: PLC0415

        return write_region(part)

    def keeps_parts(self, job: Job) -> bool:
        """Tells whether the objects are the product's; a ZIP is made of all of them in the end."""
        return not job.zarr.zipped

    def finish(self, job: Job, folder: Path, changes: tuple[str, ...]) -> tuple[Path, tuple[str, ...]]:
        """Returns the finished store or its ZIP; its changes were noted when it was created."""
        from earthcode_pack.convert.zarr.writer import finish_store  # noqa: PLC0415

        return finish_store(job, folder)

    def measure(self, path: Path, job: Job, statistics: dict[str, RunningStatistics]) -> Measured:
        """Reads grid, variables, dimensions and codecs from the store."""
        from earthcode_pack.convert.cube.measurement import measure  # noqa: PLC0415
        from earthcode_pack.convert.zarr.writer import codecs_of  # noqa: PLC0415

        return measure(path, job, statistics, codecs_of(path))
