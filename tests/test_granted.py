"""Keys in force for places: who sees them, and which come first."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from making import SECRET

from earthcode_pack.errors import OutsideError
from earthcode_pack.execution.threads import carried
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage import Folder, each, fetch, glob, open_reader, open_store
from earthcode_pack.storage.credentials import Grant, Keys, access, granted, in_force, whereabouts
from earthcode_pack.storage.reader_config import ReaderConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from services.rgw import Rgw

ME = Keys("me", "word")


@pytest.fixture
def alone(moto: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Grant]:
    """A bucket with keys that the environment does not know."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    return f"s3://{bucket}", Grant(Keys("someone", SECRET), moto, "us-east-1")


def test_everything_that_reads_and_writes_takes_them(alone: tuple[str, Grant], tmp_path: Path) -> None:
    url, grant = alone
    (tmp_path / "a.txt").write_text("a")
    with in_force({"s3://": grant}):
        folder = Folder(f"{url}/work")
        each(lambda key: folder.put(tmp_path / "a.txt", key), ["a.txt", "b.txt", "c.txt"])
        assert glob(f"{url}/work/*.txt") == [f"{url}/work/{name}.txt" for name in "abc"]
        assert fetch(f"{url}/work/a.txt", tmp_path / "here").read_text() == "a"
        assert open_reader(f"{url}/work").read("b.txt") == b"a"
        assert open_store(StoreSpec(href=f"{url}/work")).read("c.txt") == b"a"
        files, root = ReaderConfig(f"{url}/work").files()
        assert files.cat_file(f"{root}/a.txt") == b"a"
        options = ReaderConfig(f"{url}/work")._gdal_options()
        assert (options["session"]._creds.access_key, options["AWS_HTTPS"]) == ("someone", "NO")
    assert not {name for name in os.environ if SECRET in os.environ[name]}
    with pytest.raises(OutsideError, match="credentials"):
        glob(f"{url}/work/*.txt")
    with pytest.raises(OutsideError, match="no credentials"):
        open_store(StoreSpec(href=url))


def test_keys_of_a_prefix_are_those_of_a_workdir_below_it(alone: tuple[str, Grant], tmp_path: Path) -> None:
    url, grant = alone
    (tmp_path / "a.txt").write_text("a")
    with in_force({f"{url}/work": grant}):
        folder = Folder(f"{url}/work/demo")
        folder.put(tmp_path / "a.txt", "v1/a.txt")
        assert folder.sha256("v1/a.txt") == hashlib.sha256(b"a").hexdigest()
        assert list(Folder(f"{url}/work").listing()) == ["demo/v1/a.txt"]
        with pytest.raises(OutsideError, match="no credentials"):
            Folder(f"{url}/other").put(tmp_path / "a.txt", "a.txt")


def test_each_folder_has_the_keys_of_its_place(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    mine, nobodys = f"s3://{rgw_bucket}/mine", f"s3://{rgw_bucket}/other"
    with in_force({mine: Grant(Keys(*rgw.user)), nobodys: Grant(Keys(*rgw.other))}):
        for _ in range(2):
            Folder(mine).put(tmp_path / "a.txt", "a.txt")
            with pytest.raises(OutsideError, match="refuses access"):
                Folder(nobodys).put(tmp_path / "a.txt", "a.txt")


def test_the_nearest_place_counts_and_of_two_the_inner_one() -> None:
    grants = {"s3://": Grant(ME), "s3://b/x": Grant(Keys("x", "")), "s3://b/x/y/": Grant(Keys("y", ""))}
    asked = ["s3://other", "s3://b/x", "s3://b/xx", "s3://b/x/z.tif", "s3a://b/x/y/z.tif"]
    with in_force(grants):
        assert [found.keys.access for href in asked if (found := granted(href))] == ["me", "x", "me", "x", "y"]
        assert granted("https://b/x") is granted("/b/x") is granted(None) is None
        with in_force({"s3://b/x": Grant(Keys("z", ""))}):
            assert access_key("s3://b/x") == "z"
        assert access_key("s3://b/x") == "x"
    assert granted("s3://b/x") is None


def access_key(href: str) -> str:
    found = granted(href)
    assert found is not None
    return found.keys.access


def test_the_profile_says_where_and_the_grant_who(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://environment")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "environment")
    spec, plain = StoreSpec(href="s3://b", profile="nobody-has-it"), StoreSpec(href="s3://b", region="there")
    with in_force({"s3://b": Grant(ME, "https://granted", "here")}):
        way = access(spec)
        assert (way.endpoint, way.region, way.keys()) == ("https://granted", "here", ME)
        assert whereabouts(spec) == ("https://granted", "here")
        named = access(plain.model_copy(update={"endpoint_url": "https://profile"}), Keys("given", "given"))
        assert (named.endpoint, named.keys().access) == ("https://profile", "given")
        assert access(plain, Keys("given", "given")).endpoint == "https://environment"
    with in_force({"s3://b": Grant(ME, "https://granted")}):
        assert access(spec).region == "us-east-1"
        assert access(StoreSpec(href="s3://c", region="x")).keys().access == "environment"


@pytest.mark.parametrize(("carry", "seen"), [(carried, True), (lambda work: work, False)])
def test_another_thread_sees_them_where_they_are_carried(
    carry: Callable[..., Callable[[str], bool]], seen: bool
) -> None:
    with in_force({"s3://": Grant(ME)}), ThreadPoolExecutor(2) as pool:
        assert list(pool.map(carry(lambda href: granted(href) is not None), ["s3://b"] * 9)) == [seen] * 9


def test_a_grant_shows_no_secret() -> None:
    assert "word" not in f"{Grant(ME)} {Grant(ME)!r}"
