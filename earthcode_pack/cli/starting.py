"""What ``init`` tells: a starter profile, to a file or to standard output."""

from pathlib import Path

from rich.console import Console

from earthcode_pack.cli.outcome import Outcome
from earthcode_pack.cli.words import counted, facts
from earthcode_pack.errors import UserError
from earthcode_pack.files import write_atomic
from earthcode_pack.starter import DECIDE, starter_profile


def start_profile(sources: list[str], output: Path | None, *, force: bool, as_json: bool) -> Outcome:
    """Looks at the files, then writes. Raises ``UserError`` rather than replace a person's profile unasked."""
    if output is not None and output.exists() and not force:
        raise UserError(f"{output} is there already", "name another file, or replace it with --force")
    base = output.parent if output is not None else Path.cwd()
    text = starter_profile(sources, base)
    if output is not None:
        write_atomic(output, text)
    data = {"profile": str(output) if output else None, "decide": text.count(DECIDE), "text": text}
    return Outcome(data, lambda console: _show(console, output, text), as_json=as_json)


def _show(console: Console, output: Path | None, text: str) -> None:
    if output is None:
        console.out(text, end="")
        return
    facts(
        console,
        [
            ("Wrote", output),
            ("Decide", f"{counted(text.count(DECIDE), 'line')} marked with `{DECIDE}`"),
            ("Next", f"earthcode-pack plan {output}"),
        ],
    )
