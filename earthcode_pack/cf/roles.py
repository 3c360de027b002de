"""Roles of variables by the attributes that name them: bounds, cell measures, formula terms, grid mappings (CF)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Attributes whose words are names of variables: 5, 7.1, 7.4, 7.2, 5.6, 4.3.3, 3.4
REFERENCES = (
    "coordinates", "bounds", "climatology", "cell_measures", "grid_mapping", "formula_terms", "ancillary_variables",
)  # fmt: skip
_HELPERS = ("coordinates", "bounds", "climatology", "cell_measures", "grid_mapping")
_WORD = re.compile(r"[^\s:]+(?!\S*:)")


def referenced(attrs: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The variables that an attribute names; the words before a colon are terms, not names.

    >>> referenced({"formula_terms": "ap: ap_bnds b: b_bnds"}, "formula_terms")
    ('ap_bnds', 'b_bnds')
    """
    if key == "grid_mapping":
        return tuple(grid_mappings(attrs))
    return tuple(word for word in str(attrs.get(key, "")).split() if not word.endswith(":"))


def grid_mappings(attrs: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The grid mappings that a variable names, each with the coordinates that it is for (CF 5.6, both forms).

    >>> grid_mappings({"grid_mapping": "utm: x y wgs: lat lon"})
    {'utm': ('x', 'y'), 'wgs': ('lat', 'lon')}
    >>> grid_mappings({"grid_mapping": "crs"})
    {'crs': ()}
    """
    found: dict[str, tuple[str, ...]] = {}
    words = str(attrs.get("grid_mapping", "")).replace(":", ": ").split()
    if not any(word.endswith(":") for word in words):
        return dict.fromkeys(words[:1], ())
    mapping = ""
    for word in words:
        if word.endswith(":"):
            mapping = word.rstrip(":")
            found[mapping] = ()
        elif mapping:
            found[mapping] += (word,)
    return found


def grid_mapping_for(attrs: Mapping[str, Any], axes: tuple[str, ...]) -> str | None:
    """The grid mapping of the axes of a variable: the one that names them, else the first."""
    every = grid_mappings(attrs)
    own = (mapping for mapping, coordinates in every.items() if set(axes) & set(coordinates))
    return next(own, next(iter(every), None))


def bounds_of(attrs: Mapping[str, Any]) -> str | None:
    """The variable that holds the bounds of a coordinate, or of its climatology (CF 7.1, 7.4); None without."""
    name = attrs.get("bounds", attrs.get("climatology"))
    return None if name is None else str(name)


def is_grid_mapping(attrs: Mapping[str, Any]) -> bool:
    """Tells whether a variable says that it is a grid mapping: by its name of one, or as WKT (CF 5.6)."""
    return not {"crs_wkt", "spatial_ref", "grid_mapping_name"}.isdisjoint(attrs)


def helpers(dataset: Any) -> set[str]:
    """Names that other variables point to as coordinates, bounds, cell measures or grid mappings: these are no data."""
    every = [*(variable.attrs for variable in dataset.variables.values()), dataset.attrs]
    return {name for attrs in every for key in _HELPERS for name in referenced(attrs, key)}


def renamed(attrs: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """The attributes among ``REFERENCES`` that name variables which have other names now, rewritten.

    >>> renamed({"formula_terms": "ap: ap ps: ps_in", "units": "1"}, {"ps_in": "ps"})
    {'formula_terms': 'ap: ap ps: ps'}
    """
    changed = {}
    for key in {*REFERENCES} & set(attrs):
        before = str(attrs[key])
        after = _WORD.sub(lambda word: names.get(word[0], word[0]), before)
        if after != before:
            changed[key] = after
    return changed


def dangling(attrs: Mapping[str, Any], known: set[str]) -> Iterator[tuple[str, str]]:
    """The attributes that name variables which are not there, each with such a name."""
    for key in REFERENCES:
        for name in referenced(attrs, key):
            if name not in known:
                yield key, name
