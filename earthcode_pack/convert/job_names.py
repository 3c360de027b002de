"""Ids and file names (contract 4.3)."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from earthcode_pack.convert.read.file_names import name_of, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from earthcode_pack.model import Period, Source


def safe(name: str) -> str:
    """Ids and file names keep to ``[A-Za-z0-9._-]``.

    >>> safe("Größe (m)")
    'Gr--e--m-'
    """
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def with_times_of_day(periods: Iterable[Period]) -> bool:
    """Whether any period begins at another time than midnight UTC."""
    return any(_time_of_day(period.start) for period in periods)


def _time_of_day(moment: datetime) -> bool:
    return (moment.hour, moment.minute, moment.second, moment.microsecond) != (0, 0, 0, 0)


def dated_id(product: str, period: Period, *, times_of_day: bool, scene: str | None = None) -> str:
    """``<product id>_<YYYYMMDD>[T<HHMMSS>][_<scene>]``, by the start of the period."""
    stamp = f"{period.start:%Y%m%dT%H%M%S}" if times_of_day else f"{period.start:%Y%m%d}"
    return safe("_".join(part for part in (product, stamp, scene) if part))


def scene_id(product: str, scene: str) -> str:
    """``<product id>_<stem>``, where there is only a stated period."""
    return safe(f"{product}_{scene}")


def with_whole_stems(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """The sources, each named by its whole stem, where no two files are variables of one scene.

    Where some are, a scene has several stems, and what their patterns leave open names it.
    """
    shared = Counter((source.scene, source.times[0].start, source.times[0].end) for source in sources)
    if any(count > 1 for count in shared.values()):
        return sources
    return tuple(source.model_copy(update={"scene": stem_of(name_of(source.href))}) for source in sources)
