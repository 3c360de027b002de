"""A rule, and the catalogue that every rule is entered in: a finding is made through the rule that it breaks.

Here is the mechanism; the rules stand where what they measure is known: ``checks``, and ``register`` for the PRR.
"""

from __future__ import annotations

from dataclasses import dataclass

from earthcode_pack.model import Finding, JsonValue, Level


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
        """That ``subject`` breaks this rule; ``allowed`` and ``remedy`` where they are narrower than the rule's own."""
        return Finding(
            rule=self.id,
            level=self.level,
            subject=subject,
            message=message,
            measured=measured,
            allowed=self.allowed if allowed is None else allowed,
            remedy=remedy or self.remedy,
        )


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
