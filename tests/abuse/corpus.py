"""All hostile inputs, by family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abuse import cubes, documents, profiles, rasters, stores

if TYPE_CHECKING:
    from abuse.harness import Case


def corpus() -> list[Case]:
    """Every case, each under a name of its own."""
    cases = [case for family in (rasters, cubes, stores, profiles, documents) for case in family.cases()]
    if len({case.name for case in cases}) < len(cases):
        raise ValueError("two cases have one name")
    return cases
