"""A workdir at a URL: the same product as in a folder, whoever goes on, wherever the parts are made."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import boto3
import fsspec
import numpy as np
import pytest
from clockless import LONG
from making import SECRET, cube_profile, every_file, moments, profile_of, write_cube, write_tif

from earthcode_pack import cli, pipeline
from earthcode_pack.errors import Locked, OutsideError, ProfileError, UserError
from earthcode_pack.pipeline import dry_run, open_bundle, prepare, publish, summarise
from earthcode_pack.remote.mirror import Mirror
from earthcode_pack.remote.workdir import bundle_in
from earthcode_pack.run.workspace import Workspace
from earthcode_pack.storage import Folder
from earthcode_pack.storage.remote_lock import RemoteLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.filterwarnings("ignore:Dataset has no geotransform"), pytest.mark.usefixtures("machine")]
MANIFEST = "product/manifest.json"


def netcdf_profile(folder: Path, **changes: Any) -> Any:
    return cube_profile(folder, target__format="netcdf", **changes)


@pytest.fixture
def work(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A workdir as a URL: ``s3``, ``file`` or ``memory``, as the test says, by which it is called indirectly."""
    if request.param == "s3":
        yield f"s3://{request.getfixturevalue('bucket')}/some/work"
    elif request.param == "file":
        yield f"file://{tmp_path}/there"
    else:
        fs = fsspec.filesystem("memory")
        yield "memory://bucket/work"
        fs.store.clear()
        fs.pseudo_dirs[:] = [""]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder with scenes and cubes below ``raw``."""
    for day in (1, 2):
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif", np.full((16, 20), day, "int16"))
    for month in range(2):
        write_cube(tmp_path / "raw" / f"t_{month}.nc", np.arange(3) + 3 * month)
    return tmp_path


def there(url: str) -> dict[str, bytes]:
    """All objects below a URL by their key."""
    folder = Folder(url)
    return {key: folder.read(key) or b"" for key in folder.listing()}


def product(url: str) -> dict[str, bytes]:
    return {key.removeprefix("product/"): raw for key, raw in there(url).items() if key.startswith("product/")}


MAKERS = [profile_of, cube_profile, netcdf_profile]


@pytest.mark.parametrize(
    ("make", "work"),
    [
        (cube_profile, "s3"),
        (netcdf_profile, "file"),
        (profile_of, "memory"),
        pytest.param(profile_of, "s3", marks=pytest.mark.slow),
        pytest.param(netcdf_profile, "s3", marks=pytest.mark.slow),
    ],
    indirect=["work"],
)
def test_url_holds_what_a_folder_would(make: Any, raw: Path, work: str, machine: Callable[[str], Path]) -> None:
    profile = make(raw)
    expected = prepare(profile, raw / "folder")
    bundle = prepare(profile, work)
    assert bundle.digest == expected.digest
    assert bundle.name == summarise(bundle).bundle == f"{work}/demo/v1.0"
    assert product(bundle.name) == every_file(bundle.product) == every_file(expected.product)
    left = there(bundle.name)
    own = {".work/identities.json", ".work/lock"}
    assert {key for key in left if not key.startswith("product/")} == {
        key for key in every_file(expected.root) if not key.startswith("product/") and key not in own
    }
    assert not list(bundle.root.rglob("part-*"))

    machine("second")  # nothing is done twice, and no data travels to find that out
    planned, summary = dry_run(profile, work)
    assert summary.skipped == len(planned.jobs)
    again = prepare(profile, work)
    assert again.skipped == len(planned.jobs)
    assert again.digest == expected.digest
    assert there(bundle.name) == left
    assert not (again.product / "data").exists()


@pytest.mark.parametrize("work", ["memory"], indirect=True)
def test_removed_source_leaves_no_object(raw: Path, work: str, machine: Callable[[str], Path]) -> None:
    prepare(profile_of(raw), work)
    (raw / "raw" / "a_20200102.tif").unlink()
    machine("second")
    bundle = prepare(profile_of(raw), work)
    assert bundle.skipped == 1
    assert not [key for key in there(bundle.name) if "20200102" in key and not key.startswith(".work/previews")]
    assert product(bundle.name) == every_file(prepare(profile_of(raw), raw / "folder").product)


def test_damaged_object_is_made_again(raw: Path, machine: Callable[[str], Path]) -> None:
    bundle = prepare(profile_of(raw), f"file://{raw}/there")
    expected = product(bundle.name)
    (damaged,) = (raw / "there").rglob("*01_index.tif")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    machine("second")
    assert prepare(profile_of(raw), f"file://{raw}/there").skipped == 1
    assert product(bundle.name) == expected


def test_object_that_was_removed_comes_back_from_the_machine_that_has_it(raw: Path) -> None:
    bundle = prepare(profile_of(raw), f"file://{raw}/there")
    expected = product(bundle.name)
    for key in (MANIFEST, "product/collection.json", "findings.json"):
        (raw / "there" / "demo" / "v1.0" / key).unlink()
    assert prepare(profile_of(raw), f"file://{raw}/there").skipped == 2
    assert product(bundle.name) == expected


def test_title_alone_sends_no_data(raw: Path, machine: Callable[[str], Path]) -> None:
    prepare(profile_of(raw), f"file://{raw}/there")
    before = moments(raw / "there")
    machine("second")
    prepare(profile_of(raw, product__title="DEMO Other"), f"file://{raw}/there")
    after = moments(raw / "there")
    data = [key for key in after if "/product/data/" in key]
    assert len(data) == 2
    assert [before[key] for key in data] == [after[key] for key in data]
    assert before[f"demo/v1.0/{MANIFEST}"] != after[f"demo/v1.0/{MANIFEST}"]


# --- what an observer sees --------------------------------------------------------------------------------------------


def _watched(monkeypatch: pytest.MonkeyPatch, url: str) -> list[dict[str, bytes]]:
    """Fills with what lies at the URL after each writing and removing."""
    seen: list[dict[str, bytes]] = []
    for name in ("put", "remove"):
        real = getattr(Folder, name)

        def watched(self: Folder, *args: Any, real: Any = real) -> None:
            real(self, *args)
            seen.append(product(url))

        monkeypatch.setattr(Folder, name, watched)
    monkeypatch.setattr("earthcode_pack.storage.concurrency._FEW", 1)
    return seen


def test_whoever_looks_sees_a_whole_product_or_none(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = f"file://{raw}/there"
    url = prepare(profile_of(raw), work).name
    write_tif(raw / "raw" / "a_20200102.tif", np.full((16, 20), 9, "int16"))
    write_tif(raw / "raw" / "a_20200103.tif")
    seen = _watched(monkeypatch, url)
    prepare(profile_of(raw), work)
    assert len(seen) > 5
    assert "manifest.json" in seen[-1]
    for moment in seen:
        if "manifest.json" in moment:
            for entry in json.loads(moment["manifest.json"]):
                assert "1220" + hashlib.sha256(moment[entry["key"]]).hexdigest() == entry["sha256"]


# --- failures and killed runs -----------------------------------------------------------------------------------------


def test_bucket_that_is_not_there_is_of_the_outside_and_not_made(
    raw: Path, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = raw / "profile.yaml"
    path.write_text(profile_of(raw).to_yaml())
    missing = f"{bucket}-2"
    code = cli.execute(["run", str(path), "--prepare-only", "--workdir", f"s3://{missing}/work", "--json"])
    told = capsys.readouterr().out
    assert code == 3
    assert json.loads(told)["error"]["type"] == "OutsideError"
    assert "bucket does not exist" in told
    assert SECRET not in told
    assert missing not in {found["Name"] for found in boto3.client("s3").list_buckets()["Buckets"]}


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:x", "http://127.0.0.1:1/base/path"])
def test_endpoint_that_is_none_is_of_the_user(
    raw: Path, bucket: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(UserError, match="no endpoint of S3 storage") as caught:
        Folder(f"s3://{bucket}/work").put(raw / "raw" / "t_0.nc", "t.nc")
    assert "AWS_ENDPOINT_URL" in caught.value.remedy


@pytest.mark.parametrize("url", ["s3://{}//work", "s3://{}/some//work"])
def test_url_with_an_empty_part_is_no_folder(raw: Path, bucket: str, url: str) -> None:
    folder = Folder(url.format(bucket))
    with pytest.raises(UserError, match="is not a key"):
        folder.put(raw / "raw" / "t_0.nc", "t.nc")
    assert Folder(f"s3://{bucket}").listing() == {}


class Broken(OutsideError):
    """Stands for a storage that fails from now on."""


@pytest.mark.parametrize("make", [cube_profile, netcdf_profile])
def test_storage_that_fails_at_any_put_leaves_what_a_run_goes_on_with(
    make: Any, raw: Path, machine: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = prepare(make(raw), raw / "folder").digest
    work, real = f"file://{raw}/there", Folder.put
    for attempt in range(20):
        machine(f"machine {attempt % 2}")
        left = [3 + 3 * attempt]

        def put(self: Folder, *args: Any, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Broken("the storage has failed")
            real(self, *args)

        with monkeypatch.context() as patch:
            patch.setattr(Folder, "put", put)
            try:
                bundle = prepare(make(raw), work)
            except Broken:
                continue
            break
    assert 1 < attempt < 20
    assert bundle.digest == expected
    assert product(bundle.name) == every_file(raw / "folder" / "demo" / "v1.0" / "product")


_RUN = """
import sys
from earthcode_pack.pipeline import prepare
from earthcode_pack.profile import load_profile
print("go", flush=True)
print(prepare(load_profile(sys.argv[1]), sys.argv[2]).digest, flush=True)
"""


def _start(profile: Path, work: str, machine: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "EARTHCODE_PACK_SCRATCH": str(machine)}
    machine.mkdir(parents=True, exist_ok=True)
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(profile), work],
        stdout=subprocess.PIPE, text=True, env=environment, cwd=machine,
    )  # fmt: skip
    assert run.stdout is not None
    assert run.stdout.readline() == "go\n"
    return run


def _ended(run: subprocess.Popen[str]) -> str:
    with run:
        assert run.stdout is not None
        return run.stdout.read().strip()


def _many(folder: Path) -> None:
    for day in range(1, 7):
        write_tif(folder / "raw" / f"a_2020010{day}.tif", np.full((600, 600), day, "int16"))
    for month in range(3):
        days = np.arange(30) + 30 * month
        write_cube(folder / "raw" / f"t_{month}.nc", days, lats=np.arange(60), lons=np.arange(90))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("make", MAKERS)
def test_killed_and_resumed_on_machines_that_share_nothing(make: Any, tmp_path: Path, bucket: str) -> None:
    _many(tmp_path)
    profile = tmp_path / "profile.yaml"
    profile.write_text(make(tmp_path).to_yaml())
    began = time.monotonic()
    digest = _ended(_start(profile, f"s3://{bucket}/whole", tmp_path / "machines" / "whole"))
    seconds = time.monotonic() - began
    chance = random.Random(5)
    for number in range(5):
        run = _start(profile, f"s3://{bucket}/killed", tmp_path / "machines" / str(number))
        time.sleep(chance.uniform(0.1, seconds))
        run.send_signal(signal.SIGKILL)
        _ended(run)
    last = _ended(_start(profile, f"s3://{bucket}/killed", tmp_path / "machines" / "last"))
    assert last == digest != ""
    killed, whole = (there(f"s3://{bucket}/{name}/demo/v1.0") for name in ("killed", "whole"))
    assert killed.keys() == whole.keys()
    assert {k: v for k, v in killed.items() if "product" in k} == {k: v for k, v in whole.items() if "product" in k}


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.mark.parametrize(
    "death",
    [
        (cube_profile, "second", "run.workspace.Workspace.keep"),
        (cube_profile, "second", "run.workspace.Workspace.keep_record"),
        (cube_profile, "second", "run.workspace.Workspace.forget"),
        (cube_profile, "second", "pipeline.assemble"),
        (profile_of, "second", "run.workspace.Workspace.keep_record"),
        (profile_of, "second", "remote.mirror.Mirror.send_product"),
        (cube_profile, "first", "remote.mirror.Mirror.send_product"),
        (cube_profile, "first", "run.workspace.Workspace.keep_record"),
        (profile_of, "first", "remote.mirror.Mirror.push"),
    ],
)
def test_run_that_dies_there_goes_on_anywhere(
    death: tuple[Any, str, str], raw: Path, machine: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, where, moment = death
    expected = prepare(make(raw), raw / "folder")
    work = f"file://{raw}/there"

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"earthcode_pack.{moment}", die)
        patch.setattr("earthcode_pack.storage.remote_lock.RemoteLock._release", lambda _: None)
        with pytest.raises(Killed):
            prepare(make(raw), work)
    machine(where)
    left = open_bundle(f"{work}/demo/v1.0")
    assert left.digest is None
    folder = Folder(left.name)
    monkeypatch.setattr("earthcode_pack.storage.remote_lock._began", lambda _: "another")  # the process has ended
    bundle = prepare(make(raw), work)
    assert product(bundle.name) == every_file(expected.product)
    assert not [key for key in folder.listing() if "jobs/" in key or "held" in key]


def test_parts_that_were_done_elsewhere_are_not_done_again(
    raw: Path, machine: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends after some parts; another machine reads the records and fetches what they name."""
    work = f"file://{raw}/there"
    for month in range(2):
        write_cube(
            raw / "raw" / f"t_{month}.nc", np.arange(24) + 24 * month, lats=np.arange(80) / 2, lons=np.arange(300) / 2
        )
    zarr = {"chunks": {"time": 2, "lat": 40, "lon": 75}}
    profile = cube_profile(raw, target__zarr=zarr, compute={"memory_limit": "1MiB"})
    expected = prepare(profile, raw / "folder")
    kept: list[int] = []
    real = Workspace.keep_record

    def keep(self: Workspace, job: Any, record: Any) -> None:
        real(self, job, record)
        kept.append(record.number)
        if len(kept) > 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "keep_record", keep)
        patch.setattr("earthcode_pack.storage.remote_lock.RemoteLock._release", lambda _: None)
        with pytest.raises(Killed):
            prepare(profile, work)
    machine("second")
    monkeypatch.setattr("earthcode_pack.storage.remote_lock._began", lambda _: "another")  # the process has ended
    again: list[int] = []
    monkeypatch.setattr(Workspace, "keep_record", lambda self, job, r: (real(self, job, r), again.append(r.number)))
    bundle = prepare(profile, work)
    assert len(again) > 1
    assert set(again).isdisjoint(kept)
    assert product(bundle.name) == every_file(expected.product)


# --- workers that share no disk ---------------------------------------------------------------------------------------

_WORKER = """
import asyncio, sys
import pyproj
from distributed import Worker

async def work():
    async with Worker(sys.argv[1], nthreads=1, host="127.0.0.1", local_directory=sys.argv[2]) as worker:
        await worker.finished()

asyncio.run(work())
"""


@pytest.fixture
def scheduler(tmp_path: Path, bucket: str) -> Iterator[str]:
    """The address of a scheduler with two workers in processes, folders and scratch of their own."""
    assert bucket
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster:
        workers = []
        for name in ("left", "right"):
            home = tmp_path / "workers" / name
            home.mkdir(parents=True)
            environment = os.environ | {"EARTHCODE_PACK_SCRATCH": str(home / "scratch")}
            command = [sys.executable, "-c", _WORKER, cluster.scheduler_address, str(home)]
            workers.append(subprocess.Popen(command, env=environment, cwd=home))
        try:
            yield cluster.scheduler_address
        finally:
            for worker in workers:
                worker.terminate()
                worker.wait(LONG)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_workers_need_no_disk_in_common(raw: Path, bucket: str, scheduler: str) -> None:
    for make in MAKERS:
        expected = prepare(make(raw), raw / "folder")
        bundle = prepare(make(raw, compute={"address": scheduler}), f"s3://{bucket}/{make.__name__}")
        assert bundle.digest == expected.digest
        assert product(bundle.name) == every_file(expected.product)
        assert not [key for key in there(bundle.name) if "jobs/" in key]
        assert not bundle.provenance()["failed"]
    scratches = [raw / "workers" / name / "scratch" for name in ("left", "right")]
    assert any(scratch.exists() for scratch in scratches)  # nothing was made by this process
    assert not [file for scratch in scratches for file in every_file(scratch)]


# --- who holds it -----------------------------------------------------------------------------------------------------


def _held_by(url: str, **changes: Any) -> None:
    """Leaves the claim of a run, as it lies there, with something changed."""
    folder = Folder(url)
    with RemoteLock(folder, ".work/held.json", "").held():
        claim = json.loads(folder.read(".work/held.json") or b"")
    folder.create(".work/held.json", json.dumps(claim | changes).encode())


@pytest.mark.parametrize("work", ["file"], indirect=True)
def test_run_on_another_machine_is_told_from_a_dead_one_here(
    raw: Path, work: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = prepare(profile_of(raw), work).name
    _held_by(url, machine="elsewhere", host="elsewhere.example", since="2026-01-02T03:04:05Z")
    with pytest.raises(Locked, match=r"on elsewhere\.example \(process \d+\) since 2026-01-02T03:04:05Z") as caught:
        prepare(profile_of(raw), work)
    assert f"earthcode-pack clean {url}" in caught.value.remedy
    assert cli.execute(["clean", url]) == 0
    assert "leftover" in capsys.readouterr().out
    assert prepare(profile_of(raw), work).skipped == 2

    _held_by(url, began="long ago")  # this process's number, of one that ended
    assert prepare(profile_of(raw), work).skipped == 2
    assert ".work/held.json" not in Folder(url).listing()


def test_living_run_of_this_machine_is_not_cleaned_away(raw: Path, machine: Callable[[str], Path]) -> None:
    work = f"file://{raw}/there"
    url = prepare(profile_of(raw), work).name
    with Workspace(open_bundle(url)).held():
        for name in ("first", "second"):
            machine(name)
            with pytest.raises(Locked, match="another run holds" if name == "first" else platform.node()):
                prepare(profile_of(raw), work)
            assert cli.execute(["clean", url]) == 3
            assert cli.execute(["status", url]) == 0


def test_run_whose_hold_was_broken_writes_nothing_more(raw: Path) -> None:
    mirror = Mirror(bundle_in(f"file://{raw}/there", "demo", "1.0").root, f"file://{raw}/there/demo/v1.0")
    with pytest.raises(Locked, match="taken from this one"), mirror.held():
        mirror.claim.break_open()
    assert Folder(f"file://{raw}/there").listing() == {}


@pytest.mark.parametrize("work", ["s3", "file", "memory"], indirect=True)
def test_of_two_claims_one_holds(work: str) -> None:
    first, second = (RemoteLock(Folder(work), "held.json", "wait").held() for _ in range(2))
    with first, pytest.raises(Locked, match=platform.node()), second:
        pass
    assert Folder(work).listing() == {}


# --- the commands -----------------------------------------------------------------------------------------------------


def test_commands_take_the_url_that_run_printed(
    raw: Path, bucket: str, machine: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path, url = raw / "profile.yaml", f"s3://{bucket}/work/demo/v1.0"
    path.write_text(profile_of(raw).to_yaml())

    def call(*words: str) -> dict[str, Any]:
        assert cli.execute([*words, "--json"]) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    made = call("run", str(path), "--prepare-only", "--workdir", f"s3://{bucket}/work/")
    assert made["bundle"] == url
    machine("second")
    assert call("status", url)["jobs"] == {"done": 2, "total": 2}
    assert call("check", url)["target"] == url
    machine("third")
    assert (
        call("publish", url, "--approve", made["digest"])["published"] == f"{raw}/published/demo/v1.0/collection.json"
    )
    machine("fourth")
    assert call("verify", url) == {"target": url, "findings": []}
    assert call("status", url)["published"]["objects"] > 0
    before = Folder(url).listing()["report.html"]
    boto3.client("s3").delete_object(Bucket=bucket, Key="work/demo/v1.0/report.html")
    call("report", url)
    assert Folder(url).listing()["report.html"].size == before.size
    assert call("plan", str(path), "--workdir", f"s3://{bucket}/work")["skipped"] == 2
    assert cli.execute(["run", str(path), "--workdir", f"s3://{bucket}/work"]) == 0
    assert f"Bundle     {url}" in capsys.readouterr().out


@pytest.mark.parametrize("url", ["s3://bucket/nothing/v1", "s3://bucket/nothing"])
def test_url_without_a_bundle(url: str, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no bundle there"):
        open_bundle(url.replace("bucket", bucket))
    assert not (tmp_path / "machines").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://host/work", "cannot be written to"),
        ("zip::s3://bucket/work", "cannot be written to"),
        (f"sftp://me:{SECRET}@host/work", "must not hold credentials"),
        (f"s3://bucket/work?token={SECRET}", "must not hold credentials"),
    ],
)
def test_url_that_can_be_no_workdir(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=said) as caught:
        pipeline.prepare(profile_of(tmp_path), url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("work", ["memory"], indirect=True)
def test_bundle_is_published_from_a_machine_that_has_nothing_of_it(
    raw: Path, work: str, machine: Callable[[str], Path]
) -> None:
    made = prepare(profile_of(raw), work)
    machine("second")
    bundle = open_bundle(made.name)
    assert publish(bundle) == f"{raw}/published/demo/v1.0/collection.json"
    assert every_file(raw / "published" / "demo" / "v1.0") == product(bundle.name)
    assert "receipts.json" in Folder(bundle.name).listing()
