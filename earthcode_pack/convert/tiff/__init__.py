"""A COG in one pass: each pixel is decoded once and encoded once, and the overviews grow on the way.

``onepass`` runs it, ``overviews`` knows the arithmetic, ``tiles`` the predictors and codecs, ``layout`` the bytes of
the file. What it does not do is left to GDAL's own COG driver, which writes the same pixels and tags.
"""

from earthcode_pack.convert.tiff.integers import are_exact
from earthcode_pack.convert.tiff.onepass import is_possible, write_cog

__all__ = ["are_exact", "is_possible", "write_cog"]
