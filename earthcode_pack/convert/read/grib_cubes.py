"""Messages of a GRIB file that make no one hypercube, and how ``grib_copy`` of ecCodes takes them apart.

cfgrib tells the messages of a variable apart by run, step, level and member. Of two that agree in all of these it
keeps one without a word.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What cfgrib makes dimensions of, and what may tell apart messages that agree in it.
_PLACE = (
    "paramId", "number", "dataDate", "dataTime", "endStep", "typeOfLevel", "level", "directionNumber", "frequencyNumber"
)  # fmt: skip
_APART = ("typeOfLevel", "shortName", "stepType", "stepRange", "dataType", "edition", "md5GridSection")
_RUN = ("dataDate", "dataTime")


class _Message(NamedTuple):
    """The place of a message in its file, counted from one, and its keys; a key that it lacks is None."""

    place: int
    keys: dict[str, str | None]


def refuse_doubles(path: Path) -> None:
    """Refuses a GRIB of which cfgrib would drop messages. Raises ``Unreadable``."""
    found: dict[tuple[str | None, ...], _Message] = {}
    for message in _messages(path):
        other = found.setdefault(tuple(message.keys[key] for key in _PLACE), message)
        if other is not message:
            raise _double(path.name, other, message)


def _double(name: str, one: _Message, other: _Message) -> Unreadable:
    what = f"{one.keys['shortName']} of {one.keys['dataDate']} {one.keys['dataTime']}, step {one.keys['endStep']}"
    both = f"{name}: its messages {one.place} and {other.place} both hold {what}"
    apart = [key for key in _APART if one.keys[key] != other.keys[key]]
    if not apart:
        return Unreadable(both, f"leave one out: `grib_copy -w count!={other.place} {name} NEW{_ending(name)}`")
    values = " and ".join(f"{one.keys[key]} or {other.keys[key]}" for key in apart)
    return Unreadable(f"{both} ({', '.join(apart)}: {values})", _split(name, apart))


def several_cubes(path: Path) -> Unreadable:
    """The error for messages that form several hypercubes: which ones, and how to split the file."""
    every = [message.keys for message in _messages(path)]
    cubes = Counter((keys["typeOfLevel"], keys["level"], keys["shortName"]) for keys in every)
    listed = ", ".join(dict.fromkeys(f"{name} ({level} {at})" for level, at, name in cubes))
    apart = [key for key in _APART if len({keys[key] for keys in every}) > 1]
    return Unreadable(
        f"{path.name}: its messages form several hypercubes: {listed}", _split(path.name, apart or ["shortName"])
    )


def several_runs(path: Path, runs: int, steps: int) -> Unreadable:
    """The error for a GRIB that holds several forecast runs of several steps each, and how to split the file."""
    return Unreadable(f"{path.name}: {runs} forecast runs with {steps} steps each", _split(path.name, _RUN))


def _split(name: str, keys: list[str] | tuple[str, ...]) -> str:
    stem = name.removesuffix(_ending(name))
    parts = "_".join(f"[{key}]" for key in keys)
    return f"split the file by {' and '.join(keys)}: `grib_copy {name} '{stem}_{parts}{_ending(name)}'` (ecCodes)"


def _ending(name: str) -> str:
    return f".{name.rpartition('.')[2]}" if "." in name else ""


def _messages(path: Path) -> Iterator[_Message]:
    import eccodes  # noqa: PLC0415 - only for GRIB

    with path.open("rb") as file:
        place = 0
        while (handle := eccodes.codes_grib_new_from_file(file, headers_only=True)) is not None:
            place += 1
            try:
                yield _Message(place, {key: _value(handle, key) for key in {*_PLACE, *_APART}})
            finally:
                eccodes.codes_release(handle)


def _value(handle: int, key: str) -> str | None:
    import eccodes  # noqa: PLC0415 - only for GRIB

    try:
        return str(eccodes.codes_get_string(handle, key))
    except eccodes.CodesInternalError:
        return None
