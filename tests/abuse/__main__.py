"""The corpus of hostile inputs, each tried with the command line: a table of what was not as it should be, and figures.

    PYTHONPATH=tests python -m abuse [PATTERN ...] [--jobs N] [--keep FOLDER] [--list]

A pattern is a part of a case's name. The exit code is 1 where any input was not judged well.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

import pyproj  # noqa: F401 - before ecCodes
from abuse.corpus import corpus
from abuse.harness import BYTES, SECONDS, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abuse.harness import Case


def main() -> int:
    arguments = _arguments()
    chosen = [case for case in corpus() if not arguments.patterns or any(p in case.name for p in arguments.patterns)]
    if arguments.list:
        print(*(f"{case.inputs:4} {case.name}" for case in chosen), sep="\n")
        return 0
    began = time.monotonic()
    good = Counter[str]()
    every: list[Verdict] = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        asked = {pool.submit(_judged, case, arguments): case for case in chosen}
        for answer in as_completed(asked):
            case, verdicts = asked[answer], answer.result()
            every += verdicts
            bad = [verdict for verdict in verdicts if verdict.problems]
            good[_family(case)] += case.inputs - sum(verdict.case.inputs for verdict in bad)
            for verdict in bad:
                print(f"{verdict.case.label}: {'; '.join(verdict.problems)}", flush=True)
    _figures(chosen, good, every, time.monotonic() - began)
    return int(good.total() < sum(case.inputs for case in chosen))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="abuse", description=__doc__)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="keep inputs and products here")
    parser.add_argument("--whole", action="store_true", help="do not track bad verdicts down to single inputs: quick")
    parser.add_argument("--list", action="store_true", help="names and numbers of inputs alone")
    return parser.parse_args()


def _judged(case: Case, arguments: argparse.Namespace) -> list[Verdict]:
    try:
        return judge(case, arguments.keep, split=not arguments.whole)
    except Exception as error:  # noqa: BLE001 - a case that cannot be made is no success
        from abuse.harness import Outcome

        return [Verdict(case, Outcome(), [f"the case cannot be made: {type(error).__name__}: {error}"])]


def _family(case: Case) -> str:
    return case.name.partition("/")[0]


def _figures(cases: Iterable[Case], good: Counter[str], verdicts: list[Verdict], seconds: float) -> None:
    inputs = Counter[str]()
    for case in cases:
        inputs[_family(case)] += case.inputs
    print()
    for family, count in inputs.items():
        print(f"{family:12} {good[family]:5} of {count}")
    slowest = max(verdicts, key=lambda verdict: verdict.outcome.seconds)
    largest = max(verdicts, key=lambda verdict: verdict.outcome.peak)
    print(f"longest      {slowest.outcome.seconds:5.1f} of {SECONDS} s ({slowest.case.label})")
    print(f"largest      {largest.outcome.peak / 1e6:5.0f} of {BYTES // 10**6} MB ({largest.case.label})")
    print(f"computing    {sum(verdict.outcome.cpu for verdict in verdicts):5.0f} s")
    print(f"hostile inputs: {good.total()} of {inputs.total()} as they should, in {seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
