"""Files of one product mean the same by one variable: nothing is converted, so units may not differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.convert.read.agreed import difference
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.model import Failure

if TYPE_CHECKING:
    from earthcode_pack.model import Source, Variable


def of_one_meaning(sources: tuple[Source, ...]) -> tuple[tuple[Source, ...], list[Failure]]:
    """The sources whose variables have the units and standard names of the first file that holds each of them.

    The others are failures that name both files and both values.
    """
    first: dict[str, tuple[Source, Variable]] = {}
    kept, failures = [], []
    for source in sources:
        found = next((text for v in source.variables if (text := _difference(source, v, first))), None)
        if found is None:
            kept.append(source)
            first |= {v.name: (source, v) for v in source.variables if v.name not in first}
        else:
            remedy = "make one product of each, leave one out of source.href, or correct the file"
            failures.append(Failure(source=source.href, error=found, remedy=remedy))
    return tuple(kept), failures


def _difference(source: Source, variable: Variable, first: dict[str, tuple[Source, Variable]]) -> str | None:
    other, known = first.get(variable.name, (source, variable))
    text = difference(known, variable)
    return text and f"{name_of(other.href)} and {name_of(source.href)} differ in {text}"
