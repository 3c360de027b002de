"""Files that lead out of themselves, and codecs that run code, are refused by name before a value is read."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from earthcode_pack.checks import check
from earthcode_pack.storage.zarr_codecs import codecs_that_run_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "7391"


def said(path: Path) -> str:
    """The only finding, which says why the file is not read."""
    (finding,) = check(path, deep=True)
    assert finding.rule == "FORMAT-UNREADABLE"
    assert SECRET not in finding.to_json()
    return finding.message


def store(folder: Path, codec: dict[str, Any] | None = None, dtype: str = "<i4") -> Path:
    """A Zarr v2 store of two cells, written by hand; returns its chunk."""
    (folder / "x").mkdir(parents=True)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text("{}")
    array = {"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": dtype, "fill_value": None, "order": "C"}
    array |= {"compressor": None, "filters": [codec] if codec else None}
    (folder / "x/.zarray").write_text(json.dumps(array))
    (folder / "x/.zattrs").write_text('{"_ARRAY_DIMENSIONS": ["x"]}')
    (folder / "x/0").write_bytes(bytes(8))
    return folder / "x/0"


def linked(chunk: Path, outside: Path) -> None:
    outside.write_text(SECRET * 2)
    chunk.unlink()
    chunk.symlink_to(outside)


def test_a_chunk_that_is_a_link(tmp_path: Path) -> None:
    linked(store(tmp_path / "a.zarr"), tmp_path / "secret")
    assert said(tmp_path / "a.zarr").startswith("a.zarr: x/0 is a link that leaves it, to /")


def test_an_array_that_is_a_link(tmp_path: Path) -> None:
    store(tmp_path / "b.zarr")
    store(tmp_path / "a.zarr")
    shutil.rmtree(tmp_path / "a.zarr/x")
    (tmp_path / "a.zarr/x").symlink_to("../b.zarr/x")
    assert f"x is a link that leaves it, to {tmp_path / 'b.zarr/x'}" in said(tmp_path / "a.zarr")


def test_a_link_within_the_store_is_followed(tmp_path: Path) -> None:
    chunk = store(tmp_path / "a.zarr")
    chunk.rename(tmp_path / "a.zarr/x/one")
    chunk.symlink_to("one")
    assert "FORMAT-UNREADABLE" not in {finding.rule for finding in check(tmp_path / "a.zarr", deep=True)}


@pytest.mark.timeout(60)  # seconds, where a reader of the pipe would wait for ever
def test_a_chunk_that_is_a_pipe(tmp_path: Path) -> None:
    chunk = store(tmp_path / "a.zarr")
    chunk.unlink()
    os.mkfifo(chunk)
    assert "x/0: a named pipe" in said(tmp_path / "a.zarr")


class Runs:
    """What pickle calls when it reads this."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.proof),)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dtype", ["<i4", "|O"])
def test_a_codec_that_runs_code(tmp_path: Path, dtype: str, zipped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    import numcodecs.pickles

    monkeypatch.setattr(numcodecs.pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True)  # as versions before 0.17.1
    chunk = store(tmp_path / "a.zarr", {"id": "pickle", "protocol": 5}, dtype)
    chunk.write_bytes(pickle.dumps(Runs(tmp_path / "proof")))
    path = tmp_path / "a.zarr"
    if zipped:
        path = tmp_path / "b.zarr.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted((tmp_path / "a.zarr").rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(tmp_path / "a.zarr").as_posix())
    assert "x/.zarray names the codec pickle, which runs code" in said(path)
    assert not (tmp_path / "proof").exists()


def test_codecs_of_zarr_3_at_any_depth() -> None:
    inner = {"name": "numcodecs.pickle", "configuration": {}}
    sharded = {"name": "sharding_indexed", "configuration": {"codecs": [{"name": "bytes"}], "index_codecs": [inner]}}
    array = {"zarr_format": 3, "node_type": "array", "codecs": [sharded]}
    group = {"zarr_format": 3, "consolidated_metadata": {"metadata": {"a/x": array}}}
    assert list(codecs_that_run_code(array)) == list(codecs_that_run_code(group)) == ["numcodecs.pickle"]


def test_a_zip_member_that_unpacks_to_more_than_a_chunk_has(tmp_path: Path) -> None:
    store(tmp_path / "a")
    path = tmp_path / "a.zarr.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (".zgroup", ".zattrs", "x/.zarray", "x/.zattrs"):
            archive.write(tmp_path / "a" / name, name)
        with archive.open("x/0", "w") as member:
            for _ in range(300):
                member.write(bytes(1 << 20))
    assert "FORMAT-UNREADABLE" in {finding.rule for finding in check(path)}


def external(file: h5py.File, secret: Path) -> None:
    file.create_dataset("v", (4,), "i1", external=[(str(secret), 0, 4)])


def virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((4,), "i1")
    layout[:] = h5py.VirtualSource(str(secret), "v", (4,))
    file.create_virtual_dataset("group/v", layout)


def link(file: h5py.File, secret: Path) -> None:
    file["group/deeper/v"] = h5py.ExternalLink(str(secret), "v")


@pytest.mark.parametrize("make", [external, virtual, link])
@pytest.mark.parametrize("name", ["a.nc", "a.h5"])
def test_hdf5_that_keeps_values_elsewhere(tmp_path: Path, make: Callable[..., None], name: str) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["v"] = np.frombuffer(SECRET.encode(), "i1")
    with h5py.File(tmp_path / name, "w") as file:
        make(file, tmp_path / "secret.h5")
    assert str(tmp_path / "secret.h5") in said(tmp_path / name)
