"""Servers that never come to an end: each wait ends by itself, says what it was for, and what to do."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from clockless import LONG
from making import profile_of, write_tif
from services import hostile

from earthcode_pack.catalogs.prr.http_client import Web
from earthcode_pack.errors import OutsideError, ProfileError, Unreadable, UserError
from earthcode_pack.execution import waiting
from earthcode_pack.pipeline import prepare
from earthcode_pack.profile import load_profile
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage import fetch, identify
from earthcode_pack.storage.credentials import Keys
from earthcode_pack.storage.s3 import S3Store

if TYPE_CHECKING:
    from pathlib import Path

KEYS = Keys("user", "n0t-to-be-shown", None)
SILENT = [hostile.stall, hostile.interim, hostile.bare_lf, hostile.trickle, hostile.head_trickle, hostile.busy]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_SECONDS", 0.05)


def store(url: str, wait: str = "1 s") -> S3Store:
    return S3Store(StoreSpec(href="s3://bucket/pre", endpoint_url=url, region="r", wait=wait), keys=KEYS)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("answer", SILENT)
def test_storage_that_never_answers_is_waited_for_aloud_and_given_up(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "earthcode_pack.waiting"),
        hostile.hostile(answer) as url,
        pytest.raises(OutsideError) as caught,
    ):
        list(store(url).listing())
    assert caught.value.remedy
    said = [record.getMessage() for record in caplog.records if record.name == "earthcode_pack.waiting"]
    assert said
    assert all(line.startswith(f"waiting for the storage at {url[7:]} (bucket bucket) to answer: ") for line in said)


def test_storage_that_stops_answering_is_given_up_too() -> None:
    """After the first contact the whole of ``store.wait`` counts."""
    asked: list[int] = []
    page = hostile.listing(lambda number: f"pre/{number}")

    def once(client: Any, over: Any) -> None:
        asked.append(1)
        (page if len(asked) < 3 else hostile.stall)(client, over)

    with hostile.hostile(once) as url, pytest.raises(OutsideError, match="cannot be reached"):
        list(store(url).listing())
    assert len(asked) >= 3


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (lambda _number: "pre/same", "no end"),
        (lambda number: f"pre/{number}", "no end"),
        (lambda number: f"etc/{number}", "not asked for"),
    ],
)
def test_a_listing_that_never_ends_is_left(keys: Any, told: str) -> None:
    with hostile.hostile(hostile.listing(keys)) as url, pytest.raises(OutsideError, match=told) as caught:
        list(store(url, "10min").listing())
    assert "see that it is S3 storage" in caught.value.remedy


def test_an_object_whose_size_is_not_told_is_no_other_product() -> None:
    with hostile.hostile(hostile.headless) as url, pytest.raises(OutsideError, match="states no size"):
        store(url).head("manifest.json")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("answer", [hostile.stall, hostile.trickle, hostile.head_trickle, hostile.busy])
def test_a_gateway_that_never_answers_is_waited_for_aloud_and_given_up(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "earthcode_pack.waiting"),
        hostile.hostile(answer) as url,
        pytest.raises(OutsideError) as caught,
    ):
        Web(wait=1.0).json(f"{url}/collections/c")
    assert "run again" in caught.value.remedy
    assert f"waiting for {url} to answer: " in caplog.text


def test_nothing_listens(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OutsideError, match="cannot be reached"):
        list(store("http://127.0.0.1:9").listing())
    assert "n0t-to-be-shown" not in caplog.text


# --- the command ------------------------------------------------------------------------------------------------------


def command(folder: Path, url: str, wait: str) -> subprocess.Popen[str]:
    """``run`` of a scene, published to storage at ``url``."""
    write_tif(folder / "raw" / "a_20200101.tif")
    place = {"href": "s3://bucket/pre", "endpoint_url": url, "region": "r", "wait": wait}
    (folder / "profile.yaml").write_text(profile_of(folder, store=place).to_yaml())
    keys = {"AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": "n0t-to-be-shown"}
    words = [
        sys.executable,
        "-c",
        "from earthcode_pack.cli import main; main()",
        "run",
        str(folder / "profile.yaml"),
        "--workdir",
        str(folder / "w"),
    ]
    return subprocess.Popen(words, env={**os.environ, **keys}, stderr=subprocess.PIPE, text=True)


def test_the_command_says_what_it_waits_for_and_ends_with_3(tmp_path: Path) -> None:
    with hostile.hostile(hostile.stall) as url:
        run = command(tmp_path, url, "7 s")
        _, told = run.communicate(timeout=LONG)
    assert run.returncode == 3
    assert f"INFO: waiting for the storage at {url[7:]} (bucket bucket) to answer: " in told
    assert "at most 7 s (store.wait)" in told
    assert "check store.endpoint_url" in told
    assert "n0t-to-be-shown" not in told


def test_ctrl_c_while_the_storage_says_nothing_ends_the_command(tmp_path: Path) -> None:
    with hostile.hostile(hostile.stall) as url:
        run = command(tmp_path, url, "1d")
        assert run.stderr is not None
        with run.stderr as lines:
            assert any("waiting for the storage" in line for line in lines)
            run.send_signal(signal.SIGINT)
            assert run.wait(LONG) == 130


# --- what is said at once ---------------------------------------------------------------------------------------------


def told(*words: str) -> tuple[int, str]:
    """Exit code and words of a command."""
    run = subprocess.run(
        [sys.executable, "-c", "from earthcode_pack.cli import main; main()", *words],
        capture_output=True, text=True, timeout=LONG, check=False,
    )  # fmt: skip
    return run.returncode, run.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="of Unix")
def test_a_pipe_that_nobody_writes_to_is_refused(tmp_path: Path) -> None:
    """As a source, inside a Zarr store, as the profile, and where ``init`` looks; none of them is opened."""
    pipe = tmp_path / "a_20200101.tif"
    os.mkfifo(pipe)
    with pytest.raises(Unreadable, match="pipe"):
        identify(str(pipe))
    with pytest.raises(Unreadable, match="pipe"):
        fetch(str(pipe), tmp_path)
    (tmp_path / "a.zarr" / "x").mkdir(parents=True)
    os.mkfifo(tmp_path / "a.zarr" / "x" / "0")
    with pytest.raises(Unreadable, match="pipe"):
        identify(str(tmp_path / "a.zarr"))
    with pytest.raises(ProfileError, match="pipe"):
        load_profile(pipe)
    code, words = told("init", str(pipe))
    assert (code, "pipe" in words) == (1, True)


def test_a_workdir_that_cannot_be_written(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    profile = profile_of(tmp_path)
    (tmp_path / "file").touch()
    for workdir in ("file", "file/below"):
        with pytest.raises(UserError, match=r"cannot be written \((Not a directory|File exists)\)") as caught:
            prepare(profile, tmp_path / workdir)
        assert "--workdir" in caught.value.remedy
    with pytest.raises(OutsideError, match="cannot be written") as outside:
        prepare(profile, tmp_path / ("long" * 100))
    assert "--workdir" in outside.value.remedy
