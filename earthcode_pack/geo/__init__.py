"""Geometry in longitude and latitude: boxes on the circle, cells on the sphere, extents of grids in any CRS.

The package knows CRS and arithmetic, neither files nor STAC. Degrees throughout, longitude before latitude
(OGC:CRS84), boxes (west, south, east, north) with ``west > east`` across the antimeridian (RFC 7946, 5.2).
"""
