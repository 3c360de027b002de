"""What describing costs: STAC and manifest of thousands of Items, in a process of its own. See docs/performance.md.

``python -m benchmarks.describing COUNT FOLDER`` makes artifacts as a worker leaves them, without their pixels, writes
the STAC, the table and the manifest of their product to FOLDER, once and again, and what each took to FOLDER/cost.json.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pyproj

from benchmarks.figures import MB, verdict
from benchmarks.measure import Failed, measure
from benchmarks.tables import markdown, text
from earthcode_pack.bundle import Bundle
from earthcode_pack.bundle.assemble import StacWriter, assemble
from earthcode_pack.describe import Describing
from earthcode_pack.model import Artifact, File, Grid, Histogram, Period, Statistics, WrittenVariable
from earthcode_pack.profile import load_profile

if TYPE_CHECKING:
    from earthcode_pack.profile import Profile

COUNTS, QUICK_COUNTS = (1_000, 10_000), (600, 1_000)
SECONDS = 0.006  # of an Item at most: 10,000 in a minute
KILOBYTES = 12.0  # of memory for an Item more, at most, beyond its artifact
HEAD = ["Items", "wall s", "CPU s", "again s", "artifacts MB", "peak MB", "written MB"]
_BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
_CELLS, _SIDE = 1000, 100.0


@dataclass(frozen=True)
class Outcome:
    """Of one process: seconds to describe, the same again when nothing changed; bytes of memory and of files."""

    count: int
    wall: float
    cpu: float
    again: float
    artifacts: int  # bytes that the artifacts take, which describing is given
    peak: int  # of the whole process
    size: int


# --- in the process that is measured ----------------------------------------------------------------------------------


def artifact(number: int) -> Artifact:
    """A scene of its own day, in one of three UTM zones, as a worker leaves it."""
    start = _BEGAN + timedelta(days=number)
    item = f"bench-describe_{start:%Y%m%d}"
    key = f"data/{item}/{item}_index.tif"
    digest = hashlib.sha256(key.encode()).hexdigest()
    return Artifact(
        fingerprint=digest, item=item, asset="index", key=key, format="cog", grid=_grid(number),
        files=(File(key=key, size=1_000_000 + number, sha256=digest),),
        period=Period(start=start, end=start + timedelta(seconds=86399)),
        variables=(_variable(number),), sources=((f"/raw/index_{start:%Y%m%d}.tif", digest),),
        compared=_CELLS**2, max_error=0.0, processed=_BEGAN,
    )  # fmt: skip


def _grid(number: int) -> Grid:
    west, north = 300_000.0 + _SIDE * (number % 997), 5_000_000.0 + _SIDE * (number % 991)
    return Grid(
        crs=pyproj.CRS.from_epsg(32631 + number % 3).to_wkt(), shape=(_CELLS, _CELLS), dims=("y", "x"),
        bounds=(west, north - _CELLS * _SIDE, west + _CELLS * _SIDE, north), digest=f"{number % 3} {west} {north}",
        transform=(_SIDE, 0.0, west, 0.0, -_SIDE, north),
    )  # fmt: skip


def _variable(number: int) -> WrittenVariable:
    histogram = Histogram(minimum=0.0, maximum=1.0, counts=tuple((number * bin_) % 5000 for bin_ in range(256)))
    statistics = Statistics(
        minimum=0.001, maximum=0.999, mean=0.5 + number / 1e6, stddev=0.1, valid_percent=87.5, histogram=histogram
    )
    return WrittenVariable(
        name="index", dtype="int16", dims=("y", "x"), shape=(_CELLS, _CELLS), chunks=(512, 512), nodata=-1,
        scale=0.0001, units="1", standard_name="normalized_difference_vegetation_index", statistics=statistics,
    )  # fmt: skip


def _profile(folder: Path) -> Profile:
    described = {"title": "BENCH describe", "description": "Made to be measured.", "license": "CC0-1.0"}
    return load_profile({
        "product": {"id": "bench-describe", "version": "1.0", "status": "completed", **described},
        "project": {"id": "bench"},
        "source": {"href": "*.tif", "time": {"from": "filename", "pattern": "index_{start:%Y%m%d}.tif"}},
        "target": {"format": "cog"},
    }, folder)  # fmt: skip


def run(count: int, folder: Path) -> None:
    """Describes ``count`` Items, twice; see the module."""
    before = psutil.Process().memory_info().rss
    given = [Artifact.from_json(artifact(number).to_json()) for number in range(count)]
    held = psutil.Process().memory_info().rss - before
    profile, bundle = _profile(folder), Bundle(folder)
    first, again = (_describe(profile, bundle, given) for _ in range(2))
    facts = {"count": count, "wall": first[0], "cpu": first[1], "again": again[0], "artifacts": held}
    (folder / "cost.json").write_text(json.dumps(facts), encoding="utf-8")


def _describe(profile: Profile, bundle: Bundle, artifacts: list[Artifact]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    assemble(bundle, artifacts, StacWriter(bundle).write(Describing(profile, artifacts, {}, {})))
    return time.perf_counter() - wall, time.process_time() - cpu


# --- around it --------------------------------------------------------------------------------------------------------


def benchmark(data: Path, *, quick: bool, as_markdown: bool = False, json_only: bool = False) -> int:
    """Few Items and many, a process each; 1 where one failed. The last line on standard output is JSON."""
    outcomes = []
    for count in QUICK_COUNTS if quick else COUNTS:
        try:
            outcomes.append(_measured(count, data / "runs" / f"describe-{count}"))
        except Failed as error:
            sys.stderr.write(f"describe, {count} Items: {error}\n")
            return 1
    if not json_only:
        rows = [_row(outcome) for outcome in outcomes]
        sys.stdout.write((markdown if as_markdown else text)(HEAD, rows) + "\n\n")
        sys.stdout.write("".join(f"- {line}\n" for line in _judged(outcomes)) + "\n")
    sys.stdout.write(as_json(outcomes) + "\n")
    return 0


def _measured(count: int, folder: Path) -> Outcome:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "benchmarks.describing", str(count), str(folder)]
    try:
        cost = measure(command, folder / "product")
        _compare(folder / "product", count)
        facts: dict[str, Any] = json.loads((folder / "cost.json").read_bytes())
        return Outcome(**facts, peak=cost.peak, size=cost.size)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compare(product: Path, count: int) -> None:
    """Raises ``Failed`` where an Item is missing: in its file, the Collection, the manifest or the table."""
    import pyarrow.parquet  # noqa: PLC0415 - heavy

    collection = json.loads((product / "collection.json").read_bytes())
    manifest = json.loads((product / "manifest.json").read_bytes())
    table = product / "items.parquet"
    found = {
        "files": len(list((product / "items").glob("*.json"))),
        "links": sum(link["rel"] == "item" for link in collection["links"]),
        "manifest": sum(entry["key"].startswith("items/") for entry in manifest),
        "rows": pyarrow.parquet.read_metadata(table).num_rows if table.exists() else count,
    }  # fmt: skip
    if set(found.values()) != {count}:
        raise Failed(f"{count} Items became {found}")


def growth(few: Outcome, many: Outcome) -> float:
    """Kilobytes (10³) of memory for an Item more, beyond its artifact."""
    beyond = (many.peak - many.artifacts) - (few.peak - few.artifacts)
    return beyond / (many.count - few.count) / 1000


def _row(outcome: Outcome) -> list[str]:
    seconds = [f"{value:.1f}" for value in (outcome.wall, outcome.cpu, outcome.again)]
    memory = [f"{value / MB:.0f}" for value in (outcome.artifacts, outcome.peak, outcome.size)]
    return [str(outcome.count), *seconds, *memory]


def _judged(outcomes: list[Outcome]) -> list[str]:
    few, many = outcomes[0], outcomes[-1]
    kilobytes = growth(few, many)
    return [
        f"{many.count} Items in {many.wall:.1f} s {verdict(many.wall, many.count * SECONDS)}",
        f"memory for an Item more: {kilobytes:.1f} kB beside its artifact {verdict(kilobytes, KILOBYTES)}",
    ]


def as_json(outcomes: list[Outcome]) -> str:
    """The last line: as of the other benchmarks, with seconds for want of a peer to be compared with."""
    return json.dumps({
        "benchmark": "describe",
        "ratios": {},
        "peak_memory_mb": {f"items-{outcome.count}": round(outcome.peak / MB, 1) for outcome in outcomes},
        "seconds": {f"items-{outcome.count}": round(outcome.wall, 2) for outcome in outcomes},
        "cpu_seconds": {f"items-{outcome.count}": round(outcome.cpu, 2) for outcome in outcomes},
        "kilobytes_per_item": round(growth(outcomes[0], outcomes[-1]), 2),
    })  # fmt: skip


if __name__ == "__main__":
    run(int(sys.argv[1]), Path(sys.argv[2]))
