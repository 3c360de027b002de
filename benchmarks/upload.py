"""``python -m benchmarks upload``: a large file and many small ones, to Ceph RGW and to a server that discards."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contest import OVERHEAD, Contest
from benchmarks.figures import Results
from benchmarks.measure import Cost, Failed, measure
from benchmarks.upload_files import Files, many_objects, one_file
from benchmarks.upload_peers import NEEDS, command
from benchmarks.upload_servers import BUCKET, Server, serving
from benchmarks.works import OURS, Target, Work

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

BEST = "best"  # the best peer of each round, by wall and by CPU
PEAK = 250  # MB
FILE, QUICK_FILE = 500_000_000, 300_000_000  # bytes
OBJECTS, QUICK_OBJECTS = 2000, 600

_SLOW = ("rclone", "aws", "s3fs")  # left out where there is little time


def _work(name: str, wall: float, quick_wall: float) -> Work:
    peers = {**{peer: Target() for peer in NEEDS}, BEST: Target(wall, None, quick_wall)}
    return Work(name, "upload", "big", {}, peers, memory=PEAK, not_in_quick=_SLOW)


WORKS = (
    _work("file-sink", 1.3, 1.5),
    _work("objects-sink", 1.3, 1.5),
    _work("file-rgw", 1.0, 1.1),
    _work("objects-rgw", 1.0, 1.1),
)


@dataclass(frozen=True)
class Ready:
    """A work with its files and its server."""

    work: Work
    files: Files
    server: Server
    python: str | None

    def command(self, who: str, prefix: str) -> list[str] | None:
        """The process that uploads below ``prefix``; None where the peer is not there."""
        if who == OURS:
            href = f"s3://{BUCKET}/{prefix}"
            return [sys.executable, "-m", "benchmarks.upload_ours", str(self.files.bundle), href]
        return command(who, self.files.data, BUCKET, prefix, endpoint=self.server.endpoint, python=self.python)


class UploadContest(Contest):
    """Each run goes below a prefix of its own, is looked at once, and removed."""

    def __init__(self, ready: Ready, tell: Callable[[str], None], *, quick: bool) -> None:
        self.ready: Ready = ready  # type: ignore[assignment]
        self.tell, self.results, self.failures, self.rounds = tell, Results(ready.work), [], 0
        wanted = [peer for peer in ready.work.peers_of(quick) if peer != BEST]
        there = [peer for peer in wanted if ready.command(peer, "") is not None]
        self.missing = [peer for peer in wanted if peer not in there]
        self.contenders, self.engines = [OURS, *there], []

    def round(self) -> None:
        """Each contender once, and the best of the peers.

        An upload that does not count comes first: the first one to a server that had rested was seen to take half as
        long again, and more.
        """
        with suppress(Failed):
            self._run(OURS)
        super().round()
        last = [costs[-1] for who, costs in self.results.costs.items() if who not in (OURS, BEST) and costs]
        if last:
            best = [min(getattr(cost, what) for cost in last) for what in ("wall", "cpu", "peak")]
            self.results.costs[BEST].append(Cost(best[0], best[1], int(best[2]), last[0].size))

    def expected(self) -> float:
        """As of any contest; the first upload, a listing and a removal come to it."""
        first = sum(cost.wall for cost in self.results.costs[OURS][-1:])
        return super().expected() + first + 2 * OVERHEAD

    def _run(self, who: str) -> Cost:
        prefix = f"{self.ready.work.name}/{who}-{self.rounds}"
        os.environ.update(self.ready.server.environment())
        self.ready.files.forget()
        made = self.ready.command(who, prefix)
        assert made is not None, "it is a contender"
        cost = measure(made, self.ready.files.data)
        self._look_and_remove(who, prefix)
        return cost

    def _look_and_remove(self, who: str, prefix: str) -> None:
        """Raises ``Failed`` where what is there is not what should be: each file's size is."""
        from earthcode_pack.profile.model import StoreSpec  # noqa: PLC0415 - seconds, which help need not wait for
        from earthcode_pack.storage import open_store  # noqa: PLC0415

        store = open_store(StoreSpec(href=f"s3://{BUCKET}/{prefix}"))
        listed = {found.key: found.size for found in store.listing()}
        store.delete(listed)
        self.ready.server.forget()
        wrong = [key for key, size in self.ready.files.expected(ours=who == OURS).items() if listed.get(key) != size]
        if wrong:
            raise Failed(f"{wrong[0]} is not there as it should be")


def contests(works: list[Work], options: Namespace, tell: Callable[[str], None], stack: ExitStack) -> list[Contest]:
    """A contest for each work; a server that does not start is named, and its works are left out."""
    made: list[Contest] = []
    for name in sorted({work.name.rpartition("-")[2] for work in works}, reverse=True):
        try:
            server = stack.enter_context(serving(name))
        except RuntimeError as error:
            sys.stderr.write(f"{error}\n")
            continue
        for work in works:
            if work.name.endswith(f"-{name}"):
                files = _files(work, options.data.absolute() / "upload", options.quick)
                made.append(UploadContest(Ready(work, files, server, options.peer_python), tell, quick=options.quick))
    return made


def _files(work: Work, folder: Path, quick: bool) -> Files:
    if work.name.startswith("file"):
        return one_file(folder, QUICK_FILE if quick else FILE)
    return many_objects(folder, QUICK_OBJECTS if quick else OBJECTS)


def missing(every: list[Contest]) -> list[str]:
    """How to have the peers that are not there."""
    absent = sorted({peer for contest in every if isinstance(contest, UploadContest) for peer in contest.missing})
    return [
        f"{peer} is left out: pip install {NEEDS[peer]}, in an environment named by --peer-python" for peer in absent
    ]
