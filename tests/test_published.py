"""A product that is published already, prepared again elsewhere; and a bundle that is not what its manifest says."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from examples import spread
from making import cube_profile, every_file, moments, profile_of, write_cube, write_tif

from earthcode_pack.errors import UserError, VersionTaken
from earthcode_pack.pipeline import dry_run, prepare, publish, summarise
from earthcode_pack.run.fingerprint import fingerprint
from earthcode_pack.upload import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.profile import Profile

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
FIELD = "earthcode_pack:fingerprint"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for day in (1, 2):
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif", np.full((16, 20), day, "int16"))
    write_cube(tmp_path / "raw" / "t.nc", range(3))
    return tmp_path


def elsewhere(folder: Path, machine: str) -> Path:
    """The same sources and nothing else, in other files at another place."""
    shutil.copytree(folder / "raw", folder / machine / "raw")
    return folder / machine


def published(profile: Profile, work: Path) -> Bundle:
    bundle = prepare(profile, work, ahead=True)
    assert publish(bundle)
    return bundle


def backdated(bundle: Bundle, moment: str) -> None:
    """Publishes a product as one that was processed at another time: a second run is not in the same second."""
    for path in (bundle.root / ".work" / "artifacts").glob("*.json"):
        artifact = json.loads(path.read_bytes())
        path.write_text(json.dumps(artifact | {"processed": moment}))
    bundle.collection_path.unlink()


# --- the same product from elsewhere ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [profile_of, cube_profile])
@pytest.mark.parametrize("place", ["folder", "s3"])
def test_same_product_from_another_machine_is_the_published_one(
    make: Callable[..., Profile], place: str, raw: Path, request: pytest.FixtureRequest, caplog: Any
) -> None:
    href = str(raw / "published") if place == "folder" else f"s3://{request.getfixturevalue('bucket')}/store"
    first = prepare(make(raw, store__href=href), raw / "work")
    backdated(first, "2024-02-29T12:00:00Z")
    first = published(make(raw, store__href=href), raw / "work")
    assert first.collection()["processing:datetime"] == "2024-02-29T12:00:00Z"

    there = elsewhere(raw, "there")
    caplog.set_level("INFO", "earthcode_pack")
    again = published(make(there, store__href=href), there / "work")
    assert again.digest == first.digest
    assert every_file(again.product) == every_file(first.product)
    assert "published already" in caplog.text
    assert verify(first) == ()


def test_all_items_of_a_product_have_one_time(raw: Path) -> None:
    first = prepare(profile_of(raw), raw / "work")
    backdated(first, "2024-02-29T12:00:00Z")
    write_tif(raw / "raw" / "a_20200103.tif")
    bundle = published(profile_of(raw), raw / "work")
    times = {item["properties"]["processing:datetime"] for item in bundle.items()}
    assert times == {bundle.collection()["processing:datetime"]}
    there = elsewhere(raw, "there")
    assert published(profile_of(there, store__href=str(raw / "published")), there / "work").digest == bundle.digest


def test_what_was_described_here_keeps_its_time(raw: Path) -> None:
    """Also where a file of it is damaged, and made again later."""
    bundle = prepare(profile_of(raw), raw / "work")
    collection = bundle.collection()
    moment = "2024-02-29T12:00:00Z"
    bundle.collection_path.write_text(json.dumps(collection | {"processing:datetime": moment}))
    (bundle.product / "data/demo_20200102/demo_20200102_index.tif").write_bytes(b"damaged")
    again = prepare(profile_of(raw), raw / "work")
    assert summarise(again).skipped == 1
    assert again.collection()["processing:datetime"] == again.collection()["created"] == moment


def test_a_store_that_does_not_answer_is_no_failure_yet(raw: Path, caplog: Any) -> None:
    store = {"href": "s3://nobody/x", "endpoint_url": "http://127.0.0.1:9"}
    assert prepare(profile_of(raw, store=store), raw / "work").digest
    assert "whether this version is published already is not known" in caplog.text


@pytest.mark.parametrize("content", [b"not JSON", b"[]", b'{"earthcode_pack:fingerprint": 1}', b'{"type": "Catalog"}'])
def test_what_lies_there_instead_of_a_collection_is_left_to_publish(raw: Path, content: bytes) -> None:
    path = raw / "published/demo/v1.0/collection.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    bundle = prepare(profile_of(raw), raw / "work", ahead=True)
    with pytest.raises(VersionTaken, match=r"collection\.json"):
        publish(bundle)
    assert path.read_bytes() == content


# --- another product --------------------------------------------------------------------------------------------------


def other_values(folder: Path) -> Profile:
    write_tif(folder / "raw" / "a_20200102.tif", np.full((16, 20), 9, "int16"))
    return profile_of(folder)


OTHERS: dict[str, Callable[[Path], Profile]] = {
    "values": other_values,
    "title": lambda folder: profile_of(folder, product__title="DEMO Other"),
    "compression": lambda folder: profile_of(folder, target__cog={"compression": "lzw"}),
    "public": lambda folder: profile_of(folder, store__public_href="https://example.org/x"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_product_of_this_version_is_refused_before_conversion(other: str, raw: Path) -> None:
    first = published(profile_of(raw), raw / "work")
    there = elsewhere(raw, "there")
    profile = OTHERS[other](there)
    profile = profile.model_copy(
        update={"store": profile.store.model_copy(update={"href": str(raw / "published")})} if profile.store else {}
    )
    for refused in (dry_run, lambda *given: prepare(*given, ahead=True)):
        with pytest.raises(VersionTaken, match=r"demo version 1\.0: published already"):
            refused(profile, there / "work")
    assert not list((there / "work").rglob("*.tif"))
    assert prepare(profile, there / "work").digest not in (None, first.digest), "for a look at it"
    assert verify(first) == ()


SAME: dict[str, dict[str, Any]] = {
    "memory": {"compute": {"memory_limit": "200MiB"}},
    "accept": {"accept": {"CF-UNITS": "known"}},
    "place": {"store__href": "another"},
    "workflow": {"project__title": "A title that a COG does not hold"},
    "institution": {"product__institution": "as a COG does not hold"},
}


@pytest.mark.parametrize("change", SAME)
def test_what_no_byte_shows_is_not_in_the_fingerprint(change: str, raw: Path) -> None:
    plain, changed = (
        (profile, dry_run(profile, raw / "work")[0]) for profile in (profile_of(raw), profile_of(raw, **SAME[change]))
    )
    assert fingerprint(*plain) == fingerprint(*changed)


def test_memory_does_not_make_another_cube(raw: Path) -> None:
    profiles = cube_profile(raw), cube_profile(raw, compute={"memory_limit": "8MiB"})
    marks = [prepare(profile, raw / f"w{n}").collection()[FIELD] for n, profile in enumerate(profiles)]
    assert marks[0] == marks[1]
    assert marks[0].startswith("sha256:")


def test_names_of_sources_are_in_it(raw: Path) -> None:
    """The manifest and the lineage name them."""
    before = fingerprint(profile_of(raw), dry_run(profile_of(raw), raw / "work")[0])
    (raw / "raw/a_20200102.tif").rename(raw / "raw/a_20200102_v2.tif")
    assert fingerprint(profile_of(raw), dry_run(profile_of(raw), raw / "work")[0]) != before


# --- a bundle that was changed ----------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    stat, raw = path.stat(), bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def link(path: Path) -> None:
    secret = path.parents[4] / "copy"
    shutil.copy(path, secret)
    path.unlink()
    path.symlink_to(secret)


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "flip": (flip, "sha256"),
    "longer": (lambda path: path.write_bytes(path.read_bytes() + b"1"), "bytes instead of"),
    "gone": (lambda path: path.unlink(), "gone"),
    "link": (link, "a symbolic link"),
}
KEYS = ["data/demo_20200102/demo_20200102_index.tif", "items/demo_20200102.json", "collection.json"]


@pytest.mark.parametrize(("change", "key"), spread(CHANGES, KEYS))
def test_changed_bundle_is_refused_before_the_first_byte_goes_up(key: str, change: str, raw: Path) -> None:
    bundle = prepare(profile_of(raw), raw / "work")
    change_it, words = CHANGES[change]
    change_it(bundle.product / key)
    with pytest.raises(UserError, match=rf"{key}: .*{words}"):
        publish(bundle, approve=bundle.digest)
    assert not (raw / "published").exists()
    assert "approvals" not in (bundle.root / "provenance.json").read_text() or not bundle.provenance()["approvals"]


def test_folder_that_is_a_link_is_refused_too(raw: Path) -> None:
    bundle = prepare(profile_of(raw), raw / "work")
    (bundle.product / "items").rename(raw / "moved")
    (bundle.product / "items").symlink_to(raw / "moved")
    with pytest.raises(UserError, match=r"items/demo_20200101\.json: a symbolic link.*; 1 more files differ"):
        publish(bundle)
    assert not (raw / "published").exists()


def test_the_remedy_of_a_changed_bundle_works(raw: Path) -> None:
    bundle = prepare(profile_of(raw), raw / "work")
    digest = bundle.digest
    flip(bundle.product / KEYS[0])
    with pytest.raises(UserError, match="nothing was sent"):
        publish(bundle)
    again = prepare(profile_of(raw), raw / "work")
    assert publish(again)
    assert again.digest == digest


def test_a_second_publish_changes_no_file_of_the_bundle(raw: Path) -> None:
    bundle = published(profile_of(raw), raw / "work")
    before = moments(bundle.root)
    assert publish(bundle)
    after = moments(bundle.root)
    assert {key for key in before if before[key] != after[key]} <= {".work/ledger.sqlite", ".work/lock"}
