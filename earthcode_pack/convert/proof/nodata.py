"""Which missing value is the profile's: the one of the plan that the file itself does not state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from earthcode_pack.model import Variable


def by_profile(variable: Variable, attrs: Mapping[str, Any]) -> float | int | None:
    """The nodata of the plan where ``_FillValue`` and ``missing_value`` are others, else None."""
    if variable.nodata is None:
        return None
    stated = [np.asarray(attrs[key]).ravel() for key in ("_FillValue", "missing_value") if key in attrs]
    kind = np.dtype(variable.dtype)
    wanted = np.asarray(variable.nodata)
    for values in (each for each in stated if each.dtype.kind in "iuf"):
        with np.errstate(all="ignore"):
            same = (values == wanted) | (values.astype(kind) == wanted.astype(kind))
        if same.any() or (wanted != wanted and np.isnan(values).any()):  # noqa: PLR0124 - NaN
            return None
    return variable.nodata
