"""STAC 1.1: the one place that knows the extensions' URLs, and the links and hrefs that all its objects share.

Left out, because nobody states or measures them: ``processing:level``, ``processing:facility`` and
``processing:version`` (of the producer's own software), the timestamps extension (when a product is published, expires
or is withdrawn is not known when it is described), ``raster:sampling``, and the reference system of heights and depths.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pystac

from earthcode_pack import __version__

if TYPE_CHECKING:
    from earthcode_pack.model import Statistics, WrittenVariable
    from earthcode_pack.profile import Profile

_HOST = "https://stac-extensions.github.io"
EXTENSIONS = {
    "projection": f"{_HOST}/projection/v2.0.0/schema.json",
    "raster": f"{_HOST}/raster/v2.0.0/schema.json",
    "file": f"{_HOST}/file/v2.1.0/schema.json",
    "datacube": f"{_HOST}/datacube/v2.3.0/schema.json",
    "classification": f"{_HOST}/classification/v1.1.0/schema.json",
    "render": f"{_HOST}/render/v2.0.0/schema.json",
    "processing": f"{_HOST}/processing/v1.2.0/schema.json",
    "scientific": f"{_HOST}/scientific/v1.0.0/schema.json",
    "version": f"{_HOST}/version/v1.2.0/schema.json",
    "contacts": f"{_HOST}/contacts/v0.1.1/schema.json",
    "themes": f"{_HOST}/themes/v1.0.0/schema.json",
    "cf": f"{_HOST}/cf/v0.2.0/schema.json",
    "authentication": f"{_HOST}/authentication/v1.1.0/schema.json",
    "storage": f"{_HOST}/storage/v2.0.0/schema.json",
    "alternate-assets": f"{_HOST}/alternate-assets/v1.2.0/schema.json",
}
OSC_THEME = "https://github.com/stac-extensions/osc#theme"
SOFTWARE = {"earthcode_pack": __version__}
FINGERPRINT = "earthcode_pack:fingerprint"  # of a Collection: see run/fingerprint.py
_STATISTICS = {"minimum", "maximum", "mean", "stddev", "count", "valid_percent"}
_BUCKETS = 3  # at least: raster extension 2.0
_DATA_TYPES = {
    "complex_int16": "cint16", "complex_int32": "cint32", "complex64": "cfloat32", "complex128": "cfloat64",
}  # fmt: skip


def href(profile: Profile, key: str, up: str) -> str:
    """Where a reader finds a key of the product: relative to the STAC file, or under ``store.public_href``."""
    product, store = profile.product, profile.store
    if store is None or store.public_href is None:
        return f"{up}{key}"
    return f"{store.public_href.rstrip('/')}/{product.id}/v{product.version}/{key}"


def extensions(*names: str) -> list[str]:
    """Their URLs."""
    return [EXTENSIONS[name] for name in names]


def use(target: pystac.Item | pystac.Collection, name: str) -> None:
    """Lists an extension, once."""
    if EXTENSIONS[name] not in target.stac_extensions:
        target.stac_extensions.append(EXTENSIONS[name])


def link(target: pystac.Item | pystac.Collection, rel: str, where: str, title: str) -> None:
    """A link to another STAC file."""
    target.add_link(pystac.Link(rel, where, "application/json", title))


def as_json(target: pystac.Item | pystac.Collection) -> dict[str, Any]:
    """The object as it is written: links as given, none to itself, since the bundle may lie anywhere."""
    data = target.to_dict(include_self_link=False, transform_hrefs=False)
    data["stac_extensions"] = sorted(data["stac_extensions"])
    return data


def finite_statistics(variable: WrittenVariable) -> Statistics | None:
    """The statistics as JSON can hold them: None where there are none, or one is no number (RFC 8259, section 6)."""
    statistics = variable.statistics
    is_finite = statistics is not None and all(map(math.isfinite, statistics_of(statistics).values()))
    return statistics if is_finite and len(variable.colorinterp) <= 1 else None


def statistics_of(statistics: Statistics) -> dict[str, float]:
    """The Statistics Object of STAC 1.1 (common metadata, "Statistics Object"): what is known of it."""
    return statistics.model_dump(include=_STATISTICS, exclude_none=True)


def histogram_of(statistics: Statistics | None) -> dict[str, Any] | None:
    """``raster:histogram`` (raster extension 2.0): buckets of equal width from ``min`` to ``max``, three at least."""
    found = statistics.histogram if statistics else None
    if found is None or len(found.counts) < _BUCKETS or not math.isfinite(found.minimum + found.maximum):
        return None
    return {"count": len(found.counts), "min": found.minimum, "max": found.maximum, "buckets": list(found.counts)}


def data_type(dtype: str) -> str:
    """The name that STAC has for a type (common metadata, "Data Types").

    >>> data_type("float32"), data_type("complex64"), data_type("bool")
    ('float32', 'cfloat32', 'other')
    """
    return _DATA_TYPES.get(dtype, dtype if re.fullmatch(r"u?int(8|16|32|64)|float(16|32|64)", dtype) else "other")
