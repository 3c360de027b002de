"""A disk that fails in the middle of a source: the file is named, the others go on, and a later run has all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import make_nc, profile_of
from clockless import LONG
from making import every_file, write_tif

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.filterwarnings("ignore:Dataset has no geotransform"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, which fails a call in its place"),
]
INJECTED = {  # by which calls values are read, and not hashed; each thread counts its own calls
    "tif": "read:error=EIO:when=200+",
    "nc": "preadv,preadv2:error=EIO",
}
_RUN = "import sys; from earthcode_pack.cli import execute; sys.exit(execute(sys.argv[1:]))"


def run(folder: Path, *tracer: str) -> tuple[int, dict[str, Any]]:
    program = [sys.executable, "-W", "ignore", "-c", _RUN]
    command = [*tracer, *program, "run", "profile.yaml", "--workdir", "work", "--json"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=LONG, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("tif", "cog"),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in (("tif", "zarr"), ("nc", "zarr"), ("nc", "netcdf"))),
    ],
)
def test_disk_that_fails_inside_a_source(name: str, form: str, tmp_path: Path) -> None:
    if name == "tif":
        write_tif(tmp_path / "raw" / "a_20200101.tif", np.ones((1700, 2000), "int16"), compress=None)
        small = write_tif(tmp_path / "raw" / "a_20200102.tif")
    else:
        make_nc(tmp_path / "raw" / "a.nc", np.ones((1, 100, 120), "f4"), chunks=(1, 20, 20))
        small = make_nc(tmp_path / "raw" / "b.nc", np.ones((1, 100, 120), "f4"), times=[1])
    is_cube = form == "zarr"  # one file of a cube that fails is a hole in it: then only that file is there
    if is_cube:
        small.unlink()
    time = {"from": "filename", "pattern": "a_{start:%Y%m%d}*"} if name == "tif" else None
    profile = profile_of(tmp_path / "raw" / f"*.{name}", form, time=time)
    (tmp_path / "profile.yaml").write_text(profile.to_yaml())

    large = "a_20200101.tif" if name == "tif" else "a.nc"
    path = str(tmp_path / "raw" / large)
    code, told = run(tmp_path, "strace", "-f", "-qq", "-o", "/dev/null", "-P", path, "-e", f"inject={INJECTED[name]}")
    assert code == 1
    assert [failure["source"].rpartition("/")[2] for failure in told["failed"]] == [large]
    assert large in told["failed"][0]["error"] + told["failed"][0]["source"]
    assert told["failed"][0]["remedy"]
    assert told["items"] == (0 if is_cube else 1)
    data = [key for key in every_file(tmp_path / "work" / "demo" / "v1" / "product") if key.startswith("data/")]
    assert len(data) == told["assets"]

    _, told = run(tmp_path)
    assert (told["failed"], told["items"]) == ([], 1 if is_cube else 2)
