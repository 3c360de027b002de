"""The record of a run, ``provenance.json``: software, sources, times, failures; beside the product, not in it."""

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

from earthcode_pack.files import to_json
from earthcode_pack.model import rfc3339
from earthcode_pack.storage.error_messages import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.model import Artifact, Failure

_PACKAGES = (
    "earthcode-pack", "dask", "deflate", "h5netcdf", "h5py", "isal", "netcdf4", "numcodecs", "numpy", "pyproj",
    "rasterio", "xarray", "zarr",
)  # fmt: skip
_KILO = 1024


class Stopwatch:
    """Start of the run, and seconds by stage."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC).replace(microsecond=0)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures the time of one stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - begin, 3)


Seen = tuple[str, int, str]
"""Href, size and sha256 of a source."""


def provenance(
    watch: Stopwatch,
    sources: Iterable[Seen],
    failures: tuple[Failure, ...],
    approvals: list[dict[str, str]],
) -> dict[str, Any]:
    """Makes the content of ``provenance.json`` without its artifacts; hrefs of sources hold no secrets."""
    return {
        "started": rfc3339(watch.started),
        "finished": rfc3339(datetime.now(UTC).replace(microsecond=0)),
        "software": software(),
        "seconds": watch.seconds,
        "peak_memory_mb": peak_memory_mb(),
        "sources": [{"href": shown(href), "size": size, "sha256": sha256} for href, size, sha256 in sources],
        "failed": [failure.model_dump(mode="json") for failure in failures],
        "approvals": approvals,
    }


def approved(record: dict[str, Any], digest: str) -> dict[str, Any]:
    """Adds the approval of a digest to the record, once."""
    approvals = record.get("approvals", [])
    if any(approval["digest"] == digest for approval in approvals):
        return record
    now = rfc3339(datetime.now(UTC).replace(microsecond=0))
    return {**record, "approvals": [*approvals, {"digest": digest, "at": now}]}


def measured(artifacts: Iterable[Artifact]) -> Iterator[dict[str, Any]]:
    """Yields the measurements of each artifact as ``provenance.json`` holds them."""
    return (json.loads(artifact.model_dump_json(exclude={"files"})) for artifact in artifacts)


def provenance_json(record: dict[str, Any], artifacts: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yields the text of ``provenance.json``: indented, except that each artifact is on a line of its own.

    There may be ten thousand of them, with the histogram of every variable; ``Bundle.measured`` reads them again.
    """
    others = {key: value for key, value in record.items() if key != "artifacts"}
    before, _, after = to_json(others | {"artifacts": []}).rpartition("[]")
    yield before
    separator = "[\n    "
    for artifact in artifacts:
        yield separator + json.dumps(artifact, ensure_ascii=False, separators=(",", ":"))
        separator = ",\n    "
    yield ("[]" if separator.startswith("[") else "\n  ]") + after


@cache  # each version is a search through all that is installed
def software() -> dict[str, str]:
    """Returns names and versions of the software that reads and writes the data."""
    import rasterio  # noqa: PLC0415 - keeps the import of this module light

    versions = {name.replace("-", "_"): version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "gdal": rasterio.__gdal_version__, **versions}


def peak_memory_mb() -> int:
    """Returns the largest resident set of this process so far; Linux counts in kilobytes, macOS in bytes."""
    if sys.platform == "win32":
        import psutil  # noqa: PLC0415

        return int(psutil.Process().memory_info().peak_wset // _KILO**2)
    import resource  # noqa: PLC0415 - Windows lacks it

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak // _KILO if sys.platform != "darwin" else peak // _KILO**2)
