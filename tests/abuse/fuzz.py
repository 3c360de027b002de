"""Fuzzing of the readers' entry: sound files of every format, mutated by hypothesis, through discover and plan.

    PYTHONPATH=tests python -m abuse.fuzz [--minutes 20] [--seed N]

Each example runs in a process of its own (harness.py). The first one that is not judged well is shrunk and kept.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from functools import cache, partial
from typing import Any

import pyproj  # noqa: F401 - before ecCodes
from abuse.harness import Case, Site, judge
from abuse.making import ENDINGS, bytes_of, profile_data, write_grib, write_nc, write_profile, write_tif
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

_WRITERS: dict[str, tuple[str, Any]] = {
    "tiff": ("tif", write_tif),
    "tiff-deflate": ("tif", partial(write_tif, compress="deflate", tiled=True, blockxsize=16, blockysize=16)),
    "netcdf-3": ("nc", partial(write_nc, fmt="NETCDF3_CLASSIC")),
    "netcdf-4": ("nc", write_nc),
    "grib-1": ("grib", partial(write_grib, edition=1)),
    "grib-2": ("grib", partial(write_grib, edition=2)),
}
_WORDS = st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\1"])


@cache
def sound(name: str) -> bytes:
    """The bytes of a sound file."""
    return bytes_of(_WRITERS[name][1])


def mutated(data: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """Replaces, inserts, removes, repeats or cuts bytes at shares of the length of a file."""
    for kind, share, word in changes:
        place = int(share * len(data))
        after = place if kind == "insert" else place + len(word)
        data = {
            "cut": data[:place],
            "repeat": data[:place] + data[max(place - 64, 0) : place] * 4 + data[place:],
            "remove": data[:place] + data[after:],
        }.get(kind, data[:place] + word + data[after:])
    return data


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["replace", "replace", "replace", "insert", "remove", "repeat", "cut"]),
        st.floats(0, 1) | st.floats(0, 0.1),
        _WORDS | st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=6,
)


def tried(name: str, data: bytes) -> list[str]:
    """The problems of ``plan`` with a file of these bytes."""
    ending = _WRITERS[name][0]

    def make(site: Site) -> list[str]:
        (site.inside / "raw").mkdir()
        (site.inside / "raw" / f"a_20200101.{ending}").write_bytes(data)
        write_profile(site, profile_data(ending, ENDINGS[ending]))
        return ["plan", "profile.yaml", "--workdir", "work", "--json"]

    return [problem for verdict in judge(Case(f"fuzz/{name}", make)) for problem in verdict.problems]


def fuzz(minutes: float, number: int) -> int:
    """Tries examples until the time is over; their number. Raises ``AssertionError`` with the first bad one."""
    end, count = time.monotonic() + 60 * minutes, 0

    @seed(number)
    @settings(
        max_examples=10**6, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.sampled_from(sorted(_WRITERS)), CHANGES)
    def example(name: str, changes: list[tuple[str, float, bytes]]) -> None:
        nonlocal count
        if time.monotonic() > end:
            raise _TimeIsOver
        count += 1
        problems = tried(name, mutated(sound(name), changes))
        assert not problems, f"{name} {changes}: {problems}"

    with suppress(_TimeIsOver):
        example()
    return count


class _TimeIsOver(BaseException):
    """Ends a run of hypothesis."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="abuse.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        count = fuzz(arguments.minutes, arguments.seed)
    except AssertionError as error:
        print(f"fuzz: {error}")
        return 1
    print(f"fuzz: {count} files in {arguments.minutes:g} minutes, all as they should")
    return 0


if __name__ == "__main__":
    sys.exit(main())
