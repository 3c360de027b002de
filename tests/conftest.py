"""What every test stands on: a sound order of imports, no network but this machine's own, the material beside it."""

from __future__ import annotations

import gc
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyproj  # noqa: F401 - first of all: the process crashes at its end where ecCodes was loaded before PROJ
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from services.rgw import Rgw

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # for making.py

# pytest-socket (pyproject.toml) holds Python's own sockets to this machine. Libraries in C and Rust, and processes that
# a test starts, obey a proxy instead: one that is not there.
for _name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ[_name] = os.environ[_name.upper()] = "http://127.0.0.1:9"
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost,::1"

os.environ["EARTHCODE_PACK_OFFLINE"] = "1"  # no test fetches a schema of STAC: the fixture schemas has them

settings.register_profile("project", deadline=None)  # a busy machine is no failure
settings.load_profile("project")


_SERVERS = ("prefect", "rgw")  # fixtures that start a server, the slower one first


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need one server run in one process of pytest-xdist, so that it is started once."""
    for item in items:
        asked = {*getattr(item, "fixturenames", ()), *_parameters(item)}
        needed = [server for server in _SERVERS if server in asked]
        if needed:
            item.add_marker(pytest.mark.xdist_group(needed[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores: a quarter of the time tests wait, for servers and for processes that they start."""
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """What collecting made stays until the end: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


def _parameters(item: pytest.Item) -> set[str]:
    call = getattr(item, "callspec", None)
    return {value for value in call.params.values() if isinstance(value, str)} if call else set()


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The material beside the checkout; a test that needs it is skipped where it is not."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder shared beside the checkout: published schemas, real data, the real catalogue")
    return folder


@pytest.fixture(scope="session", autouse=True)
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The JSON schemas of STAC and its extensions, which every test has: as published, or made where they are not."""
    folder = ROOT.parent / "shared" / "schemas"
    if not folder.is_dir():
        from stac_schemas import write_schemas

        folder = write_schemas(tmp_path_factory.mktemp("schemas"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARTHCODE_PACK_SCHEMAS", str(folder))
        yield folder


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Open Science Catalog as a tarball: the real one as of July 2026, or a small one made where it is not."""
    from osc_checkout import packed

    snapshot = ROOT.parent / "shared" / "osc-catalog.tar.gz"
    return snapshot if snapshot.is_file() else packed(tmp_path_factory.mktemp("catalogue"))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes this process work on another machine: with a scratch folder of its own, empty at first; time stands still.

    So mirrors of workdirs and ledgers of uploads are that machine's alone.
    """
    from making import EPOCH

    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)

    def become(name: str) -> Path:
        monkeypatch.setenv("EARTHCODE_PACK_SCRATCH", str(tmp_path / "machines" / name))
        return tmp_path / "machines" / name

    become("first")
    return become


# --- S3 -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The endpoint of a small S3 server in this process, for what needs no real one."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A bucket of the test's own there; the environment holds the credentials, and nothing else of AWS."""
    from making import SECRET

    return _bucket(moto, ("someone", SECRET), monkeypatch, tmp_path)


def _bucket(endpoint: str, user: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    from services.s3 import client

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": user[0],
        "AWS_SECRET_ACCESS_KEY": user[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    client(endpoint, *user).create_bucket(Bucket=bucket)
    return bucket


@pytest.fixture(scope="session")
def rgw() -> Iterator[Rgw]:
    """A Ceph RGW on this machine, as EarthCODE's object store is one; http and https, its authority is its own."""
    from services.rgw import missing, started

    if missing():
        pytest.skip(f"needs Debian's radosgw, ceph-mon and ceph-osd: there is no {missing()[0]}")
    server = started()
    yield server
    server.stop()


@pytest.fixture
def rgw_bucket(rgw: Rgw, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """As ``bucket``, at Ceph RGW over http."""
    return _bucket(rgw.http, rgw.user, monkeypatch, tmp_path)
