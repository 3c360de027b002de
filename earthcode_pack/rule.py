"""Rules and their catalogue: each finding is made by the rule that is broken.

The rules themselves are declared in ``checks`` and, for the PRR, beside its client.
"""

from __future__ import annotations

from dataclasses import dataclass

from earthcode_pack.model import Finding, JsonValue, Level
from earthcode_pack.redact import one_line, unsigned


@dataclass(frozen=True)
class Rule:
    """A requirement: ``source`` names who asks for it, ``measures`` what is checked."""

    id: str
    level: Level
    source: str
    measures: str
    allowed: str
    remedy: str

    def finding(
        self,
        subject: str,
        message: str,
        measured: JsonValue = None,
        allowed: JsonValue = None,
        *,
        remedy: str | None = None,
    ) -> Finding:
        """Returns the finding that ``subject`` breaks this rule, with URLs stripped of signatures and users.

        Args:
            subject: File or object that breaks the rule.
            message: What is wrong, with the values.
            measured: The value found.
            allowed: The value expected, where it is more specific than the rule's own.
            remedy: The remedy, where it is more specific than the rule's own.

        Returns:
            The finding, at the level of the rule.

        """
        return Finding(
            rule=self.id,
            level=self.level,
            subject=unsigned(subject),
            message=one_line(unsigned(message)),
            measured=_unsigned(measured),
            allowed=self.allowed if allowed is None else _unsigned(allowed),
            remedy=unsigned(remedy) if remedy else self.remedy,
        )


def _unsigned(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return unsigned(value)
    if isinstance(value, dict):
        return {unsigned(key): _unsigned(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_unsigned, value))
    return value


_CATALOGUE: dict[str, Rule] = {}


def rule(level: Level, id_: str, source: str, measures: str, allowed: str, remedy: str) -> Rule:  # noqa: PLR0917 - a row
    """Declares a rule and adds it to the catalogue.

    Args:
        level: Level of its findings.
        id_: Identifier, unique in the catalogue.
        source: Standard or organisation that asks for it.
        measures: What is checked.
        allowed: What is allowed.
        remedy: How to correct what breaks the rule.

    Returns:
        The rule.

    Raises:
        ValueError: If another rule has this id.

    """
    new = Rule(id_, level, source, measures, allowed, remedy)
    if _CATALOGUE.setdefault(id_, new) != new:
        raise ValueError(f"the rule {id_} is in the catalogue already")
    return new


def entered() -> tuple[Rule, ...]:
    """Returns the rules of all imported modules, by id; ``checks.rules.catalogue`` imports all of them."""
    return tuple(_CATALOGUE[key] for key in sorted(_CATALOGUE))
