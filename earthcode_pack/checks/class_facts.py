"""Classes against the data: which values occur that no class names, by counts gathered while converting."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from earthcode_pack.checks import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.model import Artifact, Finding, WrittenVariable

_SHOWN = 10  # values


def class_findings(artifacts: Iterable[Artifact]) -> list[Finding]:
    """One finding for each variable of which some value has no class: the values, and how often each occurs in all.

    Values that mean missing are none; a variable without classes, or whose bits are flags, is not judged.
    """
    unnamed: dict[str, Counter[int]] = {}
    for artifact in artifacts:
        for variable in artifact.variables:
            unnamed.setdefault(variable.name, Counter()).update(dict(_unnamed(variable)))
    return [_finding(name, counts) for name, counts in sorted(unnamed.items()) if counts]


def _unnamed(variable: WrittenVariable) -> Iterator[tuple[int, int]]:
    if not variable.classes or variable.statistics is None:
        return
    named = {int(item["value"]) for item in variable.classes if not item.get("unnamed")}
    yield from ((value, count) for value, count in variable.statistics.values if value not in named)


def _finding(name: str, counts: Counter[int]) -> Finding:
    found = sorted(counts.items())
    listed = ", ".join(f"{value} ({count} cells)" for value, count in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    message = f"{name} holds values that no class names: {listed}{more}"
    return rules.CLASS_UNNAMED.finding(name, message, {str(value): count for value, count in found})
