"""What an extra of the package brings is named where it is missing. (.ci/run asks a wheel without extras the same.)"""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from earthcode_pack.cli.commands import app
from earthcode_pack.convert.read import open as opening
from earthcode_pack.errors import MissingExtra, Unreadable
from earthcode_pack.execution import dask_cluster
from earthcode_pack.execution import mapper as compute
from earthcode_pack.profile.model import Compute

if TYPE_CHECKING:
    from pathlib import Path


def without(module: str) -> Any:
    """``find_spec`` where a module is not installed."""
    return lambda name: None if name == module else find_spec(name)


@pytest.mark.parametrize("command", ["deploy", "serve"])
def test_flows_need_prefect(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr("earthcode_pack.cli.commands.find_spec", without("prefect"))
    error = CliRunner().invoke(app, [command]).exception
    assert isinstance(error, MissingExtra)
    assert (error.exit_code, error.remedy) == (2, "pip install 'earthcode-pack[prefect]'")


@pytest.mark.parametrize(
    ("path", "extra"),
    [("dask_jobqueue.SLURMCluster", "slurm"), ("dask_kubernetes.operator.KubeCluster", "kubernetes"),
     ("dask_gateway.GatewayCluster", "gateway")],
)  # fmt: skip
def test_managers_of_clusters_have_an_extra_each(monkeypatch: pytest.MonkeyPatch, path: str, extra: str) -> None:
    monkeypatch.setattr(dask_cluster, "find_spec", without(path.partition(".")[0]))
    with (
        pytest.raises(MissingExtra, match=path) as caught,
        compute.mapper(Compute(cluster_class=path)) as each,
    ):
        list(each(abs, [1]))
    assert caught.value.remedy == f"pip install 'earthcode-pack[{extra}]'"


def test_grib_needs_its_reader_and_the_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(opening, "find_spec", without("cfgrib"))
    (tmp_path / "a.grb2").write_bytes(b"GRIB" + bytes(100))
    with pytest.raises(Unreadable, match=r"a\.grb2") as caught, opening.open_raw(tmp_path / "a.grb2", "GRIB"):
        pass
    assert caught.value.remedy == "pip install 'earthcode-pack[grib]'"


def test_the_error_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(MissingExtra("deploying flows", "prefect")))
    assert (error.message, error.remedy, error.extra) == (
        "deploying flows needs the extra prefect, which is not installed",
        "pip install 'earthcode-pack[prefect]'",
        "prefect",
    )
