"""NetCDF-3 files tried in a process of their own: netCDF-C reads some damaged headers out of bounds, and crashes."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 60  # that opening may take on a busy machine
_MEMORY = 2 << 30  # bytes of address space, libraries included
_TRIAL = f"""
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY}, {_MEMORY}))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except ImportError:
    pass
import netCDF4
with netCDF4.Dataset(sys.argv[1]) as file:
    for one in (file, *file.variables.values()):
        {{name: one.getncattr(name) for name in one.ncattrs()}}
"""


def refuse_what_crashes(path: Path) -> None:
    """Raises ``Unreadable`` where netCDF-C does not open a file, crashes on it or does not end; tried once."""
    found = path.stat()
    _tried(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=1000)
def _tried(path: Path, _size: int, _changed: int) -> None:
    try:
        command = [sys.executable, "-c", _TRIAL, str(path.absolute())]
        ended = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 - our own
    except subprocess.TimeoutExpired:
        raise Unreadable(f"{path.name}: netCDF-C does not come to an end with it", "write the file again") from None
    if ended.returncode:
        lines = ended.stderr.decode(errors="replace").strip().splitlines()
        why = (
            f"crashes (signal {-ended.returncode})" if ended.returncode < 0 else f"fails: {lines[-1] if lines else ''}"
        )
        raise Unreadable(f"{path.name}: netCDF-C {why[:200]}", "write the file again")
