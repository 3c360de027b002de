"""Inputs: any supported file as one lazy dataset of raw stored values."""

# ecCodes' wheel loads a PROJ of its own with global symbols; pyproj must come first, or the process dies at exit.
import pyproj  # noqa: F401

from earthcode_pack.convert.read.open import driver_of, open_raw

__all__ = ["driver_of", "open_raw"]
