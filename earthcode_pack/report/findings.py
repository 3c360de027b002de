"""What the checks found and what failed, as the report tells it: the same said of many things is said once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from earthcode_pack.model import Failure, Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterable

SUBJECTS = 5  # of one message, and messages of one rule
_LEVELS = (Level.ERROR, Level.WARNING, Level.INFO)


@dataclass(frozen=True)
class Said:
    """One message of a rule, and of what it is said."""

    message: str
    measured: Any
    allowed: Any
    subjects: tuple[str, ...]

    @property
    def shown(self) -> tuple[str, ...]:
        """As many subjects as help; none where the message begins with the only one."""
        return () if self.message.startswith(self.subjects) and len(self.subjects) == 1 else self.subjects[:SUBJECTS]

    @property
    def hidden(self) -> int:
        """How many subjects are left out."""
        return max(len(self.subjects) - SUBJECTS, 0)


@dataclass(frozen=True)
class RuleRow:
    """All findings of one rule, level and remedy; ``reason`` is the profile's where it accepts the rule.

    ``source`` is who asks for the rule, ``measures`` what is looked at; empty where the catalogue does not have it.
    """

    rule: str
    level: Level
    remedy: str
    reason: str | None
    said: tuple[Said, ...]
    source: str = ""
    measures: str = ""

    @property
    def count(self) -> int:
        """How many findings."""
        return sum(len(one.subjects) for one in self.said)

    @property
    def shown(self) -> tuple[Said, ...]:
        """As many messages as help."""
        return self.said[:SUBJECTS]


def gather_findings(findings: Iterable[Finding], accepted: dict[str, str]) -> list[RuleRow]:
    """Errors first; within a level, what a person has accepted comes last."""
    groups: dict[tuple[str, Level, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.level, finding.remedy), []).append(finding)
    rows = [
        RuleRow(rule, level, remedy, accepted.get(rule), _said(group), *_asked(rule))
        for (rule, level, remedy), group in groups.items()
    ]
    return sorted(rows, key=lambda row: (_LEVELS.index(row.level), row.reason is not None))


def _asked(rule: str) -> tuple[str, str]:
    """Who asks for a rule, where that is somebody whom readers know, and what it looks at."""
    from earthcode_pack.checks.rules import catalogue  # noqa: PLC0415 - the checks are heavy

    known = next((one for one in catalogue() if one.id == rule), None)
    if known is None:
        return "", ""
    return "" if known.source.startswith("contract") else known.source, known.measures


def _said(findings: list[Finding]) -> tuple[Said, ...]:
    """The same said of many subjects, once."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.message, repr(finding.measured), repr(finding.allowed)), []).append(finding)
    return tuple(
        Said(group[0].message, group[0].measured, group[0].allowed, tuple(finding.subject for finding in group))
        for group in groups.values()
    )


def gather_failures(provenance: dict[str, Any], planned: Iterable[Failure]) -> list[Failure]:
    """What the plan and the run could not use; each once."""
    ran = (
        Failure(**{key: str(entry.get(key, "")) for key in Failure.model_fields})
        for entry in provenance.get("failed", ())
    )
    return list(dict.fromkeys([*planned, *ran]))
