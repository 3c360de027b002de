"""Many Items: written as they are described, the product withdrawn before it changes, and no byte without need."""

from __future__ import annotations

import json
import tracemalloc
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from making import moments, profile_of, write_tif

from benchmarks.describing import artifact
from earthcode_pack.bundle import Bundle, values_to_json
from earthcode_pack.bundle.assemble import StacWriter, assemble
from earthcode_pack.describe import Describing
from earthcode_pack.files import to_json
from earthcode_pack.model import Finding, Level
from earthcode_pack.pipeline import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.model import Artifact
    from earthcode_pack.profile import Profile


def write(bundle: Bundle, profile: Profile, artifacts: list[Artifact]) -> None:
    """STAC and manifest, as the pipeline writes them; the data itself need not be there."""
    assemble(bundle, artifacts, StacWriter(bundle).write(Describing(profile, artifacts, {}, {})))


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return profile_of(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle(tmp_path / "work")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if more than five Items were many, and three were a batch."""
    monkeypatch.setattr("earthcode_pack.bundle.assemble._MANY", 5)
    monkeypatch.setattr("earthcode_pack.geoparquet._BATCH", 3)


def rows(bundle: Bundle) -> list[dict[str, Any]]:
    import pyarrow.parquet
    from stac_geoparquet.arrow import stac_table_to_items

    return list(stac_table_to_items(pyarrow.parquet.read_table(bundle.product / "items.parquet")))


def test_an_item_is_on_disk_before_the_next_is_described(bundle: Bundle, profile: Profile) -> None:
    seen = []

    class Watched(Describing):
        def items(self) -> Iterator[dict[str, Any]]:
            for item in super().items():
                seen.append(len(list((bundle.product / "items").glob("*.json"))))
                yield item

    StacWriter(bundle).write(Watched(profile, [artifact(n) for n in range(4)], {}, {}))
    assert seen == [0, 1, 2, 3]
    assert bundle.collection_path.is_file()


def test_the_collection_comes_after_its_items(profile: Profile) -> None:
    describing = Describing(profile, [artifact(n) for n in range(3)], {}, {})
    list(islice(describing.items(), 2))
    with pytest.raises(AssertionError, match="all its Items"):
        describing.collection()


@pytest.mark.usefixtures("few")
def test_nothing_new_changes_no_file(bundle: Bundle, profile: Profile) -> None:
    every = [artifact(n) for n in range(8)]
    write(bundle, profile, every)
    before, digest = moments(bundle.root), bundle.digest
    write(bundle, profile, every[::-1])
    assert moments(bundle.root) == before
    assert bundle.digest == digest
    assert not list(bundle.root.rglob("*.part"))


def test_product_is_withdrawn_before_its_first_byte_changes(bundle: Bundle, profile: Profile) -> None:
    every = [artifact(n) for n in range(3)]
    write(bundle, profile, every)
    (bundle.root / "findings.json").write_text("[]\n")
    changed = [*every[:2], every[2].model_copy(update={"sources": (("/raw/other.tif", "0" * 64),)})]
    whole = []

    class Watched(Describing):
        def items(self) -> Iterator[dict[str, Any]]:
            for item in super().items():
                whole.append(bundle.digest is not None)
                yield item

    writer = StacWriter(bundle)
    writer.write(Watched(profile, changed, {}, {}))
    assert whole == [True, True, True]
    assert bundle.digest is None
    assert not (bundle.root / "findings.json").exists()
    assemble(bundle, changed, writer.known)
    assert bundle.digest is not None


def test_product_is_withdrawn_before_a_thumbnail_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    bundle = prepare(profile_of(tmp_path), tmp_path / "work")
    assert bundle.digest is not None

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(StacWriter, "write", die)
    with pytest.raises(KeyboardInterrupt):
        prepare(profile_of(tmp_path, product__preview={"variable": "index", "colormap": "magma"}), tmp_path / "work")
    assert bundle.digest is None


def test_an_item_that_is_gone_leaves_no_file(bundle: Bundle, profile: Profile) -> None:
    write(bundle, profile, [artifact(n) for n in range(3)])
    write(bundle, profile, [artifact(n) for n in range(2)])
    assert len(list((bundle.product / "items").iterdir())) == 2
    assert sum(entry.key.startswith("items/") for entry in bundle.manifest()) == 2


@pytest.mark.parametrize(("count", "has_table"), [(500, False), (501, True)])
def test_beyond_500_items_there_is_a_table_of_them(
    bundle: Bundle, profile: Profile, count: int, has_table: bool
) -> None:
    write(bundle, profile, [artifact(n) for n in range(count)])
    assert (bundle.product / "items.parquet").is_file() == has_table
    assert any(entry.key == "items.parquet" for entry in bundle.manifest()) == has_table


@pytest.mark.usefixtures("few")
def test_table_says_what_the_items_say(bundle: Bundle, profile: Profile) -> None:
    write(bundle, profile, [artifact(n) for n in range(8)])  # three batches
    found = {item["id"]: item for item in rows(bundle)}
    assert len(found) == 8
    for item in bundle.items():
        twin = found[item["id"]]
        assert twin["assets"] == item["assets"]
        assert twin["properties"]["proj:code"] == item["properties"]["proj:code"]
        for end in ("start_datetime", "end_datetime", "created"):
            one, other = (datetime.fromisoformat(facts["properties"][end]) for facts in (twin, item))
            assert one == other
        assert twin["bbox"] == pytest.approx(item["bbox"])
        assert json.dumps(twin["geometry"]) == json.dumps(item["geometry"])
        assert twin["collection"] == "demo"


@pytest.mark.usefixtures("few")
def test_numbers_and_words_in_one_field_leave_the_numbers_in_the_table(bundle: Bundle, profile: Profile) -> None:
    """A column holds one type: nodata -1 in one band, "nan" in the other."""

    def cube(number: int) -> Artifact:
        made = artifact(number)
        (variable,) = made.variables
        both = (variable, variable.model_copy(update={"name": "float", "nodata": "nan"}))
        given = {"asset": "data", "format": "netcdf", "key": f"data/{made.item}.nc", "variables": both}
        return made.model_copy(update=given)

    write(bundle, profile, [cube(n) for n in range(7)])
    found = rows(bundle)
    assert len(found) == 7
    first, second = found[0]["assets"]["data"]["bands"]
    assert first["nodata"] == -1
    assert second.get("nodata") is None
    assert next(bundle.items())["assets"]["data"]["bands"][1]["nodata"] == "nan"


@pytest.mark.usefixtures("few")
def test_a_table_that_is_gone_is_made_again(bundle: Bundle, profile: Profile) -> None:
    every = [artifact(n) for n in range(6)]
    write(bundle, profile, every)
    digest = bundle.digest
    (bundle.product / "items.parquet").unlink()
    write(bundle, profile, every)
    assert bundle.digest == digest
    assert len(rows(bundle)) == 6


def test_an_item_more_needs_little_memory(bundle: Bundle, profile: Profile) -> None:
    def peak(count: int) -> int:
        every = [artifact(n) for n in range(count)]
        tracemalloc.start()
        try:
            StacWriter(bundle).write(Describing(profile, every, {}, {}))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(5)  # what is made once
    item_size = (bundle.product / "items" / "bench-describe_20200101.json").stat().st_size
    assert (peak(120) - peak(20)) / 100 < item_size  # as objects, Items are several times larger


def test_a_list_of_values_is_written_as_any_json() -> None:
    some = [Finding(rule=rule, level=Level.INFO, subject="s", message="m", measured=[1, {}]) for rule in "ab"]
    for values in ([], some):
        assert values_to_json(values) == to_json([json.loads(value.model_dump_json()) for value in values])
