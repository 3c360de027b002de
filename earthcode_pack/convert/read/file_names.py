"""Names of files: their stems, and patterns by which ``product.variables.*.from`` tells variables apart."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_RUN = re.compile(r"((?:[*?]|\[!?\]?[^]]*\])+)")  # wildcards side by side
_WILDCARD = re.compile(r"\*|\?|\[!?\]?[^]]*\]")


def name_of(href: str) -> str:
    """The base name of an href."""
    return PurePosixPath(href.rstrip("/")).name


def stem_of(name: str) -> str:
    """The name without its format's ending.

    >>> stem_of("a.zarr.zip"), stem_of("v1.2_b.tif")
    ('a', 'v1.2_b')
    """
    name = name.removesuffix(".zip") if name.endswith(".zarr.zip") else name
    return name.rsplit(".", 1)[0] if "." in name else name


def is_pattern(source: str | int | None) -> bool:
    """Tells whether ``product.variables.*.from`` is a pattern of file names."""
    return isinstance(source, str) and any(sign in source for sign in "*?")


def wild_parts(name: str, pattern: str) -> str:
    """Text that the wildcards of a pattern stand for in the stem of a name that fits it, joined by underscores.

    >>> wild_parts("T31UFS_LAI_20240601.tif", "*_LAI_*.tif"), wild_parts("lai.tif", "lai*.tif")
    ('T31UFS_20240601', '')
    """
    pieces = _RUN.split(pattern)
    wild = [f"({_WILDCARD.sub(_any, piece)})" if odd % 2 else re.escape(piece) for odd, piece in enumerate(pieces)]
    match = re.fullmatch("".join(wild), name, re.DOTALL)
    spans = [match.span(group + 1) for group in range(len(pieces) // 2)] if match else []
    end = len(stem_of(name))
    parts = [name[start : min(stop, end)].strip("_-. ") for start, stop in spans]
    return "_".join(part for part in parts if part)


def _any(wildcard: re.Match[str]) -> str:
    """A wildcard without what it asks for; ``*`` as short as can be, so that literal text is found early."""
    return ".*?" if wildcard[0] == "*" else "."
