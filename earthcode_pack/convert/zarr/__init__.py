"""Zarr version 2 and 3: a cube to one store."""
