"""NetCDF-4: a cube to one file."""
