"""Kinds of values of a variable: names of classes, angles on a circle, or amounts. Only amounts have a mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf import standard_names, units

if TYPE_CHECKING:
    from collections.abc import Mapping

    from earthcode_pack.model import Variable

# Words of the CF table whose canonical unit is degree and that go round: wind_from_direction, solar_azimuth_angle,
# grid_longitude, platform_course …; and of interferometry, of terrain. A spread or a slope is an amount.
_CIRCULAR = re.compile(
    r"direction(?!al)|azimuth|longitude|bearing|heading|course|orientation|\byaw|_yaw"
    r"|(?<![a-z])(phase|aspect|w?dir)(?![a-z])",
    re.IGNORECASE,
)


def is_categorical(variable: Variable, described: Mapping[str, Any]) -> bool:
    """Tells whether values name classes: by the profile (``described``), flags, a colour table, or true and false."""
    return bool(described.get("classes")) or variable.categorical or variable.dtype == "bool"


def is_circular(name: str, attrs: Mapping[str, Any], stated: str | None) -> bool:
    """Tells whether values are angles that go round, as directions and phases: 350 and 10 degrees have no mean of 180.

    By the words of ``name``, ``standard_name`` and ``long_name``, where its ``stated`` units are of an angle;
    where there are none, by the canonical units of the standard name (CF 3.3).

    >>> is_circular("wdir", {"standard_name": "wind_from_direction"}, "degree")
    True
    >>> is_circular("spread", {"standard_name": "sea_surface_wave_directional_spread"}, "degree")
    False
    """
    standard = str(attrs.get("standard_name") or "")
    unit = (stated or standard_names.canonical_units(standard) or "").strip()
    words = " ".join([name, standard, str(attrs.get("long_name") or "")])
    return _CIRCULAR.search(words) is not None and any(map(units.is_angle, units.meanings(unit)))
