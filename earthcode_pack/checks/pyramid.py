"""The coarser levels of a Zarr store: what ``multiscales`` says of them (zarr-conventions, v0.1), against the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.limits import WIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Finding

_MAP = 2  # dimensions


def walk(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The group and those below it, which hold the coarser levels of a pyramid."""
    yield path, group
    for name, child in sorted(group.groups()):
        yield from walk(child, f"{path}/{name}".lstrip("/"))


def derived_levels(nodes: dict[str, Any]) -> set[str]:
    """The groups, of all by path, that a layout says are made from another one."""
    return {
        _below(path, str(entry["asset"]))
        for path, group in nodes.items()
        for entry in layout_of(group)
        if "derived_from" in entry
    }


def level_findings(nodes: dict[str, Any], subject: str) -> Iterator[Finding]:
    """Levels that are not as a layout says; and a large grid that has none. ``nodes`` are all groups by path."""
    layouts = {path: layout_of(group) for path, group in nodes.items()}
    for path, layout in layouts.items():
        for entry in layout:
            yield from _entry_findings(nodes, path, entry, subject)
    if not any(layouts.values()):
        yield from _without_levels(nodes, subject)


def layout_of(group: Any) -> list[dict[str, Any]]:
    """The entries of a group's layout that name an asset; other forms of ``multiscales`` are not judged."""
    stated = group.attrs.get("multiscales")
    layout = stated.get("layout") if isinstance(stated, dict) else None
    entries = layout if isinstance(layout, list) else []
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("asset"), str)]


def _below(path: str, asset: str) -> str:
    """The path of an asset, which ``.`` is of the group itself.

    >>> _below("", "1"), _below("measurements", "."), _below("measurements", "r10m")
    ('1', 'measurements', 'measurements/r10m')
    """
    return path if asset == "." else f"{path}/{asset}".strip("/")


def _entry_findings(nodes: dict[str, Any], place: str, entry: dict[str, Any], subject: str) -> Iterator[Finding]:
    path = _below(place, str(entry["asset"]))
    arrays = _arrays_at(nodes, path)
    if not arrays:
        message = f"multiscales of {subject} names {entry['asset']}, which is not there"
        yield rules.ZARR_LEVELS.finding(subject, message, path)
    stated = entry.get("spatial:shape")
    named = nodes[place].attrs.get("spatial:dimensions")
    shapes = {key: shape for key, array in arrays if (shape := _shape_along(array, named)) is not None}
    if isinstance(stated, list) and shapes and stated not in shapes.values():
        message = f"multiscales of {subject} states the shape {stated} of level {entry['asset']}"
        yield rules.ZARR_LEVELS.finding(subject, message, shapes, stated)


def _arrays_at(nodes: dict[str, Any], path: str) -> list[tuple[str, Any]]:
    """The arrays of a group, or the one array that a path is of."""
    parent, _, name = path.rpartition("/")
    if path in nodes:
        return list(nodes[path].arrays())
    return [(key, array) for key, array in nodes[parent].arrays() if key == name] if parent in nodes else []


def _shape_along(array: Any, named: Any) -> list[int] | None:
    """The sizes of y and x, whose names a layout states; None of an array that does not lie on both."""
    dims = dimensions_of(array)
    if isinstance(named, list) and len(named) == _MAP and set(named) <= set(dims):
        return [array.shape[dims.index(dim)] for dim in named]
    return None


def dimensions_of(array: Any) -> tuple[str, ...]:
    """The names of an array's dimensions, where it has any: of v3 its own, of v2 xarray's."""
    return tuple(getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ())


def _without_levels(nodes: dict[str, Any], subject: str) -> Iterator[Finding]:
    sizes = {f"{path}/{name}".lstrip("/"): list(a.shape) for path, group in nodes.items() for name, a in group.arrays()}
    wide = {name: shape for name, shape in sizes.items() if len(shape) >= _MAP and min(shape[-_MAP:]) > WIDE}
    if wide:
        message = f"{', '.join(wide)} in {subject} have no coarser levels"
        yield rules.ZARR_MULTISCALES.finding(subject, message, wide)
