"""Parts of jobs that all formats share: ids (contract 4.3), inputs, attributes, and grids that are the same grid."""

from __future__ import annotations

import re
from collections import Counter
from datetime import time
from itertools import product
from typing import TYPE_CHECKING, Any

from earthcode_pack.convert.read.file_names import name_of, stem_of
from earthcode_pack.model import Failure, Input

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.model import Grid, Period, Source, Variable
    from earthcode_pack.profile import Profile

PLACES = {
    "curvilinear": "in cells by two-dimensional latitude and longitude",
    "track": "along a track",
    "points": "at single places",
}
SAME = 0.01  # of a cell; a coordinate in float32 is off its place by about 1e-7 of its size


def safe(name: str) -> str:
    """Replaces what is not among ``[A-Za-z0-9._-]``, to which ids and file names keep.

    >>> safe("Größe (m)")
    'Gr--e--m-'
    """
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def with_times_of_day(periods: Iterable[Period]) -> bool:
    """Tells whether any period begins at another time than midnight UTC."""
    return any(period.start.time() != time() for period in periods)


def dated_id(product: str, period: Period, *, times_of_day: bool, scene: str | None = None) -> str:
    """Returns ``<product id>_<YYYYMMDD>[T<HHMMSS>][_<scene>]``, by the start of the period.

    Args:
        product: id of the product.
        period: that of the Item.
        times_of_day: the product has times of day.
        scene: tells Items of one time apart.

    """
    stamp = f"{period.start:%Y%m%dT%H%M%S}" if times_of_day else f"{period.start:%Y%m%d}"
    return safe("_".join(part for part in (product, stamp, scene) if part))


def scene_id(product: str, scene: str) -> str:
    """Returns ``<product id>_<stem>``, where there is only a stated period."""
    return safe(f"{product}_{scene}")


def with_whole_stems(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """Returns the sources, each named by its whole stem where no two files are variables of one scene.

    Where some are, a scene has several stems, and what their patterns leave open names it.
    """
    shared = Counter((source.scene, source.times[0].start, source.times[0].end) for source in sources)
    if any(count > 1 for count in shared.values()):
        return sources
    return tuple(source.model_copy(update={"scene": stem_of(name_of(source.href))}) for source in sources)


def failure_of(source: Source, error: str, remedy: str) -> Failure:
    """Returns a failure of a source.

    Args:
        source: the source.
        error: what is wrong, naming the file.
        remedy: what a person can do.

    """
    return Failure(source=source.href, error=error, remedy=remedy)


def input_of(
    source: Source, variables: tuple[Variable, ...], steps: tuple[int, ...], periods: tuple[Period, ...]
) -> Input:
    """Returns what a job reads of a source.

    Args:
        source: the source.
        variables: those that the job takes.
        steps: positions on its time axis, in the order in which they are written.
        periods: those of the steps, or its one period.

    """
    return Input(
        href=source.href,
        driver=source.driver,
        sha256=source.sha256,
        grid=source.grid,
        variables=variables,
        time_dim=source.time_dim,
        steps=steps,
        periods=periods,
    )


def global_attributes(profile: Profile) -> dict[str, Any]:
    """Returns what the profile states for a file (CF 1.11, 2.6; ACDD 1.3): no clock, and nothing that is measured."""
    product, creator = profile.product, next(iter(profile.product.contacts), None)
    published = product.references or (f"https://doi.org/{product.doi}" if product.doi else "")
    references = [published] if published else []
    if product.documentation and product.documentation not in published:
        references.append(product.documentation)
    given = {
        "Conventions": "CF-1.11, ACDD-1.3",
        "id": product.id,
        "title": product.title,
        "summary": product.description,
        "license": product.license if product.license_href is None else f"{product.license} {product.license_href}",
        "product_version": product.version,
        "keywords": ", ".join(product.keywords),
        "project": profile.project.title or profile.project.id,
        "institution": product.institution or (creator and creator.organization),
        "source": product.source,
        "references": "; ".join(references),
        "creator_name": creator and creator.name,
        "creator_email": creator and creator.email,
        "creator_institution": creator and creator.organization,
    }
    return {key: value for key, value in given.items() if value}


def described(profile: Profile) -> dict[str, dict[str, Any]]:
    """Returns what the profile states of each variable, in CF's terms, and its classes in STAC's."""
    out: dict[str, dict[str, Any]] = {}
    for name, spec in profile.product.variables.items():
        stated = {"units": spec.units, "standard_name": spec.standard_name, "long_name": spec.long_name}
        out[name] = {key: value for key, value in stated.items() if value}
        if spec.classes:
            out[name]["classes"] = [item.model_dump(exclude_none=True) for item in spec.classes]
    return out


def on_shared_grids(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """Returns the sources, each with the digest of the first one whose cells are its own to a hundredth of a cell.

    Axes of files of one grid differ by the rounding of their types, float32 beside float64.
    """
    known: dict[tuple[str, tuple[int, int], int, int], list[Grid]] = {}
    return tuple(_with_known_digest(source, known) for source in sources)


def cells_apart(one: Grid, other: Grid) -> float | None:
    """Returns the distance of the outer edges of two grids, in cells of the first; None where they do not compare."""
    if one.transform is None or other.transform is None or (one.shape, one.crs) != (other.shape, other.crs):
        return None
    width, height = _cell(one)
    offsets = [abs(a - b) for a, b in zip(one.bounds, other.bounds, strict=True)]
    return max(max(offsets[0::2]) / width, max(offsets[1::2]) / height)


def _with_known_digest(source: Source, known: dict[tuple[str, tuple[int, int], int, int], list[Grid]]) -> Source:
    grid = source.grid
    if grid.transform is None or grid.kind != "grid":
        return source
    width, height = _cell(grid)
    column, row = round(grid.bounds[0] / width), round(grid.bounds[1] / height)
    for dx, dy in product((0, -1, 1), repeat=2):
        for other in known.get((grid.crs, grid.shape, column + dx, row + dy), ()):
            apart = cells_apart(other, grid)
            if apart is not None and apart <= SAME and _turns(other) == _turns(grid):
                if other.digest == grid.digest:
                    return source
                return source.model_copy(update={"grid": grid.model_copy(update={"digest": other.digest})})
    known.setdefault((grid.crs, grid.shape, column, row), []).append(grid)
    return source


def _cell(grid: Grid) -> tuple[float, float]:
    (rows, columns), (west, south, east, north) = grid.shape, grid.bounds
    return (east - west) / columns or 1.0, (north - south) / rows or 1.0


def _turns(grid: Grid) -> tuple[bool, ...]:
    """Returns the signs of the transform, which tell the direction of rows, and rotated grids of one box."""
    assert grid.transform is not None, "irregular grids keep their digest"
    return tuple(value > 0 for value in (*grid.transform[:2], *grid.transform[3:5]))
