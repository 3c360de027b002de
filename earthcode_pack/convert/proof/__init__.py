"""Proof that an output means what its sources mean: both sides decoded by readers of other projects.

The comparison of stored values (``checks/equality.py``) reads both sides with this package's own code, and so cannot
see what that misunderstands: packing, missing values, times, the place of a cell. Here GDAL decodes rasters and xarray
cubes, on both sides, and blocks at the ends and inside of every variable are compared: values within half a unit of
packed ones, masks, and times. What counts as missing in statistics of NetCDF sources is held against netCDF4-python.

What these readers do not know, such as ``valid_range`` in xarray, is named among the limits of a ``Proof``.
"""
