"""What the core alone says where an extra is needed: a script for an environment without any, which .ci/run makes.

Usage: python without_extras.py PATH/TO/earthcode-pack
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).absolute()
CLUSTERS = {
    "dask_jobqueue.SLURMCluster": "slurm",
    "dask_kubernetes.operator.KubeCluster": "kubernetes",
    "dask_gateway.GatewayCluster": "gateway",
}
PROFILE = """
product:
  {{id: demo, title: DEMO, description: A demonstration., license: CC-BY-4.0, version: "1.0", status: completed,
    region: none, keywords: [demo], themes: [land], missions: [], contacts: [{{name: Jane, roles: [producer]}}]}}
project: {{id: demo-project}}
source: {{href: "{href}", time: {{start: 2020-01-01, end: 2020-12-31}}}}
target: {{format: zarr}}
"""


def main() -> None:
    """Asks for each extra, and fails where the answer does not name it."""
    program = str(Path(sys.argv[1]).absolute())
    for module in ("cfgrib", "eccodes", "prefect", "dask_jobqueue"):
        assert importlib.util.find_spec(module) is None, f"{module} is installed: this is not the core alone"
    os.chdir(tempfile.mkdtemp())
    for command in ("deploy", "serve"):
        code, told = asked(program, command, *(["--json"] if command == "deploy" else []))
        assert code == 2, told
        assert "pip install 'earthcode-pack[prefect]'" in str(told), told
    for cluster, extra in CLUSTERS.items():
        code, told = run_sample(program, f"compute: {{cluster_class: {cluster}}}")
        assert code == 2, told
        assert told["error"]["remedy"] == f"pip install 'earthcode-pack[{extra}]'", told
    Path("a.grib").write_bytes(b"GRIB\0\0\0\2" + bytes(100))
    code, told = plan(program, "a.grib")
    assert code == 1, told
    assert told["failed"][0]["remedy"] == "pip install 'earthcode-pack[grib]'", told


def plan(program: str, href: str) -> tuple[int, Any]:
    """The exit code and the object of ``plan --json``."""
    Path("profile.yaml").write_text(PROFILE.format(href=href), encoding="utf-8")
    return asked(program, "plan", "profile.yaml", "--json")


def run_sample(program: str, more: str) -> tuple[int, Any]:
    """The exit code and the object of ``run --json``, for a sample product with something more in its profile."""
    profiles = next(folder / "profiles" for folder in HERE.parents if (folder / "profiles").is_dir())
    text = (profiles / "landcover-cog.yaml").read_text(encoding="utf-8").replace("../", f"{profiles.parent}/")
    Path("sample.yaml").write_text(f"{text}\n{more}\n", encoding="utf-8")
    return asked(program, "run", "sample.yaml", "--prepare-only", "--json")


def asked(program: str, *arguments: str) -> tuple[int, Any]:
    """The exit code, and what was written: JSON where it was asked for."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, json.loads(done.stdout) if "--json" in arguments else done.stdout + done.stderr


if __name__ == "__main__":
    main()
