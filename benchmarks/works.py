"""What is measured: the works, what each is made of, whom it is compared with, and what is aimed at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.peers import CHUNKS, SHARDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.inputs import Kind, Sizes

Command = Literal["cog", "zarr", "netcdf", "upload"]

SIZE = 1.02  # of the peer's, at most
MARGIN = 1.15  # of a peer's peak memory, at most
GROWTH = 1.1  # of the peak memory of a quarter of the input, at most
OURS = "ours"


@dataclass(frozen=True)
class Target:
    """The largest ratios of ours to a peer; None where nothing is aimed at."""

    wall: float | None = None
    cpu: float | None = None
    quick_wall: float | None = None

    def of(self, *, quick: bool) -> dict[str, float | None]:
        """By what is compared."""
        if quick:
            return {"wall": self.quick_wall, "cpu": None, "size": SIZE}
        return {"wall": self.wall, "cpu": self.cpu, "size": SIZE}


@dataclass(frozen=True)
class Work:
    """A conversion. ``memory`` is the most it may take: MB, or a peer whose peak it may pass by ``MARGIN`` at most."""

    name: str
    command: Command
    kind: Kind
    options: dict[str, Any]
    peers: dict[str, Target]
    memory: float | str | None = None
    not_in_quick: tuple[str, ...] = ()  # peers, or the work itself
    grows: bool = False  # whether memory is measured again on the inputs of a quick run
    source: dict[str, Any] = field(default_factory=dict)

    def peers_of(self, quick: bool) -> list[str]:
        """The peers it is compared with; none where a quick run leaves the whole work out."""
        if quick and self.name in self.not_in_quick:
            return []
        return [peer for peer in self.peers if not (quick and peer in self.not_in_quick)]

    def count(self, sizes: Sizes) -> int:
        """How much input: NetCDF is always measured on three months."""
        return min(sizes.cube, 3) if self.command == "netcdf" else int(getattr(sizes, self.kind))

    def profile(self, files: Sequence[Path]) -> dict[str, Any]:
        """The profile that a person would write for it."""
        described = {"title": f"BENCH {self.name}", "description": "Made to be measured.", "license": "CC0-1.0"}
        return {
            "product": {"id": f"bench-{self.name}", "version": "1.0", "status": "completed", **described},
            "project": {"id": "bench"},
            "source": {"href": [str(path.absolute()) for path in files], **self.source},
            "target": {"format": self.command, self.command: self.options},
        }


_VALIDITY = {"time": {"start": "2024-01-02", "end": "2024-01-02"}}
_NAMED = {"time": {"from": "filename", "pattern": "lst_{start:%Y-%m-%d}.tif"}}
_CUBE = {"time": {"from": "coordinate"}, "crs": "EPSG:4326"}

WORKS = (
    Work(
        "deflate",
        "cog",
        "big",
        {"compression": "deflate"},
        {
            "gdal": Target(0.40, 0.45, 0.60),
            "rio-cogeo": Target(0.45, None, 0.65),
            "odc-geo": Target(0.25),
        },
        memory="gdal",
        not_in_quick=("odc-geo",),
        source=_VALIDITY,
    ),
    Work(
        "zstd",
        "cog",
        "big",
        {"compression": "zstd", "level": 1},
        {"gdal": Target(0.75, 0.80, 0.90)},
        memory="gdal",
        source=_VALIDITY,
    ),
    Work(
        "daily",
        "cog",
        "daily",
        {"compression": "zstd", "level": 9},
        {"rio-cogeo": Target(0.90, None, 1.0)},
        memory="rio-cogeo",  # which is GDAL's driver, in a process for each core
        source=_NAMED,
    ),
    Work(
        "chunks",
        "zarr",
        "cube",
        {"version": 3, "chunks": CHUNKS},
        {"xarray-idiom": Target(0.35, 0.45, 0.50), "xarray-tuned": Target(0.60, None, 0.75)},
        memory=600,
        grows=True,
        source=_CUBE,
    ),
    Work(
        "shards",
        "zarr",
        "cube",
        {"version": 3, "chunks": CHUNKS, "shards": SHARDS},
        {"xarray-tuned": Target(0.65)},
        memory=1100,
        grows=True,
        not_in_quick=("shards",),
        source=_CUBE,
    ),
    Work(
        "netcdf",
        "netcdf",
        "cube",
        {"chunks": CHUNKS, "level": 4, "split": "none"},
        {"xarray": Target(0.30, None, 0.45)},
        memory=550,
        source=_CUBE,
    ),
)


def works_of(command: str, quick: bool, names: Sequence[str] = (), works: Sequence[Work] = WORKS) -> list[Work]:
    """The works of a command, or those of them that are named. Raises ``KeyError`` for a name that it has not."""
    every = {work.name: work for work in works if work.command == command}
    wanted = [every[name] for name in names] if names else list(every.values())
    return [work for work in wanted if work.peers_of(quick)]
