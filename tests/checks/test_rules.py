import json

import pytest

from earthcode_pack.checks import rules
from earthcode_pack.model import Finding, Level


def test_each_rule_says_who_asks_and_what_helps():
    for rule in rules.catalogue():
        assert all((rule.id, rule.source, rule.measures, rule.allowed, rule.remedy)), rule


def test_an_id_that_is_taken_is_refused():
    with pytest.raises(ValueError, match="COG-CRS"):
        rules.rule(Level.ERROR, "COG-CRS", "x", "x", "x", "x")


def test_the_standards_ids_are_all_there():
    ids = {rule.id for rule in rules.catalogue()}
    assert {f"STAC-REC-{n:02}" for n in range(1, 13)} <= ids
    assert {"METADATA-REC-07", "DATA-REQ-01", "DATA-REQ-03", "EXPLORER-REC-01", "EXPLORER-REC-02"} <= ids


def test_levels_follow_the_kind_of_demand():
    levels = {rule.id: rule.level for rule in rules.catalogue()}
    assert all(level is Level.WARNING for id_, level in levels.items() if "-REC-" in id_)
    assert all(
        level is Level.ERROR
        for id_, level in levels.items()
        if "-REQ-" in id_ or (id_.endswith("-UNITS") and id_ != "CF-LATLON-UNITS")
    )


def test_a_finding_carries_its_rule_and_reads_back():
    finding = rules.COG_CRS.finding("data/a.tif", "no CRS", measured=[1, None])
    assert (finding.rule, finding.level, finding.allowed, finding.remedy) == (
        "COG-CRS",
        Level.ERROR,
        "set",
        "set source.crs",
    )
    assert Finding.model_validate(json.loads(finding.to_json())) == finding


def test_the_markdown_has_a_row_for_each_rule():
    rows = rules.rules_markdown().splitlines()[2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [rule.id for rule in rules.catalogue()]
    assert all(row.count(" | ") == 5 for row in rows)
