"""What Windows and macOS lack is not needed: they are imitated by taking it away, in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from earthcode_pack import files as portable

if TYPE_CHECKING:
    from pathlib import Path

# Modules and names of os and socket that the other systems lack (docs.python.org, «Availability»). The libraries of the
# field come first: theirs are not to be imitated, and they may keep what they found.
WITHOUT = """
    import importlib, os, pkgutil, select, socket, sys
    import distributed, filelock, fsspec, h5netcdf, netCDF4, platformdirs, psutil
    import pyproj, rasterio, s3fs, urllib3, xarray, zarr
    for module in {modules}:
        sys.modules[module] = None
    for module, names in {names}.items():
        for name in names:
            if hasattr(sys.modules[module], name):
                delattr(sys.modules[module], name)
    import earthcode_pack
    found = [m.name for m in pkgutil.walk_packages(earthcode_pack.__path__, "earthcode_pack.")]
    for name in found:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    assert len(found) > 100, found
"""
WINDOWS = {
    "modules": ["fcntl", "resource", "termios", "pwd", "grp"],
    "names": {
        "os": ["getuid", "pread", "preadv", "pwrite", "pwritev", "sendfile", "O_CLOEXEC", "sched_getaffinity",
               "copy_file_range", "posix_fallocate", "fork", "killpg"],
        "select": ["poll", "epoll"],
        "socket": ["MSG_DONTWAIT", "MSG_MORE", "TCP_QUICKACK", "AF_UNIX"],
    },
}  # fmt: skip
MACOS = {
    "modules": [],
    "names": {
        "os": ["sched_getaffinity", "copy_file_range", "posix_fallocate", "preadv", "pwritev"],
        "select": ["epoll"],
        "socket": ["MSG_MORE", "TCP_QUICKACK"],
    },
}


@pytest.mark.parametrize("lacking", [WINDOWS, MACOS], ids=["windows", "macos"])
def test_every_module_imports_without_what_the_system_lacks(lacking: dict[str, object]) -> None:
    code = textwrap.dedent(WITHOUT.format(**lacking))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(params=[sys.platform, "win32"])
def platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """This system, and one without positions of their own for threads."""
    monkeypatch.setattr(portable.sys, "platform", request.param)
    return str(request.param)


@pytest.mark.usefixtures("platform")
def test_threads_share_a_file_without_moving_each_others_position(tmp_path: Path) -> None:
    pieces = {1000 * number: bytes([number]) * 1000 for number in range(100)}
    descriptor = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)

    def write(offset: int) -> None:
        assert portable.write_at(descriptor, pieces[offset], offset) == 1000

    def read(offset: int) -> bytes:
        buffer = bytearray(1000)
        assert portable.read_at(descriptor, memoryview(buffer), offset) == 1000
        return bytes(buffer)

    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, reversed(pieces)))
            assert dict(zip(pieces, pool.map(read, pieces), strict=True)) == pieces
        assert portable.read_at(descriptor, memoryview(bytearray(10)), 100 * 1000 - 3) == 3
        assert portable.read_at(descriptor, memoryview(bytearray(10)), 100 * 1000) == 0
    finally:
        os.close(descriptor)
    assert (tmp_path / "a").read_bytes() == b"".join(pieces.values())


def test_a_lock_is_one_persons_at_a_time_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with portable.locked(path) as mine:
        assert mine
        with portable.locked(path) as other, ThreadPoolExecutor(1) as pool:
            assert not other
            assert not pool.submit(_try, path).result()
    assert _try(path)


def test_a_lock_goes_with_its_process_however_that_ends(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    holds = context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "lock", holds))
    process.start()
    assert holds.wait(120)
    assert not _try(tmp_path / "lock")
    process.kill()
    process.join(120)
    assert _try(tmp_path / "lock")


def test_who_waits_gets_the_lock_when_it_is_free(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with portable.locked(tmp_path / "lock") as mine:
            assert mine
            waiting = pool.submit(_wait, tmp_path / "lock")
        assert waiting.result(120)


def _try(path: Path) -> bool:
    with portable.locked(path) as mine:
        return mine


def _wait(path: Path) -> bool:
    with portable.locked(path, wait=60) as mine:
        return mine


def _hold(path: Path, holds: object) -> None:
    with portable.locked(path):
        holds.set()  # type: ignore[attr-defined]
        multiprocessing.Event().wait(600)
