"""Cubes of many inputs, for Zarr and NetCDF: their variables, coordinates, chunks and regions."""
