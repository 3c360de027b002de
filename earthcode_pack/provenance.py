"""What ran, on what, with what: the record beside the bundle, never in the product's own bytes."""

from __future__ import annotations

import json
import platform
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from earthcode_pack.bundle import to_json
from earthcode_pack.model import rfc3339
from earthcode_pack.storage.words import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Artifact, Failure, Source

_PACKAGES = (
    "earthcode-pack", "dask", "deflate", "h5netcdf", "h5py", "isal", "netcdf4", "numcodecs", "numpy", "pyproj",
    "rasterio", "xarray", "zarr",
)  # fmt: skip
_KILO = 1024
_PLACE = "\u001f artifacts"  # what no name in a record is


class Stopwatch:
    """Seconds by stage, and when it all began."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC).replace(microsecond=0)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times one stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - begin, 3)


def provenance(
    watch: Stopwatch,
    sources: tuple[Source, ...],
    artifacts: list[Artifact],
    failures: tuple[Failure, ...],
    approvals: list[dict[str, str]],
) -> dict[str, Any]:
    """The content of ``provenance.json``; hrefs of sources without secrets."""
    return {
        "started": rfc3339(watch.started),
        "finished": rfc3339(datetime.now(UTC).replace(microsecond=0)),
        "software": software(),
        "seconds": watch.seconds,
        "peak_memory_mb": peak_memory_mb(),
        "sources": [{"href": shown(source.href), "size": source.size, "sha256": source.sha256} for source in sources],
        "failed": [failure.model_dump(mode="json") for failure in failures],
        "artifacts": [json.loads(artifact.model_dump_json(exclude={"files"})) for artifact in artifacts],
        "approvals": approvals,
    }


def approved(record: dict[str, Any], digest: str) -> dict[str, Any]:
    """The record with the approval of a digest, noted once."""
    approvals = record.get("approvals", [])
    if any(approval["digest"] == digest for approval in approvals):
        return record
    now = rfc3339(datetime.now(UTC).replace(microsecond=0))
    return {**record, "approvals": [*approvals, {"digest": digest, "at": now}]}


def provenance_json(record: dict[str, Any]) -> str:
    """The text of ``provenance.json``: indented, but for its artifacts, which stand on a line each.

    There may be ten thousand of them, with the histogram of every variable.
    """
    lines = [
        json.dumps(artifact, ensure_ascii=False, separators=(",", ":")) for artifact in record.get("artifacts", ())
    ]
    listed = "[\n    " + ",\n    ".join(lines) + "\n  ]" if lines else "[]"
    return to_json(record | {"artifacts": _PLACE}).replace(json.dumps(_PLACE), listed, 1)


def software() -> dict[str, str]:
    """Name and version of what reads and writes the data."""
    import rasterio  # noqa: PLC0415 - keeps the import of this module light

    return {"python": platform.python_version(), "gdal": rasterio.__gdal_version__, **_versions()}


@cache  # each is a search through all that is installed
def _versions() -> dict[str, str]:
    return {name.replace("-", "_"): version(name) for name in _PACKAGES}


def peak_memory_mb() -> int:
    """The largest resident set of this process so far; Linux counts in kilobytes, macOS in bytes (getrusage(2))."""
    if sys.platform == "win32":
        import psutil  # noqa: PLC0415

        return int(psutil.Process().memory_info().peak_wset // _KILO**2)
    import resource  # noqa: PLC0415 - Windows lacks it

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak // _KILO if sys.platform != "darwin" else peak // _KILO**2)
