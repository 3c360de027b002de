"""Products that go to the PRR from end to end: by the pipeline and the command line, to the double of the gateway."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from making import cube_profile, profile_of, write_cube, write_tif
from prr_places import COLLECTION, PASSWORD, USER, place

from earthcode_pack.bundle import open_bundle
from earthcode_pack.cli import execute
from earthcode_pack.pipeline import prepare, publish, summarise

if TYPE_CHECKING:
    from pathlib import Path

    from prr_places import StageIn
    from services.gateway import Gateway
    from services.rgw import Rgw

    from earthcode_pack.bundle import Bundle


@pytest.fixture(scope="module")
def prepared(_double: Gateway, _s3: StageIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two maps and the bundle of them, which goes to the PRR."""
    folder = tmp_path_factory.mktemp("prepared")
    for day in ("20200101", "20200102"):
        write_tif(folder / "raw" / f"a_{day}.tif")
    store = {"prr": place(_double, _s3), "access": "public"}
    prepare(profile_of(folder, store=store), folder / "work")
    return folder


@pytest.fixture
def scenes(prepared: Path, tmp_path: Path, prr: Gateway) -> Bundle:  # noqa: ARG001 - the PRR as new
    """A copy of them for one test."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    profile = tmp_path / "work" / "demo" / "v1.0" / "profile.yaml"
    profile.write_text(profile.read_text().replace(str(prepared), str(tmp_path)))
    return open_bundle(profile.parent)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Exit code and the object of a command with --json."""
    capsys.readouterr()
    code = execute([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_maps(scenes: Bundle, prr: Gateway, storage: StageIn) -> None:
    import rasterio

    href = f"{prr.stac}/collections/{COLLECTION}"
    assert publish(scenes) == href
    assert summarise(scenes, href).findings["error"] == 0
    for name, item in prr.catalogue.items[COLLECTION].items():
        with rasterio.open(prr.archive / item["assets"]["index"]["href"].removeprefix("/d/")) as file:
            assert file.shape == (16, 20), name
    assert storage.keys() == []
    assert (scenes.root / "prr" / "stac.zip").is_file()


def test_a_second_publication_changes_nothing(scenes: Bundle, prr: Gateway) -> None:
    publish(scenes)
    before = {path: path.read_bytes() for path in scenes.root.rglob("*") if path.is_file()}
    publish(scenes)
    assert {path: path.read_bytes() for path in scenes.root.rglob("*") if path.is_file()} == before
    assert prr.batches == [2]


def test_a_cube_goes_zipped(prr: Gateway, storage: StageIn, tmp_path: Path) -> None:
    write_cube(tmp_path / "raw" / "a.nc")
    store = {"prr": place(prr, storage)}
    options = {"version": 2, "zipped": True}
    bundle = prepare(cube_profile(tmp_path, store=store, target__zarr=options), tmp_path / "work")
    assert publish(bundle) == f"{prr.stac}/collections/{COLLECTION}"
    content = prr.files()[f"/d/{COLLECTION}/2020/01/01/demo/demo.zarr.zip"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {".zgroup", ".zattrs"} <= set(archive.namelist())
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    (item,) = prr.catalogue.items[COLLECTION].values()
    assert item["assets"]["data"]["type"] == "application/zip+zarr"


def test_zarr_3_is_refused_when_it_is_planned(
    prr: Gateway, storage: StageIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cube(tmp_path / "raw" / "a.nc")
    stated = yaml.safe_load(cube_profile(tmp_path).to_yaml())
    (tmp_path / "p.yaml").write_text(json.dumps(stated | {"store": {"prr": place(prr, storage)}}))
    code, answer = told(capsys, "plan", str(tmp_path / "p.yaml"))
    assert code == 2
    assert "zipped Zarr v2" in answer["error"]["message"]
    assert "{version: 2, zipped: true}" in json.dumps(answer)


# --- the command line -------------------------------------------------------------------------------------------------


def test_publish_says_where_the_collection_is(scenes: Bundle, prr: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = told(capsys, "publish", scenes.name)
    assert (code, answer["published"]) == (0, f"{prr.stac}/collections/{COLLECTION}")


def test_an_item_that_is_not_registered_is_exit_code_1_and_a_finding(
    scenes: Bundle, prr: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    prr.own_rules["demo_20200101"] = "no Mondays"
    code, answer = told(capsys, "publish", scenes.name)
    assert (code, answer["published"], answer["findings"]["error"]) == (1, None, 1)
    assert [finding.rule for finding in scenes.findings() if finding.rule.startswith("PRR-REF")] == ["PRR-REFUSED"]
    prr.own_rules.clear()
    code, answer = told(capsys, "publish", scenes.name)
    assert (code, answer["findings"]["error"]) == (0, 0), "the error of the first run blocks nothing, and is gone"
    assert not [finding for finding in scenes.findings() if finding.rule == "PRR-REFUSED"]


def test_a_product_that_changed_is_another_product(
    scenes: Bundle, prr: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "publish", scenes.name)[0] == 0
    write_tif(tmp_path / "raw" / "a_20200101.tif", [[1, 2], [3, 4]])
    again = prepare(scenes.profile(), tmp_path / "work")
    code, answer = told(capsys, "publish", again.name)
    assert (code, answer["published"]) == (1, None)
    assert {finding.rule for finding in again.standing_errors()} == {"PRR-INGESTED-DATA"}
    assert prr.batches == [2]


def test_the_password_is_nowhere(scenes: Bundle, prr: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    prr.line.early.append(("POST", 502))
    told(capsys, "publish", scenes.name)
    prr.users[USER] = "another"
    (scenes.root / "prr" / "answers" / "demo_20200101.json").unlink()
    del prr.catalogue.items[COLLECTION]["demo_20200101"]
    code, answer = told(capsys, "publish", scenes.name)
    assert (code, answer["error"]["type"]) == (3, "OutsideError")
    files = [path.read_bytes() for path in scenes.root.parent.rglob("*") if path.is_file()]
    assert not any(PASSWORD.encode() in content for content in [*files, json.dumps(answer).encode()])
    assert USER.encode() not in b"".join(files)


def test_interrupted_by_the_storage_it_is_exit_code_3_and_resumes(
    scenes: Bundle, prr: Gateway, storage: StageIn, capsys: pytest.CaptureFixture[str]
) -> None:
    storage.line.through = 4
    code, answer = told(capsys, "publish", scenes.name)
    assert (code, "s3://" in answer["error"]["message"]) == (3, True)
    storage.line.mend()
    assert told(capsys, "publish", scenes.name)[0] == 0
    assert prr.batches == [2]


def test_a_bundle_elsewhere_is_the_same_bundle(scenes: Bundle, prr: Gateway, tmp_path: Path) -> None:
    """publish needs nothing but the bundle, the state of an interrupted registration included."""
    import shutil

    prr.never.add("demo_20200101_index.tif")
    assert publish(scenes) is None
    shutil.copytree(scenes.root, tmp_path / "elsewhere")
    prr.never.clear()
    assert publish(open_bundle(tmp_path / "elsewhere")) is not None
    assert prr.batches == [2]


# --- settings ---------------------------------------------------------------------------------------------------------


def test_trusted_by_a_file_of_its_authority(scenes: Bundle, storage: StageIn, tmp_path: Path) -> None:
    from services.certificates import signed
    from services.gateway import BucketStageIn, Gateway
    from services.stac_api import Catalogue

    from earthcode_pack.errors import OutsideError

    files = signed(tmp_path / "tls")
    both = tmp_path / "tls" / "both.pem"
    both.write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
    gateway = Gateway(tmp_path / "archive", Catalogue(COLLECTION), {USER: PASSWORD})
    gateway.writers[USER, COLLECTION] = BucketStageIn(storage.client, f"sg-{USER}-generic")
    profile = scenes.root / "profile.yaml"
    stated = yaml.safe_load(profile.read_text())
    with gateway.served(both):
        stated["store"] = {"prr": place(gateway, storage)}
        profile.write_text(json.dumps(stated))
        with pytest.raises(OutsideError, match="certificate is not trusted") as caught:
            publish(scenes)
        assert "store.ca_bundle" in caught.value.remedy
        stated["store"]["ca_bundle"] = str(files.ca)
        profile.write_text(json.dumps(stated))
        assert publish(scenes) is not None
    assert os.environ["RAPI_PASSWORD"] == PASSWORD


# --- staged on Ceph RGW -----------------------------------------------------------------------------------------------


@pytest.fixture
def rgw_scenes(rgw: Rgw, scenes: Bundle, prr: Gateway, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The maps, for a PRR whose stage-in storage is a real one over https, with an authority of its own."""
    import boto3
    from services.gateway import BucketStageIn

    user, secret = rgw.user
    keys = {"aws_access_key_id": user, "aws_secret_access_key": secret, "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=rgw.http, **keys)
    client.create_bucket(Bucket=f"sg-{user}-generic")
    prr.users[user] = secret
    prr.writers[user, COLLECTION] = BucketStageIn(client, f"sg-{user}-generic")
    monkeypatch.setenv("RAPI_USERNAME", user)
    monkeypatch.setenv("RAPI_PASSWORD", secret)
    stated = yaml.safe_load((scenes.root / "profile.yaml").read_text())
    stated["store"]["prr"]["s3_endpoint"] = rgw.https
    stated["store"]["ca_bundle"] = str(rgw.certificates.ca)
    (scenes.root / "profile.yaml").write_text(json.dumps(stated))
    return scenes


def test_staged_over_tls(rgw_scenes: Bundle, prr: Gateway) -> None:
    assert publish(rgw_scenes) is not None
    assert len(prr.catalogue.items[COLLECTION]) == 2


def test_a_wrong_password_is_refused_by_the_storage_before_the_gateway(
    rgw_scenes: Bundle, prr: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAPI_PASSWORD", "wrong")
    code, answer = told(capsys, "publish", rgw_scenes.name)
    assert code == 3
    assert "correct RAPI_USERNAME and RAPI_PASSWORD" in answer["error"]["remedy"]
    assert prr.posted == []


def test_a_bucket_that_is_not_there_is_named(
    rgw_scenes: Bundle, prr: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAPI_STAGEIN_BUCKET", "sg-nowhere")
    code, answer = told(capsys, "publish", rgw_scenes.name)
    assert (code, answer["error"]["remedy"]) == (3, "correct store.prr.bucket")
    assert prr.posted == []
