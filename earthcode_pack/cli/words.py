"""Text for terminals of sixty columns and more; text from files is never read as markup."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from earthcode_pack.model import Failure, Finding, Level
from earthcode_pack.redact import shown

MOST = 10  # entries of a list; the report has all
_FEW = 3  # further places of one rule
_LONG, _PATH = 600, 100  # characters of a message, of a path

_STYLES = {Level.ERROR: "bold red", Level.WARNING: "yellow", Level.INFO: "cyan"}
_ORDER = list(_STYLES)


def bytes_of(size: int) -> str:
    """Formats a size for people, such as 1.2 MB."""
    return decimal(size)


def counted(number: int, noun: str) -> str:
    """Formats a number with its noun.

    >>> counted(1, "item"), counted(0, "failure")
    ('1 item', '0 failures')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def heading(console: Console, text: str) -> None:
    """Prints a heading."""
    console.print(Text(text, "bold"))


def table(columns: Iterable[tuple[str, str]], rows: Iterable[tuple[str, ...]]) -> Table:
    """Makes a compact table; ``columns`` are names and justifications."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for name, justify in columns:
        result.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    for row in rows:
        result.add_row(*(Text(cell) for cell in row))
    return result


def near(path: Path | str) -> str:
    """Shortens a path to a relative one where it is below the current folder."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else str(path)


def facts(console: Console, pairs: Iterable[tuple[str, object]]) -> None:
    """Prints lines of name and value. Values are not wrapped, so that they can be copied."""
    for name, value in pairs:
        if value is not None:
            console.print(Text.assemble((f"{name:<10} ", "dim"), str(value)), soft_wrap=True)


def show_failures(console: Console, failures: Iterable[Failure]) -> None:
    """Prints what could not be used, why, and the remedy."""
    listed = list(failures)
    if not listed:
        return
    console.print()
    heading(console, counted(len(listed), "failure"))
    for failure in listed[:MOST]:
        _entry(console, "failed", "bold red", f"{short(failure.source)}: {failure.error}", failure.remedy)
    _and_more(console, len(listed))


def show_findings(
    console: Console, findings: Iterable[Finding], accepted: Iterable[str], most: int | None = MOST
) -> None:
    """Prints findings, the worst first, one entry for each rule: its first finding, and further subjects.

    Args:
        console: where to print.
        findings: all findings.
        accepted: rules that the profile accepts.
        most: number of rules to print; None prints all.

    """
    accepted = set(accepted)
    by_level = sorted(findings, key=lambda f: (f.rule in accepted, _ORDER.index(f.level), f.rule))
    groups = [list(group) for _, group in groupby(by_level, key=lambda f: (f.rule, f.level))]
    for group in groups[:most]:
        first = group[0]
        level, style = ("accepted", "dim") if first.rule in accepted else (first.level, _STYLES[first.level])
        subject = "" if first.subject in first.message else f" {first.subject}"
        text = f"{first.rule}{subject}: {clipped(first.message, _LONG)}{_times(group)}"
        _entry(console, level, style, text, first.remedy, also=_elsewhere(group))
    _and_more(console, len(groups), most)


def clipped(text: str, most: int) -> str:
    r"""Cuts text of unknown origin to ``most`` printable characters on one line.

    >>> clipped("a\nb" + "c" * 10, 8)
    'a b cccc…'
    """
    line = " ".join(text.split()) if "\n" in text or "\r" in text else text
    line = "".join(c if c.isprintable() else "\ufffd" for c in line[: most + 1])
    return line if len(line) <= most else f"{line[:most]}…"


def _times(group: list[Finding]) -> str:
    """Formats ``(and 25 more, in 13 places)`` where there is more than one."""
    subjects = len({finding.subject for finding in group})
    if len(group) == 1:
        return ""
    places = "" if subjects in (1, len(group)) else f", in {counted(subjects, 'place')}"
    return f" (and {len(group) - 1} more{places})"


def _elsewhere(group: list[Finding]) -> str:
    """Names the next few subjects of a rule, and the number of others."""
    subjects = list(dict.fromkeys(finding.subject for finding in group))[1:]
    named = ", ".join(clipped(near(subject), _PATH) for subject in subjects[:_FEW])
    more = f" and {len(subjects) - _FEW} more" if len(subjects) > _FEW else ""
    return f"also {named}{more}" if subjects else ""


def levels(findings: dict[str, int]) -> str:
    """Formats ``1 error, 2 warnings, 0 infos``, as the report counts them."""
    return ", ".join(counted(findings.get(level, 0), level) for level in _ORDER)


def short(href: str) -> str:
    """Returns the last part of a path or URL; the report has the whole."""
    return Path(shown(href).rstrip("/")).name or shown(href)


def _entry(console: Console, label: str, style: str, text: str, remedy: str, *, also: str = "") -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=8)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label, style), Text(text))
    if also:
        grid.add_row("", Text(also, "dim"))
    if remedy:
        grid.add_row("", Text(f"→ {remedy}", "dim"))
    console.print(grid)


def _and_more(console: Console, number: int, most: int | None = MOST) -> None:
    if most is not None and number > most:
        console.print(Text(f"… and {number - most} more: see the report", "dim"))


def difference_text(found: Mapping[str, int] | None) -> str | None:
    """Formats what an upload would do.

    >>> difference_text({"new": 2, "same": 1, "changed": 0, "stray": 0, "bytes": 1500})
    '2 new, 1 same, 0 changed, 0 stray; 1.5 kB to send'
    """
    if found is None:
        return None
    kinds = ", ".join(f"{found[kind]} {kind}" for kind in ("new", "same", "changed", "stray"))
    return f"{kinds}; {bytes_of(found['bytes'])} to send"
