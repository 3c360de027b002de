"""STAC 1.1: the one place that knows the extensions' URLs, and the conversions that all its objects share.

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
    from collections.abc import Mapping

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
_PREFIXES = {"proj": "projection", "cube": "datacube", "renders": "render", "sci": "scientific"}  # others: their names
OSC_THEME = "https://github.com/stac-extensions/osc#theme"
SOFTWARE = {"earthcode_pack": __version__}
FINGERPRINT = "earthcode_pack:fingerprint"  # of a Collection: see run/fingerprint.py
_STATISTICS = {"minimum", "maximum", "mean", "stddev", "count", "valid_percent"}
_DATA_TYPES = {
    "complex_int16": "cint16", "complex_int32": "cint32", "complex64": "cfloat32", "complex128": "cfloat64",
}  # fmt: skip


def href(profile: Profile, key: str, up: str) -> str:
    """Returns the href of a key of the product: under ``store.public_href``, or relative to the STAC file.

    Args:
        profile: the product's profile.
        key: path within ``product/``.
        up: path from the folder of the STAC file to ``product/``, with a final slash.

    """
    store = profile.store
    if store is None or store.public_href is None:
        return f"{up}{key}"
    return f"{store.public_href.rstrip('/')}/{profile.product.folder}/{key}"


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Drops the fields that are None."""
    return {key: value for key, value in fields.items() if value is not None}


def as_json(target: pystac.Item | pystac.Collection) -> dict[str, Any]:
    """Returns the object as it is written, with the extensions whose fields it has and no link to itself.

    Only those extensions are listed, because some schemas refuse objects without their fields.
    """
    places = [target.extra_fields, *(asset.extra_fields for asset in target.assets.values())]
    if isinstance(target, pystac.Item):
        places.append(target.properties)
    else:
        places += [target.summaries.to_dict(), *target.extra_fields["item_assets"].values()]
    fields = {key for place in places for held in (place, *place.get("bands", ())) for key in held}
    prefixes = {key.partition(":")[0] for key in fields}
    names = {_PREFIXES.get(prefix, prefix) for prefix in prefixes}
    target.stac_extensions = sorted(EXTENSIONS[name] for name in names & EXTENSIONS.keys())
    return target.to_dict(include_self_link=False, transform_hrefs=False)


def finite_statistics(variable: WrittenVariable) -> Statistics | None:
    """Returns the statistics of a variable with one band; None where a number is not finite (RFC 8259, section 6)."""
    statistics = variable.statistics
    is_finite = statistics is not None and all(map(math.isfinite, statistics_of(statistics).values()))
    return statistics if is_finite and len(variable.colorinterp) <= 1 else None


def statistics_of(statistics: Statistics) -> dict[str, float]:
    """Returns the Statistics Object of STAC 1.1 (common metadata, "Statistics Object")."""
    return statistics.model_dump(include=_STATISTICS, exclude_none=True)


def data_type(dtype: str) -> str:
    """Returns STAC's name of a type (common metadata, "Data Types").

    >>> data_type("float32"), data_type("complex64"), data_type("bool")
    ('float32', 'cfloat32', 'other')
    """
    return _DATA_TYPES.get(dtype, dtype if re.fullmatch(r"u?int(8|16|32|64)|float(16|32|64)", dtype) else "other")
