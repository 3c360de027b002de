"""An Item: one or more artifacts of one time and scene."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pystac

from earthcode_pack.describe.assets import asset_of, projection, thumbnail_asset
from earthcode_pack.describe.stac import SOFTWARE, as_json, extensions, link
from earthcode_pack.geo.box import union
from earthcode_pack.geo.extent import grid_box
from earthcode_pack.geo.outline import box_geometry, grid_outline
from earthcode_pack.model import rfc3339
from earthcode_pack.storage.words import shown

if TYPE_CHECKING:
    from earthcode_pack.describe.assets import Thumbnail
    from earthcode_pack.model import Artifact
    from earthcode_pack.profile import Profile


_SHOWN = 5  # sources that the lineage names


def item_of(
    profile: Profile, artifacts: list[Artifact], thumbnail: Thumbnail | None, geometry: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The Item of one or more artifacts of one time and scene.

    ``bbox`` and ``geometry`` in WGS 84 longitude and latitude, the geometry that of the cells unless one is given;
    ``proj:shape`` is (rows, columns), ``proj:bbox`` in the units of the CRS, x before y, ``proj:transform`` GDAL's
    affine (a, b, c, d, e, f). Times in UTC.
    """
    box = union(grid_box(artifact.grid) for artifact in artifacts)
    one_grid = len({artifact.grid.digest for artifact in artifacts}) == 1
    item = pystac.Item(
        id=artifacts[0].item,
        geometry=geometry or (grid_outline(artifacts[0].grid) if one_grid else box_geometry(box)),
        bbox=list(box),
        datetime=min(artifact.period.start for artifact in artifacts),
        properties=_properties(profile, artifacts) | (projection(artifacts[0].grid) if one_grid else {}),
        stac_extensions=extensions("file", "projection", "processing"),
        collection=profile.product.id,
    )
    for artifact in artifacts:
        item.add_asset(artifact.asset, asset_of(profile, artifact, item, own_projection=not one_grid))
    if thumbnail is not None:
        item.add_asset("thumbnail", thumbnail_asset(profile, thumbnail, "../"))
    for rel in ("root", "parent", "collection"):
        link(item, rel, "../collection.json", profile.product.title)
    return as_json(item)


def _properties(profile: Profile, artifacts: list[Artifact]) -> dict[str, Any]:
    start = rfc3339(min(artifact.period.start for artifact in artifacts))
    processed = [artifact.processed for artifact in artifacts]
    return {
        "title": f"{profile.product.title}: {artifacts[0].item}",
        "datetime": start,
        "start_datetime": start,
        "end_datetime": rfc3339(max(artifact.period.end for artifact in artifacts)),
        "created": rfc3339(min(processed)),
        "updated": rfc3339(max(processed)),
        "processing:software": SOFTWARE,
        "processing:datetime": rfc3339(max(processed)),
        "processing:lineage": _lineage(artifacts),
    }


def _lineage(artifacts: list[Artifact]) -> str:
    """From which files, by their bare names, and how exactly."""
    sources = sorted({base_name(href) for artifact in artifacts for href, _ in artifact.sources})
    more = f" and {len(sources) - _SHOWN} more" if len(sources) > _SHOWN else ""
    names = ", ".join(sources[:_SHOWN]) + more
    error = max(artifact.max_error for artifact in artifacts)
    if error:
        return f"Converted from {names}, no value off by more than {error:g}"
    return f"Converted without loss from {names}"


def base_name(href: str) -> str:
    """The name of a source as anybody may see it: no folder, no query.

    >>> base_name("https://example.org/a/b.nc?key=secret")
    'b.nc'
    """
    return PurePosixPath(shown(href)).name
