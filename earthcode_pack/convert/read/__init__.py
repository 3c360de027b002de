"""Inputs: any supported file as one lazy dataset of raw stored values."""

# ecCodes' wheel loads a PROJ of its own with global symbols; pyproj must come first, or the process dies at exit.
# Nothing else is loaded here: a GeoTIFF needs no xarray, which takes longer than many a conversion.
import pyproj  # noqa: F401
