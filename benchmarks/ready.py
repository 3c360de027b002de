"""A work made ready: its inputs there, its plan made, and for each contender the command and where it writes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measure import ROOT
from benchmarks.works import OURS, Work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NEEDS = {  # of each peer: a module, and what to install for it
    "gdal": ("rasterio", "rasterio"),
    "rio-cogeo": ("rio_cogeo", "rio-cogeo"),
    "odc-geo": ("odc.geo.cog", "odc-geo[tiff]"),
    "xarray-idiom": ("xarray", "xarray[parallel]"),
    "xarray-tuned": ("xarray", "xarray[parallel]"),
    "xarray": ("xarray", "xarray[parallel]"),
}


@dataclass(frozen=True)
class Ready:
    """A work with its inputs and its plan; ``seconds`` is what finding, hashing and planning took."""

    work: Work
    files: tuple[Path, ...]
    folder: Path
    seconds: float

    def output(self, who: str) -> Path:
        """What ``who`` makes: to be removed before and after."""
        return self.folder / who

    def product(self, who: str) -> Path:
        """The data in it."""
        if who != OURS:
            return self.output(who)
        return self.output(who) / f"bench-{self.work.name}" / "v1.0" / "product" / "data"

    def command(self, who: str, python: str) -> list[str]:
        """The process that makes it."""
        if who != OURS:
            sources = [str(path) for path in self.files]
            return [python, "-m", "benchmarks.peers", f"{self.work.name}/{who}", *sources, str(self.output(who))]
        made = [str(self.folder / "plan.json"), str(self.folder / "profile.yaml"), str(self.output(who))]
        return [sys.executable, "-m", "benchmarks.ours", *made]


def make_ready(work: Work, files: Sequence[Path], folder: Path) -> Ready:
    """Writes the profile, finds and plans; raises ``RuntimeError`` where a file cannot be used."""
    from earthcode_pack.plan import plan  # noqa: PLC0415
    from earthcode_pack.profile import load_profile  # noqa: PLC0415
    from earthcode_pack.sources.discover import discover  # noqa: PLC0415 - seconds, which help and tests need not wait for
    from earthcode_pack.storage import IdentityCache  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    profile = load_profile(work.profile(files))
    (folder / "profile.yaml").write_text(profile.to_yaml(), encoding="utf-8")
    begin = time.perf_counter()
    planned = plan(profile, discover(profile, IdentityCache()))
    seconds = time.perf_counter() - begin
    if planned.failures:
        raise RuntimeError(f"{work.name}: {planned.failures[0].source}: {planned.failures[0].error}")
    (folder / "plan.json").write_text(planned.to_json(), encoding="utf-8")
    return Ready(work, tuple(files), folder, seconds)


def engines_of(ready: Ready) -> list[str]:
    """Which engines did our part, as its artifacts say."""
    from earthcode_pack.model import Artifact  # noqa: PLC0415

    records = (ready.output(OURS) / f"bench-{ready.work.name}" / "v1.0" / ".work" / "artifacts").glob("*.json")
    return sorted({Artifact.from_json(path.read_bytes()).engine for path in records})


def python_with(peer: str, other: str | None) -> str | None:
    """The Python that has a peer: this one, or the one that the user names; None where neither has it."""
    module, _ = NEEDS[peer]
    if _has(module):
        return sys.executable
    if other is None:
        return None
    look = [other, "-c", f"import {module}"]
    found = subprocess.run(look, cwd=ROOT, capture_output=True, check=False)  # noqa: S603 - named by the user
    return other if found.returncode == 0 else None


def _has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
