"""Packages raw research outputs as cloud-optimised data with measured STAC."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earthcode_pack.conformance import check as check
    from earthcode_pack.pipeline import prepare as prepare
    from earthcode_pack.pipeline import publish as publish
    from earthcode_pack.profile import load_profile as load_profile

__version__ = "0.1.0"
__all__ = ["check", "load_profile", "prepare", "publish"]
_HOMES = {
    "check": "earthcode_pack.conformance",
    "load_profile": "earthcode_pack.profile",
    "prepare": "earthcode_pack.pipeline",
    "publish": "earthcode_pack.pipeline",
}


def __getattr__(name: str) -> Any:
    """The public functions, imported on first use: GDAL and xarray cost seconds (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
