"""What ``check`` and ``verify`` tell."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console

from earthcode_pack.bundle import open_bundle
from earthcode_pack.cli.outcome import Outcome
from earthcode_pack.cli.words import clipped, heading, levels, near, show_findings
from earthcode_pack.model import Finding, Level
from earthcode_pack.redact import shown


def accepted_by(target: str) -> Mapping[str, str]:
    """The rules that the profile of a bundle accepts; none where the target is something else."""
    return open_bundle(target).profile().accept if (Path(target) / "profile.yaml").is_file() else {}


def judged(target: str, findings: Iterable[Finding], accepted: Mapping[str, str], *, as_json: bool) -> Outcome:
    """Exit code 1 where an error stands that is not accepted."""
    found, target = tuple(findings), shown(target)
    stands = any(finding.level is Level.ERROR and finding.rule not in accepted for finding in found)
    data = {"target": target, "findings": found}
    return Outcome(data, lambda console: _show(console, target, found, accepted), int(stands), as_json)


def _show(console: Console, target: str, found: tuple[Finding, ...], accepted: Mapping[str, str]) -> None:
    counts = {level.value: sum(finding.level is level for finding in found) for level in Level}
    heading(console, f"{clipped(near(target), 200)}: {levels(counts) if found else 'nothing found'}")
    show_findings(console, found, accepted, most=None)
