"""Results for people: a table of plain text that fits 80 columns, or of Markdown."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from benchmarks.figures import MB, SHOWN, Results, verdict
from benchmarks.works import OURS

if TYPE_CHECKING:
    from collections.abc import Sequence

Rows = list[list[str]]

WIDTH = 80

COSTS = ["work", "who", "wall s", "CPU s", "peak MB", "size MB", "runs"]
RATIOS = ["work", "ours / peer", "wall", "CPU", "size"]
MEMORY = ["work", "peak memory of ours", "target"]


def cost_rows(every: Sequence[Results]) -> Rows:
    """What each run cost: medians, of memory the highest."""
    return [
        [
            results.work.name if number == 0 else "",
            who,
            f"{results.middle(who, 'wall'):.1f}",
            f"{results.middle(who, 'cpu'):.1f}",
            f"{results.peak(who):.0f}",
            f"{results.middle(who, 'size') / MB:.1f}",
            str(len(results.costs[who])),
        ]
        for results in every
        for number, who in enumerate(who for who in results.costs if results.costs[who])
    ]


def ratio_rows(every: Sequence[Results], quick: bool) -> Rows:
    """Ours to each peer, beside what is aimed at."""
    return [
        [results.work.name, peer, *(_ratio(results, peer, what, quick) for what in SHOWN)]
        for results in every
        for peer in results.peers
    ]


def _ratio(results: Results, peer: str, what: str, quick: bool) -> str:
    value, target = results.ratio(peer, what), results.work.peers[peer].of(quick=quick)[what]
    digits = 3 if what == "size" else 2
    return f"{value:.{digits}f} {verdict(value, target)}".rstrip()


def memory_rows(every: Sequence[Results]) -> Rows:
    """The peak of ours beside what it may be."""
    rows = []
    for results in (results for results in every if results.costs.get(OURS)):
        limit, peak = results.memory_limit(), results.peak(OURS)
        aimed = verdict(round(peak), None if limit is None else round(limit))
        rows.append([results.work.name, f"{peak:.0f} MB", aimed])
    return rows


def text(head: Sequence[str], rows: Rows) -> str:
    """Columns as wide as they must be; numbers to the right.

    >>> print(text(["work", "s"], [["cog", "1.5"], ["zarr", "12.5"]]))
    work     s
    cog    1.5
    zarr  12.5
    """
    widths = [max(len(row[column]) for row in [list(head), *rows]) for column in range(len(head))]
    right = [bool(rows) and all(_is_number(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        )
        for row in [list(head), *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


def markdown(head: Sequence[str], rows: Rows) -> str:
    """The same for a page."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def listed(line: str, *, wrap: bool) -> str:
    """A line of a list, as wide as a terminal where it is for one."""
    item = f"- {line}"
    return fill(item, WIDTH, subsequent_indent="  ", break_on_hyphens=False) if wrap else item


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).isdigit()
