"""Hostile Zarr stores, in folders and in ZIP files."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import zipfile
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from abuse.harness import GOOD, MARKUP, Case, Site
from abuse.making import (
    MAIN,
    beside_good,
    flipped,
    profile_data,
    stem,
    truncated,
    write_profile,
    write_zarr,
    zeros_deflated,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Write = Callable[[Site, Path], Any]


def cases() -> Iterator[Case]:
    for version, names in _FILES.items():
        for name in names:
            damages = truncated(8) | flipped(12)
            yield Case(
                f"zarr/damaged-v{version}-{name.replace('/', '-')}", partial(_damaged, version=version, file=name),
                tuple(damages.items()), keeps_good=False,
            )  # fmt: skip
    yield from beside_good("zarr/refused", REFUSED, "zarr", refused=True)
    yield from beside_good("zarr/odd", _ODD, "zarr")
    for name, pack in _ARCHIVES.items():
        yield _archive(name, pack)


_FILES = {
    2: (".zmetadata", "t/.zarray", "t/.zattrs", "t/0.0.0"),
    3: ("zarr.json", "t/zarr.json", "t/c/0/0/0", "lat/zarr.json"),
}


def _damaged(site: Site, parts: tuple[tuple[str, Any], ...], version: int, file: str) -> list[str]:
    """Stores of which one file is damaged."""
    raw = site.inside / "raw"
    raw.mkdir()
    write_zarr(raw / f"{GOOD}.zarr")
    for number, (_, damage) in enumerate(parts):
        path = write_zarr(raw / f"{stem(number)}.zarr", version) / file
        path.write_bytes(damage(path.read_bytes()))
    write_profile(site, profile_data("zarr"))
    return MAIN


# --- stores that lead elsewhere -------------------------------------------------------------------------------------


def _node(store: Path, name: str = "t", **changes: Any) -> None:
    """Changes the metadata of an array of version 3."""
    path = store / name / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _changed(name: str = "t", version: int = 3, **changes: Any) -> Write:
    def write(_site: Site, path: Path) -> None:
        write_zarr(path, version)
        if version == 3:
            _node(path, name, **changes)
            return
        (path / ".zmetadata").unlink()
        array = path / name / ".zarray"
        array.write_text(json.dumps(json.loads(array.read_text()) | changes))

    return write


def _chunk_link(site: Site, path: Path) -> None:
    write_zarr(path)
    chunk = path / "t/c/0/0/0"
    chunk.unlink()
    chunk.symlink_to(site.outside / "secret.txt")


def _plain_chunk_link(site: Site, path: Path) -> None:
    """A chunk that is not compressed, of as many bytes as the secret has at least."""
    write_zarr(path, encoding={"t": {"compressors": None}})
    chunk = path / "t/c/0/0/0"
    chunk.unlink()
    (site.outside / "secret.bin").write_bytes((site.outside / "secret.txt").read_bytes()[:320])
    chunk.symlink_to(site.outside / "secret.bin")


def _array_link(site: Site, path: Path, name: str) -> None:
    write_zarr(path)
    shutil.move(path / name, site.outside / f"{path.name}-{name}")
    (path / name).symlink_to(site.outside / f"{path.name}-{name}")


def _metadata_link(site: Site, path: Path) -> None:
    write_zarr(path)
    shutil.move(path / "t/zarr.json", site.outside / "zarr.json")
    (path / "t/zarr.json").symlink_to(site.outside / "zarr.json")


def _link_to_itself(_site: Site, path: Path) -> None:
    write_zarr(path)
    (path / "again").symlink_to(path)


def _consolidated_upwards(site: Site, path: Path) -> None:
    """Consolidated metadata of version 2 with a node that lies outside by its name."""
    write_zarr(path, 2)
    write_zarr(site.outside / "secret", 2)
    document = json.loads((path / ".zmetadata").read_text())
    for kind in (".zarray", ".zattrs"):
        document["metadata"][f"../../../outside/secret/t/{kind}"] = document["metadata"].pop(f"t/{kind}")
    (path / ".zmetadata").write_text(json.dumps(document))


class _Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (self.place,)


def _pickled(site: Site, path: Path) -> None:
    write_zarr(path, 2)
    (path / ".zmetadata").unlink()
    array = path / "t/.zarray"
    codec = {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}], "compressor": None, "fill_value": None}
    array.write_text(json.dumps(json.loads(array.read_text()) | codec))
    (path / "t/0.0.0").write_bytes(pickle.dumps(_Harmful(str(site.outside / "ran"))))


def _pickled_coordinate(site: Site, path: Path) -> None:
    write_zarr(path, 2)
    (path / ".zmetadata").unlink()
    array = path / "lat/.zarray"
    codec = {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}], "compressor": None, "fill_value": None}
    array.write_text(json.dumps(json.loads(array.read_text()) | codec))
    (path / "lat/0").write_bytes(pickle.dumps(_Harmful(str(site.outside / "ran"))))


def _reference(site: Site, path: Path) -> None:
    """A file of kerchunk references, called a store."""
    path.write_text(json.dumps({"version": 1, "refs": {"t/0.0.0": [f"{site.url}/a.nc", 0, 100], ".zgroup": "{}"}}))


def _bomb(site: Site, path: Path) -> None:  # noqa: ARG001
    """One chunk of 40 GB of zeros, 1,000 times smaller."""
    write_zarr(path)
    _node(
        path,
        shape=[1, 100_000, 100_000],
        chunk_grid={"name": "regular", "configuration": {"chunk_shape": [1, 100_000, 100_000]}},
        codecs=[
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "numcodecs.zlib", "configuration": {"level": 9}},
        ],
    )
    (path / "t/c/0/0/0").write_bytes(zeros_deflated(40_000_000_000))


def _coordinates_of(size: int) -> Write:
    """A map of size x size cells of which nothing is stored."""

    def write(_site: Site, path: Path) -> None:
        write_zarr(path)
        grid = {"name": "regular", "configuration": {"chunk_shape": [1, 1000, 1000]}}
        _node(path, shape=[1, size, size], chunk_grid=grid)
        shutil.rmtree(path / "t/c")
        for name in ("lat", "lon"):
            _node(path, name, shape=[size], chunk_grid={"name": "regular", "configuration": {"chunk_shape": [1000]}})

    return write


def _grid(*shape: Any) -> dict[str, Any]:
    return {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shape)}}}


def _nested(depth: int) -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    codecs = plain
    for _ in range(depth):
        inner = {"chunk_shape": [1, 8, 10], "codecs": codecs, "index_codecs": plain, "index_location": "end"}
        codecs = [{"name": "sharding_indexed", "configuration": inner}]
    return codecs


REFUSED: dict[str, Write] = {
    "chunk-link": _chunk_link,
    "chunk-link-of-plain-bytes": _plain_chunk_link,
    "array-link": partial(_array_link, name="t"),
    "array-link-of-latitude": partial(_array_link, name="lat"),
    "metadata-link": _metadata_link,
    "pickle": _pickled,
    "pickle-of-latitude": _pickled_coordinate,
    "references": _reference,
    "empty-folder": lambda _site, path: path.mkdir(),
    "empty-file": lambda _site, path: path.touch(),
    "metadata-of-nothing": lambda _site, path: (path.mkdir(), (path / "zarr.json").write_text("{}")),
    "metadata-nested": lambda _site, path: (path.mkdir(), (path / "zarr.json").write_text('{"a":' * 100_000)),
    "metadata-of-noise": lambda _site, path: (path.mkdir(), (path / "zarr.json").write_bytes(b"\xff\xfe" * 999)),
    "metadata-a-folder": lambda _site, path: (path / "zarr.json").mkdir(parents=True),
    "metadata-a-pipe": lambda _site, path: (path.mkdir(), os.mkfifo(path / "zarr.json")),
    "terabytes-of-fill": _coordinates_of(10**6),
    "deflate-bomb": _bomb,
    "chunks-of-0": _changed(**_grid(0, 0, 0)),
    "chunks-of-0-v2": _changed(version=2, chunks=[0, 0, 0]),
    "chunks-negative": _changed(**_grid(-1, 8, 10)),
    "chunks-of-words": _changed(**_grid("a", "b", "c")),
    "chunks-too-few": _changed(**_grid(1, 8)),
    "shape-negative": _changed(shape=[1, -8, 10]),
    "shape-of-2-63": _changed(shape=[1, 2**63, 2**63]),
    "shape-of-2-200": _changed(shape=[1, 2**200, 10]),
    "shape-of-fractions": _changed(shape=[1.5, 8, 10]),
    "format-99": _changed(zarr_format=99),
    "type-unknown": _changed(data_type="quaternion"),
    "type-of-objects": _changed(version=2, dtype="|O", filters=None),
    "codec-unknown": _changed(codecs=[{"name": "nothing-known"}]),
    "codec-pickle-v3": _changed(codecs=[{"name": "numcodecs.pickle"}, {"name": "bytes"}]),
    "codec-missing": _changed(codecs=[]),
    "codecs-nested": _changed(codecs=_nested(300)),
    "chunk-key-of-path": _changed(
        chunk_key_encoding={"name": "default", "configuration": {"separator": "/../../../../outside/"}}
    ),
    "storage-transformers": _changed(storage_transformers=[{"name": "outside"}]),
}

STALE: dict[str, Write] = {"consolidated-upwards": _consolidated_upwards}  # sound, but for metadata that none needs


def _attributes(**attrs: Any) -> Write:
    """Replaces attributes of ``t``."""

    def write(_site: Site, path: Path) -> None:
        write_zarr(path)
        node = json.loads((path / "t/zarr.json").read_text())
        _node(path, attributes=node["attributes"] | attrs)

    return write


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def _many_nodes(_site: Site, path: Path) -> None:
    """20,000 scalars in consolidated metadata."""
    write_zarr(path, 2)
    document = json.loads((path / ".zmetadata").read_text())
    scalar = {key: document["metadata"]["crs/.zarray"][key] for key in document["metadata"]["crs/.zarray"]}
    for number in range(3_000):
        document["metadata"][f"s{number}/.zarray"] = scalar
        document["metadata"][f"s{number}/.zattrs"] = {"_ARRAY_DIMENSIONS": []}
    (path / ".zmetadata").write_text(json.dumps(document))


def _blosc_of_lies(_site: Site, path: Path) -> None:
    """A Blosc header that announces 2 GB, of 320 bytes."""
    blosc = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 0, "blocksize": 0}
    write_zarr(path, 2)
    (path / ".zmetadata").unlink()
    array = path / "t/.zarray"
    array.write_text(json.dumps(json.loads(array.read_text()) | {"compressor": blosc}))
    (path / "t/0.0.0").write_bytes(struct.pack("<BBBBIII", 2, 1, 0x01, 4, 2**31 - 100, 2**20, 2**31 - 1) + bytes(200))


def _text_coordinate(_site: Site, path: Path) -> None:
    import zarr

    write_zarr(path)
    group = zarr.open_group(path, mode="r+")
    made = group.create_array("station", data=np.array([f"s{n}" for n in range(8)], "U4"), dimension_names=("lat",))
    made.attrs["long_name"] = "name of the row"


_ODD: dict[str, Write] = STALE | {
    "link-to-itself": _link_to_itself,
    "nodes-3000": _many_nodes,
    "blosc-of-lies": _blosc_of_lies,
    "text-coordinate": _text_coordinate,
    "attributes-nested": _attributes(deep=_deep(300)),
    "attributes-nested-more": _attributes(deep=_deep(900)),
    "attributes-markup": _attributes(long_name=MARKUP, units=MARKUP),
    "attributes-of-megabytes": _attributes(comment="x" * 3_000_000),
    "attributes-of-null": _attributes(units=None, long_name=None, standard_name=None),
    "attributes-of-lists": _attributes(units=[1], long_name={"a": 1}, standard_name=[[]]),
    "attributes-of-numbers": _attributes(units=10**400, long_name=1e308),
    "attributes-of-surrogates": _attributes(long_name="\ud800"),
    "scale-nan": _attributes(scale_factor="NaN"),
    "fill-of-words": _changed(fill_value="many"),
    "fill-nan": _changed(fill_value="NaN"),
    "fill-hexadecimal": _changed(fill_value="0x7fc00000ff"),
    "dimensions-missing": _changed(dimension_names=None),
    "dimensions-twice": _changed(dimension_names=["lat", "lat", "lat"]),
    "dimensions-too-many": _changed(dimension_names=["a", "b", "c", "d"]),
    "dimensions-of-paths": _changed(dimension_names=["../time", "/lat", "lon"]),
    "shape-0": _changed(shape=[0, 8, 10]),
    "latitude-longer": _changed("lat", shape=[9]),
    "latitude-shorter": _changed("lat", shape=[1]),
    "chunk-a-folder": lambda _site, path: (
        write_zarr(path),
        (path / "t/c/0/0/0").unlink(),
        (path / "t/c/0/0/0").mkdir(),
    ),
    "chunk-a-pipe": lambda _site, path: (
        write_zarr(path),
        (path / "t/c/0/0/0").unlink(),
        os.mkfifo(path / "t/c/0/0/0"),
    ),
    "chunk-empty": lambda _site, path: (write_zarr(path), (path / "t/c/0/0/0").write_bytes(b"")),
    "chunk-of-zeros": lambda _site, path: (write_zarr(path), os.truncate(path / "t/c/0/0/0", 10**11)),
    "metadata-of-zeros": lambda _site, path: (write_zarr(path), os.truncate(path / "t/zarr.json", 10**11)),
}

# --- in ZIP files ---------------------------------------------------------------------------------------------------


def _archive(name: str, pack: Callable[[Site, zipfile.ZipFile], Any]) -> Case:
    """A store in a ZIP file with members that ``pack`` adds."""

    def make(site: Site) -> list[str]:
        raw = site.inside / "raw"
        raw.mkdir()
        write_zarr(raw / f"{GOOD}.zarr.zip", packed=True)
        write_zarr(raw / "bad_20200101.zarr.zip", packed=True)
        with zipfile.ZipFile(raw / "bad_20200101.zarr.zip", "a", zipfile.ZIP_DEFLATED) as packed:
            pack(site, packed)
        write_profile(site, profile_data("zarr", source__href="raw/*.zarr.zip"))
        return MAIN

    return Case(f"zarr.zip/{name}", make)


def _member(name: str, data: bytes | str = b"x" * 100) -> Callable[[Site, zipfile.ZipFile], Any]:
    return lambda _site, packed: packed.writestr(name, data)


def _zip_link(site: Site, packed: zipfile.ZipFile) -> None:
    member = zipfile.ZipInfo("t/c/0/0/1")
    member.external_attr = 0o120777 << 16
    packed.writestr(member, str(site.outside / "secret.txt"))


def _zip_bomb(_site: Site, packed: zipfile.ZipFile) -> None:
    packed.compresslevel = 1
    with packed.open("bomb/c/0", "w", force_zip64=True) as member:
        for _ in range(190):
            member.write(bytes(10**7))


_ARCHIVES: dict[str, Callable[[Site, zipfile.ZipFile], Any]] = {
    "upwards": _member("../../../outside/written"),
    "upwards-of-windows": _member("..\\..\\outside\\written"),
    "absolute": lambda site, packed: packed.writestr(str(site.outside / "written"), "x"),
    "drive": _member("C:/written"),
    "link": _zip_link,
    "bomb": _zip_bomb,
    "members-20000": lambda _site, packed: [packed.writestr(f"s/{n}", b"") for n in range(20_000)],
    "members-twice": lambda _site, packed: [packed.writestr(zipfile.ZipInfo("t/zarr.json"), "{}") for _ in range(2)],
    "metadata-bomb": _member("z/zarr.json", b" " * 300_000_000),
    "name-of-newline": _member("a\nb/zarr.json", "{}"),
    "name-of-length": _member("a" * 5_000),
}
