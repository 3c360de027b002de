"""``python -m benchmarks.catalogue CHECKOUT docs/catalogue.md --commit … --date …``: what the catalogue breaks.

Runs ``check`` over a checkout of the Open Science Catalog's metadata and writes the page. The same checkout gives the
same bytes; nothing of the machine is in them.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.checks import check
from earthcode_pack.checks.osc.catalogue import linking_back
from earthcode_pack.checks.osc.checkout import KINDS, Checkout, kind_of_key
from earthcode_pack.checks.rules import catalogue
from earthcode_pack.errors import UserError
from earthcode_pack.model import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from earthcode_pack.model import Finding

_ORDER = list(Level)
_WIDE = 200  # characters of an example

HEAD = """# What `check` finds in the Open Science Catalog

`earthcode-pack check CHECKOUT`, run over the catalogue's metadata as of {date} (commit {commit}): {counts}.
Written by `python -m benchmarks.catalogue CHECKOUT docs/catalogue.md --commit COMMIT --date DATE`.

Nothing on the net was opened: what the assets hold is not judged here. {schemas}

| rule | level | findings | files | for example |
|---|---|---|---|---|
"""

TAIL = """
What each rule looks at, and who asks for it: [rules.md](rules.md).

## How to read it

A *record* of the catalogue is not the data's own Collection. A product's record names a landing page, a project and
themes; what the PRR and APEx want of a Collection with data (thumbnail, renders, `item_assets`, STAC 1.1) is not asked
of it. A file is a record where it lies in a checkout under the folder of its kind; outside of one, where it says
`osc:type`, its `root` is titled “Open Science Catalog” or its `self` is there, and it has neither assets nor
`item_assets`. Items beside a record do describe data, and are held to what is asked of any Item; of tables, models and
texts no shape and no box in a CRS is asked.

An **error** is refused by the catalogue's validator, or contradicts another file: {back} links back from projects,
themes, variables and missions are missing, of {links} that the products ask for; {extents} products have a box, and
{periods} an interval, that does not hold the Items beside them. A **warning** is what a data steward would ask for:
{parameters} products state no `unit` of what they measured ({misspelt} of them write `units`, which the cf extension
does not know). **Info** is what may be right: {globes} products claim the whole globe, and some are global; {points}
boxes are points, as those of a river gauge are; {starts} products have no start and {ends} no end, as a planned or an
ongoing one may; {proprietary} are proprietary; {dois} have no DOI; {bare} describe no data by assets or datacube
fields.

{described} products have a link `item` or `child`, so that a program finds what describes their data. Boxes are
compared with a tolerance of a tenth of a metre, intervals with one of a second: an end at 23:59:59 holds one
at midnight.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the page; 0."""
    parser = argparse.ArgumentParser("python -m benchmarks.catalogue", description=__doc__)
    parser.add_argument("checkout", type=Path, help="the folder that holds catalog.json and products/")
    parser.add_argument("page", type=Path, help="where to write it: docs/catalogue.md")
    parser.add_argument("--commit", required=True, help="of the checkout")
    parser.add_argument("--date", required=True, help="of the commit")
    parser.add_argument("--schemas", type=Path, help="a folder of JSON schemas, where there is no network")
    options = parser.parse_args(arguments)
    found = check(options.checkout, schemas=options.schemas)
    options.page.write_text(page(options.checkout, found, options.commit, options.date), encoding="utf-8")
    return 0


def page(folder: Path, findings: Iterable[Finding], commit: str, date: str) -> str:
    """The page in Markdown. Raises ``UserError`` where the folder is no checkout."""
    checkout = Checkout.of(folder)
    if checkout is None:
        raise UserError(f"{folder}: no checkout of the Open Science Catalog", "name the folder that holds catalog.json")
    found = list(findings)
    head = HEAD.format(date=date, commit=commit, counts=_counts(checkout), schemas=_schemas(found))
    return head + "".join(_row(*group) for group in _groups(found)) + TAIL.format(**_figures(checkout, found))


def _counts(checkout: Checkout) -> str:
    kinds = Counter(kind_of_key(key) or "other" for key in checkout.keys())  # noqa: SIM118 - not a mapping
    items = sum(_is_item(key) for key in checkout.keys())  # noqa: SIM118 - as above
    return ", ".join([*(f"{kinds[kind]} {kind}" for kind in KINDS), f"{items} Items"])


def _is_item(key: str) -> bool:
    return key.startswith("products/") and key.count("/") > 1 and kind_of_key(key) is None


def _schemas(found: list[Finding]) -> str:
    missing = sorted({finding.subject for finding in found if finding.rule == "STAC-SCHEMA-UNAVAILABLE"})
    if not missing:
        return "Every file was held against the schemas of STAC and of each extension that it lists."
    return f"These schemas could not be had: {', '.join(missing)}."


def _groups(found: list[Finding]) -> list[tuple[Level, str, list[Finding]]]:
    """The findings by rule: the worst level first, then the most files."""
    by_rule: dict[tuple[Level, str], list[Finding]] = {}
    for finding in found:
        by_rule.setdefault((finding.level, finding.rule), []).append(finding)
    groups = [(level, rule, group) for (level, rule), group in by_rule.items()]
    return sorted(groups, key=lambda g: (_ORDER.index(g[0]), -_files(g[2]), g[1]))


def _files(group: list[Finding]) -> int:
    return len({finding.subject for finding in group})


def _row(level: Level, rule: str, group: list[Finding]) -> str:
    example = min(group, key=lambda finding: finding.subject).message.replace("|", "\\|")
    short = example if len(example) <= _WIDE else f"{example[: _WIDE - 1]}…"
    return f"| {rule} | {level.value} | {len(group)} | {_files(group)} | {short} |\n"


def _figures(checkout: Checkout, found: list[Finding]) -> dict[str, int]:
    known = {rule.id for rule in catalogue()}

    def count(rule: str) -> int:
        assert rule in known, rule
        subjects = {finding.subject for finding in found if finding.rule == rule}
        return sum(subject.startswith("products/") and subject.endswith("/collection.json") for subject in subjects)

    products = [f"products/{name}/collection.json" for name in sorted(checkout.ids("products"))]
    entries = [entry for key in products if (entry := checkout.entry(key)) is not None]
    described = sum(bool(entry.relations & {"item", "child"}) for entry in entries)
    return {
        "back": sum(f.rule == "OSC-BACK-LINK" for f in found),
        "links": sum(_asked(checkout, key) for key in products),
        "extents": count("OSC-ITEMS-EXTENT"),
        "periods": count("OSC-ITEMS-PERIOD"),
        "parameters": count("OSC-CF-UNIT"),
        "misspelt": sum(f.rule == "OSC-CF-UNIT" and "written units" in f.message for f in found),
        "bare": count("OSC-DATA-DESCRIBED"),
        "globes": count("STAC-BBOX-GLOBAL"),
        "points": count("STAC-BBOX-POINT"),
        "starts": count("OSC-START-OPEN"),
        "ends": count("OSC-END-OPEN"),
        "proprietary": count("OSC-LICENSE-PROPRIETARY"),
        "dois": count("OSC-DOI-ABSENT"),
        "described": described,
    }


def _asked(checkout: Checkout, key: str) -> int:
    """The links back that a product asks for: of its project, themes, variables and missions."""
    return len(linking_back(checkout.read(key) or {}))


if __name__ == "__main__":
    raise SystemExit(main())
