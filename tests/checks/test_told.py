"""What ``check`` shows a person: one entry for each rule, where it stands besides, sixty columns wide."""

import io
import json

import pytest
from osc_checkout import osc_checkout
from rich.console import Console

from earthcode_pack.checks import rules
from earthcode_pack.cli import execute
from earthcode_pack.cli.words import show_findings

MANY = [rules.STAC_REC_05.finding(f"items/{n}.json", f"the asset sst of items/{n}.json has no title") for n in range(9)]


def shown(findings, width=60, **more):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    show_findings(console, findings, (), **more)
    return console.file.getvalue()


def test_one_entry_for_a_rule_that_many_break():
    text = shown(MANY)
    assert text.count("STAC-REC-05") == 1
    assert "(and 8 more)" in text
    assert "also items/1.json, items/2.json, items/3.json and 5 more" in " ".join(text.split())
    assert text.count("→") == 1


def test_two_in_one_file_and_one_in_another():
    two = [rules.STAC_REC_05.finding("a.json", f"{key} of a.json has no title") for key in "xy"]
    three = [*two, rules.STAC_REC_05.finding("b.json", "z of b.json has no title")]
    assert "(and 2 more, in 2 places)" in " ".join(shown(three).split())
    assert "also b.json" in shown(three)


@pytest.mark.parametrize("width", [60, 120])
def test_nothing_is_wider_than_the_terminal(width):
    long = rules.HREF_MISSING.finding("x" * 300, f"the link of {'x' * 300} does not exist")
    assert max(map(len, shown([*MANY, long, long], width).splitlines())) <= width


def test_without_a_report_every_rule_is_shown():
    findings = [rule.finding("x", f"x breaks {rule.id}") for rule in rules.catalogue()[:30]]
    assert shown(findings).count("→") == 10
    assert shown(findings, most=None).count("→") == 30


def test_the_worst_come_first():
    findings = [rules.HREF_REMOTE.finding("x", "x"), *MANY, rules.HREF_MISSING.finding("x", "x")]
    text = shown(findings)
    assert text.index("HREF-MISSING") < text.index("STAC-REC-05") < text.index("HREF-REMOTE")


def test_a_checkout_by_the_command_line(tmp_path, capsys):
    osc = osc_checkout(tmp_path / "osc")
    assert execute(["check", str(osc.save()), "--json"]) == 0
    assert {f["level"] for f in json.loads(capsys.readouterr().out)["findings"]} == {"info"}
    osc.relink("themes/oceans/catalog.json", "child", None)
    assert execute(["check", str(osc.save())]) == 1
    assert "OSC-BACK-LINK" in capsys.readouterr().out
