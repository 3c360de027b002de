"""Cloud-optimised GeoTIFF: one map to one file."""
