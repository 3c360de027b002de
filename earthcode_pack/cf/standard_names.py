"""The CF standard name table: names, canonical units and aliases (CF 3.3, appendices B and C).

The table of this package, ``standard_names.txt.gz``, holds these facts alone, one name a line in the order of the
alphabet: the name, a blank, and the canonical units, or ``= `` and the present name of an alias. Its first line is the
version. It is made from the table that cfconventions.org publishes (Data/cf-standard-names)::

    python -m earthcode_pack.cf.standard_names cf-standard-name-table.xml earthcode_pack/cf/standard_names.txt.gz
"""

from __future__ import annotations

import difflib
import gzip
import sys
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeGuard

_FILE = Path(__file__).with_name("standard_names.txt.gz")
_NOT_A_NAME = "unknown"  # what cfgrib writes where GRIB has no name of CF

# Appendix C: what follows a name after a blank, and the units it has; None: those of the name.
_MODIFIERS = {"detection_minimum": None, "number_of_observations": "1", "standard_error": None, "status_flag": ""}


class Table(NamedTuple):
    """Canonical units by name, and the present names by alias."""

    version: int
    units: dict[str, str]
    aliases: dict[str, str]


@lru_cache(maxsize=1)
def table() -> Table:
    """The table of this package; a few milliseconds the first time."""
    version, *lines = gzip.decompress(_FILE.read_bytes()).decode().splitlines()
    rows = dict(line.split(" ", 1) for line in lines)
    aliases = {name: text[2:] for name, text in rows.items() if text.startswith("= ")}
    return Table(int(version), {name: text for name, text in rows.items() if name not in aliases}, aliases)


def known(name: str) -> bool:
    """Tells whether the table holds a name, or an alias, with a modifier of appendix C or without.

    >>> known("air_temperature"), known("air_temperature standard_error"), known("temperature")
    (True, True, False)
    """
    base, modifier = _parts(name)
    return (base in table().units or base in table().aliases) and modifier in (None, *_MODIFIERS)


def same(one: str, other: str) -> bool:
    """Tells whether two names are one, by the table's aliases.

    >>> same("air_pressure_at_sea_level", "air_pressure_at_mean_sea_level"), same("air_temperature", "sea_ice_speed")
    (True, False)
    """
    return (alias_of(one) or one.strip()) == (alias_of(other) or other.strip())


def alias_of(name: str) -> str | None:
    """The present name, with the modifier, where the table keeps this one as an alias; else None.

    An old name that was split has several present ones, joined by ``or``.

    >>> alias_of("air_pressure_at_sea_level"), alias_of("air_temperature")
    ('air_pressure_at_mean_sea_level', None)
    """
    base, modifier = _parts(name)
    present = table().aliases.get(base)
    return present if present is None or modifier is None else f"{present} {modifier}"


def canonical_units(name: str) -> str | None:
    """The units that those of a variable of this name can be converted to.

    Empty where the name is of text or flags, which have none; None where the table lacks the name.

    >>> canonical_units("air_temperature"), canonical_units("air_temperature number_of_observations")
    ('K', '1')
    """
    base, modifier = _parts(name)
    units = table().units.get(table().aliases.get(base, base).split(" or ")[0])
    if units is None or modifier is None:
        return units
    of_modifier = _MODIFIERS.get(modifier, "")
    return units if of_modifier is None else of_modifier


def nearest(name: str, n: int = 3) -> list[str]:
    """At most ``n`` present names that look like this one, the most alike first.

    >>> nearest("sea_surface_temprature")[0]
    'sea_surface_temperature'
    """
    return list(_nearest(name.strip()[:200], n))


@lru_cache(maxsize=512)
def _nearest(name: str, n: int) -> tuple[str, ...]:
    """Finds the nearest names by letters, then those with all its words or their beginnings, the shortest first."""
    plain = "_".join(name.lower().replace("-", " ").split())
    close = difflib.get_close_matches(plain, table().units, n=n, cutoff=0.75)
    begun = [f"_{word}" for word in plain.split("_") if word]
    holding = [other for other in table().units if begun and all(word in f"_{other}" for word in begun)]
    return tuple(dict.fromkeys([*close, *sorted(holding, key=lambda other: (len(other), other))]))[:n]


def is_stated(name: object) -> TypeGuard[str]:
    """Tells whether an attribute holds a name at all; cfgrib writes ``unknown`` where it has none."""
    return isinstance(name, str) and name.strip() not in ("", _NOT_A_NAME)


def _parts(name: str) -> tuple[str, str | None]:
    base, _, modifier = name.strip().partition(" ")
    return base, modifier.strip() or None


def _rows(xml: str) -> list[str]:
    """The lines of the table of this package, from the published one."""
    import xml.etree.ElementTree as ET  # noqa: PLC0415 - a file that a developer has chosen

    root = ET.fromstring(xml)  # noqa: S314
    names = {str(entry.get("id")): (entry.findtext("canonical_units") or "").strip() for entry in root.iter("entry")}
    present = {str(a.get("id")): [(e.text or "").strip() for e in a.iter("entry_id")] for a in root.iter("alias")}
    aliases = {name: f"= {' or '.join(others)}" for name, others in present.items() if name not in names}
    return [
        str(root.findtext("version_number")),
        *(f"{name} {text}" for name, text in sorted((names | aliases).items())),
    ]


if __name__ == "__main__":
    ROWS = _rows(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_bytes(gzip.compress("\n".join(ROWS).encode(), compresslevel=9, mtime=0))
