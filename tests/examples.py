"""How many examples are tried: some by default, so that ``make test`` stays quick; all of them in CI."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from _pytest.mark.structures import ParameterSet

ALL = os.environ.get("EARTHCODE_PACK_EXAMPLES") == "all"


def examples(number: int) -> int:
    """The number of examples for hypothesis, or a third of it, and ten at least."""
    return number if ALL else max(number // 3, 10)


def spread(first: Iterable[object], second: Sequence[object]) -> list[ParameterSet]:
    """All pairs of two lists of parameters: each of the first with one of the second in turn, the other pairs slow.

    >>> [pair.marks != () for pair in spread("abc", "xy")]
    [False, True, True, False, False, True]
    """
    return [
        pytest.param(one, other, marks=() if at == turn % len(second) else pytest.mark.slow)
        for turn, one in enumerate(first)
        for at, other in enumerate(second)
    ]
