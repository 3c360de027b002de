"""The double of the gateway against the real server, request by request.

``REG_API`` names a checkout of github EOEPCA/reg-api; without it the table runs against the double alone. Stood in for
the real server's surroundings: its catalogue by ``services/stac_api.py``, the S3 servers of stage-in and archive by the
folders that they serve.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - of a dataclass
from typing import Any

import osc_bundles as made
import pytest
import urllib3
import yaml
from clockless import LONG, until
from services.gateway import FILE_EXTENSION, BucketStageIn, FolderStageIn, Gateway
from services.s3 import client
from services.serving import served
from services.stac_api import Catalogue

from earthcode_pack.catalogs.prr import gateway_findings, register, verify
from earthcode_pack.catalogs.prr.staging import Staging
from earthcode_pack.model import Level

REAL = os.environ.get("REG_API")
USER, PASSWORD, ADMINISTRATOR = "provider", "open-sesame", "operator"
COLLECTION = "demo-prr"

Item = dict[str, Any]


@dataclass
class Side:
    """One of the two: where it listens, and what it stands on."""

    api: str
    stage_in: Path
    archive: Path
    catalogue: Catalogue
    pool: urllib3.PoolManager

    def stage(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            (self.stage_in / name).parent.mkdir(parents=True, exist_ok=True)
            (self.stage_in / name).write_bytes(content)

    def ask(self, method: str, path: str, body: Any = None, user: str | None = USER, word: str = PASSWORD) -> Any:
        basic = f"Basic {base64.b64encode(f'{user}:{word}'.encode()).decode()}"
        headers = {"Content-Type": "application/json"} | ({"Authorization": basic} if user else {})
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = self.pool.request(method, f"{self.api}{path}", body=data, headers=headers, retries=False)
        try:
            told = json.loads(answer.data)
        except ValueError:
            told = answer.data.decode()
        return answer.status, told, answer.headers.get("WWW-Authenticate")

    def state(self) -> dict[str, Any]:
        """Everything that a request can change."""
        return {
            "staged": _files(self.stage_in),
            "archived": _files(self.archive / COLLECTION),
            "catalogued": copy.deepcopy(self.catalogue.items),
        }

    def clear(self) -> None:
        for folder in (self.stage_in, self.archive / COLLECTION):
            shutil.rmtree(folder)
            folder.mkdir()
        self.catalogue.items = {COLLECTION: {}}
        self.catalogue.refuses = None


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    root = tmp_path_factory.mktemp("double")
    for name in ("stagein", f"assets/{COLLECTION}"):
        (root / name).mkdir(parents=True)
    gateway = Gateway(root / "assets", Catalogue(COLLECTION), {USER: PASSWORD, ADMINISTRATOR: PASSWORD})
    for user in (USER, ADMINISTRATOR):
        gateway.writers[user, COLLECTION] = FolderStageIn(root / "stagein")
    gateway.administrators.add(ADMINISTRATOR)
    with gateway.served(), urllib3.PoolManager() as pool:
        yield Side(gateway.api, root / "stagein", root / "assets", gateway.catalogue, pool)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """The real server, set up with its own administration tool."""
    if not REAL:
        pytest.skip("needs REG_API, a checkout of github EOEPCA/reg-api")
    root = tmp_path_factory.mktemp("real")
    shutil.copytree(REAL, root / "reg-api", ignore=shutil.ignore_patterns(".git"))
    for name in ("stagein/bucket", f"assets/{COLLECTION}", f"stac/{COLLECTION}"):
        (root / "data" / name).mkdir(parents=True)
    (root / "data" / "stac" / f"{COLLECTION}.json").write_text("{}")
    catalogue = Catalogue(COLLECTION)
    with served(catalogue.private()) as stac, urllib3.PoolManager() as pool:
        _administer(root, stac)
        with _running(root / "reg-api" / "src") as api:
            data = root / "data"
            yield Side(api, data / "stagein" / "bucket", data / "assets", catalogue, pool)


def _administer(root: Path, stac: str) -> None:
    settings = {
        "datastore_folder": str(root / "data"), "stagein_subfolder": "stagein", "stac_subfolder": "stac",
        "assets_subfolder": "assets", "catalogue_address": f"{stac}/collections",
        "datastore_external_url": "/d/{coll_id}/",
    }  # fmt: skip
    (root / "reg-api" / "cfg" / "conf.yaml").write_text(yaml.safe_dump({"config": settings}))
    for words in (
        "initdb",
        f"user add {USER} {PASSWORD}",
        f"user add {ADMINISTRATOR} {PASSWORD}",
        f"auth add {USER} {COLLECTION} bucket",
        f"auth add {ADMINISTRATOR} {COLLECTION} bucket -D",
    ):
        tool = [sys.executable, str(root / "reg-api" / "bin" / "reg-api"), *words.split()]
        subprocess.run(tool, check=True, capture_output=True)


@contextmanager
def _running(source: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = ["uvicorn", "main:app", "--host", "127.0.0.1", "--port", str(port), "--log-level", "critical"]
    python = os.environ.get("REG_API_PYTHON", sys.executable)
    server = subprocess.Popen(
        [python, "-m", *command], cwd=source, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: _listens(server, port), "the real server")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(LONG)


def _listens(server: subprocess.Popen[bytes], port: int) -> bool:
    assert server.poll() is None, "the real server did not start"
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


# --- the table --------------------------------------------------------------------------------------------------------


def item(name: str = "one", **assets: Any) -> Item:
    """An Item that is taken once ``one/a.tif`` is staged."""
    data = {"href": f"{name}/a.tif", "type": "image/tiff", "roles": ["data"], "file:size": 4}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [FILE_EXTENSION],
        "id": name,
        "geometry": {"type": "Point", "coordinates": [1, 2]},
        "bbox": [1, 2, 1, 2],
        "properties": {"start_datetime": "2020-03-04T05:06:07Z", "end_datetime": "2020-03-05T00:00:00Z"},
        "links": [],
        "assets": assets or {"data": data},
    }


def asset(href: str = "one/a.tif", **changes: Any) -> Item:
    full = {"href": href, "type": "image/tiff", "roles": ["data"], "file:size": 4} | changes
    return {key: value for key, value in full.items() if value is not ...}


def without(key: str) -> Item:
    return {name: value for name, value in item().items() if name != key}


def times(**changes: Any) -> Item:
    made = item()
    made["properties"] = {k: v for k, v in (made["properties"] | changes).items() if v is not ...}
    return made


STAGED = {
    "one/a.tif": b"tiff", "one/a.tif.xml": b"tiff", "one/b c.tif": b"tiff", "two/a.tif": b"tiff",
    "store.zarr/.zgroup": b"{}", f"{'a' * 101}.tif": b"tiff",
}  # fmt: skip

ITEMS: dict[str, Any] = {
    "right": item(),
    "no id": without("id"),
    "id empty": item() | {"id": ""},
    "id with a slash": item() | {"id": "a/b"},
    "id of 100": item() | {"id": "a" * 100},
    "id of 101": item() | {"id": "a" * 101},
    "id a number": item() | {"id": 5},
    "id with an umlaut": item() | {"id": "öl"},
    "no extensions": without("stac_extensions"),
    "extensions as text": item() | {"stac_extensions": FILE_EXTENSION},
    "an older file extension": item() | {"stac_extensions": [FILE_EXTENSION.replace("2.1", "2.0")]},
    "another among the extensions": item() | {"stac_extensions": ["https://example.org/x.json", FILE_EXTENSION]},
    "its collection": item() | {"collection": COLLECTION},
    "another collection": item() | {"collection": "other"},
    "collection null": item() | {"collection": None},
    "no links": without("links"),
    "no geometry": without("geometry"),
    "no properties": without("properties"),
    "no start": times(start_datetime=...),
    "no end": times(end_datetime=...),
    "start null": times(start_datetime=None),
    "end null": times(end_datetime=None),
    "datetime null": times(datetime=None),
    "datetime of another day": times(datetime="2021-12-31T23:59:59Z"),
    "datetime with an offset": times(datetime="2021-12-31T23:59:59-05:00"),
    "datetime that is none": times(datetime="yesterday"),
    "start a day": times(start_datetime="2020-03-04"),
    "start with a fraction": times(start_datetime="2020-03-04T05:06:07.123456Z"),
    "start compact": times(start_datetime="20200304T050607Z"),
    "start in words": times(start_datetime="4 March 2020"),
    "start a number": times(start_datetime=2020),
    "end before start": times(end_datetime="2019-01-01T00:00:00Z"),
    "no assets": without("assets"),
    "assets empty": item() | {"assets": {}},
    "assets as an empty list": item() | {"assets": []},
    "assets as a list": item() | {"assets": [asset()]},
    "asset as text": item(data="one/a.tif"),
    "asset as a number": item(data=5),
    "no href": item(data=asset(href=...)),
    "href a number": item(data=asset(href=5)),
    "no type": item(data=asset(type=...)),
    "type null": item(data=asset(type=None)),
    "any type": item(data=asset(type="nonsense")),
    "no roles": item(data=asset(roles=...)),
    "roles as text": item(data=asset(roles="data")),
    "other roles": item(data=asset(roles=["metadata"])),
    "documentation": item(data=asset(roles=["documentation"])),
    "no size": item(data=asset(**{"file:size": ...})),
    "size as text": item(data=asset(**{"file:size": "4"})),
    "size a fraction": item(data=asset(**{"file:size": 4.0})),
    "another size": item(data=asset(**{"file:size": 5})),
    "any checksum": item(data=asset(**{"file:checksum": "nonsense"})),
    "not staged": item(data=asset("one/other.tif")),
    "hand-over form": item(data=asset(f"/d/{COLLECTION}/a.tif")),
    "out of the bucket": item(data=asset("../../cfg/a.tif")),
    "dots that stay inside": item(data=asset("two/../one/./a.tif")),
    "blank in the name": item(data=asset("one/b c.tif")),
    "long name": item(data=asset(f"{'a' * 101}.tif")),
    "two of one name": item(data=asset(), more=asset("two/a.tif")),
    "two assets of one file": item(data=asset(), more=asset()),
    "remote alone": item(data=asset("https://example.org/a.tif")),
    "remote and staged": item(data=asset("https://example.org/a.tif"), more=asset()),
    "folder": item(data=asset("store.zarr")),
    "folder with a slash": item(data=asset("store.zarr/")),
    "folder and a file in it": item(data=asset("store.zarr"), more=asset("store.zarr/.zgroup", **{"file:size": 2})),
    "wrong first, then no role": item(data=asset("one/other.tif", roles=["metadata"])),
    "names that begin alike": item(data=asset(), more=asset("one/a.tif.xml")),
    "two faults of one asset": item(data=asset(type=..., roles=...)),
}  # fmt: skip

Step = Callable[[Side], Any]
POST = f"/collections/{COLLECTION}/items"


def post(body: Any, **more: Any) -> Step:
    return lambda side: side.ask("POST", POST, body, **more)


def stage(content: bytes) -> Step:
    return lambda side: side.stage({"one/a.tif": content})


def _batch(*items: Any) -> Item:
    return {"type": "FeatureCollection", "features": list(items)}


def _refusing(status: int) -> Step:
    return lambda side: setattr(side.catalogue, "refuses", status)


STORIES: dict[str, list[Step]] = {
    "nobody": [post(item(), user=None)],
    "wrong password": [post(item(), word="wrong")],
    "unknown user": [post(item(), user="stranger")],
    "wrong password and nonsense": [post({"type": "x"}, word="wrong")],
    "unknown collection": [lambda side: side.ask("POST", "/collections/other/items", item())],
    "neither Feature nor FeatureCollection": [post({"type": "Collection"}), post({}), post(_batch())],
    "features as text": [post({"type": "FeatureCollection", "features": "x"})],
    "no JSON": [post(b"{"), post(b""), post(b"{", word="wrong")],
    "a list": [post([item()]), post([item()], word="wrong")],
    "again after success": [post(item()), post(item())],
    "again with the file staged again": [post(item()), stage(b"tiff"), post(item())],
    "again with another file": [post(item()), stage(b"other"), post(item(data=asset(**{"file:size": 5})))],
    "two items, one file": [post(item()), post(item("two", data=asset("one/a.tif")))],
    "batch": [post(_batch(item(), item("two")))],
    "batch of one": [post(_batch(item()))],
    "batch with one bad": [post(_batch(item(), item("two", data=asset("two/none.tif"))))],
    "batch with one bad first": [post(_batch(item("a/b"), item("two")))],
    "batch with one there": [post(item()), stage(b"tiff"), post(_batch(item(), item("two")))],
    "batch with one there and one bad": [post(item()), stage(b"tiff"), post(_batch(item("a/b"), item()))],
    "batch with one twice": [post(_batch(item(), item()))],
    "batch with nonsense in the middle": [post(_batch(item(), 5, item("two")))],
    "batch without an id": [post(_batch(without("id"), item("two")))],
    "catalogue refuses": [_refusing(400), lambda side: side.ask("POST", POST, item())[0]],
    "other ways in": [lambda side: [side.ask(method, f"{POST}/one", item()) for method in ("GET", "PUT", "PATCH")],
                      lambda side: [side.ask("GET", path) for path in (POST, "/collections")]],
    "delete by a provider": [post(item()), lambda side: side.ask("DELETE", f"{POST}/one")],
    "delete by an administrator": [post(item()), lambda side: side.ask("DELETE", f"{POST}/one", user=ADMINISTRATOR)],
    "delete of nothing": [lambda side: side.ask("DELETE", f"{POST}/one", user=ADMINISTRATOR)],
}  # fmt: skip
TABLE = {**{f"item: {name}": [post(body)] for name, body in ITEMS.items()}, **STORIES}
# Messages of libraries and of the operating system
LIBRARY = {"no JSON", "a list", "item: id empty"}


def _told(side: Side, story: list[Step], *, words: bool) -> list[Any]:
    """What each step answered, and what it left."""
    side.clear()
    side.stage(STAGED)
    told = []
    for step in story:
        answer = step(side)
        if not words and isinstance(answer, tuple) and isinstance(answer[1], dict):
            answer = (answer[0], answer[1] | {"failure_reason": ...}, answer[2])
        told += [answer, side.state()]
    return told


@pytest.mark.parametrize("name", TABLE if REAL else ["all"])
def test_double_and_real_server_are_one(name: str, double: Side, real: Side) -> None:
    words = name not in LIBRARY
    assert _told(double, TABLE[name], words=words) == _told(real, TABLE[name], words=words)


@dataclass
class OfBucket(Side):
    """The double whose stage-in is a bucket, as the tests of publishing have it."""

    bucket: BucketStageIn

    def stage(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            self.bucket.client.put_object(Bucket=self.bucket.bucket, Key=name, Body=content)

    def state(self) -> dict[str, Any]:
        get, bucket = self.bucket.client.get_object, self.bucket.bucket
        staged = {key: get(Bucket=bucket, Key=key)["Body"].read() for key in sorted(self.bucket.keys())}
        return super().state() | {"staged": staged}

    def clear(self) -> None:
        super().clear()
        for key in sorted(self.bucket.keys()):
            self.bucket.client.delete_object(Bucket=self.bucket.bucket, Key=key)


@pytest.fixture
def bucketed(moto: str, bucket: str, tmp_path: Path) -> Iterator[OfBucket]:
    for name in ("stagein", f"assets/{COLLECTION}"):
        (tmp_path / name).mkdir(parents=True)
    stage_in = BucketStageIn(client(moto, "someone", "else"), bucket)
    gateway = Gateway(tmp_path / "assets", Catalogue(COLLECTION), {USER: PASSWORD, ADMINISTRATOR: PASSWORD})
    gateway.writers |= {(user, COLLECTION): stage_in for user in (USER, ADMINISTRATOR)}
    gateway.administrators.add(ADMINISTRATOR)
    with gateway.served(), urllib3.PoolManager() as pool:
        yield OfBucket(gateway.api, tmp_path / "stagein", tmp_path / "assets", gateway.catalogue, pool, stage_in)


def test_a_bucket_is_emptied_as_a_folder_is(double: Side, bucketed: OfBucket) -> None:
    """The real server sees folders alone: what agrees with it there does so with a bucket."""
    told = {name: _told(double, story, words=True) for name, story in TABLE.items()}
    moved = [name for name in TABLE if any(isinstance(step, dict) and step["archived"] for step in told[name])]
    assert len(moved) > 20
    for name in [*moved, "item: not staged", "item: another size"]:
        assert _told(bucketed, TABLE[name], words=True) == told[name], name


def test_a_product_is_registered_at_the_real_server(
    real: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staged into the folder that its S3 server would serve; the double lends its catalogue's and archive's doors."""
    import earthcode_pack.catalogs.prr.staging
    from earthcode_pack.storage import LocalStore

    real.clear()
    stage_in = Staging(LocalStore(real.stage_in))
    monkeypatch.setattr(earthcode_pack.catalogs.prr.staging, "open_staging", lambda *_: stage_in)
    monkeypatch.setenv("RAPI_USERNAME", USER)
    monkeypatch.setenv("RAPI_PASSWORD", PASSWORD)
    with Gateway(real.archive, real.catalogue).served() as doors:
        prr = {"collection": COLLECTION, "api": real.api, "stac": doors.stac, "s3_endpoint": doors.url, "patience": 1}
        store = {"prr": prr, "access": "public"}
        bundle = made.bundle(tmp_path / "bundle", made.profile(project=made.NEW_PROJECT, catalog=None, store=store))
        assert register(bundle) == ()
        assert register(bundle) == ()
        assert verify(bundle, read=True) == ()
        assert len(_files(real.archive / COLLECTION)) == 4
        del real.catalogue.items[COLLECTION]["demo-sst_20200101"]  # as an administrator would, but for the files
        assert register(bundle) == ()
        real.catalogue.items[COLLECTION]["demo-sst_20200102"]["assets"]["sst"]["file:size"] = 9
        assert {finding.rule for finding in register(bundle)} == {"PRR-INGESTED-DATA"}


# --- the double by itself: what the facts say, where there is no real server ------------------------------------------


FACTS: dict[str, tuple[int, str]] = {
    "right": (201, ""),
    "id with a slash": (422, "ID field is invalid"),
    "no extensions": (422, "storage/v1.0.0"),
    "another collection": (422, "different from the one in the POST"),
    "no start": (422, "Missing required start_datetime"),
    "start in words": (422, "invalid ISO time"),
    "datetime null": (201, ""),
    "no size": (422, "mandatory 'file:size'"),
    "other roles": (422, "'data' or 'documentation'"),
    "documentation": (201, ""),
    "remote alone": (201, ""),
    "hand-over form": (422, "out of the staging area"),
    "not staged": (422, "not found in the staging area"),
    "another size": (422, "File size does not match"),
    "blank in the name": (422, "file name is invalid"),
    "two of one name": (422, "not unique"),
    "any type": (201, ""),
    "no geometry": (201, ""),
}


@pytest.mark.parametrize("name", FACTS)
def test_the_profile_that_the_double_enforces(name: str, double: Side) -> None:
    double.clear()
    double.stage(STAGED)
    status, body, _ = double.ask("POST", POST, ITEMS[name])
    assert (status, FACTS[name][1] in body.get("failure_reason", "")) == (FACTS[name][0], True)


def test_what_is_taken_lies_by_date_and_id(double: Side) -> None:
    double.clear()
    double.stage(STAGED)
    status, body, _ = double.ask("POST", POST, item())
    assert (status, body["assets"]["data"]["href"]) == (201, f"/d/{COLLECTION}/2020/03/04/one/a.tif")
    assert _files(double.archive / COLLECTION) == {"2020/03/04/one/a.tif": b"tiff"}
    assert "one/a.tif" not in _files(double.stage_in)
    assert body["properties"]["datetime"] == body["properties"]["start_datetime"]
    assert double.ask("POST", POST, item())[1]["failure_reason"].endswith("not found in the staging area location")


def test_nobody_gets_in_without_the_password(double: Side) -> None:
    assert double.ask("POST", POST, item(), word="wrong")[0] == 401
    assert double.ask("POST", "/collections/other/items", item())[1] == {
        "detail": "User is not authorized to this collection"
    }


# --- what is checked here before anything is sent, against what the gateway refuses -----------------------------------

SEEN_ELSEWHERE = {"not staged", "another size"}  # from the bundle: register.hand_over_findings


@pytest.mark.parametrize("name", [name for name in ITEMS if name not in SEEN_ELSEWHERE])
def test_what_the_gateway_refuses_is_a_finding_before(name: str, double: Side) -> None:
    double.clear()
    double.stage(STAGED)
    body = ITEMS[name]
    errors = [found.rule for found in gateway_findings(copy.deepcopy(body), COLLECTION) if found.level is Level.ERROR]
    status, answer, _ = double.ask("POST", POST, body)
    is_whole = status == 201 and all(_is_there(double, asset) for asset in answer["assets"].values())
    assert is_whole or errors, answer


def _is_there(side: Side, asset: Item) -> bool:
    href = asset["href"]
    return "://" in href or (side.archive / href.removeprefix("/d/")).exists()
