"""A sample of the corpus of hostile inputs, tried as a whole by ``make abuse``, and its judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from abuse.corpus import corpus
from abuse.harness import CANARY, GOOD, Case, judge
from abuse.making import MAIN, profile_data, write_profile, write_tif

if TYPE_CHECKING:
    from abuse.harness import Site

SAMPLE = (
    "tif/truncated-strips", "nc/truncated-classic", "zarr/damaged-v3-zarr.json", "profile/laughs",
    "profile/python-object",
    "profile/id-upwards", "stac/nested-objects", "stac/href-loopback", "osc/links-of-null", "catalogue/tar-upwards",
    "bundle/check-data-flipped",
)  # fmt: skip


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {case.name: case for case in corpus()}


def test_corpus_is_large_and_of_every_kind(cases: dict[str, Case]) -> None:
    assert sum(case.inputs for case in cases.values()) >= 1000
    kinds = {"tif", "nc", "grib", "zarr", "zarr.zip", "profile", "stac", "catalogue", "osc", "bundle", "check"}
    assert {name.partition("/")[0] for name in cases} == kinds


@pytest.mark.parametrize("name", SAMPLE)
def test_hostile_input_ends_in_words(name: str, cases: dict[str, Case]) -> None:
    assert [verdict.problems for verdict in judge(cases[name], split=False)] == [[]]


def _reads_outside(site: Site) -> list[str]:
    (site.inside / "profile.yaml").symlink_to(site.outside / "secret.txt")
    return ["plan", "profile.yaml", "--workdir", "work", "--json"]


def _sound_alone(site: Site) -> list[str]:
    (site.inside / "raw").mkdir()
    write_tif(site.inside / "raw" / f"{GOOD}.tif")
    write_profile(site, profile_data("tif"))
    return MAIN


def test_judge_sees_what_is_read_outside() -> None:
    (verdict,) = judge(Case("reads", _reads_outside))
    assert any(problem.startswith("outside: read secret.txt") for problem in verdict.problems)


def test_judge_sees_that_a_bad_file_was_taken() -> None:
    def make(site: Site) -> list[str]:
        arguments = _sound_alone(site)
        write_tif(site.inside / "raw" / "bad_20200101.tif", tags={"A": CANARY})
        return arguments

    (verdict,) = judge(Case("taken", make, refused=True))
    assert any("taken into the product" in problem for problem in verdict.problems)
    assert any("the secret is in" in problem for problem in verdict.problems)


def test_sound_file_is_judged_well() -> None:
    (verdict,) = judge(Case("sound", _sound_alone))
    assert verdict.problems == []
