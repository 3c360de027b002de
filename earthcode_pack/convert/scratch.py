"""Memory that a thread of the pool uses again and again: fresh memory costs as much as what is done in it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

_KEPT = 32 * 2**20  # bytes that a thread keeps for one purpose; more is given back after each use
_HELD = threading.local()


def scratch(purpose: str, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """``size`` bytes of any content, valid until this thread asks for the same purpose again."""
    if size > _KEPT:
        return np.empty(size, np.uint8)
    held: dict[str, np.ndarray[Any, np.dtype[np.uint8]]] = _HELD.__dict__
    if purpose not in held or held[purpose].size < size:
        held[purpose] = np.empty(size, np.uint8)
    return held[purpose][:size]
