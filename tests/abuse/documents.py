"""Hostile STAC, products, bundles and catalogues that are handed to ``check`` and ``publish``."""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abuse import cubes, rasters, stores
from abuse.harness import GOOD, MARKUP, Case, Site, run
from abuse.making import profile_data, write_profile, write_tif
from osc_checkout import osc_checkout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def cases() -> Iterator[Case]:
    for name, text in _texts().items():
        yield Case(f"stac/{name}", _item_text(text))
    for name, change in _ITEMS.items():
        yield Case(f"stac/{name}", _item(change))
    for name, href in _HREFS.items():
        yield Case(f"stac/href-{name}", _item({"assets": {"data": {"href": href, "roles": ["data"]}}}))
    for name in _LINKED:
        yield Case(f"stac/link-{name}", _item({"links": [{"rel": "collection", "href": _HREFS[name]}]}))
    for name, make in _CHECKOUTS.items():
        yield Case(f"osc/{name}", _checkout(make))
    for name, damage in _BUNDLES.items():
        for command in ("check", "publish"):
            yield Case(f"bundle/{command}-{name}", _bundle(damage, command), keeps_good=False)
    yield from _files()


def _files() -> Iterator[Case]:
    """Data files that ``check`` opens itself."""
    for ending, parts in (
        ("tif", rasters.REFUSED),
        ("nc", cubes.LEAVING),
        ("nc", cubes.REFUSED),
        ("zarr", stores.REFUSED | stores.STALE),
    ):
        for name, write in parts.items():
            yield Case(f"check/{ending}-{name}", functools.partial(_checked, write=write, name=f"a_20200101.{ending}"))


def _checked(site: Site, write: Callable[[Site, Path], Any], name: str) -> list[str]:
    write(site, site.inside / name)
    return ["check", name, "--json"]


# --- STAC -----------------------------------------------------------------------------------------------------------

_ITEM: dict[str, Any] = {
    "type": "Feature", "stac_version": "1.1.0", "stac_extensions": [], "id": "a", "collection": "c",
    "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}, "bbox": [0, 0, 1, 1],
    "properties": {"datetime": "2020-01-01T00:00:00Z"}, "links": [], "assets": {},
}  # fmt: skip


def _item_text(text: bytes) -> Callable[[Site], list[str]]:
    def make(site: Site) -> list[str]:
        (site.inside / "item.json").write_bytes(text)
        return ["check", "item.json", "--json"]

    return make


def _item(change: dict[str, Any]) -> Callable[[Site], list[str]]:
    """An Item with other fields; OUTSIDE and URL stand for the folder outside and the port."""

    def make(site: Site) -> list[str]:
        text = json.dumps(_ITEM | change).replace("OUTSIDE", str(site.outside)).replace("PORT", str(site.port))
        return _item_text(text.encode())(site)

    return make


def _texts() -> dict[str, bytes]:
    item = json.dumps(_ITEM).encode()
    return {
        "empty": b"", "null": b"null", "list": b"[]", "text": b'"a"', "number": b"1e999", "noise": b"\xff\xfe" * 99,
        "zeros": bytes(1000), "cut": item[: len(item) // 2], "twice": item + item, "nested-lists": b"[" * 100_000,
        "nested-objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "utf-16": item.decode().encode("utf-16"),
        "bom": b"\xef\xbb\xbf" + item, "integer-of-length": b'{"type": ' + b"9" * 1_000_000 + b"}",
        "keys-200000": b"{" + b",".join(b'"k%d": 1' % n for n in range(200_000)) + b"}",
        "key-twice": item[:-1] + b', "type": "Collection", "type": "Catalog"}',
        "nan": item.replace(b"[0, 0]", b"[NaN, Infinity]"),
        "lines": b"\n" * 5_000_000 + item,
    }  # fmt: skip


def _rings(count: int) -> dict[str, Any]:
    ring = [[n / count * 10, (n % 2) / 10] for n in range(count)]
    return {"type": "Polygon", "coordinates": [[*ring, [10, 5], [0, 5], ring[0]]]}


def _many(relation: str, count: int) -> list[dict[str, str]]:
    return [{"rel": relation, "href": f"./{n}.json", "type": "application/json"} for n in range(count)]


_ITEMS: dict[str, dict[str, Any]] = {
    "links-100000": {"links": _many("item", 100_000)},
    "links-alike-100000": {"links": [{"rel": "self", "href": "./a.json"}] * 100_000},
    "assets-20000": {"assets": {f"a{n}": {"href": f"./a{n}.tif", "roles": ["data"]} for n in range(20_000)}},
    "vertices-300000": {"geometry": _rings(300_000)},
    "vertices-at-one-point": {"geometry": {"type": "Polygon", "coordinates": [[[0, 0]] * 300_000]}},
    "polygons-50000": {
        "geometry": {"type": "MultiPolygon", "coordinates": [_ITEM["geometry"]["coordinates"]] * 50_000}
    },
    "vertices-beyond": {"geometry": {"type": "Point", "coordinates": [1e308, -1e308]}},
    "vertices-of-words": {"geometry": {"type": "Polygon", "coordinates": [["a"], {"b": []}]}},
    "collections-nested": {
        "geometry": functools.reduce(
            lambda inner, _: {"type": "GeometryCollection", "geometries": [inner]}, range(300), {"type": "Point"}
        )
    },
    "bbox-of-length": {"bbox": [0.0] * 300_000},
    "bbox-of-words": {"bbox": ["a", None, {}, []]},
    "markup": {"id": MARKUP, "properties": {"datetime": "2020-01-01T00:00:00Z", "title": MARKUP}},
    "escapes": {"id": "\x1b[2J", "properties": {"datetime": "\x1b]0;a\x07"}},
    "id-of-path": {"id": "../../etc/passwd"},
    "id-of-length": {"id": "a" * 2_000_000},
    "times-of-length": {"properties": {"datetime": "2020-01-01T00:00:00." + "0" * 500_000 + "Z"}},
    "schema-at-loopback": {"stac_extensions": ["http://127.0.0.1:PORT/v1.0.0/schema.json"]},
    "schema-at-localhost": {"stac_extensions": ["http://localhost:PORT/v1.0.0/schema.json"]},
    "schema-at-metadata": {"stac_extensions": ["http://169.254.169.254/latest/v1.0.0/schema.json"]},
    "schema-of-a-file": {"stac_extensions": ["file://OUTSIDE/secret.txt"]},
    "schema-of-a-path": {"stac_extensions": ["OUTSIDE/secret.txt", "../outside/secret.txt"]},
    "schemas-20000": {
        "stac_extensions": [f"https://stac-extensions.github.io/a{n}/v1.0.0/schema.json" for n in range(20_000)]
    },
    "crs-of-length": {"properties": {"datetime": "2020-01-01T00:00:00Z", "proj:wkt2": "GEOGCRS[" * 20_000}},
    "crs-of-a-file": {"properties": {"datetime": "2020-01-01T00:00:00Z", "proj:code": "+init=OUTSIDE/secret.txt:1"}},
    "crs-with-grid-file": {
        "properties": {"datetime": "2020-01-01T00:00:00Z", "proj:wkt2": "+proj=longlat +nadgrids=OUTSIDE/secret.txt"}
    },
}

_HREFS = {
    "loopback": "http://127.0.0.1:PORT/a.tif",
    "localhost": "http://localhost:PORT/a.tif",
    "short": "http://127.1:PORT/a.tif",
    "octal": "http://0177.0.0.1:PORT/a.tif",
    "octal-of-one": "http://017700000001:PORT/a.tif",
    "decimal": "http://2130706433:PORT/a.tif",
    "hexadecimal": "http://0x7f000001:PORT/a.tif",
    "hexadecimal-parts": "http://0x7f.0x0.0x0.0x1:PORT/a.tif",
    "zero": "http://0:PORT/a.tif",
    "zeros": "http://0.0.0.0:PORT/a.tif",
    "loopback-6": "http://[::1]:PORT/a.tif",
    "mapped-6": "http://[::ffff:127.0.0.1]:PORT/a.tif",
    "mapped-6-hexadecimal": "http://[::ffff:7f00:1]:PORT/a.tif",
    "upper": "HTTP://LOCALHOST:PORT/a.tif",
    "dot": "http://localhost.:PORT/a.tif",
    "wide": "http://\uff11\uff12\uff17.0.0.1:PORT/a.tif",
    "circled": "http://\u2460\u2461\u2466.0.0.1:PORT/a.tif",
    "user": "http://example.org@127.0.0.1:PORT/a.tif",
    "backslash": "http://127.0.0.1:PORT\\@example.org/a.tif",
    "fragment": "http://127.0.0.1:PORT#@example.org/a.tif",
    "machine": f"http://{os.uname().nodename}:PORT/a.tif",
    "metadata": "http://169.254.169.254/latest/meta-data/iam/security-credentials/a.tif",
    "metadata-decimal": "http://2852039166/latest/a.tif",
    "metadata-google": "http://metadata.google.internal/computeMetadata/v1/a.tif",
    "private-10": "http://10.0.0.1/a.tif",
    "private-172": "http://172.16.0.1/a.tif",
    "private-192": "http://192.168.0.1/a.tif",
    "shared": "http://100.64.0.1/a.tif",
    "link-local-6": "http://[fe80::1%25eth0]/a.tif",
    "unique-local-6": "http://[fd00::1]/a.tif",
    "cog": "http://127.0.0.1:PORT/a.tif?x=.tif",
    "zarr": "http://127.0.0.1:PORT/a.zarr",
    "netcdf": "http://127.0.0.1:PORT/a.nc#mode=bytes",
    "vsicurl": "/vsicurl/http://127.0.0.1:PORT/a.tif",
    "s3-at-loopback": "s3://127.0.0.1:PORT/bucket/a.tif",
    "ftp": "ftp://127.0.0.1:PORT/a.tif",
    "hdfs": "hdfs://127.0.0.1:PORT/a.tif",
    "gopher": "gopher://127.0.0.1:PORT/a.tif",
    "simplecache": "simplecache::http://127.0.0.1:PORT/a.tif",
    "file": "file://OUTSIDE/secret.txt",
    "file-of-data": "file://OUTSIDE/secret.tif",
    "path": "OUTSIDE/secret.txt",
    "path-upwards": "../outside/secret.txt",
    "path-encoded": "%2e%2e/outside/secret.txt",
    "device": "/dev/zero",
    "device-random.tif": "/dev/../dev/urandom",
    "null": "a\0b.tif",
    "length": "https://127.0.0.1:1/" + "a" * 300_000 + ".tif",
    "path-of-length": "./" + "a" * 5_000 + ".tif",
    "empty": "",
    "port": "http://127.0.0.1:99999/a.tif",
    "port-of-words": "http://127.0.0.1:abc/a.tif",
    "bracket": "http://[/a.tif",
    "newline": "http://127.0.0.1:PORT/a\r\nHost: b\r\n\r\n.tif",
    "data": "data:image/tiff;base64,SUkqAA==",
    "script": "javascript:alert(1)",
}
_LINKED = ("loopback", "octal", "machine", "metadata", "mapped-6", "file", "path-upwards", "device", "length", "null")


# --- checkouts of the catalogue -------------------------------------------------------------------------------------


def _checkout(change: Callable[[Site, Path], Any]) -> Callable[[Site], list[str]]:
    def make(site: Site) -> list[str]:
        change(site, osc_checkout(site.inside / "osc").save())
        return ["check", "osc", "--json"]

    return make


def _link(name: str, target: str) -> Callable[[Site, Path], Any]:
    def change(site: Site, osc: Path) -> None:
        path = osc / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.symlink_to(target.replace("OUTSIDE", str(site.outside)))

    return change


def _replaced(name: str, data: bytes) -> Callable[[Site, Path], Any]:
    return lambda _site, osc: (osc / name).write_bytes(data)


def _with_links(name: str, links: list[dict[str, str]]) -> Callable[[Site, Path], Any]:
    def change(site: Site, osc: Path) -> None:
        document = json.loads((osc / name).read_text())
        document["links"] += json.loads(json.dumps(links).replace("PORT", str(site.port)))
        (osc / name).write_text(json.dumps(document))

    return change


def _many_records(_site: Site, osc: Path) -> None:
    record = json.loads((osc / "products/sst/collection.json").read_text())
    for number in range(2_000):
        folder = osc / f"products/p{number}"
        folder.mkdir()
        (folder / "collection.json").write_text(json.dumps(record | {"id": f"p{number}"}))


_PRODUCT = "products/sst/collection.json"
_CHECKOUTS: dict[str, Callable[[Site, Path], Any]] = {
    "link-of-a-record": _link(_PRODUCT, "OUTSIDE/secret.txt"),
    "link-of-a-folder": _link("products/sst", "OUTSIDE"),
    "link-to-itself": _link("products/again", "../products"),
    "link-to-the-root": _link("products/root", "/"),
    "link-to-a-device": _link("products/zero.json", "/dev/zero"),
    "pipe": lambda _site, osc: os.mkfifo(osc / "products/pipe.json"),
    "record-of-noise": _replaced(_PRODUCT, b"\xff\xfe" * 100),
    "record-nested": _replaced(_PRODUCT, b'{"a":' * 100_000),
    "record-of-zeros": lambda _site, osc: os.truncate(osc / _PRODUCT, 10**11),
    "record-empty": _replaced(_PRODUCT, b""),
    "record-a-list": _replaced(_PRODUCT, b"[1]"),
    "record-a-folder": lambda _site, osc: ((osc / _PRODUCT).unlink(), (osc / _PRODUCT).mkdir()),
    "links-100000": _with_links(_PRODUCT, _many("related", 100_000)),
    "links-outside": _with_links(_PRODUCT, [{"rel": "child", "href": "../../../outside/secret.txt"}]),
    "links-to-loopback": _with_links(_PRODUCT, [{"rel": "child", "href": "http://127.0.0.1:PORT/a.json"}]),
    "links-in-a-circle": _with_links("catalog.json", [{"rel": "child", "href": "./catalog.json"}] * 2_000),
    "links-of-length": _with_links(_PRODUCT, [{"rel": "child", "href": "./" + "a" * 300_000}]),
    "links-of-null": _with_links(_PRODUCT, [{"rel": "child", "href": "a\0b"}]),
    "records-2000": _many_records,
    "names": lambda _site, osc: (osc / os.fsdecode(b"products/caf\xe9\n.json")).write_text("{}"),
}


# --- bundles --------------------------------------------------------------------------------------------------------


@functools.cache
def _sound_bundle() -> Path:
    """A bundle as ``run --prepare-only`` leaves it."""
    top = Path(tempfile.mkdtemp(prefix="abuse-bundle-"))
    site = Site(top / "inside", top / "outside", 0)
    for folder in (site.inside / "raw", top / "home", top / "tmp"):
        folder.mkdir(parents=True)
    write_tif(site.inside / "raw" / f"{GOOD}.tif")
    write_profile(site, profile_data())
    outcome = run(["run", "profile.yaml", "--workdir", "work", "--prepare-only", "--json"], site.inside, top)
    if outcome.code != 0:
        raise RuntimeError(outcome.stdout + outcome.stderr)
    return site.inside / "work" / "demo" / "v1.0"


def _bundle(damage: Callable[[Site, Path], Any], command: str) -> Callable[[Site], list[str]]:
    def make(site: Site) -> list[str]:
        bundle = site.inside / "work" / "demo" / "v1.0"
        shutil.copytree(_sound_bundle(), bundle)
        profile = bundle / "profile.yaml"
        profile.write_text(profile.read_text().replace(str(_sound_bundle().parents[2]), str(site.inside)))
        damage(site, bundle)
        return [command, "work/demo/v1.0", "--json"]

    return make


def _entries(change: Callable[[Site, list[dict[str, Any]]], Any]) -> Callable[[Site, Path], Any]:
    """The manifest with other entries."""

    def damage(site: Site, bundle: Path) -> None:
        path = bundle / "product/manifest.json"
        entries = json.loads(path.read_text())
        change(site, entries)
        path.write_text(json.dumps(entries))

    return damage


def _entry(**fields: Any) -> dict[str, Any]:
    return {
        "key": "a.json",
        "size": 1,
        "sha256": "1220" + "0" * 64,
        "media_type": "application/json",
        "sources": [],
    } | fields


def _bundle_file(name: str, data: bytes) -> Callable[[Site, Path], Any]:
    return lambda _site, bundle: (bundle / name).write_bytes(data)


def _bundle_link(name: str, target: str = "OUTSIDE/secret.txt") -> Callable[[Site, Path], Any]:
    def damage(site: Site, bundle: Path) -> None:
        path = next(bundle.glob(name), bundle / name)
        if path.is_dir():
            shutil.move(path, site.outside / path.name)
            path.symlink_to(site.outside / path.name)
        else:
            path.unlink(missing_ok=True)
            path.symlink_to(target.replace("OUTSIDE", str(site.outside)))

    return damage


def _of_profile(old: str, new: str) -> Callable[[Site, Path], Any]:
    def damage(site: Site, bundle: Path) -> None:
        path = bundle / "profile.yaml"
        text = path.read_text()
        if old not in text:
            raise ValueError(old)
        path.write_text(text.replace(old, new.replace("OUTSIDE", str(site.outside))))

    return damage


def _of_collection(change: dict[str, Any]) -> Callable[[Site, Path], Any]:
    def damage(site: Site, bundle: Path) -> None:
        path = bundle / "product/collection.json"
        changed = json.dumps(json.loads(path.read_text()) | change)
        path.write_text(changed.replace("OUTSIDE", str(site.outside)).replace("PORT", str(site.port)))

    return damage


def _flipped_data(_site: Site, bundle: Path) -> None:
    path = next(bundle.glob("product/data/*/*.tif"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


_STATE = (
    "product/collection.json",
    "product/manifest.json",
    "profile.yaml",
    "plan.json",
    "findings.json",
    "provenance.json",
)
_BUNDLES: dict[str, Callable[[Site, Path], Any]] = {
    **{f"noise-{Path(name).stem}": _bundle_file(name, b"\xff\xfe" * 50) for name in _STATE},
    **{f"empty-{Path(name).stem}": _bundle_file(name, b"") for name in _STATE},
    **{f"nested-{Path(name).stem}": _bundle_file(name, b"[" * 100_000) for name in _STATE},
    **{f"null-{Path(name).stem}": _bundle_file(name, b"null") for name in _STATE},
    "receipts-of-noise": _bundle_file("receipts.json", b"\xff" * 50),
    "data-flipped": _flipped_data,
    "link-of-data": _bundle_link("product/data/*/*.tif"),
    "link-of-data-folder": _bundle_link("product/data"),
    "link-of-collection": _bundle_link("product/collection.json"),
    "link-of-item": _bundle_link("product/items/*.json"),
    "link-of-manifest": _bundle_link("product/manifest.json"),
    "link-that-is-new": _bundle_link("product/data/more.tif"),
    "link-of-profile": _bundle_link("profile.yaml"),
    "link-of-report": _bundle_link("report.html"),
    "link-of-device": _bundle_link("product/data/*/*.tif", "/dev/zero"),
    "pipe": lambda _site, bundle: os.mkfifo(bundle / "product/data/pipe.tif"),
    "pipe-of-collection": lambda _site, bundle: (
        (bundle / "product/collection.json").unlink(),
        os.mkfifo(bundle / "product/collection.json"),
    ),
    "key-upwards": _entries(lambda _site, entries: entries.append(_entry(key="../../../../../outside/secret.txt"))),
    "key-absolute": _entries(lambda site, entries: entries.append(_entry(key=f"{site.outside}/secret.txt"))),
    "key-of-null": _entries(lambda _site, entries: entries.append(_entry(key="a\0b"))),
    "key-of-length": _entries(lambda _site, entries: entries.append(_entry(key="a" * 100_000))),
    "key-twice": _entries(lambda _site, entries: entries.extend(entries[:1] * 1_000)),
    "key-missing": _entries(lambda _site, entries: entries.append(_entry())),
    "size-negative": _entries(lambda _site, entries: entries[0].update(size=-1)),
    "size-of-2-80": _entries(lambda _site, entries: entries[0].update(size=2**80)),
    "sum-of-words": _entries(lambda _site, entries: entries[0].update(sha256="abc")),
    "entries-100000": _entries(lambda _site, entries: entries.extend(_entry(key=f"a{n}") for n in range(100_000))),
    "profile-of-other-id": _of_profile("id: demo\n", "id: ../../../outside\n"),
    "profile-of-cluster": _of_profile(
        "target:", "compute: {cluster_class: os.system, cluster_kwargs: {command: id}}\ntarget:"
    ),
    "collection-href": _of_collection({"assets": {"a": {"href": "http://127.0.0.1:PORT/a.tif", "roles": ["data"]}}}),
    "collection-link": _of_collection({"links": [{"rel": "item", "href": "../../../../../outside/secret.txt"}]}),
    "collection-markup": _of_collection({"title": MARKUP, "description": MARKUP}),
    "collection-links-100000": _of_collection({"links": _many("item", 100_000)}),
}
