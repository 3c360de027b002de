"""What is written about the project holds."""

import pkgutil
import re

import pytest
import yaml

from earthcode_pack.checks.rules import rules_markdown
from earthcode_pack.profile import Profile, load_profile
from earthcode_pack.profile.markdown import _sections, markdown

PROFILES = ["landcover-cog.yaml", "ndvi-cog.yaml", "sst-zarr.yaml"]


def test_the_page_on_the_profile_is_what_the_generator_writes(root) -> None:
    assert (root / "docs/profile.md").read_text(encoding="utf-8") == markdown(), "run: make docs"


def test_the_page_on_the_rules_is_what_the_generator_writes(root) -> None:
    assert (root / "docs/rules.md").read_text(encoding="utf-8").endswith(rules_markdown()), "run: make docs"


@pytest.mark.parametrize(("key", "model"), _sections(("", Profile)))
def test_every_key_is_described_and_in_the_page(key, model) -> None:
    page = markdown()
    title = f"`{key}`" if key else "Top level"
    section = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE)
    assert section is not None
    for name, field in model.model_fields.items():
        assert field.description, f"{key}.{name}"
        assert re.search(rf"^\| `{field.alias or name}` \|", section[1], re.MULTILINE), f"{key}.{name}"


def test_every_link_of_the_page_leads_to_a_heading() -> None:
    page = markdown()
    headings = re.findall(r"^##+ (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors


def test_there_is_a_profile_for_each_sample(root) -> None:
    assert sorted(path.name for path in (root / "profiles").glob("*.yaml")) == PROFILES


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_of_the_samples_loads_and_finds_its_files(root, name) -> None:
    profile = load_profile(root / "profiles" / name)
    (pattern,) = profile.source.href
    folder, _, glob = pattern.rpartition("/")
    assert folder.startswith(str(root / "sample_data"))
    assert any(path.is_file() for path in (root / "sample_data" / folder.rpartition("/")[2]).glob(glob))
    assert profile.store.href == str(root / ".earthcode-pack/published")
    assert profile.catalog is None


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_of_the_samples_reads_back_from_its_yaml(root, tmp_path, name) -> None:
    profile = load_profile(root / "profiles" / name)
    (tmp_path / "profile.yaml").write_text(profile.to_yaml())
    assert load_profile(tmp_path / "profile.yaml") == profile


def test_the_catalog_that_a_profile_proposes_is_valid(root, tmp_path) -> None:
    text = (root / "profiles/sst-zarr.yaml").read_text()
    proposed = re.search(r"^# catalog:\n(#   .*\n)+", text, re.MULTILINE)
    (tmp_path / "p.yaml").write_text(text + "\n" + re.sub(r"^# ", "", proposed[0], flags=re.MULTILINE))
    assert load_profile(tmp_path / "p.yaml").catalog.deliver == "folder"


@pytest.mark.parametrize("name", PROFILES)
def test_every_key_of_a_sample_profile_is_explained_where_it_first_stands(root, name) -> None:
    text = (root / "profiles" / name).read_text()
    assert sum("#" in line for line in text.splitlines()) > len(yaml.safe_load(text)) * 2


@pytest.mark.parametrize("name", ["run.txt", "dev.txt", "build.txt"])
def test_the_lock_holds_names_versions_and_hashes_only(root, name) -> None:
    text = (root / "requirements" / name).read_text()
    pins = (
        re.sub(r" \\\n|\n    --hash", " --hash", re.sub(r"^ +#.*\n", "", text, flags=re.MULTILINE)).strip().splitlines()
    )
    assert pins
    for pin in pins:
        assert re.match(r"[\w.\[\], -]+==[\w.]+( ; [^\\]+?)?( +--hash[ =\w:-]+)+$", pin), pin
    assert "://" not in text
    assert "index-url" not in text


def test_what_runs_is_pinned_as_it_is_tested(root) -> None:
    pinned = {
        name: set(
            re.findall(r"^[\w.\[\], -]+==[\w.]+", (root / "requirements" / f"{name}.txt").read_text(), re.MULTILINE)
        )
        for name in ("run", "dev", "build")
    }
    assert pinned["run"] | pinned["build"] <= pinned["dev"]


def test_every_stop_of_the_walk_exists(root) -> None:
    stops = re.findall(r"`(earthcode_pack(?:\.\w+)+)`", (root / "docs/walk.md").read_text(encoding="utf-8"))
    assert len(stops) > 30
    for stop in stops:
        pkgutil.resolve_name(stop)
