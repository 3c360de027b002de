from __future__ import annotations

import difflib
import json
import re
import shutil
import subprocess
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import osc_bundles as made
import pytest

from earthcode_pack.catalogs.osc import Catalog, change_set, check_ids, hand_off, open_catalog
from earthcode_pack.catalogs.osc.catalog import FILES
from earthcode_pack.catalogs.osc.json_edit import edit_json
from earthcode_pack.catalogs.osc.links import with_link
from earthcode_pack.errors import ProfileError, UnknownId, UserError
from earthcode_pack.profile import load_profile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = made.STARTED
PRODUCT = "products/demo-sst/collection.json"
BACK = {
    "projects/4dmed-sea/collection.json",
    "themes/oceans/catalog.json",
    "variables/sea-surface-temperature/catalog.json",
    "eo-missions/sentinel-3/catalog.json",
}


@pytest.fixture
def small(tmp_path: Path) -> Catalog:
    return open_catalog(str(made.small_catalog(tmp_path / "small")), tmp_path)


def _changes(catalog: Catalog, stated: dict[str, Any] | None = None, box: Any = None, **more: Any) -> dict[str, str]:
    collection = made.collection(box) | more
    profile = load_profile(stated or made.PROFILE)
    return change_set(profile, collection, [made.item(1, box), made.item(2, box)], catalog, NOW)


def _laid(catalog: Catalog, changes: dict[str, str], target: Path) -> Catalog:
    """The catalogue with the change set laid over it."""
    shutil.copytree(catalog.root, target)
    for path, text in changes.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(text.encode())
    return open_catalog(str(target), target.parent)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _links(text: str, rel: str) -> list[dict[str, Any]]:
    return [link for link in json.loads(text)["links"] if link["rel"] == rel]


def _only_adds(old: str, new: str) -> bool:
    """Whether the old lines, but for the comma of the last element, are all there in their order."""
    lines = iter(_lines(new))
    return all(any(line in (wanted, wanted.rstrip("\r\n")) for line in lines) for wanted in _lines(old))


@pytest.mark.parametrize("which", ["small", "catalog"])
def test_every_file_a_product_touches_and_no_other(which: str, request: pytest.FixtureRequest) -> None:
    changes = _changes(request.getfixturevalue(which))
    items = {f"products/demo-sst/demo-sst_2020010{day}.json" for day in (1, 2)}
    assert set(changes) == {PRODUCT, "products/catalog.json"} | items | BACK


@pytest.mark.parametrize("which", ["small", "catalog"])
def test_back_links_carry_the_title_and_add_lines_alone(which: str, request: pytest.FixtureRequest) -> None:
    catalog: Catalog = request.getfixturevalue(which)
    changes = _changes(catalog)
    for path in BACK | {"products/catalog.json"}:
        old, new = str(catalog.text(path)), changes[path]
        assert _only_adds(old, new)
        before, after = json.loads(old), json.loads(new)
        added = [link for link in after["links"] if link not in before["links"]]
        href = "./demo-sst/collection.json" if path.startswith("products") else f"../../{PRODUCT}"
        title = "DEMO Sea surface temperature"
        assert added == [{"rel": "child", "href": href, "type": "application/json", "title": title}]
        assert {**after, "links": None} == {**before, "links": None}
        assert len(_lines(new)) - len(_lines(old)) == 6
        assert new.endswith("\n") == old.endswith("\n")
        assert ("\r\n" in new) == ("\r\n" in old)
        assert new.count("\r\n") in (0, new.count("\n"))


def test_a_child_stands_behind_the_last_child(small: Catalog) -> None:
    rels = [link["rel"] for link in json.loads(_changes(small)["themes/oceans/catalog.json"])["links"]]
    assert rels == ["root", "child", "child", "parent"]


def test_titles_come_from_their_targets(catalog: Catalog, small: Catalog) -> None:
    for each in (catalog, small):
        for link in _links(_changes(each)[PRODUCT], "related"):
            kind, name = link["href"].removeprefix("../../").split("/")[:2]
            word = {"eo-missions": "EO Mission"}.get(kind, kind[:-1].title())
            assert link["title"] == f"{word}: {each.title(kind, name)}"  # type: ignore[arg-type]
            assert link["type"] == "application/json"


def test_the_product_record_in_the_form_that_is_asked_for(catalog: Catalog) -> None:
    record = json.loads(_changes(catalog)[PRODUCT])
    assert record["themes"] == [
        {"scheme": "https://github.com/stac-extensions/osc#theme", "concepts": [{"id": "oceans"}]}
    ]
    assert record["cf:parameter"] == [{"name": "sea_surface_temperature", "unit": "kelvin"}]
    assert (record["sci:doi"], record["osc:missions"]) == ("10.5281/zenodo.1234567", ["sentinel-3"])
    assert record["created"] == record["updated"] == NOW
    vias = _links(json.dumps(record), "via")
    assert [via["title"] for via in vias] == ["Access", "Documentation"]
    published = "https://data.example.org/products/demo-sst/v1.0/collection.json"
    assert vias[0] == {"rel": "via", "href": published, "type": "application/json", "title": "Access"}
    assert [child["href"] for child in _links(json.dumps(record), "child")] == [published]
    assert [license_["href"] for license_ in _links(json.dumps(record), "license")] == [
        "https://creativecommons.org/licenses/by/4.0/"
    ]
    assert _links(json.dumps(record), "self")[0]["href"].endswith(f"open-science-catalog-metadata/{PRODUCT}")


def test_items_are_reachable_from_where_they_lie(catalog: Catalog) -> None:
    changes = _changes(catalog)
    for link in _links(changes[PRODUCT], "item"):
        copied = json.loads(changes["products/demo-sst" + link["href"][1:]])
        assert link["title"] == copied["properties"]["title"]
        assert copied["assets"]["sst"]["href"] == (
            f"https://data.example.org/products/demo-sst/v1.0/data/{copied['id']}/{copied['id']}_sst.tif"
        )
        hrefs = {each["rel"]: each["href"] for each in copied["links"]}
        assert hrefs["root"] == "../../catalog.json"
        assert hrefs["parent"] == hrefs["collection"] == "./collection.json"
        assert hrefs["about"] == "https://data.example.org/products/demo-sst/v1.0/readme.html"


def test_beyond_600_items_they_stay_out(small: Catalog) -> None:
    many = ({**made.item(1), "id": f"demo-sst_{number}"} for number in range(601))
    changes = change_set(load_profile(made.PROFILE), made.collection(), many, small, NOW)
    assert not _links(changes[PRODUCT], "item")
    assert [path for path in changes if path.startswith("products/demo-sst/")] == [PRODUCT]


def test_a_box_over_the_antimeridian_is_whole_then_in_two(small: Catalog, valid: Callable[..., list[str]]) -> None:
    changes = _changes(small, box=[170.0, -20.0, -170.0, -10.0])
    record = json.loads(changes[PRODUCT])
    assert record["extent"]["spatial"]["bbox"] == [
        [-180, -20, 180, -10], [170, -20, 180, -10], [-180, -20, -170, -10]
    ]  # fmt: skip
    copied = json.loads(changes["products/demo-sst/demo-sst_20200101.json"])
    assert copied["bbox"] == [-180, -20, 180, -10]
    assert valid(record) == []


def _everything() -> dict[str, Any]:
    stated = made.profile(
        project=made.NEW_PROJECT,
        experiment=made.EXPERIMENT,
        product__missions=["sentinel-3", "demo-sat"],
        catalog__new={
            "variables": {
                "foam-depth": {"title": "Foam depth", "description": "Of foam.", "href": "https://example.org/foam"}
            },
            "missions": {"demo-sat": {"title": "DemoSat", "description": "A demo.", "href": "https://example.org/sat"}},
        },
    )
    stated["product"]["variables"]["foam"] = {"osc": "foam-depth", "units": "m"}
    return stated


def test_what_is_new_is_described_listed_and_points_back(
    catalog: Catalog, valid: Callable[..., list[str]], tmp_path: Path
) -> None:
    changes = _changes(catalog, _everything())
    fresh = {
        "variables/foam-depth/catalog.json",
        "eo-missions/demo-sat/catalog.json",
        "projects/demo-project/collection.json",
    }
    for path in fresh:
        kind = path.partition("/")[0]
        record = json.loads(changes[path])
        assert valid(record) == []
        assert [link["title"] for link in record["links"] if link["rel"] == "child"] == ["DEMO Sea surface temperature"]
        listed = [link for link in _links(changes[f"{kind}/catalog.json"], "child") if record["id"] in link["href"]]
        assert [link["title"] for link in listed] == [record["title"]]
    project = json.loads(changes["projects/demo-project/collection.json"])
    assert project["osc:status"] == "completed"
    assert project["extent"]["temporal"]["interval"] == [["2024-01-01T00:00:00Z", "2025-12-31T23:59:59Z"]]
    assert project["contacts"][0]["roles"] == ["technical_officer"]
    laid = _laid(catalog, changes, tmp_path / "laid")
    for kind in FILES:
        assert set(catalog.ids(kind)) <= set(laid.ids(kind))


def test_workflow_and_experiment_with_their_files(catalog: Catalog) -> None:
    changes = _changes(catalog, _everything())
    workflow = json.loads(changes["workflows/demo-workflow/record.json"])
    experiment = json.loads(changes["experiments/demo-run/record.json"])
    assert workflow["properties"]["osc:project"] == "demo-project"
    assert experiment["properties"]["osc:workflow"] == "demo-workflow"
    hrefs = {link["rel"]: link["href"] for link in experiment["links"]}
    assert (hrefs["input"], hrefs["environment"]) == ("./input.yaml", "./environment.yaml")
    assert hrefs["child"] == f"../../{PRODUCT}"
    assert "window: 7" in changes["experiments/demo-run/input.yaml"]
    assert "demo-workflow" in changes["experiments/demo-run/environment.yaml"]
    related = [link["title"] for link in experiment["links"] if link["rel"] == "related"]
    assert related == ["Workflow: Demonstration workflow", "Project: Demonstration project", "Theme: Oceans"]
    product = json.loads(changes[PRODUCT])
    assert product["osc:experiment"] == "demo-run"
    assert "Experiment: Demonstration run" in [link["title"] for link in product["links"] if link["rel"] == "related"]
    assert _links(changes["experiments/catalog.json"], "item")[-1]["href"] == "./demo-run/record.json"


def test_new_stac_is_valid(catalog: Catalog, valid: Callable[..., list[str]]) -> None:
    changes = _changes(catalog, _everything())
    records = {path: json.loads(text) for path, text in changes.items() if path.endswith(".json")}
    stac = {path: record for path, record in records.items() if "stac_version" in record}
    assert {path: valid(record) for path, record in stac.items() if valid(record)} == {}
    assert len(stac) == 15


@pytest.mark.parametrize("which", ["small", "catalog"])
def test_applied_twice_nothing_is_left_to_change(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    catalog: Catalog = request.getfixturevalue(which)
    stated = _everything()
    laid = _laid(catalog, _changes(catalog, stated), tmp_path / "laid")
    assert (
        change_set(load_profile(stated), made.collection(), [made.item(1), made.item(2)], laid, "2027-01-01T00:00:00Z")
        == {}
    )


def _updated(catalog: Catalog, target: Path, **changes: Any) -> tuple[Catalog, dict[str, str]]:
    """A catalogue that holds the product, and the change set of a later version."""
    laid = _laid(catalog, _changes(catalog), target)
    stated = made.profile(product__version="1.1", **changes)
    title = stated["product"]["title"]
    later = change_set(
        load_profile(stated), made.collection() | {"title": title}, [made.item(2)], laid, "2027-01-01T00:00:00Z"
    )
    return laid, later


def test_a_new_version_keeps_created_and_what_others_added(small: Catalog, tmp_path: Path) -> None:
    laid = _laid(small, _changes(small), tmp_path / "laid")
    path = laid.root / PRODUCT
    example = {"rel": "example", "href": "https://example.org/notebook", "title": "Notebook"}
    record = json.loads(path.read_bytes())
    path.write_text(json.dumps({**record, "sci:citation": "Doe 2026", "links": [*record["links"], example]}, indent=1))
    stated = load_profile(made.profile(product__version="1.1"))
    changes = change_set(stated, made.collection(), [made.item(2)], laid, "2027-01-01T00:00:00Z")
    new = json.loads(changes[PRODUCT])
    assert (new["created"], new["updated"]) == (NOW, "2027-01-01T00:00:00Z")
    assert (new["sci:citation"], new["version"]) == ("Doe 2026", "1.1")
    assert example in new["links"]
    assert [link["href"] for link in new["links"] if link["rel"] == "child"] == [
        "https://data.example.org/products/demo-sst/v1.1/collection.json"
    ]
    assert [link["href"] for link in new["links"] if link["rel"] == "item"] == ["./demo-sst_20200102.json"]
    assert list(new)[: len(record)] == list(record)


def test_a_changed_title_changes_every_inbound_link_and_only_there(small: Catalog, tmp_path: Path) -> None:
    other = {
        "links": [{"rel": "related", "href": f"../../{PRODUCT}", "title": "Product: DEMO Sea surface temperature"}]
    }
    (small.root / "products" / "other").mkdir()
    (small.root / "products" / "other" / "collection.json").write_text(json.dumps(other))
    laid, changes = _updated(small, tmp_path / "laid", product__title="DEMO Sea surface warmth")
    assert (
        json.loads(changes["products/other/collection.json"])["links"][0]["title"] == "Product: DEMO Sea surface warmth"
    )
    for path in BACK | {"products/catalog.json"}:
        changed = [
            line for line in difflib.ndiff(_lines(str(laid.text(path))), _lines(changes[path])) if line[0] in "+-"
        ]
        assert len(changed) == 2
        assert "DEMO Sea surface warmth" in changed[1]


def test_a_theme_that_is_no_longer_named_loses_its_link(small: Catalog, tmp_path: Path) -> None:
    _, changes = _updated(small, tmp_path / "laid", product__themes=["land"])
    assert changes["themes/oceans/catalog.json"] == small.text("themes/oceans/catalog.json")
    assert _links(changes["themes/land/catalog.json"], "child")[-1]["href"] == f"../../{PRODUCT}"
    themes = [link["title"] for link in _links(changes[PRODUCT], "related") if "/themes/" in link["href"]]
    assert themes == ["Theme: Land"]


def test_the_request_says_which_file_lets_the_product_go(small: Catalog, tmp_path: Path) -> None:
    laid = _laid(small, _changes(small), tmp_path / "laid")
    bundle = made.bundle(tmp_path / "bundle", made.profile(product__themes=["land"]))
    hand_off(bundle, laid)
    text = (bundle.root / "pull_request.md").read_text()
    assert text.startswith("# Update product")
    assert "`themes/oceans/catalog.json`, which points to the product no longer" in text
    assert "- changed: `themes/land/catalog.json`\n" in text


def test_every_file_of_the_catalogue_takes_a_link_without_losing_a_line(catalog: Catalog) -> None:
    link = {"rel": "child", "href": "../../products/x/collection.json", "type": "application/json", "title": "Grüße"}
    for path in catalog.paths():
        old = str(catalog.text(path))
        record = json.loads(old)
        assert edit_json(old, record) == old
        new = edit_json(old, {**record, "links": with_link(record["links"], link)})
        assert json.loads(new)["links"].count(link) == 1
        assert _only_adds(old, new), path


def test_a_product_of_another_form_keeps_it(small: Catalog, tmp_path: Path) -> None:
    laid = _laid(small, _changes(small), tmp_path / "laid")
    record = json.loads(laid.text(PRODUCT) or "")
    gone = {"rel": "related", "href": "../../variables/sea-level/catalog.json", "title": "Variable: Sea level"}
    turned = dict(reversed(record.items())) | {"created": "2023-10-30T00:00:00Z", "links": [*record["links"], gone]}
    (laid.root / PRODUCT).write_bytes(json.dumps(turned, indent=4).replace("\n", "\r\n").encode())
    back = "themes/oceans/catalog.json"
    (laid.root / back).write_text(str(small.text(back)))
    changes = _changes(laid)
    old, new = str(laid.text(PRODUCT)), changes[PRODUCT]
    assert list(json.loads(new)) == list(turned) != list(record)
    assert new[:12] == old[:12]
    assert new.count("\n") == new.count("\r\n") > 50
    assert json.loads(new)["created"] == "2023-10-30T00:00:00Z"
    assert json.loads(new)["links"] == record["links"]
    assert f"../../{PRODUCT}" in changes[back]


@pytest.mark.usefixtures("shared")
def test_a_real_product_is_updated_in_its_own_form(catalog: Catalog) -> None:
    path = "products/deep-extreme-cubes/collection.json"
    stated = made.profile(
        product__id="deep-extreme-cubes",
        project__id="deep-extremes",
        product__themes=["land"],
        product__missions=["sentinel-2"],
    )
    stated["product"]["variables"] = {"dem": {"osc": "land-cover", "units": "1"}}
    changes = change_set(load_profile(stated), made.collection(), [], catalog, NOW)
    old, new = str(catalog.text(path)), changes[path]
    assert list(json.loads(new))[:4] == list(json.loads(old))[:4]
    assert new.startswith('{\r\n    "type": "Collection"')
    assert new.count("\n") == new.count("\r\n")
    assert json.loads(new)["created"] == "2023-10-30T00:00:00Z"
    assert "Variable: Extreme Weather" not in new
    back = "variables/land-cover/catalog.json"  # one of the back links that the catalogue lacks
    assert "deep-extreme-cubes" not in str(catalog.text(back))
    assert "../../products/deep-extreme-cubes/collection.json" in changes[back]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"product__themes": ["ocean"]}, ["product.themes[0]", "'ocean'", "oceans"]),
        ({"product__missions": ["sentinel-3", "Sentinel3"]}, ["product.missions[1]", "'Sentinel3'", "sentinel-3"]),
        (
            {"product__variables": {"sst": {"osc": "sea-surface-temprature"}}},
            ["product.variables.sst.osc", "sea-surface-temperature"],
        ),
        ({"project": {"id": "4dmed-see"}}, ["project.id", "'4dmed-see'", "4dmed-sea"]),
    ],
)
@pytest.mark.parametrize("which", ["small", "catalog"])
def test_unknown_ids_are_refused_with_the_nearest(
    which: str, changes: dict[str, Any], words: list[str], request: pytest.FixtureRequest
) -> None:
    with pytest.raises(UnknownId) as caught:
        check_ids(load_profile(made.profile(**changes)), request.getfixturevalue(which))
    assert [word for word in words if word not in str(caught.value)] == []
    assert caught.value.exit_code == 2


def test_all_unknown_ids_are_named_at_once(small: Catalog) -> None:
    with pytest.raises(UnknownId) as caught:
        check_ids(load_profile(made.profile(product__themes=["a", "b"], product__missions=["c"])), small)
    assert [key in str(caught.value) for key in ("themes[0]", "themes[1]", "missions[0]")] == [True] * 3


@pytest.mark.parametrize("key", ["title", "description", "website", "technical_officer", "start", "end"])
def test_a_new_project_names_the_key_it_lacks(key: str, small: Catalog) -> None:
    project = {name: value for name, value in made.NEW_PROJECT.items() if name != key}
    with pytest.raises(ProfileError, match=rf"project\.{key} is missing"):
        check_ids(load_profile(made.profile(project=project)), small)


def test_other_ways_of_delivery_are_refused_by_name(small: Catalog) -> None:
    with pytest.raises(UserError, match=r"catalog\.deliver: branch"):
        check_ids(load_profile(made.profile(catalog__deliver="branch")), small)


def test_the_prr_serves_its_own_items(small: Catalog) -> None:
    stated = made.profile(store={"prr": {"collection": "demo-prr"}})
    changes = _changes(small, stated)
    assert not _links(changes[PRODUCT], "item")
    assert _links(changes[PRODUCT], "child")[0]["href"] == "https://eoresults.esa.int/stac/collections/demo-prr"
    assert _links(changes[PRODUCT], "via")[0]["href"] == (
        "https://eoresults.esa.int/browser/#/external/eoresults.esa.int/stac/collections/demo-prr"
    )


def test_an_item_named_like_the_product_record_lies_beside_it(small: Catalog) -> None:
    stated = made.profile(product__id="collection")
    changes = change_set(load_profile(stated), made.collection(), [{**made.item(1), "id": "collection"}], small, NOW)
    assert json.loads(changes["products/collection/collection.json"])["type"] == "Collection"
    assert json.loads(changes["products/collection/collection-item.json"])["type"] == "Feature"


def _git(folder: Path, *words: str) -> str:
    command = [
        "git",
        "-C",
        str(folder),
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "-c",
        "core.autocrlf=false",
    ]
    return subprocess.run([*command, *words], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("which", ["small", "catalog"])
def test_git_applies_the_patch_and_gets_the_files(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    catalog: Catalog = request.getfixturevalue(which)
    bundle = made.bundle(tmp_path / "bundle", _everything())
    written = hand_off(bundle, catalog)
    checkout = tmp_path / "checkout"
    shutil.copytree(catalog.root, checkout)
    _git(checkout, "init", "--quiet")
    _git(checkout, "apply", "--check", str(bundle.root / "osc.patch"))
    _git(checkout, "apply", str(bundle.root / "osc.patch"))
    laid = [path.removeprefix("osc/") for path in written if path.startswith("osc/")]
    assert len(laid) == 19
    for path in laid:
        assert (checkout / path).read_bytes() == (bundle.root / "osc" / path).read_bytes()
    assert {path.removeprefix("osc/") for path in written} >= {"osc.patch", "pull_request.md"}


def test_the_patch_of_a_later_version_deletes_the_item_that_went(small: Catalog, tmp_path: Path) -> None:
    first = made.bundle(tmp_path / "one")
    hand_off(first, small)
    laid = _laid(small, _changes(small), tmp_path / "laid")
    later = made.bundle(tmp_path / "two", made.profile(product__version="1.1"), [made.item(2)])
    hand_off(later, laid)
    _git(laid.root, "init", "--quiet")
    _git(laid.root, "apply", str(later.root / "osc.patch"))
    assert sorted(path.name for path in (laid.root / "products" / "demo-sst").iterdir()) == [
        "collection.json", "demo-sst_20200102.json"
    ]  # fmt: skip
    assert "deleted" in (later.root / "pull_request.md").read_text()


def test_a_second_hand_off_writes_the_same_bytes_and_sweeps_what_is_left(small: Catalog, tmp_path: Path) -> None:
    bundle = made.bundle(tmp_path / "bundle", _everything())
    hand_off(bundle, small)
    before = {path: path.read_bytes() for path in bundle.root.rglob("*") if path.is_file()}
    stray = bundle.root / "osc" / "themes" / "gone" / "catalog.json"
    stray.parent.mkdir(parents=True)
    stray.write_text("{}")
    hand_off(bundle, small)
    assert {path: path.read_bytes() for path in bundle.root.rglob("*") if path.is_file()} == before
    assert not stray.parent.exists()


def test_the_time_is_the_runs_or_the_epochs(small: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = made.bundle(tmp_path / "bundle")
    hand_off(bundle, small)
    record = bundle.root / "osc" / PRODUCT
    assert json.loads(record.read_bytes())["created"] == NOW
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1577836800")
    hand_off(bundle, small)
    assert json.loads(record.read_bytes())["created"] == "2020-01-01T00:00:00Z"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    (bundle.root / "provenance.json").unlink()
    with pytest.raises(UserError, match="when the run started"):
        hand_off(bundle, small)


def test_the_request_names_facts_findings_and_what_a_person_must_see(small: Catalog, tmp_path: Path) -> None:
    stated = _everything() | {"accept": {"STAC-REC-06": "tracks"}}
    bundle = made.bundle(tmp_path / "bundle", stated)
    finding = {"rule": "STAC-REC-06", "level": "warning", "subject": "demo-sst", "message": "no proj:code"}
    (bundle.root / "findings.json").write_text(json.dumps([finding]))
    hand_off(bundle, small)
    text = (bundle.root / "pull_request.md").read_text()
    assert text.startswith("# Add product: DEMO Sea surface temperature\n")
    for words in (
        "- changed: `themes/oceans/catalog.json`",
        f"- new: `{PRODUCT}`",
        "| box (west, south, east, north) | -30, 30, -10, 45.5 |",
        "| data | 2 files, 8 bytes |",
        "sea_surface_temperature [kelvin]",
        "- warning STAC-REC-06, demo-sst: no proj:code — accepted: tracks",
        "foam-depth is new",
        str(bundle.digest),
    ):
        assert words in text


def test_without_a_catalogue_in_the_profile_there_is_nothing_to_hand_off_to(tmp_path: Path) -> None:
    stated = deepcopy(made.PROFILE)
    del stated["catalog"]
    with pytest.raises(UserError, match="names no catalogue"):
        hand_off(made.bundle(tmp_path / "bundle", stated))


def test_the_profiles_own_catalogue_is_opened(tmp_path: Path) -> None:
    folder = made.small_catalog(tmp_path / "osc")
    bundle = made.bundle(tmp_path / "bundle", made.profile(catalog__metadata=str(folder)))
    assert f"osc/{PRODUCT}" in hand_off(bundle)
