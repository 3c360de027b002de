"""``python -m benchmarks cog|zarr|netcdf|upload``: this project beside its peers, in one run; ``describe``: many Items.

See docs/performance.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks import machine, tables, upload
from benchmarks.contest import Contest, by_number, by_time
from benchmarks.figures import MB, Results, as_json, verdict
from benchmarks.inputs import FULL, QUICK, Sizes, inputs
from benchmarks.measure import ROOT, Failed, measure, remove
from benchmarks.ready import NEEDS, Ready, make_ready, python_with
from benchmarks.works import GROWTH, OURS, WORKS, Work, works_of

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDS = 3
QUICK_SECONDS = 45.0  # a quick run begins no round that would end later; it must end within 50
BUSY = 0.8  # processes at work before anything began


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where a contender failed. The last line on standard output is JSON."""
    options = _options(arguments)
    if options.command == "describe":
        from benchmarks.describing import benchmark  # noqa: PLC0415 - brings the package itself

        return benchmark(
            options.data.absolute(), quick=options.quick, as_markdown=options.markdown, json_only=options.json_only
        )
    try:
        works = works_of(options.command, options.quick, options.work, (*WORKS, *upload.WORKS))
    except KeyError as name:
        sys.stderr.write(f"{options.command} has no work {name}\n")
        return 2
    return _Benchmark(options).run(works)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("command", choices=("cog", "zarr", "netcdf", "upload", "describe"))
    parser.add_argument("--quick", action="store_true", help="smaller inputs; as many rounds as fit in 50 seconds")
    parser.add_argument("--work", nargs="+", default=[], metavar="NAME", help="only these works, such as deflate")
    parser.add_argument("--rounds", type=int, help=f"of each contender, {ROUNDS} unless quick")
    parser.add_argument("--data", type=Path, default=ROOT / ".benchmarks", help="where inputs are kept (.benchmarks)")
    parser.add_argument("--peer-python", metavar="PATH", help="a Python that has the peers that this one has not")
    parser.add_argument("--markdown", action="store_true", help="tables for docs/performance.md")
    parser.add_argument("--json-only", action="store_true", help="no tables, only the JSON")
    parser.add_argument("--profile-ours", action="store_true", help="where our time goes: one more run of each work")
    return parser.parse_args(arguments)


class _Benchmark:
    """One run of a command."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.quick: bool = options.quick
        self.data: Path = options.data.absolute()
        self.notes: list[str] = []
        begun = time.time() - psutil.Process().create_time()
        self.end = time.monotonic() - begun + QUICK_SECONDS
        self.load = machine.load()

    def run(self, works: list[Work]) -> int:
        """Inputs, plans, rounds, tables; nothing but inputs is left behind."""
        with ExitStack() as servers:
            contests = self._contests(works, servers)
            self._compete(contests)
        self._show([contest.results for contest in contests])
        return int(any(contest.failures for contest in contests))

    def _contests(self, works: list[Work], servers: ExitStack) -> list[Contest]:
        if self.options.command != "upload":
            return [Contest(self._ready(work), self._pythons(work), self._tell) for work in works]
        contests = upload.contests(works, self.options, self._tell, servers)
        self.notes += upload.missing(contests)
        return contests

    def _compete(self, contests: list[Contest]) -> None:
        if self.options.rounds or not self.quick:
            by_number(contests, self.options.rounds or ROUNDS)
        else:
            by_time(contests, self.end)
        self._note(contests)
        if self.options.command == "upload":
            return
        for contest in contests:
            if contest.ready.work.grows and not self.quick:
                self._grow(contest)
            if self.options.profile_ours:
                self._profile(contest.ready)

    def _tell(self, message: str) -> None:
        if not self.options.json_only:
            sys.stderr.write(f"{message}\n")

    # --- before -------------------------------------------------------------------------------------------------------

    def _ready(self, work: Work, sizes: Sizes | None = None) -> Ready:
        sizes = sizes or (QUICK if self.quick else FULL)
        begin = time.perf_counter()
        files = inputs(work.kind, self.data, work.count(sizes))
        self._tell(
            f"{work.name}: {len(files)} input files, {time.perf_counter() - begin:.1f} s to make what was missing"
        )
        return make_ready(work, files, self.data / "runs" / work.name)

    def _pythons(self, work: Work) -> dict[str, str]:
        """By peer, the Python that has it; a peer that none has is left out, and how to have it is said."""
        found = {peer: python_with(peer, self.options.peer_python) for peer in work.peers_of(self.quick)}
        for peer in (peer for peer, python in found.items() if python is None):
            sys.stderr.write(f"{work.name}: {peer} is left out: pip install '{NEEDS[peer][1]}'\n")
        return {peer: python for peer, python in found.items() if python is not None}

    # --- after --------------------------------------------------------------------------------------------------------

    def _note(self, contests: list[Contest]) -> None:
        for contest in contests:
            work = contest.ready.work
            if work.command != "upload":
                self.notes.append(f"{work.name}: ours made by {', '.join(contest.engines) or 'nobody'}")
                seconds = f"{contest.ready.seconds:.1f} s"
                self.notes.append(f"{work.name}: outside the time of ours: finding, hashing, planning {seconds}")
            self.notes += [failure.splitlines()[0] for failure in contest.failures]
        if self.load > BUSY:
            self.notes.append(f"the machine was busy before: load {self.load:.1f}; trust CPU more than wall")

    def _grow(self, contest: Contest) -> None:
        """Peak memory of ours on a quarter of the input, beside that on all of it."""
        work = contest.ready.work
        ready = self._ready(work, QUICK)
        output = ready.output(OURS)
        try:
            little = measure(ready.command(OURS, sys.executable), ready.product(OURS)).peak / MB
        except Failed as error:
            contest.failures.append(f"{work.name}: ours, on {len(ready.files)} files, {error}")
            return
        finally:
            remove(output)
        if contest.results.costs.get(OURS):
            ratio = contest.results.peak(OURS) / little
            files = f"{len(contest.ready.files)} files to {len(ready.files)} ({little:.0f} MB)"
            self.notes.append(f"{work.name}: peak memory of {files}: {ratio:.2f} {verdict(ratio, GROWTH)}")

    def _profile(self, ready: Ready) -> None:
        """One more run, watched: its threads' stacks go to a file beside the inputs."""
        path = self.data / f"profile-{ready.work.name}.txt"
        try:
            measure([*ready.command(OURS, sys.executable), str(path)], ready.product(OURS))
            sys.stderr.write(f"{path}\n{path.read_text(encoding='utf-8')}")
        except Failed as error:
            sys.stderr.write(f"{ready.work.name}: ours, profiled, {error}\n")
        finally:
            remove(ready.output(OURS))

    def _show(self, every: list[Results]) -> None:
        """Tables, then the line of JSON."""
        if not self.options.json_only:
            sys.stdout.write("\n".join(self._page(every)) + "\n")
        sys.stdout.write(as_json(self.options.command, every) + "\n")

    def _page(self, every: list[Results]) -> list[str]:
        table = tables.markdown if self.options.markdown else tables.text
        how = "quick, " if self.quick else ""
        title = f"{self.options.command}, {how}median of the ratios of ours to the peer, pair by pair"
        parts = [
            title,
            table(tables.RATIOS, tables.ratio_rows(every, self.quick)),
            table(tables.COSTS, tables.cost_rows(every)),
            table(tables.MEMORY, tables.memory_rows(every)),
            "\n".join(tables.listed(line, wrap=not self.options.markdown) for line in self.notes),
            "\n".join(tables.listed(line, wrap=not self.options.markdown) for line in machine.facts()),
        ]
        return [line for part in parts for line in (part, "")]


if __name__ == "__main__":
    sys.exit(main())
