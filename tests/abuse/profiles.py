"""Hostile profiles."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import yaml
from abuse.harness import GOOD, MARKUP, Case, Site
from abuse.making import profile_data, write_profile, write_tif
from osc_checkout import osc_checkout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PLAN = ["plan", "profile.yaml", "--workdir", "work", "--json"]


def cases() -> Iterator[Case]:
    for name, data in _texts().items():
        yield Case(f"profile/{name}", _text(data))
    for name, changes in _CHANGES.items():
        yield Case(f"profile/{name}", _changed(changes))
    for name, href in _SOURCES.items():
        yield Case(f"profile/source-{name}", _source(href))
    for name, make in _CATALOGUES.items():
        yield Case(f"catalogue/{name}", _catalogued(make))


def _text(data: bytes) -> Callable[[Site], list[str]]:
    def make(site: Site) -> list[str]:
        (site.inside / "profile.yaml").write_bytes(data.replace(b"OUTSIDE", os.fsencode(site.outside)))
        return _PLAN

    return make


def _raw(site: Site) -> None:
    (site.inside / "raw").mkdir()
    write_tif(site.inside / "raw" / f"{GOOD}.tif")


def _texts() -> dict[str, bytes]:
    """Files that are no profile, or a bomb."""
    good = yaml.safe_dump(profile_data()).encode()
    laughs = "a0: &a0 [lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    merges = "a0: &a0 {k: v}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 9)
    )
    return {
        "empty": b"", "null": b"null", "list": b"[1, 2]", "number": b"1", "zeros": bytes(10_000),
        "noise": bytes(range(256)) * 40, "utf-16": good.decode().encode("utf-16"), "latin-1": b"a: caf\xe9",
        "laughs": laughs.encode(), "laughs-in-keywords": good + b"x-" + laughs.encode(), "merges": merges.encode(),
        "cyclic": b"a: &a [*a]\n", "cyclic-product": b"product: &a {title: *a}\n",
        "flow-deep": b"a: " + b"[" * 50_000, "block-deep": "".join(f"{' ' * n}a:\n" for n in range(2_000)).encode(),
        "python-object": b"a: !!python/object/apply:os.mkdir ['OUTSIDE/ran']\n",
        "python-name": b"a: !!python/name:os.system\n", "binary": b"a: !!binary /////\n",
        "tag-unknown": b"a: !<tag:example.org,2026:x> 1\n", "documents-two": good + b"---\n" + good,
        "keys-twice": good + b"product: {id: other}\n", "key-of-a-list": b"? [a, b]\n: c\n",
        "key-of-megabytes": b"a" * 3_000_000 + b": 1\n", "integers-of-length": b"a: " + b"9" * 100_000 + b"\n",
        "integers-of-base-60": b"a: " + b"9:" * 20_000 + b"9\n", "date-impossible": b"a: 2026-99-99\n",
        "anchors-100000": b"".join(b"a%d: &a%d 1\n" % (n, n) for n in range(100_000)),
        "lines-500000": b"# nothing\n" * 500_000 + good, "tabs": b"a:\t\tb\n\tc: d\n",
        "merge-of-itself": b"a: &a\n  <<: *a\n",
        "keys-unknown-20000": good + b"".join(b"k%d: 1\n" % n for n in range(20_000)),
        "escapes": good.replace(b"DEMO Product", b'"\\e[2J\\e]0;a\\a"'),
    }  # fmt: skip


def _changed(changes: dict[str, Any]) -> Callable[[Site], list[str]]:
    def make(site: Site) -> list[str]:
        _raw(site)
        placed = {key: _placed(value, site) for key, value in changes.items()}
        write_profile(site, profile_data(**placed))
        return _PLAN

    return make


def _placed(value: Any, site: Site) -> Any:
    """With OUTSIDE and URL replaced in texts."""
    if isinstance(value, str):
        return value.replace("OUTSIDE", str(site.outside)).replace("URL", site.url)
    if isinstance(value, list):
        return [_placed(item, site) for item in value]
    if isinstance(value, dict):
        return {key: _placed(item, site) for key, item in value.items()}
    return value


_PATTERN = "source__time"
_LONG = "a" * 200_000


def _pattern(text: str) -> dict[str, Any]:
    return {"source__time": {"from": "filename", "pattern": text}, "source__href": "raw/*.tif"}


_CHANGES: dict[str, dict[str, Any]] = {
    "id-upwards": {"product__id": "../../outside/a"},
    "id-absolute": {"product__id": "/tmp/a"},
    "id-dots": {"product__id": ".."},
    "id-of-length": {"product__id": "a" * 10_000},
    "id-of-newline": {"product__id": "demo\n"},
    "id-of-null": {"product__id": "a\0b"},
    "version-upwards": {"product__version": "../../../outside"},
    "version-of-newline": {"product__version": "1.0\n"},
    "variable-upwards": {"product__variables": {"../../outside/x": {"from": 1, "units": "1"}}},
    "variable-markup": {"product__variables": {MARKUP: {"from": 1, "units": "1"}}},
    "variable-of-length": {"product__variables": {"a" * 5_000: {"from": 1, "units": "1"}}},
    "variables-5000": {"product__variables": {f"v{n}": {"from": 1, "units": "1"} for n in range(5_000)}},
    "band-of-2-63": {"product__variables": {"index": {"from": 2**63, "units": "1"}}},
    "band-negative": {"product__variables": {"index": {"from": -1, "units": "1"}}},
    "classes-20000": {
        "product__variables": {"index": {"from": 1, "classes": [{"value": n, "name": f"c{n}"} for n in range(20_000)]}}
    },
    "title-markup": {"product__title": MARKUP, "product__description": MARKUP},
    "title-of-length": {"product__title": _LONG},
    "title-of-template": {"product__title": "{{ 7 * 7 }} {{ self.__init__.__globals__ }}"},
    "keywords-100000": {"product__keywords": [f"k{n}" for n in range(100_000)]},
    "license-of-length": {"product__license": "(" * 100_000},
    "documentation-of-script": {"product__documentation": "javascript:alert(1)"},
    "documentation-of-length": {"product__documentation": "https://example.org/" + _LONG},
    "doi-of-length": {"product__doi": "10.5281/" + "(" * 50_000},
    "email-of-length": {"product__contacts": [{"name": "a", "email": "a@" + "a." * 50_000}]},
    "email-of-newline": {"product__contacts": [{"name": "a", "email": "a@b.org\nBcc: all@example.org"}]},
    "pattern-of-stars": _pattern("*_" * 20 + "{start:%Y%m%d}*.tif"),
    "pattern-of-adjacent-stars": _pattern("*" * 200 + "{start:%Y%m%d}x"),
    "pattern-of-regex": _pattern("(a+)+{start:%Y%m%d}(b*)*$"),
    "pattern-of-directives": _pattern("*_{start:" + "%Y%m%d" * 200 + "}.tif"),
    "pattern-of-percent": _pattern("*_{start:%}.tif"),
    "pattern-of-attributes": _pattern("*_{start.__class__.__init__.__globals__}.tif"),
    "pattern-of-length": _pattern("a" * 200_000 + "{start:%Y}"),
    "pattern-of-braces": _pattern("{" * 10_000),
    "pattern-of-null": _pattern("a\0_{start:%Y%m%d}.tif"),
    "period-of-year-0": {"source__time": {"start": "0000-01-01", "end": "0001-01-01"}},
    "period-of-year-99999": {"source__time": {"start": "99999-01-01", "end": "99999-12-31"}},
    "period-reversed": {"source__time": {"start": "2020-12-31", "end": "2020-01-01"}},
    "crs-of-length": {"source__crs": "GEOGCS[" * 20_000},
    "crs-of-a-url": {"source__crs": {"value": "URL/crs.wkt", "override": True}},
    "crs-of-a-file": {"source__crs": {"value": "OUTSIDE/secret.txt", "override": True}},
    "crs-of-an-init-file": {"source__crs": {"value": "+init=OUTSIDE/secret.txt:1", "override": True}},
    "nodata-of-words": {"source__nodata": "none"},
    "nodata-of-length": {"source__nodata": 10**400},
    "variables-of-source-50000": {"source__variables": [f"v{n}" for n in range(50_000)]},
    "tolerance-inf": {"target__tolerance": {"index": {"absolute": float("inf")}}},
    "tolerance-nan": {"target__tolerance": {"index": {"absolute": float("nan")}}},
    "tolerance-negative": {"target__tolerance": {"index": {"absolute": -1}}},
    "blocksize-0": {"target__cog": {"blocksize": 0}},
    "blocksize-of-2-31": {"target__cog": {"blocksize": 2**31}},
    "blocksize-of-17": {"target__cog": {"blocksize": 17}},
    "level-of-10-9": {"target__cog": {"level": 10**9}},
    "chunks-of-0": {"target": {"format": "zarr", "zarr": {"chunks": {"time": 0, "y": 0, "x": 0}}}},
    "chunks-of-2-63": {"target": {"format": "zarr", "zarr": {"chunks": {"time": 1, "y": 2**63, "x": 2**63}}}},
    "store-ftp": {"store__href": "ftp://127.0.0.1/a"},
    "store-hdfs": {"store__href": "hdfs://127.0.0.1/a"},
    "store-data": {"store__href": "data:text/plain,x"},
    "store-simplecache": {"store__href": "simplecache::file://OUTSIDE"},
    "store-of-length": {"store__href": "s3://" + "a" * 50_000},
    "store-of-null": {"store__href": "a\0b"},
    "store-of-password": {"store__href": "s3://me:canary-4f1d9c-must-not-leave@bucket/a"},
    "public-href-of-script": {"store__public_href": "javascript:alert(1)"},
    "memory-limit-of-words": {"compute": {"memory_limit": "all"}},
    "memory-limit-of-0": {"compute": {"memory_limit": 0}},
    "cluster-of-os": {"compute": {"cluster_class": "os.system", "cluster_kwargs": {"command": "touch OUTSIDE/ran"}}},
    "cluster-of-subprocess": {"compute": {"cluster_class": "subprocess.Popen", "cluster_kwargs": {"args": ["id"]}}},
    "parameters-of-depth": {"experiment": {"id": "a", "title": "A", "parameters": {"a": [[[[[[[[[[1]]]]]]]]]] * 1000}}},
    "parameters-of-passwords": {
        "experiment": {"id": "a", "title": "A", "parameters": {"a": ("x" * 50 + ":") * 4_000 + "@"}}
    },
    "accept-20000": {"accept": {f"R-{n}": "why" for n in range(20_000)}},
    "preview-of-length": {"product__preview": {"variable": "index", "colormap": "a" * 50_000}},
    "preview-of-path": {"product__preview": {"variable": "index", "colormap": "../../outside/secret"}},
    "preview-of-nan": {"product__preview": {"variable": "index", "range": [float("nan"), float("inf")]}},
}

_SOURCES: dict[str, Any] = {
    "root": "/",
    "stars": "raw/" + "*/" * 12,
    "double-stars": "raw/" + "**/" * 15 + "*",
    "brackets": "raw/" + "[" * 5_000,
    "braces": "raw/{" + ",".join("ab" * 500) + "}" * 5,
    "null": "raw/a\0.tif",
    "length": "raw/" + "a" * 10_000,
    "parts-of-length": "raw/" + "a/" * 5_000 + "*.tif",
    "zeros": "/dev/zero",
    "random": "/dev/urandom",
    "standard-input": "/dev/stdin",
    "environment": "/proc/self/environ",
    "memory": "/proc/self/mem",
    "memory-map": "/proc/kcore",
    "processes": "/proc/*/fd/*",
    "trace": "/sys/kernel/debug/tracing/trace_pipe",
    "vsicurl": "/vsicurl/http://127.0.0.1:9/a.tif",
    "vsizip": "/vsizip/raw/a.zip/a.tif",
    "vsistdin": "/vsistdin/",
    "driver-prefix": 'NETCDF:"raw/a.nc":t',
    "subdataset": "GTIFF_DIR:2:raw/a.tif",
    "wms": "WMS:http://127.0.0.1:9/?request=GetMap",
    "xml": "<VRTDataset rasterXSize='1' rasterYSize='1'/>",
    "ftp": "ftp://host.invalid/a.tif",
    "hdfs": "hdfs://127.0.0.1/a.tif",
    "ssh": "ssh://127.0.0.1/a.tif",
    "smb": "smb://127.0.0.1/share/a.tif",
    "git": "git://raw:a.tif",
    "github": "github://",
    "data": "data:image/tiff;base64,SUkqAA==",
    "memory-system": "memory://a.tif",
    "chain": "simplecache::zip://a.tif::file://raw/a.zip",
    "reference": "reference://",
    "unknown": "nothing://a.tif",
    "password": "https://me:canary-4f1d9c-must-not-leave@",
    "no-host": "http:///a.tif",
    "bracketed-host": "http://[::1/a.tif",
    "port-of-length": "http://127.0.0.1:99999999/a.tif",
    "url-of-length": "https://127.0.0.1:9/" + "a" * 100_000,
    "many": ["raw/*.tif"] * 5_000,
}


def _source(href: Any) -> Callable[[Site], list[str]]:
    def make(site: Site) -> list[str]:
        _raw(site)
        write_profile(site, profile_data(source__href=href))
        return _PLAN

    return make


# --- the catalogue that a profile names -----------------------------------------------------------------------------


def _catalogued(make_catalogue: Callable[[Site, Path], str]) -> Callable[[Site], list[str]]:
    def make(site: Site) -> list[str]:
        _raw(site)
        href = make_catalogue(site, osc_checkout(site.inside / "osc").save())
        changes = {
            "store__public_href": "https://example.org/data", "catalog": {"metadata": href},
            "product__themes": ["oceans"], "project__id": "demo",
        }  # fmt: skip
        write_profile(site, profile_data(**changes))
        return _PLAN

    return make


def _tarred(add: Callable[[Site, tarfile.TarFile], Any]) -> Callable[[Site, Path], str]:
    def make(site: Site, osc: Path) -> str:
        with tarfile.open(site.inside / "osc.tar.gz", "w:gz", compresslevel=1) as archive:
            archive.add(osc, "osc")
            add(site, archive)
        return "osc.tar.gz"

    return make


def _zipped(add: Callable[[Site, zipfile.ZipFile], Any]) -> Callable[[Site, Path], str]:
    def make(site: Site, osc: Path) -> str:
        with zipfile.ZipFile(site.inside / "osc.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(osc.rglob("*")):
                archive.write(path, f"osc/{path.relative_to(osc)}")
            add(site, archive)
        return "osc.zip"

    return make


def _tar_member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 4) -> Callable[..., Any]:
    def add(site: Site, archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name.replace("OUTSIDE", str(site.outside)))
        member.type, member.linkname = kind, target.replace("OUTSIDE", str(site.outside))
        member.size = size if kind == tarfile.REGTYPE else 0
        archive.addfile(member, io.BytesIO(b"text") if member.size == 4 else None)

    return add


def _tar_of_zeros(_site: Site, archive: tarfile.TarFile) -> None:
    member = tarfile.TarInfo("osc/zeros")
    member.size = 3_000_000_000
    archive.addfile(member, io.BufferedReader(_Zeros()))  # type: ignore[type-var]


class _Zeros(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:] = bytes(len(buffer))
        return len(buffer)


def _zip_zeros(_site: Site, archive: zipfile.ZipFile) -> None:
    archive.compresslevel = 1
    with archive.open("osc/zeros", "w", force_zip64=True) as member:
        for _ in range(190):
            member.write(bytes(10**7))


def _linked(name: str) -> Callable[[Site, Path], str]:
    def make(site: Site, osc: Path) -> str:
        (osc / name).unlink()
        (osc / name).symlink_to(site.outside / "secret.txt")
        return "osc"

    return make


def _written(name: str, data: bytes) -> Callable[[Site, Path], str]:
    def make(_site: Site, osc: Path) -> str:
        (osc / name).write_bytes(data)
        return "osc"

    return make


def _file(name: str, data: bytes) -> Callable[[Site, Path], str]:
    def make(site: Site, _osc: Path) -> str:
        (site.inside / name).write_bytes(data)
        return name

    return make


def _cut(site: Site, osc: Path) -> str:
    whole = _tarred(lambda _site, _archive: None)(site, osc)
    data = (site.inside / whole).read_bytes()
    (site.inside / whole).write_bytes(data[: len(data) // 2])
    return whole


_CATALOGUES: dict[str, Callable[[Site, Path], str]] = {
    "tar-upwards": _tarred(_tar_member("../outside/written")),
    "tar-absolute": _tarred(_tar_member("OUTSIDE/written")),
    "tar-link": _tarred(_tar_member("osc/link", tarfile.SYMTYPE, "OUTSIDE")),
    "tar-hard-link": _tarred(_tar_member("osc/link", tarfile.LNKTYPE, "OUTSIDE/secret.txt")),
    "tar-device": _tarred(_tar_member("osc/zero", tarfile.CHRTYPE)),
    "tar-pipe": _tarred(_tar_member("osc/pipe", tarfile.FIFOTYPE)),
    "tar-name-of-length": _tarred(_tar_member("osc/" + "a" * 5_000)),
    "tar-members-50000": _tarred(
        lambda _site, tar: [tar.addfile(tarfile.TarInfo(f"osc/a/{n}")) for n in range(50_000)]
    ),
    "tar-bomb": _tarred(_tar_of_zeros),
    "tar-cut": _cut,
    "zip-upwards": _zipped(lambda _site, packed: packed.writestr("../outside/written", "x")),
    "zip-absolute": _zipped(lambda site, packed: packed.writestr(f"{site.outside}/written", "x")),
    "zip-bomb": _zipped(_zip_zeros),
    "zip-of-noise": _file("osc.zip", b"PK\x03\x04" + bytes(500)),
    "tar-of-noise": _file("osc.tar.gz", b"\x1f\x8b\x08\0" + b"\xff" * 500),
    "tar-of-zeros": _file("osc.tar", bytes(100_000)),
    "tar-empty": _file("osc.tar.gz", b""),
    "link-of-a-record": _linked("projects/demo/collection.json"),
    "link-of-the-root": _linked("catalog.json"),
    "root-of-noise": _written("catalog.json", b"\xff\xfe" * 100),
    "root-nested": _written("catalog.json", b'{"links":' + b"[" * 100_000),
    "root-of-links": _written(
        "catalog.json",
        b'{"type": "Catalog", "links": [' + b'{"rel": "child", "href": "./x/catalog.json"},' * 100_000 + b"{}]}",
    ),
    "project-a-list": _written("projects/demo/collection.json", b"[]"),
    "project-of-nulls": _written("projects/demo/collection.json", b'{"id": null, "links": null, "title": null}'),
    "git-option": lambda _site, _osc: "git+--upload-pack=touch%20outside/ran",
    "git-ext": lambda site, _osc: f"git+ext::sh -c touch% {site.outside}/ran",
    "git-file": lambda site, _osc: f"file://{site.outside}",
    "name-of-null": lambda _site, _osc: "osc\0.tar.gz",
    "name-of-length": lambda _site, _osc: "a" * 10_000 + ".zip",
}
