"""A rule, and the catalogue that every rule is entered in: a finding is made through the rule that it breaks.

Here is the mechanism; the rules stand where what they measure is known: ``checks``, and ``register`` for the PRR.
"""

from __future__ import annotations

from dataclasses import dataclass

from earthcode_pack.model import Finding, JsonValue, Level
from earthcode_pack.redact import one_line, unsigned


@dataclass(frozen=True)
class Rule:
    """One thing that is checked: ``source`` is who asks for it, ``measures`` what is looked at."""

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
        """That ``subject`` breaks this rule; ``allowed`` and ``remedy`` where they are narrower than the rule's own.

        A signed URL, or one with a user, stands in it without what makes it so; the message is one line of a sentence.
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
    """A new rule of the catalogue; an id that another rule has is refused."""
    new = Rule(id_, level, source, measures, allowed, remedy)
    if _CATALOGUE.setdefault(id_, new) != new:
        raise ValueError(f"the rule {id_} is in the catalogue already")
    return new


def entered() -> tuple[Rule, ...]:
    """Every rule of the modules that were imported, by id; ``checks.rules.catalogue`` imports them all."""
    return tuple(_CATALOGUE[key] for key in sorted(_CATALOGUE))
