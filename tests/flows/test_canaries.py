"""Credentials of the environment stay in it: a full run and twenty failing ones leave them nowhere."""

from __future__ import annotations

import copy
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest
from clockless import LONG

from earthcode_flows.package import package

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("prefect")

CANARY = "cAnArY7Zq"
GONE = "http://127.0.0.1:9"
NAMES = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "RAPI_USERNAME", "RAPI_PASSWORD",
    "GITHUB_TOKEN", "GH_TOKEN",
)  # fmt: skip
PUBLIC = {"store": {"href": "published", "public_href": "https://example.org"}}


def failing(profile: dict[str, Any]) -> list[dict[str, Any]]:
    """Twenty profiles, each of which fails in another place."""
    source, product = profile["source"], profile["product"]
    catalogued = {"product": product | {"themes": ["land"], "documentation": "https://example.org/a.pdf"}, **PUBLIC}
    hrefs = ["s3://bucket/*.tif", f"{GONE}/a.tif", "ftp://127.0.0.1:9/a.tif", "none/*.tif", "raw/bad.tif", "zip://a::b"]
    stores = [
        {"href": "s3://bucket/pub", "endpoint_url": GONE},
        {"href": "s3://bucket/pub", "endpoint_url": GONE, "ca_bundle": "raw/bad.tif"},
        {"href": "s3://bucket/pub", "profile": "nobody"},
        {"href": "raw/bad.tif"},
        {"prr": {"collection": "a", "api": GONE, "s3_endpoint": GONE, "stac": GONE}},
        {"prr": {"collection": "a", "api": f"{GONE}/api"}},
    ]
    catalogs = [f"{GONE}/osc.tar.gz", f"git+{GONE}/osc.git", "raw", "raw/bad.tif", "s3://bucket/osc.zip"]
    changes = [{"source": source | {"href": href}} for href in hrefs]
    changes += [{"store": store} for store in stores]
    changes += [catalogued | {"catalog": {"metadata": catalog}} for catalog in catalogs]
    changes += [{"compute": {"address": "tcp://127.0.0.1:9"}}]
    changes += [{"source": source | {"variables": ["none"]}}, {"target": {"format": "wrong"}}]
    return [copy.deepcopy(profile) | change for change in changes]


@contextmanager
def command_lines() -> Iterator[list[str]]:
    """What the process list tells of this process and those that it starts, as often as it can be looked at."""
    seen: set[str] = set()
    found: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                try:
                    seen.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield found
    ended.set()
    thread.join(LONG)
    found.extend(seen)


def database() -> list[Path]:
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, PREFECT_HOME

    path = Path(urlsplit(str(PREFECT_API_DATABASE_CONNECTION_URL.value())).path.replace("//", "/"))
    return [*path.parent.glob(f"{path.name}*"), *(file for file in PREFECT_HOME.value().rglob("*") if file.is_file())]


@pytest.mark.slow
@pytest.mark.timeout(1200)  # twenty runs, some of which wait for who does not answer
def test_credentials_of_the_environment_are_left_nowhere(profile, tmp_path, monkeypatch, capfd, caplog):
    from prefect.logging.handlers import APILogWorker

    for number, name in enumerate(NAMES):
        monkeypatch.setenv(name, f"{CANARY}{number}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", GONE)
    monkeypatch.setattr(
        "earthcode_pack.catalogs.prr.http_client.PATIENCE", _once("earthcode_pack.catalogs.prr.http_client")
    )
    (tmp_path / "raw" / "bad.tif").write_bytes(b"no TIFF")
    whole = profile | {"source": profile["source"] | {"href": "raw/ndvi_*.tif"}}
    with command_lines() as listed, caplog.at_level("DEBUG"):
        assert package(whole, base=str(tmp_path), return_state=True).type.value == "COMPLETED"
        runs = failing(whole)
        for number, wrong in enumerate(runs):
            state = package(wrong, base=str(tmp_path), workdir=str(tmp_path / f"work-{number}"), return_state=True)
            assert state.type.value == "FAILED", wrong
            assert CANARY not in str(state.message)
    assert len(runs) == 20
    APILogWorker.drain_all(timeout=LONG)
    told = "".join((*capfd.readouterr(), caplog.text, *listed))
    assert "ndvi" in told
    assert CANARY not in told
    files = [path for path in (*tmp_path.rglob("*"), *database()) if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []


def _once(module: str) -> Any:
    from importlib import import_module

    return type(import_module(module).PATIENCE)(attempts=1)
