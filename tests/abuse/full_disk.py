"""A disk that is full at any write, then space, and the same command again: said in words, resumed, the same bytes.

    PYTHONPATH=tests unshare -rm .venv/bin/python -m abuse.full_disk [FORM ...]

Mounts a small tmpfs for the workdir, of ``SIZES`` sizes (10 by default) for each format between nothing and what a run
needs. One line each: ``disk full: cog 10 of 10``. Needs Linux that lets users mount in a namespace of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from abuse.forks import load, spread, start
from abuse.products import FORMS, leftovers, product_of, under_final_names, write_profile
from making import EPOCH, every_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENVIRONMENT = {"EARTHCODE_PACK_OFFLINE": "1", "SOURCE_DATE_EPOCH": EPOCH}
_PAGE = 4096
_ROOM = 2**30


def main(chosen: list[str]) -> int:
    """Prints a line for each format."""
    load()
    number, ok = int(os.environ.get("SIZES", "10")), True
    for form in FORMS:
        if not chosen or form in chosen:
            with tempfile.TemporaryDirectory(prefix="full-") as folder:
                ok &= spread("disk full", form, number, _Disk(Path(folder), form).full)
    return int(not ok)


class _Disk:
    """Runs of a product, prepared on a disk of a given size."""

    def __init__(self, folder: Path, form: str) -> None:
        self.folder, self.work = folder, folder / "disk"
        self.work.mkdir()
        self.profile = write_profile(folder, form, store=None)
        with _mounted(self.work, _ROOM):
            code = self._run()
            assert code == 0, self._log()
            stat = os.statvfs(self.work)
            self.needed = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
            self.expected = every_file(product_of(self.work / "w"))

    def _run(self) -> int:
        arguments = ["run", str(self.profile), "--workdir", str(self.work / "w")]
        code, _ = start(arguments, self.folder / "log", _ENVIRONMENT).wait()
        return code

    def _log(self) -> str:
        return (self.folder / "log").read_text()[-4000:]

    def full(self, share: float) -> list[str]:
        """What is wrong where the disk has this share of the bytes that a run needs, and then enough of them."""
        size = int(self.needed * share) // _PAGE * _PAGE + _PAGE
        return [f"{size} bytes: {problem}" for problem in self._full_at(size)]

    def _full_at(self, size: int) -> list[str]:
        with _mounted(self.work, size):
            code, wrong = self._run(), []
            if code not in (0, 3) or (code == 3 and not _is_told(self._log())):
                wrong.append(f"ended with {code}: {self._log()}")
            made = under_final_names(product_of(self.work / "w") / "data")
            wrong += [f"half-written: data/{key}" for key in made if made[key] != self.expected[f"data/{key}"]]
            _mount("-o", f"remount,size={_ROOM}", "tmpfs", str(self.work))
            code = self._run()
            if code != 0:
                wrong.append(f"the next run ended with {code}: {self._log()}")
            elif every_file(product_of(self.work / "w")) != self.expected:
                wrong.append("another product")
            return wrong + [f"left over: {path}" for path in leftovers(self.work / "w")]


def _is_told(log: str) -> bool:
    return "the disk is full" in log and "free space" in log and "Traceback" not in log


@contextmanager
def _mounted(folder: Path, size: int) -> Iterator[None]:
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
