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


# --- the PRR's, which live below the checks


def test_whatever_the_gateway_finds_is_in_the_catalogue_with_its_level():
    from earthcode_pack.catalogs.prr.gateway import format_findings, gateway_findings

    bad = {"href": "https://example.org/a.tif", "file:checksum": "x", "roles": ["data"], "type": "application/netcdf"}
    item = {
        "id": "a b",
        "collection": "other",
        "properties": {"datetime": "yesterday"},
        "assets": {"a": bad, "b": {"href": "../ü.tif"}, "c": {"href": "/d/ü.tif"}, "d": 1},
    }
    without_data = {"id": "x", "properties": {}, "assets": {}}
    found = [*gateway_findings(item, "demo"), *gateway_findings(without_data)]
    found += format_findings(item | {"assets": {"a": bad}})
    levels = {rule.id: rule.level for rule in rules.catalogue()}
    assert {finding.rule for finding in found} == {
        *(
            f"PRR-GATEWAY-{name}"
            for name in ("ID", "FILE-EXTENSION", "COLLECTION", "TIME", "DATA-ROLE", "ASSET", "HREF")
        ),
        *(f"PRR-GATEWAY-{name}" for name in ("NAME", "NAME-UNIQUE", "CHECKSUM", "REMOTE")),
        "PRR-QA-102",
    }
    assert all(finding.level is levels[finding.rule] for finding in found)


def test_no_finding_is_made_but_through_its_rule(root):
    import ast

    def makes_findings(node):
        called = node.func if isinstance(node, ast.Call) else None
        name = called.value if isinstance(called, ast.Attribute) and called.attr.startswith("model_con") else called
        return "Finding" in (getattr(name, "id", None), getattr(name, "attr", None))

    makers = {
        path.relative_to(root).as_posix()
        for path in [*(root / "earthcode_pack").rglob("*.py"), *(root / "flows").rglob("*.py")]
        if any(makes_findings(node) for node in ast.walk(ast.parse(path.read_text())))
    }
    assert makers == {"earthcode_pack/rule.py"}


def test_every_rule_that_is_declared_is_in_the_catalogue(root):
    import ast

    def declared(node):
        is_rule = isinstance(node, ast.Call) and getattr(node.func, "id", None) == "rule" and len(node.args) == 6
        return node.args[1].value if is_rule and isinstance(node.args[1], ast.Constant) else None

    trees = [ast.parse(path.read_text()) for path in (root / "earthcode_pack").rglob("*.py")]
    named = [id_ for tree in trees for node in ast.walk(tree) if (id_ := declared(node)) is not None]
    ids = {rule.id for rule in rules.catalogue()}
    assert len(named) == len(set(named)) > 150
    assert set(named) <= ids
    assert {id_ for id_ in ids if not id_.startswith(("STAC-REC", "PRR-QA"))} <= set(named)


def test_a_finding_may_know_a_narrower_remedy():
    assert rules.COG_CRS.finding("a.tif", "no CRS", remedy="ask its maker").remedy == "ask its maker"


def test_the_codes_of_the_quality_job_are_in_the_catalogue():
    ids = {rule.id for rule in rules.catalogue()}
    assert {f"PRR-QA-{code:03}" for code in (*range(32, 47), 102)} <= ids
